// Every scenario in examples/ is a golden test: its numbers must stay what tests/golden says (tools/regold rewrites them).
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
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
    const auto answers = run(e.path().string());
    ASSERT_TRUE(answers) << e.path() << answers.error().message();
    ASSERT_EQ((*answers)->plan.status, plan::Status::optimal) << e.path();
    std::ifstream in(JEVONS_SOURCE_DIR "/tests/golden/" + e.path().stem().string() + ".json");
    ASSERT_TRUE(in) << e.path() << " has no golden file: run tools/regold";
    compare(e.path().stem().string(), Json::parse(in), Json(report::to_json(page_of(**answers)))["values"]);
    ++seen;
  }
  EXPECT_GE(seen, 6);
}

TEST(Examples, ForecastsMatchTheirGoldenNumbers) {
  static const auto facts = catalog::Catalog::builtin();
  int seen = 0;
  for (const auto& e : fs::directory_iterator(JEVONS_SOURCE_DIR "/examples")) {
    if (!is_forecast(e.path())) continue;
    Context c{facts, Settings(forecast_options()), {e.path().string()}, {}, nullptr};
    for (const auto* few : {"paths=256", "draws=256"}) ASSERT_TRUE(c.settings.set_assignment(few));
    const auto answers = forecast(c);
    ASSERT_TRUE(answers) << e.path() << answers.error().message();
    std::ifstream in(JEVONS_SOURCE_DIR "/tests/golden/" + e.path().stem().string() + ".json");
    ASSERT_TRUE(in) << e.path() << " has no golden file: run tools/regold";
    compare(e.path().stem().string(), Json::parse(in), Json(report::to_json(page_of(**answers)))["values"]);
    ++seen;
  }
  EXPECT_GE(seen, 3);
}

const std::string kChat = std::string(JEVONS_SOURCE_DIR) + "/examples/llama-3.1-70b-chat.yaml";

// Every knob of a scenario must move the result or be refused.
TEST(Knobs, EveryOneMovesTheResult) {
  const auto base = page_of(**run(kChat));
  const std::string before = report::to_json(base).dump();
  const std::map<std::string, std::string> change{{"title", "another"},
                                                  {"model", "qwen2.5-72b"},
                                                  {"weights", "bf16"},
                                                  {"kv_cache_dtype", "fp8"},
                                                  {"accelerator", "h200-sxm"},
                                                  {"workload.isl", "2000"},
                                                  {"workload.osl", "100"},
                                                  {"workload.prefix_hit_rate", "0.5"},
                                                  {"workload.request_rate", "100"},
                                                  {"workload.context", "8k"},
                                                  {"slo.ttft", "150"},
                                                  {"slo.tpot", "20"},
                                                  {"placement.tp", "4"},
                                                  {"placement.pp", "2"},
                                                  {"limits.max_accelerators", "1"},
                                                  {"limits.gpu_memory_utilization", "0.6"},  // above, TPOT binds first
                                                  {"limits.max_num_seqs", "8"},
                                                  {"limits.max_num_batched_tokens", "256"},
                                                  {"cost.basis", "on-demand"},
                                                  {"cost.usd_per_gpu_hour", "3"},
                                                  {"cost.utilization", "0.9"},
                                                  {"savings.compare_with", "qwen2.5-72b"},
                                                  {"market.elasticity_low", "0.1"},
                                                  {"market.elasticity_high", "3"},
                                                  {"seed", "2"},
                                                  {"market.pass_through", "0.5"},
                                                  {"market.supply_feedback", "0.5"}};
  for (const auto& o : scenario_options()) {
    const std::string path(o.path);
    if (path == "workload.trace" || path == "workload.skip_bad_rows" || path == "placement.dp" || path == "placement.ep" || path == "speculation.draft_tokens" ||
        path == "speculation.acceptance_length")
      continue;  // below
    ASSERT_TRUE(change.contains(path)) << path << " is not tested";
    const auto after = run(kChat, {path + "=" + change.at(path)});
    ASSERT_TRUE(after) << path << after.error().message();
    EXPECT_NE(report::to_json(page_of(**after)).dump(), before) << path;
  }
  // A trace fills in what is not stated: two requests of 3,000 and 1,000 tokens.
  const auto trace = fs::temp_directory_path() / "jevons_knob_trace.csv";
  std::ofstream(trace) << "arrival_s,input_tokens,output_tokens\n0,3000,100\n2,1000,300\n";
  const auto traced = run("", {"model=llama-3.1-8b", "accelerator=h100-sxm", "workload.trace=" + trace.string()});
  ASSERT_TRUE(traced) << traced.error().message();
  EXPECT_EQ((*traced)->scenario.workload.isl, 2000);
  EXPECT_EQ((*traced)->scenario.workload.osl, 200);
  EXPECT_EQ((*traced)->scenario.request_rate, 1);
  std::ofstream(trace, std::ios::app) << "3,0,300\n";
  EXPECT_FALSE(run("", {"model=llama-3.1-8b", "accelerator=h100-sxm", "workload.trace=" + trace.string()}));
  const auto skipped = run("", {"model=llama-3.1-8b", "accelerator=h100-sxm", "workload.skip_bad_rows=true", "workload.trace=" + trace.string()});
  ASSERT_TRUE(skipped) << skipped.error().message();
  EXPECT_EQ((*skipped)->scenario.skipped_rows, 1u);
  // Experts need a model that has them; data-parallel attention of a dense model is refused or changes the placement.
  const std::string v32 = std::string(JEVONS_SOURCE_DIR) + "/examples/deepseek-v3.2-h200.yaml";
  const double tpot = (*run(v32))->plan.best().state.tpot_s;
  EXPECT_NE((*run(v32, {"placement.dp=2"}))->plan.best().state.tpot_s, tpot);
  EXPECT_NE((*run(v32, {"placement.ep=4"}))->plan.best().state.tpot_s, tpot);
  EXPECT_FALSE(run(kChat, {"placement.ep=2"}));
  const auto drafted = run(kChat, {"speculation.draft_tokens=1", "speculation.acceptance_length=1.8"});
  EXPECT_NE((*drafted)->plan.best().usd_per_output_mtok, (*run(kChat))->plan.best().usd_per_output_mtok);
  EXPECT_FALSE(run(kChat, {"speculation.draft_tokens=1"}));
  EXPECT_FALSE(run(kChat, {"speculation.draft_tokens=1", "speculation.acceptance_length=3"}));
}

