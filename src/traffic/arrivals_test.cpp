#include "traffic/arrivals.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace jevons::traffic {
namespace {

std::vector<SimTime> times(const Arrivals& a, std::size_t n, std::uint64_t seed = 1) {
  ArrivalProcess p(a, Seed{seed}, 0, 0);
  std::vector<SimTime> t(n);
  p.fill(t);
  return t;
}
struct GapStats {
  double mean, cv;
};
GapStats gaps(const std::vector<SimTime>& t) {
  double s = 0, s2 = 0, before = 0;
  for (SimTime x : t) {
    const double g = double(x) * 1e-9 - before;
    before = double(x) * 1e-9;
    s += g;
    s2 += g * g;
  }
  const double n = double(t.size()), m = s / n;
  return {m, std::sqrt(s2 / n - m * m) / m};
}

TEST(Arrivals, MeanRateAndVariationOfEveryGapLaw) {
  struct Case {
    Gaps gaps;
    double cv;
  };
  for (const Case& c : {Case{Poisson{}, 1}, Case{Constant{}, 0}, Case{GammaGaps{0.3}, 0.3}, Case{GammaGaps{2}, 2},
                        Case{WeibullGaps{0.5}, 0.5}, Case{WeibullGaps{2}, 2}}) {
    const GapStats g = gaps(times({4, c.gaps, Steady{}}, 200000));
    EXPECT_NEAR(g.mean * 4, 1, 4 * c.cv / std::sqrt(200000.0) + 1e-9);
    EXPECT_NEAR(g.cv, c.cv, 0.03 * c.cv + 1e-6);
  }
}

TEST(Arrivals, BatchesEqualSingleDraws) {
  for (const Arrivals& a :
       {Arrivals{100, Poisson{}, Steady{}}, Arrivals{100, GammaGaps{2}, Steady{}}, Arrivals{100, Poisson{}, Burst{10, 1, 5}}}) {
    ArrivalProcess p(a, Seed{1}, 0, 0);
    const auto batch = times(a, 1500);
    for (SimTime t : batch) ASSERT_EQ(t, p.next());
    EXPECT_TRUE(std::is_sorted(batch.begin(), batch.end()));
  }
}

TEST(Arrivals, StreamsAreNamedAndRepeat) {
  const Arrivals a{10, Poisson{}, Steady{}};
  EXPECT_EQ(times(a, 100), times(a, 100));
  EXPECT_NE(times(a, 100), times(a, 100, 2));
  ArrivalProcess other(a, Seed{1}, 1, 0);
  EXPECT_NE(times(a, 1)[0], other.next());
}

// With constant gaps the k-th arrival is where the cumulative rate is exactly k.
TEST(Arrivals, DiurnalIsTheExactChangeOfTime) {
  const Diurnal d{100, 0.8, 30};
  const auto t = times({50, Constant{}, d}, 20000);
  const double w = 6.283185307179586477 / d.period_s;
  for (std::size_t k = 0; k < t.size(); ++k) {
    const double s = double(t[k]) * 1e-9;
    const double cumulative = 50 * (s + d.amplitude / w * (std::sin(w * (s - d.peak_at_s)) + std::sin(w * d.peak_at_s)));
    ASSERT_NEAR(cumulative, double(k + 1), 1e-5) << k;
  }
  // Peak hour against trough hour: (1 + a·sinc)/(1 − a·sinc) with windows of a tenth of a period, sinc = sin(0.1·pi)/(0.1·pi) = 0.98363.
  const auto in = [&](double centre) {
    return std::count_if(t.begin(), t.end(), [&](SimTime x) { return std::abs(std::remainder(double(x) * 1e-9 - centre, 100.0)) < 5; });
  };
  EXPECT_NEAR(double(in(30)) / double(in(80)), (1 + 0.8 * 0.98363) / (1 - 0.8 * 0.98363), 0.1);
}

TEST(Arrivals, ARateThatTouchesZeroStillArrives) {
  const auto t = times({5, Poisson{}, Diurnal{100, 1.0, 0}}, 5000);
  EXPECT_TRUE(std::is_sorted(t.begin(), t.end()));
  EXPECT_NEAR(double(t.back()) * 1e-9, 1000, 60);
}

// Period 10 s, 1 s at 5 times the rest: low = 10/(10 + 4) of the mean, the burst second holds 5/14 of the arrivals.
TEST(Arrivals, BurstsHoldTheirShare) {
  const auto t = times({20, Poisson{}, Burst{10, 1, 5}}, 100000);
  const auto in_burst = std::count_if(t.begin(), t.end(), [](SimTime x) { return std::fmod(double(x) * 1e-9, 10.0) < 1.0; });
  EXPECT_NEAR(double(in_burst) / 100000, 5.0 / 14, 4 * std::sqrt(5.0 / 14 * 9 / 14 / 100000));
  EXPECT_NEAR(double(t.back()) * 1e-9, 5000, 80);
}

TEST(Arrivals, RefusesImpossibleShapes) {
  const auto key = [](const Arrivals& a) { return checked(a, "load").error().key; };
  EXPECT_EQ(key({0, Poisson{}, Steady{}}), "load.rate");
  EXPECT_EQ(key({-1, Poisson{}, Steady{}}), "load.rate");
  EXPECT_EQ(key({NAN, Poisson{}, Steady{}}), "load.rate");
  EXPECT_EQ(key({1, GammaGaps{0}, Steady{}}), "load.cv");
  EXPECT_EQ(key({1, WeibullGaps{100}, Steady{}}), "load.cv");
  EXPECT_EQ(key({1, Poisson{}, Diurnal{86400, 1.5, 0}}), "load.amplitude");
  EXPECT_EQ(key({1, Poisson{}, Diurnal{0, 0.5, 0}}), "load.period");
  EXPECT_EQ(key({1, Poisson{}, Burst{10, 10, 2}}), "load.length");
  EXPECT_EQ(key({1, Poisson{}, Burst{10, 1, 0}}), "load.factor");
}

}  // namespace
}  // namespace jevons::traffic
