#include "base/options.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "base/text.hpp"

namespace jevons {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr OptionSpec kTable[] = {
    {.path = "model", .flag = "--model", .type = OptionType::text, .help = "a model"},
    {.path = "workload.isl",
     .flag = "--isl",
     .type = OptionType::integer,
     .unit = "tokens",
     .fallback = "1000",
     .low = 1,
     .high = 1e8,
     .help = "input"},
    {.path = "slo.ttft", .flag = "--ttft", .type = OptionType::number, .unit = "ms", .low = 0, .high = kInf, .help = "time to first token"},
    {.path = "price", .type = OptionType::choice, .fallback = "owner", .choices = "owner|contract", .help = "basis"},
    {.path = "deep", .type = OptionType::boolean, .fallback = "false", .help = "switch"},
};

TEST(Options, DefaultsFileAndFlagsLayOverEachOther) {
  Settings s(kTable);
  EXPECT_EQ(s.integer("workload.isl"), 1000);
  EXPECT_FALSE(s.has("slo.ttft"));
  ASSERT_TRUE(s.load_yaml("model: x\nworkload: {isl: 128k}\nslo:\n  ttft: 2 s\n", "a.yaml"));
  EXPECT_EQ(s.integer("workload.isl"), 131072);  // 128 x 1024 tokens
  EXPECT_DOUBLE_EQ(s.number("slo.ttft"), 2000);  // ms
  ASSERT_TRUE(s.set_assignment("workload.isl=7"));
  EXPECT_EQ(s.integer("workload.isl"), 7);
  EXPECT_EQ(s.setting("workload.isl").file, "--set");
}

std::string message_of(const std::string& yaml) {
  Settings s(kTable);
  auto r = s.load_yaml(yaml, "a.yaml");
  return r ? "ok" : r.error().message();
}

TEST(Options, ErrorsNamePlaceValueExpectationAndRemedy) {
  EXPECT_EQ(message_of("modell: x\n"),
            "a.yaml:1 modell: unknown key 'modell'\n  expected: a key of the scenario\n  hint: did you mean model?");
  EXPECT_NE(
      message_of("workload:\n  isl: -3\n").find("a.yaml:2 workload.isl: '-3' is out of range\n  expected: a whole number in tokens from 1"),
      std::string::npos);
  EXPECT_NE(message_of("workload:\n  isl: 1.5\n").find("not a whole number"), std::string::npos);
  EXPECT_NE(message_of("workload: {isl: nan}\n").find("not finite"), std::string::npos);
  EXPECT_NE(message_of("workload: {isl: 5q}\n").find("unknown suffix 'q'"), std::string::npos);
  EXPECT_NE(message_of("price: ownr\n").find("did you mean owner?"), std::string::npos);
  EXPECT_NE(message_of("model: a\nmodel: b\n").find("a.yaml:2 model: given twice"), std::string::npos);
  EXPECT_NE(message_of("model: [a, b]\n").find("is a list"), std::string::npos);
  EXPECT_NE(message_of("model:\n").find("has no value"), std::string::npos);
  EXPECT_NE(message_of("deep: 7\n").find("neither true nor false"), std::string::npos);
  EXPECT_NE(message_of("{").find("not readable as YAML"), std::string::npos);
  EXPECT_NE(message_of("workload: 7\n").find("group of keys"), std::string::npos);
}

TEST(Options, SchemaAndHelpComeFromTheTable) {
  const auto schema = json_schema(kTable, "t");
  EXPECT_NE(schema.find("\"additionalProperties\": false"), std::string::npos);
  EXPECT_NE(schema.find("\"enum\""), std::string::npos);
  const auto help = options_help(kTable);
  EXPECT_NE(help.find("--isl"), std::string::npos);
  EXPECT_NE(help.find("--set price="), std::string::npos);
}

TEST(Text, CsvCells) {
  const auto cells = csv_cells("a,\"b, \"\"c\"\"\",,d\r");
  EXPECT_EQ(cells, (std::vector<std::string>{"a", "b, \"c\"", "", "d"}));
}

TEST(Text, NearestNames) {
  const std::string_view names[] = {"deepseek-v3", "deepseek-v3.2", "llama-3.1-8b"};
  EXPECT_EQ(did_you_mean("deepsek-v3", names), "did you mean deepseek-v3 or deepseek-v3.2?");
  EXPECT_EQ(did_you_mean("zzz", names), "");
  EXPECT_EQ(nearest_names("8b", names).at(0), "llama-3.1-8b");
}

}  // namespace
}  // namespace jevons
