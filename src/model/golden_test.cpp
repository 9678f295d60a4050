// Every number of an independent checker's table (testdata/golden.json, computed from the same configs by another program) must come
// out exactly, for every model of the catalogue.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "catalog/catalog.hpp"
#include "model/describe.hpp"

namespace jevons::model {
namespace {

using Json = nlohmann::json;

int compare(const std::string& path, const Json& wanted, const Json& got) {
  if (wanted.is_object()) {
    int n = 0;
    for (const auto& [key, value] : wanted.items()) {
      if (!got.contains(key)) {
        ADD_FAILURE() << path << "." << key << " is missing";
        continue;
      }
      n += compare(path + "." + key, value, got[key]);
    }
    if (path.ends_with("groups")) {
      EXPECT_EQ(wanted.size(), got.size()) << path << " has other groups: " << got.dump();
    }
    return n;
  }
  EXPECT_EQ(wanted.get<double>(), got.get<double>()) << path << " off by " << got.get<double>() - wanted.get<double>();
  return 1;
}

TEST(Golden, EveryNumberOfEveryModelIsExact) {
  std::ifstream in(JEVONS_SOURCE_DIR "/src/model/testdata/golden.json");
  const Json golden = Json::parse(in);
  const auto catalog = catalog::Catalog::builtin();
  ASSERT_EQ(golden.size(), 54u);
  ASSERT_EQ(catalog.models().size(), 54u);
  int numbers = 0;
  for (const auto* entry : catalog.models()) {
    const auto m = parse_entry(entry->json, entry->file);
    ASSERT_TRUE(m) << m.error().message();
    numbers += compare(m->name, golden.at(m->name), Json(describe(*m, parameters(*m))));
  }
  EXPECT_GT(numbers, 54 * 40);
}

}  // namespace
}  // namespace jevons::model