TEST(Physics, MoreOfWhatCostsNothingNeverHurts) {
  const auto cost = [](const std::vector<std::string>& set) { return (*run(kChat, set))->plan.best().usd_per_output_mtok; };
  EXPECT_LE(cost({"slo.tpot=60"}), cost({"slo.tpot=50"}));
  EXPECT_LE(cost({"workload.prefix_hit_rate=0.5"}), cost({"workload.prefix_hit_rate=0.25"}));
  EXPECT_LE(cost({"limits.gpu_memory_utilization=0.95"}), cost({"limits.gpu_memory_utilization=0.8"}));
  EXPECT_NEAR(cost({"cost.usd_per_gpu_hour=4"}) / cost({"cost.usd_per_gpu_hour=2"}), 2, 1e-9);
}

TEST(Physics, NothingBeatsTheRoofline) {
  for (const auto& e : fs::directory_iterator(JEVONS_SOURCE_DIR "/examples")) {
    if (e.path().extension() != ".yaml" || is_forecast(e.path())) continue;
    const auto answers = run(e.path().string());
    const auto& a = **answers;
    const auto& b = a.plan.best();
    const auto time = *step::StepTime::make(catalog::Catalog::builtin(), a.subject, b.placement);
    const double fresh = a.scenario.workload.isl * (1 - a.scenario.workload.prefix_hit_rate);
    EXPECT_GT(b.state.ttft_s, time.prefill_bound(fresh, 0)) << e.path();
    // A decode step reads at least the active weights' share and the caches of its batch.
    const double bandwidth = a.subject.chip.hbm_bandwidth->value.value() * b.placement.accelerators();
    const double bytes = b.state.batch * model::cache_read(a.subject.cache, std::int64_t(a.scenario.workload.isl));
    EXPECT_GT(b.state.tpot_s, bytes / bandwidth) << e.path();
  }
}

TEST(Answer, NoIsExplained) {
  const auto small = run("", {"model=deepseek-v3", "accelerator=rtx-4090", "workload.isl=100", "workload.osl=100"});
  ASSERT_TRUE(small);
  EXPECT_EQ((*small)->plan.status, plan::Status::infeasible);
  EXPECT_NE((*small)->plan.explanation.find("too much for the"), std::string::npos);
  const auto fast = run(kChat, {"slo.tpot=0.1"});
  EXPECT_NE((*fast)->plan.explanation.find("The nearest is"), std::string::npos);
}

TEST(Determinism, SameBytesTwice) {
  EXPECT_EQ(report::to_json(page_of(**run(kChat))).dump(), report::to_json(page_of(**run(kChat))).dump());
}

}  // namespace
}  // namespace jevons::engine
