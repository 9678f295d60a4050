// Every scenario in examples/ is a golden test: its numbers must stay what tests/golden says (tools/regold rewrites them).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/evaluate.hpp"
#include "engine/forecast.hpp"

namespace jevons::engine {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Scenarios of jevons forecast are named so.
bool is_forecast(const fs::path& p) { return p.filename().string().starts_with("forecast"); }

Result<std::unique_ptr<Answers>> run(const std::string& file, const std::vector<std::string>& set = {}) {
  static const auto facts = catalog::Catalog::builtin();
  Context c{facts, Settings(scenario_options()), {}, {}, nullptr};
  if (!file.empty()) c.words = {file};
  for (const auto& s : set) {
    const auto ok = c.settings.set_assignment(s);
    EXPECT_TRUE(ok) << s;
  }
  return evaluate(c);
}

// The quick page of each example, once.
const Answers& example(const fs::path& file) {
  static std::map<std::string, std::unique_ptr<Answers>> all;
  auto& a = all[file.string()];
  if (a == nullptr) {
    auto answers = run(file.string(), {"savings.ledger=false"});
    EXPECT_TRUE(answers) << file << answers.error().message();
    a = std::move(*answers);
  }
  return *a;
}

void compare(const std::string& path, const Json& wanted, const Json& got) {
  if (wanted.is_object()) {
    EXPECT_EQ(wanted.size(), got.size()) << path;
    for (const auto& [key, value] : wanted.items()) {
      ASSERT_TRUE(got.contains(key)) << path << "." << key;
      compare(path + "." + key, value, got[key]);
    }
  } else if (wanted.is_number()) {
    ASSERT_TRUE(got.is_number()) << path;
    // Same compiler, same bytes; the tolerance is for other math libraries.
    EXPECT_NEAR(got.get<double>(), wanted.get<double>(), 1e-9 * std::abs(wanted.get<double>())) << path;
  } else {
    EXPECT_EQ(wanted, got) << path;
  }
}

TEST(Examples, MatchTheirGoldenNumbers) {
  int seen = 0;
  for (const auto& e : fs::directory_iterator(JEVONS_SOURCE_DIR "/examples")) {
    if (e.path().extension() != ".yaml" || is_forecast(e.path())) continue;
    const Answers& a = example(e.path());
    ASSERT_TRUE(a.feasible()) << e.path();
    std::ifstream in(JEVONS_SOURCE_DIR "/tests/golden/" + e.path().stem().string() + ".json");
    ASSERT_TRUE(in) << e.path() << " has no golden file: run tools/regold";
    compare(e.path().stem().string(), Json::parse(in), Json(report::to_json(page_of(a)))["values"]);
    ++seen;
  }
  EXPECT_GE(seen, 6);
}

std::vector<fs::path> forecasts() {
  std::vector<fs::path> out;
  for (const auto& e : fs::directory_iterator(JEVONS_SOURCE_DIR "/examples")) {
    if (is_forecast(e.path())) out.push_back(e.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

class Forecasts : public testing::TestWithParam<fs::path> {};

TEST_P(Forecasts, MatchTheirGoldenNumbers) {
  static const auto facts = catalog::Catalog::builtin();
  Context c{facts, Settings(forecast_options()), {GetParam().string()}, {}, nullptr};
  for (const auto* few : {"paths=256", "draws=256"}) ASSERT_TRUE(c.settings.set_assignment(few));
  const auto answers = forecast(c);
  ASSERT_TRUE(answers) << answers.error().message();
  std::ifstream in(JEVONS_SOURCE_DIR "/tests/golden/" + GetParam().stem().string() + ".json");
  ASSERT_TRUE(in) << "no golden file: run tools/regold";
  compare(GetParam().stem().string(), Json::parse(in), Json(report::to_json(page_of(**answers)))["values"]);
}

INSTANTIATE_TEST_SUITE_P(Examples, Forecasts, testing::ValuesIn(forecasts()));

// A small question, so that every knob can be moved: the chat example with short answers.
Result<std::unique_ptr<Answers>> chat(std::vector<std::string> set = {}) {
  std::vector<std::string> all{"workload.isl=300", "workload.osl=24", "limits.max_num_seqs=16", "limits.max_accelerators=4",
                               "workload.request_rate=500"};
  all.insert(all.end(), set.begin(), set.end());
  return run(std::string(JEVONS_SOURCE_DIR) + "/examples/llama-3.1-70b-chat.yaml", all);
}

// Every knob of a scenario must move the result or be refused.
TEST(Knobs, EveryOneMovesTheResult) {
  const auto base = page_of(**chat());
  const std::string before = report::to_json(base).dump();
  const std::map<std::string, std::string> change{{"title", "another"},
                                                  {"model", "qwen2.5-72b"},
                                                  {"weights", "bf16"},
                                                  {"kv_cache_dtype", "fp8"},
                                                  {"accelerator", "h200-sxm"},
                                                  {"workload.isl", "400"},
                                                  {"workload.osl", "30"},
                                                  {"workload.prefix_hit_rate", "0.5"},
                                                  {"workload.request_rate", "100"},
                                                  {"workload.context", "8k"},
                                                  {"slo.ttft", "40"},
                                                  {"slo.tpot", "12"},
                                                  {"placement.tp", "4"},
                                                  {"placement.pp", "2"},
                                                  {"limits.max_accelerators", "1"},
                                                  {"limits.gpu_memory_utilization", "0.6"},  // above, TPOT binds first
                                                  {"limits.max_num_seqs", "8"},
                                                  {"limits.max_num_batched_tokens", "128"},
                                                  {"cost.basis", "on-demand"},
                                                  {"cost.usd_per_gpu_hour", "3"},
                                                  {"cost.utilization", "0.9"},
                                                  {"savings.compare_with", "qwen2.5-72b"},
                                                  {"savings.ledger", "false"},
                                                  {"market.elasticity_low", "0.1"},
                                                  {"market.elasticity_high", "3"},
                                                  {"seed", "2"},
                                                  {"market.pass_through", "0.5"},
                                                  {"market.supply_feedback", "0.5"},
                                                  {"site.region", "france"},
                                                  {"site.class", "conventional"}};
  for (const auto& o : scenario_options()) {
    const std::string path(o.path);
    if (path == "workload.trace" || path == "workload.skip_bad_rows" || path == "placement.dp" || path == "placement.ep" ||
        path == "speculation.draft_tokens" || path == "speculation.acceptance_length")
      continue;  // below
    ASSERT_TRUE(change.contains(path)) << path << " is not tested";
    const auto after = chat({path + "=" + change.at(path)});
    ASSERT_TRUE(after) << path << after.error().message();
    EXPECT_NE(report::to_json(page_of(**after)).dump(), before) << path;
  }
  // A trace fills in what is not stated: two requests of 3,000 and 1,000 tokens.
  const auto trace = fs::temp_directory_path() / "jevons_knob_trace.csv";
  std::ofstream(trace) << "arrival_s,input_tokens,output_tokens\n0,3000,100\n2,1000,300\n";
  const auto traced = run("", {"model=llama-3.1-8b", "accelerator=h100-sxm", "savings.ledger=false", "workload.trace=" + trace.string()});
  ASSERT_TRUE(traced) << traced.error().message();
  EXPECT_EQ((*traced)->scenario.isl, 2000);
  EXPECT_EQ((*traced)->scenario.osl, 200);
  EXPECT_EQ((*traced)->scenario.request_rate, 1);
  std::ofstream(trace, std::ios::app) << "3,0,300\n";
  EXPECT_FALSE(run("", {"model=llama-3.1-8b", "accelerator=h100-sxm", "workload.trace=" + trace.string()}));
  const auto skipped = run("", {"model=llama-3.1-8b", "accelerator=h100-sxm", "workload.skip_bad_rows=true", "savings.ledger=false",
                                "workload.trace=" + trace.string()});
  ASSERT_TRUE(skipped) << skipped.error().message();
  EXPECT_EQ((*skipped)->scenario.skipped_rows, 1u);
  // Experts need a model that has them; data-parallel attention of a dense model is refused or changes the placement.
  const auto experts = [](std::vector<std::string> set) {
    std::vector<std::string> all{"model=qwen3-30b-a3b",    "accelerator=h100-sxm",      "workload.isl=300",    "workload.osl=24",
                                 "limits.max_num_seqs=16", "limits.max_accelerators=4", "savings.ledger=false"};
    all.insert(all.end(), set.begin(), set.end());
    return (*run("", all))->best().metrics.tpot.mean;
  };
  const double tpot = experts({});
  EXPECT_NE(experts({"placement.dp=2"}), tpot);
  EXPECT_NE(experts({"placement.tp=4", "placement.ep=4"}), experts({"placement.tp=4", "placement.ep=1"}));
  EXPECT_FALSE(chat({"placement.ep=2"}));
  const auto drafted = chat({"speculation.draft_tokens=1", "speculation.acceptance_length=1.8"});
  EXPECT_NE((*drafted)->usd_per_output_mtok, (*chat())->usd_per_output_mtok);
  EXPECT_FALSE(chat({"speculation.draft_tokens=1"}));
  EXPECT_FALSE(chat({"speculation.draft_tokens=1", "speculation.acceptance_length=3"}));
}

TEST(Physics, MoreOfWhatCostsNothingNeverHurts) {
  const auto cost = [](std::vector<std::string> set) {
    set.push_back("savings.ledger=false");
    return (*chat(set))->usd_per_output_mtok;
  };
  EXPECT_LE(cost({"slo.tpot=60"}), cost({"slo.tpot=12"}));
  EXPECT_LE(cost({"workload.prefix_hit_rate=0.5"}), cost({"workload.prefix_hit_rate=0.25"}));
  EXPECT_LE(cost({"limits.gpu_memory_utilization=0.95"}), cost({"limits.gpu_memory_utilization=0.8"}));
  EXPECT_NEAR(cost({"cost.usd_per_gpu_hour=4"}) / cost({"cost.usd_per_gpu_hour=2"}), 2, 1e-9);
}

// What each class of tokens pays adds up to the accelerators' time, and cached input costs less than fresh.
TEST(Physics, ClassesPayForTheWholeDeployment) {
  const auto answers = chat({"workload.prefix_hit_rate=0.5", "savings.ledger=false"});
  const auto& a = **answers;
  const double cached = std::floor(300 * 0.5 / 16) * 16, fresh = 300 - cached;
  const double whole = a.cost.fresh.value() * fresh + a.cost.cached->value() * cached + a.cost.output.value() * 24;
  EXPECT_NEAR(whole, a.cost.per_request.value(), 1e-9 * whole);
  const double hours = a.placement().accelerators() * a.hour.total.value() / a.best().metrics.requests_per_s / 0.6;
  EXPECT_NEAR(a.cost.per_request.value(), hours, 1e-9 * hours);
  EXPECT_LT(a.cost.cached->value(), a.cost.fresh.value());
}

TEST(Physics, NothingBeatsTheRoofline) {
  for (const auto& e : fs::directory_iterator(JEVONS_SOURCE_DIR "/examples")) {
    if (e.path().extension() != ".yaml" || is_forecast(e.path())) continue;
    const Answers& a = example(e.path());
    const auto& m = a.best().metrics;
    const auto& time = a.replica().time();
    const double fresh = a.scenario.isl * (1 - a.scenario.settings.number("workload.prefix_hit_rate"));
    EXPECT_GT(m.ttft.mean, time.prefill_bound(fresh, 0)) << e.path();
    // A decode step reads at least the caches of its batch.
    const double bandwidth = a.subject.chip.hbm_bandwidth->value.value() * a.placement().accelerators();
    EXPECT_GT(m.tpot.mean, m.mean_batch * a.placement().dp * model::cache_read(a.subject.cache, std::int64_t(a.scenario.isl)) / bandwidth)
        << e.path();
  }
}

TEST(Answer, NoIsExplained) {
  const auto small = run("", {"model=deepseek-v3", "accelerator=rtx-4090", "workload.isl=100", "workload.osl=100"});
  ASSERT_TRUE(small);
  EXPECT_FALSE((*small)->feasible());
  EXPECT_NE((*small)->why_not.find("lacks"), std::string::npos) << (*small)->why_not;
  const auto fast = chat({"slo.tpot=0.1"});
  EXPECT_NE((*fast)->why_not.find("The nearest is"), std::string::npos) << (*fast)->why_not;
  EXPECT_NE((*fast)->nearest_change.find("instead of 0.1 ms"), std::string::npos);
}

TEST(Determinism, SameBytesTwice) { EXPECT_EQ(report::to_json(page_of(**chat())).dump(), report::to_json(page_of(**chat())).dump()); }

}  // namespace
}  // namespace jevons::engine
