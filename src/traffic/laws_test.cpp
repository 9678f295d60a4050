#include "traffic/laws.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/portable_math.hpp"

namespace jevons::traffic {
namespace {

TEST(PortableMath, AgreesWithTheLibraryToTwoUnitsInTheLastPlace) {
  Stream random(Seed{1}, 0, Draw::test, 0);
  const auto units = [](double got, double want) {
    return std::abs(got - want) / (std::nextafter(std::abs(want), INFINITY) - std::abs(want));
  };
  double worst_log = 0, worst_exp = 0;
  for (int i = 0; i < 200000; ++i) {
    const double x = std::ldexp(1.0 + random.uniform(), int(random.below(600)) - 300), y = 1400 * random.uniform() - 700;
    worst_log = std::max(worst_log, units(portable_log(x), std::log(x)));
    worst_exp = std::max(worst_exp, units(portable_exp(y), std::exp(y)));
    const double near_one = 1.0 + (random.uniform() - 0.5) * 1e-3;
    worst_log = std::max(worst_log, units(portable_log(near_one), std::log(near_one)));
  }
  EXPECT_LE(worst_log, 2.0);
  EXPECT_LE(worst_exp, 2.0);
  EXPECT_EQ(portable_log(1.0), 0.0);
  EXPECT_EQ(portable_exp(0.0), 1.0);
}

TEST(PortableMath, NormalQuantileInvertsTheDistribution) {
  for (double p : {1e-300, 1e-20, 1e-6, 0.01, 0.07, 0.075, 0.2, 0.5, 0.7, 0.925, 0.93, 0.999, 1 - 1e-9}) {
    const double z = normal_quantile(p), back = 0.5 * std::erfc(-z / std::sqrt(2.0));
    EXPECT_NEAR(back / p, 1.0, 1e-12) << p;
  }
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-15);  // the textbook value
}

struct Moments {
  double mean, variance, skewness;
};
Moments moments(const std::function<double()>& next, int n) {
  double s1 = 0, s2 = 0, s3 = 0;
  for (int i = 0; i < n; ++i) {
    const double x = next();
    s1 += x;
    s2 += x * x;
    s3 += x * x * x;
  }
  const double m = s1 / n, v = s2 / n - m * m;
  return {m, v, (s3 / n - 3 * m * s2 / n + 2 * m * m * m) / std::pow(v, 1.5)};
}

// Gamma of mean 1: variance 1/k, skewness 2/sqrt(k). Tolerances are about four standard errors at n = 400,000.
TEST(Laws, GammaMoments) {
  for (double k : {0.25, 0.5, 1.0, 2.5, 30.0, 2500.0}) {
    Stream s(Seed{3}, 0, Draw::test, std::uint64_t(k * 100));
    const Moments m = moments([&] { return draw_gamma(k, s); }, 400000);
    EXPECT_NEAR(m.mean, 1, 4 / std::sqrt(400000 * k)) << k;
    EXPECT_NEAR(m.variance * k, 1, 4 * std::sqrt((2 + 6 / k) / 400000)) << k;
    EXPECT_NEAR(m.skewness, 2 / std::sqrt(k), 0.03 * (1 + 4 / std::sqrt(k))) << k;
  }
}

/// Largest distance between the sample's and the law's distribution functions.
double kolmogorov(std::vector<double> sample, const std::function<double(double)>& cdf) {
  std::sort(sample.begin(), sample.end());
  double worst = 0;
  const double n = double(sample.size());
  for (std::size_t i = 0; i < sample.size(); ++i) {
    const double f = cdf(sample[i]);
    worst = std::max({worst, f - double(i) / n, double(i + 1) / n - f});
  }
  return worst;
}
constexpr int kDraws = 200000;
const double kCritical = 1.95 / std::sqrt(double(kDraws));  // 0.1 % level of the Kolmogorov distribution

std::vector<double> sample(const std::function<double()>& next) {
  std::vector<double> v(kDraws);
  for (double& x : v) x = next();
  return v;
}

TEST(Laws, DistributionsFollowTheirFunctions) {
  Stream s(Seed{4}, 0, Draw::test, 0);
  EXPECT_LT(kolmogorov(sample([&] { return draw_exponential(s); }), [](double x) { return -std::expm1(-x); }), kCritical);
  for (double k : {0.4, 1.0, 3.0}) {
    EXPECT_LT(kolmogorov(sample([&] { return draw_weibull(k, s); }), [&](double x) { return -std::expm1(-std::pow(x, k)); }), kCritical);
  }
  const LogNormal l{300, 1.2};
  EXPECT_LT(kolmogorov(sample([&] { return draw(l, s); }),
                       [&](double x) { return 0.5 * std::erfc(-std::log(x / l.median) / l.sigma / std::sqrt(2.0)); }),
            kCritical);
  EXPECT_LT(kolmogorov(sample([&] { return draw(Uniform{2, 5}, s); }), [](double x) { return (x - 2) / 3; }), kCritical);
  // Gamma of shape 2 and mean 1 is Erlang: F(x) = 1 − e^(−2x)(1 + 2x).
  EXPECT_LT(kolmogorov(sample([&] { return draw_gamma(2, s); }), [](double x) { return 1 - std::exp(-2 * x) * (1 + 2 * x); }), kCritical);
  // Gamma of shape 1/2 and mean 1 is a squared standard normal: F(x) = erf(sqrt(x/2)).
  EXPECT_LT(kolmogorov(sample([&] { return draw_gamma(0.5, s); }), [](double x) { return std::erf(std::sqrt(x / 2)); }), kCritical);
}

TEST(Laws, WeibullShapeByVariation) {
  EXPECT_NEAR(weibull_shape(1.0), 1.0, 1e-12);  // the exponential
  // shape 1/2: mean Gamma(3) = 2, second moment Gamma(5) = 24, cv² = 24/4 − 1 = 5
  EXPECT_NEAR(weibull_shape(std::sqrt(5.0)), 0.5, 1e-12);
  // shape 2 (Rayleigh): cv² = 4/pi − 1
  EXPECT_NEAR(weibull_shape(std::sqrt(4 / 3.14159265358979324 - 1)), 2.0, 1e-10);
}

TEST(Laws, CountsOfABenchmarkRangeIncludeBothEnds) {
  Stream s(Seed{5}, 0, Draw::test, 0);
  const auto law = parse_law("uniform:0.8:1.0", 1023, "isl");  // InferenceX: integers from int(0.8·1023) = 818 to 1023
  ASSERT_TRUE(law);
  std::int32_t low = 1 << 30, high = 0;
  double sum = 0;
  for (int i = 0; i < 100000; ++i) {
    const std::int32_t n = draw_count(*law, s);
    low = std::min(low, n);
    high = std::max(high, n);
    sum += n;
  }
  EXPECT_EQ(low, 818);
  EXPECT_EQ(high, 1023);
  EXPECT_NEAR(sum / 100000, (818 + 1023) / 2.0, 4 * 59.5 / std::sqrt(100000.0));  // deviation 206/sqrt(12) = 59.5
}

TEST(Laws, MeansInClosedForm) {
  EXPECT_DOUBLE_EQ(mean(LogNormal{100, 0.8}), 100 * std::exp(0.32));
  const LogNormal by_cv = lognormal_of(500, 2);
  EXPECT_NEAR(mean(by_cv), 500, 1e-9);
  EXPECT_NEAR(by_cv.sigma * by_cv.sigma, std::log(5.0), 1e-12);
  const LogNormal through = lognormal_through(1020, 4142, 0.99);
  EXPECT_NEAR(through.median * std::exp(through.sigma * 2.3263478740408408), 4142, 1e-8);
  // {1, 1, 4}: P(1) = 2/3, P(4) = 1/3, mean 2
  const Empirical e = empirical_of({4, 1, 1});
  EXPECT_EQ(e.value, (std::vector<double>{1, 4}));
  EXPECT_DOUBLE_EQ(mean(e), 2);
  std::vector<double> many;
  for (int i = 0; i < 1000; ++i) many.push_back(double(i) * i);
  EXPECT_NEAR(mean(empirical_of(many, 7)), mean(empirical_of(many)), 1e-6);
  EXPECT_EQ(empirical_of(many, 7).value.size(), 7u);
}

TEST(Laws, EmpiricalDrawsHaveTheirFrequencies) {
  Stream s(Seed{6}, 0, Draw::test, 0);
  const Empirical e{{10, 20, 30}, {0.5, 0.9, 1.0}};
  int count[4] = {};
  for (int i = 0; i < 100000; ++i) ++count[draw_count(e, s) / 10];
  EXPECT_NEAR(count[1], 50000, 700);
  EXPECT_NEAR(count[2], 40000, 700);
  EXPECT_NEAR(count[3], 10000, 400);
}

TEST(Laws, RefusesWhatCannotBeDrawn) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const Law& law :
       {Law(Fixed{-1}), Law(Fixed{nan}), Law(Fixed{1e10}), Law(Uniform{5, 4}), Law(Uniform{-1, 4}), Law(Exponential{-1}),
        Law(LogNormal{-1, 1}), Law(LogNormal{1, -1}), Law(LogNormal{1, 1000}), Law(Empirical{}), Law(Empirical{{1, 2}, {0.5}}),
        Law(Empirical{{2, 1}, {0.5, 1}}), Law(Empirical{{1, 2}, {0.6, 0.5}}), Law(Empirical{{1, 2}, {0.5, 0.9}})}) {
    const auto r = checked(law, "workload.input");
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().key, "workload.input");
  }
  for (const char* text : {"", "normal", "uniform", "uniform:0.8", "uniform:x:1", "fixed:3", "lognormal", "uniform:1:0.5"}) {
    EXPECT_FALSE(parse_law(text, 100, "isl")) << text;
  }
}

}  // namespace
}  // namespace jevons::traffic
