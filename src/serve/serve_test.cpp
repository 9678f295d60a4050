#include <gtest/gtest.h>

#include "serve/steady_state.hpp"

namespace jevons::serve {
namespace {

struct World {
  catalog::Catalog facts = catalog::Catalog::builtin();
  model::Model model;
  step::Subject subject;
  std::optional<step::StepTime> time;
  explicit World(std::string_view name, step::Placement p) : model{*model::parse_entry((*facts.find_model(name))->json, "x")} {
    subject.model = &model;
    subject.parameters = model::parameters(model);
    subject.weights = *model::weight_scheme(model, "native");
    subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
    subject.cache = model::cache_groups(model, model::CacheFormat::bf16);
    subject.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, "h200-sxm"));
    time = *step::StepTime::make(facts, subject, p);
  }
};

TEST(SteadyState, OneRequestAloneEqualsTheStepModel) {
  const World w("llama-3.1-8b", {1, 1, 1, 1});
  const Workload load{.isl = 1000, .osl = 200};
  const auto s = steady_state(*w.time, load, 1);
  EXPECT_NEAR(s.batch, 1, 1e-9);
  EXPECT_NEAR(s.tpot_s, w.time->seconds({1, 1100, 0, 0}), 1e-12);  // nobody else's prefill is in its way
  EXPECT_NEAR(s.prefill_s, w.time->seconds({1, 1100, 1000, 0}) - w.time->seconds({1, 1100, 0, 0}), 1e-12);
}

TEST(SteadyState, LittlesLaw) {
  const World w("llama-3.1-70b", {4, 1, 1, 1});
  const Workload load{.isl = 2000, .osl = 300};
  for (const double c : {1.0, 8.0, 64.0, 200.0}) {
    const auto s = steady_state(*w.time, load, c);
    EXPECT_NEAR(s.requests_per_s * (s.ttft_s + 299 * s.tpot_s), c, 1e-9 * c);
    EXPECT_LE(s.batch, c + 1e-9);
  }
}

TEST(SteadyState, ThroughputAndLatencyGrowWithConcurrency) {
  const World w("deepseek-v3", {1, 1, 8, 8});
  double rate = 0, tpot = 0;
  for (const double c : {1.0, 4.0, 16.0, 64.0, 256.0}) {
    const auto s = steady_state(*w.time, {.isl = 2000, .osl = 500}, c);
    EXPECT_GT(s.requests_per_s, rate);
    EXPECT_GT(s.tpot_s, tpot);
    rate = s.requests_per_s, tpot = s.tpot_s;
    // The serial engine cannot do more than its prefill and decode time allow.
    EXPECT_LE(s.requests_per_s, 1 / (s.prefill_s + s.decode_step_s * 500 / c) * 1.001);
  }
}

TEST(SteadyState, PrefixCacheAndSpeculationHelp) {
  const World w("llama-3.1-70b", {4, 1, 1, 1});
  const Workload plain{.isl = 8000, .osl = 300};
  Workload cached = plain, drafted = plain;
  cached.prefix_hit_rate = 0.9;
  drafted.draft_tokens = 1, drafted.tokens_per_step = 1.8;
  EXPECT_LT(steady_state(*w.time, cached, 16).ttft_s, 0.5 * steady_state(*w.time, plain, 16).ttft_s);
  EXPECT_LT(steady_state(*w.time, drafted, 4).tpot_s, steady_state(*w.time, plain, 4).tpot_s);
}

}  // namespace
}  // namespace jevons::serve
