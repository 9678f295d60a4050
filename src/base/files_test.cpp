#include "base/files.hpp"

#include <gtest/gtest.h>

#include <filesystem>

namespace jevons {
namespace {

TEST(Files, AllOrNothing) {
  const auto folder = std::filesystem::temp_directory_path() / "jevons_files_test" / "out";
  std::filesystem::remove_all(folder.parent_path());
  ASSERT_TRUE(write_files(folder.string(), {{"a.txt", "one"}, {"b.txt", "two"}}));
  EXPECT_EQ(*read_file((folder / "b.txt").string(), 100), "two");
  // One impossible name: nothing new arrives, no scratch folder stays.
  EXPECT_FALSE(write_files(folder.string(), {{"a.txt", "changed"}, {"a.txt/below", "x"}}));
  EXPECT_EQ(*read_file((folder / "a.txt").string(), 100), "one");
  ASSERT_TRUE(write_files(folder.string(), {{"sub/c.txt", "three"}}));
  EXPECT_EQ(*read_file((folder / "sub/c.txt").string(), 100), "three");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.parent_path()), {}), 1);
}

TEST(Files, ReadRefusesWhatItCannotHold) {
  EXPECT_EQ(read_file("/no/such/file", 10).error().code, ErrorCode::not_found);
  EXPECT_NE(read_file("/", 10).error().what.find("folder"), std::string::npos);
  EXPECT_NE(read_file("/proc/self/maps", 10).error().what.find("too large"), std::string::npos);
}

}  // namespace
}  // namespace jevons
