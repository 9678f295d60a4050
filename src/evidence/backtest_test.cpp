#include "evidence/backtest.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "base/portable_math.hpp"
#include "market/jevons.hpp"

namespace jevons::evidence {
namespace {

TEST(Crps, OfASampleApproachesTheNormalsClosedForm) {
  std::vector<double> sample;
  constexpr int kN = 20000;
  for (int i = 0; i < kN; ++i) sample.push_back(normal_quantile((i + 0.5) / kN));
  EXPECT_NEAR(crps_of_sample(sample, 0), 0.233695, 1e-4);
  EXPECT_NEAR(crps_of_sample(sample, 2), 1.452792, 1e-4);
  // Hand-worked: 0 and 1 against 0: mean distance 1/2, half of E|x - x'| over distinct pairs 1/2.
  std::vector<double> two{1, 0};
  EXPECT_NEAR(crps_of_sample(two, 0), 0, 1e-15);
}

TEST(Backtest, MeetsItsMarksAndBeatsTheNaiveForecasts) {
  BacktestOptions few;
  few.samples = 1024;
  few.calibration = {.draws = 512, .chains = 64, .steps = 25};
  const Backtest b = *backtest(catalog::Catalog::builtin(), few);
  EXPECT_EQ(b.all.n, 41u);
  EXPECT_LT(b.all.crps, 0.60);
  EXPECT_LT(b.by_cutoff.at("2025-06-30").crps, 0.40);
  EXPECT_GE(b.all.coverage80, 0.65);
  EXPECT_LE(b.all.coverage80, 0.95);
  EXPECT_GE(b.all.coverage95, 0.85);
  EXPECT_LT(b.by_cutoff.at("2025-06-30").worst_factor, 4);
  for (const auto& base : b.baselines) EXPECT_LT(b.all.crps, base.score.crps) << base.model;
  // The naive forecasts' means are those published for them.
  for (const auto& base : b.baselines) {
    if (base.model == "B2_damped") {
      EXPECT_NEAR(base.score.crps, 0.67, 0.005);
    }
    if (base.model == "B0_last") {
      EXPECT_NEAR(base.score.crps, 2.12, 0.005);
    }
  }
}

TEST(Backtest, StrictUsesOnlyWhatWasPublished) {
  BacktestOptions few;
  few.samples = 256;
  few.strict = true;
  few.calibration = {.draws = 256, .chains = 32, .steps = 25};
  const Backtest b = *backtest(catalog::Catalog::builtin(), few);
  EXPECT_EQ(b.all.n, 27u);
  EXPECT_FALSE(b.unscored.empty());
}

}  // namespace
}  // namespace jevons::evidence
