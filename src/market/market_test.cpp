#include <gtest/gtest.h>

#include <cmath>

#include "market/jevons.hpp"

namespace jevons::market {
namespace {

TEST(Properties, ElasticityOneLeavesComputeAlone) {
  for (const double eta : {1.5, 2.0, 10.0, 1000.0}) EXPECT_NEAR(resource_ratio(eta, 1), 1, 1e-12);
  Saving s{.cost_ratio = 0.5, .compute_ratio = 0.5, .hbm_ratio = 0.5, .eps_low = 1, .eps_high = 1};
  const Verdict v = verdict(s);
  EXPECT_NEAR(v.compute, 1, 1e-12);
  EXPECT_NEAR(*v.compute_break_even, 1, 1e-12);
}

TEST(Properties, VerdictIsMonotoneInElasticityAndDampedByScarcity) {
  double tokens = 0;
  for (double e = 0.2; e < 3; e += 0.2) {
    const Verdict v = verdict({.cost_ratio = 0.6, .compute_ratio = 0.7, .hbm_ratio = 0.3, .eps_low = e, .eps_high = e});
    EXPECT_GT(v.tokens, tokens);
    tokens = v.tokens;
    const Verdict scarce =
        verdict({.cost_ratio = 0.6, .compute_ratio = 0.7, .hbm_ratio = 0.3, .eps_low = e, .eps_high = e, .supply_feedback = 0.5});
    EXPECT_LE(std::abs(std::log(scarce.compute)), std::abs(std::log(v.compute)) + 1e-12);
  }
}

TEST(Properties, ProbabilityFollowsTheRange) {
  // Break-even at the middle of the range: one half. Cost that does not fall: never.
  const Verdict half = verdict({.cost_ratio = 0.5, .compute_ratio = 0.5, .hbm_ratio = std::pow(0.5, 1.3), .eps_low = 0.8, .eps_high = 1.8});
  EXPECT_NEAR(half.p_hbm_rises, 0.5, 1e-9);
  const Verdict never = verdict({.cost_ratio = 1, .compute_ratio = 1, .hbm_ratio = 0.5});
  EXPECT_FALSE(never.hbm_break_even);
  EXPECT_EQ(never.p_hbm_rises, 0);
}

}  // namespace
}  // namespace jevons::market
