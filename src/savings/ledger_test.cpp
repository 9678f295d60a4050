#include "savings/ledger.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace jevons::savings {
namespace {

struct World {
  catalog::Catalog facts = catalog::Catalog::builtin();
  model::Model model;
  step::Subject subject;
  plan::Question question;
  World(std::string_view name, std::string_view chip, std::string_view weights, model::CacheFormat cache)
      : model{*model::parse_entry((*facts.find_model(name))->json, "x")} {
    subject.model = &model;
    subject.parameters = model::parameters(model);
    subject.weights = *model::weight_scheme(model, weights);
    subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
    subject.cache_format = model::resolve(model, cache);
    subject.cache = model::cache_groups(model, subject.cache_format);
    subject.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, chip));
    question = {&facts,          &subject, {.isl = 4000, .osl = 500, .prefix_hit_rate = 0.5}, {.tpot_s = 0.06, .max_accelerators = 8},
                usd_per_hour(2), 1};
  }
};

TEST(Ledger, SharesSumToTheTotal) {
  const World w("deepseek-v3.2", "b200-sxm", "native", model::CacheFormat::native);
  const Ledger l = *ledger(w.question);
  ASSERT_EQ(l.rows.size(), 5u);  // attention, sparsity, cache format, weight format, prefix cache
  double usd = 0, bytes = 0;
  for (const auto& r : l.rows) {
    ASSERT_TRUE(r.shapley_usd);
    usd += *r.shapley_usd;
    bytes += r.shapley_log_bytes;
  }
  EXPECT_NEAR(usd, *l.all_off.usd_per_output_mtok - *l.all_on.usd_per_output_mtok, 1e-9 * *l.all_off.usd_per_output_mtok);
  EXPECT_NEAR(bytes, std::log(l.all_off.cache_bytes_per_user / l.all_on.cache_bytes_per_user), 1e-9);
}

TEST(Ledger, OnlyTechniquesInUse) {
  World w("llama-3.1-70b", "h100-sxm", "bf16", model::CacheFormat::bf16);
  w.question.workload.prefix_hit_rate = 0;
  EXPECT_TRUE(switches_of(w.question).empty());
  w.question.workload.draft_tokens = 1, w.question.workload.tokens_per_step = 1.8;
  ASSERT_EQ(switches_of(w.question).size(), 1u);
  EXPECT_EQ(switches_of(w.question)[0].technique, Technique::speculation);
}

TEST(Ledger, CounterfactualCachesByHand) {
  // V3: latent 576 values x 61 layers; GQA-8: 8 x 256 values; MHA: 128 x 256. In bf16: 70,272, 249,856 and 3,997,696 bytes a token.
  const World w("deepseek-v3", "h200-sxm", "native", model::CacheFormat::bf16);
  EXPECT_EQ(model::cache_slope(model::cache_groups(with_gqa(w.model, 8), model::CacheFormat::bf16)), 61 * 8 * 256 * 2);
  EXPECT_EQ(model::cache_slope(model::cache_groups(with_gqa(w.model, 0), model::CacheFormat::bf16)), 61 * 128 * 256 * 2);
  const Ledger l = *ledger(w.question);
  EXPECT_NEAR(l.rows[0].without.cache_bytes_per_user / l.all_on.cache_bytes_per_user, 249856.0 / 70272, 1e-12);
}

TEST(Theta, BetweenNothingAndAll) {
  World w("llama-3.1-70b", "h100-sxm", "fp8", model::CacheFormat::bf16);
  w.question.limits.tpot_s.reset();
  w.question.workload = {.isl = 30000, .osl = 500, .prefix_hit_rate = 0.95};  // long contexts, little to prefill: the cache rules
  const auto t = *theta_cache(w.question);
  ASSERT_TRUE(t);
  EXPECT_GT(*t, 0.1);
  EXPECT_LT(*t, 1.1);
}

}  // namespace
}  // namespace jevons::savings
