#include "savings/ledger.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "savings/counterfactual.hpp"

namespace jevons::savings {
namespace {

// A small question about a model: few seats, short answers, users who come back with half of their prompt cached.
struct Asked {
  catalog::Catalog facts = catalog::Catalog::builtin();
  model::Model model;
  Frame frame;
  Asked(std::string_view name, std::string weights, std::string cache) : model{*model::parse_entry((*facts.find_model(name))->json, "x")} {
    serve::EnginePolicy policy = serve::defaults_of(serve::Engine::vllm);
    policy.max_num_seqs = 8;
    policy.max_num_batched_tokens = 512;
    plan::Question& q = frame.question;
    q.catalog = &facts;
    q.model = &model;
    q.knobs.chips = {
        {.thing = *facts.find(catalog::Section::accelerator, "h100-sxm"), .usd_per_s = 0.001, .watts = 1000, .policies = {policy}}};
    q.knobs.weights = {std::move(weights)};
    q.knobs.caches = {std::move(cache)};
    q.knobs.tp = {1, 2};
    q.knobs.dp = {1};
    q.budget.accelerators = 2;
    frame.isl = 400;
    frame.osl = 16;
    q.max_context = 416;
    plan::Load load;
    load.prefix_hit_rate = 0.5;
    load.rounds = q.terms.rounds = 3;
    load.users.input = traffic::Fixed{frame.isl};
    load.users.output = traffic::Fixed{frame.osl};
    q.terms.workload = [load](int c) { return plan::closed_load(load, c); };
    q.terms.steady = true;
    q.terms.threads = 1;
  }
};

TEST(Ledger, SharesSumToTheTotalWhateverTheOrder) {
  const Asked w("deepseek-v2-lite", "fp8", "fp8");
  auto levers = levers_in_use(w.frame);
  std::erase_if(levers, [](const auto& l) { return l.lever == Lever::wide_ep || l.lever == Lever::batching; });
  ASSERT_EQ(levers.size(), 4u);  // attention, cache format, weight format, prefix cache
  const Ledger l = *ledger(w.frame, levers);
  ASSERT_TRUE(l.all_on.best && l.all_off.best);
  double usd = 0, bytes = 0;
  for (const auto& s : l.shares) {
    ASSERT_TRUE(s.usd);
    usd += *s.usd;
    bytes += s.log_bytes;
  }
  const double total = l.all_off.best->usd_per_mtok - l.all_on.best->usd_per_mtok;
  EXPECT_NEAR(usd, total, 1e-9 * l.all_off.best->usd_per_mtok);
  EXPECT_NEAR(bytes, std::log(l.all_off.bytes_per_user / l.all_on.bytes_per_user), 1e-9);
  std::reverse(levers.begin(), levers.end());
  const Ledger other = *ledger(w.frame, levers);
  for (std::size_t i = 0; i < levers.size(); ++i)
    EXPECT_NEAR(*other.shares[i].usd, *l.shares[levers.size() - 1 - i].usd, 1e-9 * std::abs(total));
}

TEST(Ledger, OnlyTechniquesInUse) {
  Asked w("llama-3.1-8b", "native", "native");
  const auto has = [&](Lever l) {
    const auto levers = levers_in_use(w.frame);
    return std::any_of(levers.begin(), levers.end(), [&](const auto& x) { return x.lever == l; });
  };
  for (const auto l :
       {Lever::attention, Lever::sparsity, Lever::windows, Lever::cache_format, Lever::weight_format, Lever::speculation, Lever::wide_ep})
    EXPECT_FALSE(has(l));
  EXPECT_TRUE(has(Lever::prefix_cache));
  w.frame.question.knobs.drafts = {0, 1};
  EXPECT_TRUE(has(Lever::speculation));
}

TEST(Ledger, WidensUntilTheHardestFits) {
  Asked w("llama-3.1-70b", "fp8", "native");  // in bf16 141 GB do not fit one of two H100, nor both with room for a request
  w.frame.question.budget.accelerators = 1;
  w.frame.question.knobs.tp = {};
  const std::vector<LeverInUse> weights{{Lever::weight_format, "weights in fp8", "weights in bf16"}};
  EXPECT_EQ(ledger(w.frame, weights)->infeasible, 1u);
  const Ledger l = *ledger(w.frame, weights, 4);
  EXPECT_EQ(l.infeasible, 0u);
  EXPECT_NE(l.note.find("up to"), std::string::npos);
}

TEST(Counterfactual, CachesByHand) {
  // V3: latent 576 values x 61 layers; GQA-8: 8 x 256 values; MHA: 128 x 256. In bf16: 70,272, 249,856 and 3,997,696 bytes a token.
  const Asked w("deepseek-v3", "native", "bf16");
  EXPECT_EQ(model::cache_slope(model::cache_groups(w.model, model::CacheFormat::bf16)), 70272);
  EXPECT_EQ(model::cache_slope(model::cache_groups(with_gqa(w.model, 8), model::CacheFormat::bf16)), 61 * 8 * 256 * 2);
  EXPECT_EQ(model::cache_slope(model::cache_groups(with_gqa(w.model, 0), model::CacheFormat::bf16)), 61 * 128 * 256 * 2);
}

TEST(Theta, BetweenNothingAndAll) {
  Asked w("llama-3.1-8b", "native", "native");
  plan::Question& q = w.frame.question;  // long contexts, little to prefill, seats to spare: the cache rules
  q.knobs.chips[0].policies[0].max_num_seqs = 256;
  q.budget.accelerators = 1;
  q.knobs.tp = {1};
  w.frame.isl = 20000;
  w.frame.osl = 100;
  q.max_context = 20100;
  plan::Load load;
  load.prefix_hit_rate = 0.95;
  load.rounds = q.terms.rounds = 3;
  load.users.input = traffic::Fixed{w.frame.isl};
  load.users.output = traffic::Fixed{w.frame.osl};
  q.terms.workload = [load](int c) { return plan::closed_load(load, c); };
  const auto theta = *elasticity(w.frame, Input::cache_bytes);
  ASSERT_TRUE(theta);
  EXPECT_GT(*theta, 0.05);
  EXPECT_LT(*theta, 1.2);
  const auto memory = *elasticity(w.frame, Input::memory);
  ASSERT_TRUE(memory);
  EXPECT_LT(*memory, 0);                         // more memory makes tokens cheaper
  EXPECT_NEAR(*rebound_threshold(1), 1, 1e-12);  // ln 2 / -ln(1 - 1/2)
}

}  // namespace
}  // namespace jevons::savings
