#include "base/files.hpp"

#include <fmt/format.h>

#include <unistd.h>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace jevons {
namespace fs = std::filesystem;
namespace {

Error io_error(const std::string& path, const std::string& what, const std::string& hint) {
  return {ErrorCode::io, path, 0, {}, what, {}, hint};
}

Result<void> write_all(const fs::path& scratch, const std::string& folder, const std::vector<File>& files) {
  std::error_code status;
  for (const auto& f : files) {
    fs::create_directories((scratch / f.name).parent_path(), status);
    std::ofstream out(scratch / f.name, std::ios::binary);
    out.write(f.content.data(), std::streamsize(f.content.size()));
    out.close();
    if (!out) return fail(io_error(folder + "/" + f.name, "cannot be written", "is there space left and permission to write?"));
  }
  fs::create_directories(folder, status);
  for (const auto& f : files) {
    if (!status) fs::create_directories((fs::path(folder) / f.name).parent_path(), status);
    if (!status) fs::rename(scratch / f.name, fs::path(folder) / f.name, status);
  }
  if (status) return fail(io_error(folder, "cannot be written: " + status.message(), "choose another folder with -o"));
  return {};
}

}  // namespace

Result<void> write_files(const std::string& folder, const std::vector<File>& files) {
  static std::atomic<int> serial{0};  // two threads writing to one folder need two scratch folders
  std::error_code status;
  fs::path target = fs::absolute(fs::path(folder), status).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();
  if (fs::exists(target, status) && !fs::is_directory(target, status)) {
    return fail(io_error(folder, "is a file, not a folder", "choose another folder with -o"));
  }
  fs::create_directories(target.parent_path(), status);
  const fs::path scratch = target.parent_path() / fmt::format(".{}.partial-{}-{}", target.filename().string(), getpid(), serial++);
  if (!fs::create_directory(scratch, status)) {
    return fail(io_error(folder, "cannot be written: " + status.message(), "choose another folder with -o"));
  }
  auto done = write_all(scratch, target.string(), files);
  fs::remove_all(scratch, status);
  return done;
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  std::error_code status;
  if (!fs::exists(path, status)) return fail({ErrorCode::not_found, path, 0, {}, "no such file", "a file that can be read", {}});
  if (fs::is_directory(path, status)) return fail({ErrorCode::bad_input, path, 0, {}, "is a folder", "a file", {}});
  // Regular files tell their size before a byte is read: a gigabyte is refused at once.
  if (fs::is_regular_file(path, status)) {
    const auto size = fs::file_size(path, status);
    if (!status && size > limit) {
      return fail({ErrorCode::bad_input, path, 0, {}, fmt::format("holds {} bytes", size), fmt::format("at most {} bytes", limit), {}});
    }
  }
  std::ifstream in(path, std::ios::binary);
  std::string content(limit + 1, '\0');
  in.read(content.data(), std::streamsize(content.size()));
  content.resize(std::size_t(in.gcount()));
  if (in.bad() || (!in.eof() && in.fail())) return fail(io_error(path, "cannot be read", "check the permissions"));
  if (content.size() > limit) return fail({ErrorCode::bad_input, path, 0, {}, "is too large", fmt::format("at most {} bytes", limit), {}});
  return content;
}

}  // namespace jevons
