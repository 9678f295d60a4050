#include "plan/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace jevons::plan {
namespace {

struct World {
  catalog::Catalog facts = catalog::Catalog::builtin();
  model::Model model;
  step::Subject subject;
  Question question;
  World(std::string_view name, std::string_view chip, std::string_view weights = "native")
      : model{*model::parse_entry((*facts.find_model(name))->json, "x")} {
    subject.model = &model;
    subject.parameters = model::parameters(model);
    subject.weights = *model::weight_scheme(model, weights);
    subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
    subject.cache = model::cache_groups(model, model::CacheFormat::bf16);
    subject.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, chip));
    question = {&facts, &subject, {.isl = 2000, .osl = 300}, {.max_accelerators = 8}, usd_per_hour(2), 1};
  }
};

// The planner's answer against brute force: every placement at every concurrency.
TEST(Plan, EqualsExhaustiveSearch) {
  for (const auto* name : {"llama-3.1-8b", "qwen3-30b-a3b", "llama-3.1-70b"}) {
    World w(name, "h100-sxm");
    w.question.limits.tpot_s = 0.03;
    w.question.limits.ttft_s = 2;
    w.question.limits.max_num_seqs = 100;  // below 128 the search goes to the single request
    const Plan p = *cheapest(w.question);
    ASSERT_EQ(p.status, Status::optimal);
    double best = 1e300;
    for (const auto& place : placements(w.model, w.subject.chip, w.question.limits, false)) {
      if (!step::check_placement(w.model, place)) continue;
      const auto time = *step::StepTime::make(w.facts, w.subject, place);
      const double most = std::min(step::sequences_that_fit(w.subject, place, 2300), 100.0 * place.dp);
      for (double c = 1; c <= most; ++c) {
        const auto s = serve::steady_state(time, w.question.workload, c);
        if (s.tpot_s > 0.03 || s.ttft_s > 2) break;
        best = std::min(best, 2.0 / 3600 * place.accelerators() / s.requests_per_s / 300 * 1e6);
      }
    }
    // Data-parallel placements seat up to 100 a rank, so their search may stop within 0.8 % of the limit.
    EXPECT_NEAR(p.best().usd_per_output_mtok, best, 0.008 * best) << name;
    EXPECT_GE(p.best().usd_per_output_mtok, best * (1 - 1e-12)) << name;
  }
}

TEST(Plan, CheapestFirstAndWithinLimits) {
  World w("deepseek-v3", "h200-sxm");
  w.question.limits.tpot_s = 0.05;
  const Plan p = *cheapest(w.question);
  ASSERT_EQ(p.status, Status::optimal);
  double last = 0;
  for (const auto& c : p.candidates) {
    if (!c.feasible) continue;
    EXPECT_GE(c.usd_per_output_mtok, last);
    EXPECT_LE(c.state.tpot_s, 0.05);
    EXPECT_LE(c.state.concurrency, c.sequences_fit);
    EXPECT_LE(c.placement.accelerators(), 8);
    last = c.usd_per_output_mtok;
  }
}

TEST(Plan, LooserLimitsNeverCostMore) {
  World w("llama-3.1-70b", "h100-sxm");
  double last = 1e300;
  for (const double tpot : {0.012, 0.02, 0.03, 0.05, 0.1}) {
    w.question.limits.tpot_s = tpot;
    const Plan p = *cheapest(w.question);
    if (p.status != Status::optimal) continue;
    EXPECT_LE(p.best().usd_per_output_mtok, last * 1.008);
    last = p.best().usd_per_output_mtok;
  }
  EXPECT_LT(last, 1e300);
}

TEST(Plan, NoSaysWhatBindsAndWhatWouldDo) {
  World big("deepseek-v3", "rtx-4090");
  big.question.limits.max_accelerators = 1;
  const Plan memory = *cheapest(big.question);
  EXPECT_EQ(memory.status, Status::infeasible);
  EXPECT_NE(memory.explanation.find("too much for the"), std::string::npos);
  World fast("llama-3.1-70b", "h100-sxm");
  fast.question.limits.tpot_s = 1e-4;
  const Plan slo = *cheapest(fast.question);
  EXPECT_NE(slo.explanation.find("TPOT limit"), std::string::npos);
  fast.question.limits.tp = 7;
  EXPECT_EQ(cheapest(fast.question).error().key, "placement.tp");
}

TEST(Plan, TensorParallelismStaysInsideTheDomain) {
  const World w("deepseek-v3", "h200-sxm");
  for (const auto& p : placements(w.model, w.subject.chip, {.max_accelerators = 64}, false)) EXPECT_LE(p.tp, 8);
}

}  // namespace
}  // namespace jevons::plan
