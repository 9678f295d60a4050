#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/portable_math.hpp"
#include "market/events.hpp"
#include "market/forecast.hpp"
#include "market/jevons.hpp"

namespace jevons::market {
namespace {

const catalog::Catalog& facts() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}
Priors priors() { return *read_priors(facts()); }
Values middle() { return priors().values(Scores{}); }
Segments segments() { return *read_segments(facts()); }

// Every tier and segment alike, so that tiers and mixes drop out.
World plain_world() {
  World w{segments(), {}, {32e6, 7e11, 2e4, 700, 2.8e10, 7e18, 6, 0.5}};
  for (auto& s : w.resources) {
    for (auto& r : s) r = {1e-6, 1e-4, 1e6, 1e10};
  }
  return w;
}

TEST(Segments, ClosedFormHasTheStatedElasticityAndGrowth) {
  Values v = middle();
  for (const auto& s : segments()) {
    const SegmentLaw law = law_of(s, segments(), v, {});
    if (!law.responds) continue;
    EXPECT_NEAR(elasticity(law), s.eps_long * v[Param::elasticity_scale], 1e-9) << s.name;
    // Growth at the anchor: stated growth at constant price, and elasticity times the fall of price.
    const double h = 1e-4, growth = (log_growth(law, kAnchor + h) - log_growth(law, kAnchor - h)) / (2 * h);
    const double by_price = elasticity(law) * v[Param::pass_through] * cost_decline(v);
    const double by_users = law.adoption_speed * (1 - s.adopted);
    const double by_capability = law.capability * elasticity(law) * (1 + law.overhead);  // d ln share / d mu = eps (P + h)/P
    EXPECT_NEAR(growth - by_price, by_users + by_capability + law.intensity, 1e-5) << s.name;
    const double listed = s.growth, mean = 0.96086, tilt = v[Param::segment_tilt];  // mean growth of the segments, weighed by tokens
    EXPECT_NEAR(growth - by_price, v[Param::growth_scale] * (mean + tilt * (listed - mean)), 0.01) << s.name;
    // The same hazard gives the threshold's elasticity of the closed forms.
    EXPECT_NEAR(elasticity(law), threshold_elasticity(law.z0, law.sigma, 1 / (1 + law.overhead)), 1e-4 * elasticity(law)) << s.name;
  }
}

TEST(Segments, TailsOfTheNormal) {
  EXPECT_NEAR(log_above(0), std::log(0.5), 1e-15);
  EXPECT_NEAR(log_above(1.959963984540054), std::log(0.025), 1e-12);
  // Asymptotic: ln Q(30) = -450 - ln(30 sqrt(2 pi)) + ln(1 - 1/900 + 3/810000).
  EXPECT_NEAR(log_above(30), -450 - std::log(30 * std::sqrt(2 * 3.14159265358979)) + std::log(1 - 1 / 900.0 + 3 / 810000.0), 1e-5);
  for (const double h : {0.05, 0.3, 0.798, 2.0, 8.0, 40.0}) {
    const double z = inverse_hazard(h);
    EXPECT_NEAR(std::exp(-z * z / 2 - log_above(z)) / std::sqrt(2 * 3.14159265358979323846), h, 1e-6 * h);
  }
}

TEST(Paths, ReproduceTheClosedFormWithoutChanceOrScarcity) {
  const World w = plain_world();
  PathInput in{middle(), {}, 1e14, {}};
  in.values[Param::response_lag] = 1e-3;  // no lag
  in.values[Param::china_growth] = 0;
  const int months[] = {0, 12, 30, 31, 60, 107};
  const Paths p = run_paths(w, std::vector{in}, {.chance = false, .budgets = false, .scarcity = false}, months, Seed{1});
  double all = 0;
  for (const auto& s : w.segments) all += s.tokens_per_day;
  for (std::size_t r = 0; r < std::size(months); ++r) {
    double sum = 0;
    for (std::size_t s = 0; s < kSegments; ++s) {
      const double closed = 1e14 * w.segments[s].tokens_per_day / all *
                            std::exp(log_growth(law_of(w.segments[s], w.segments, in.values, {}), months[r] / 12.0));
      EXPECT_NEAR(p.segment(s, r)[0] / closed, 1, 2e-4) << w.segments[s].name << " month " << months[r];
      sum += p.segment(s, r)[0];
    }
    EXPECT_NEAR(p.at(Output::tokens, r, 0) / sum, 1, 1e-6);  // segments sum to the total
    EXPECT_EQ(p.at(Output::unmet, r, 0), 0);
  }
  EXPECT_NEAR(p.at(Output::tokens, 2, 0) / 1e14, 1, 1e-6);  // the anchor is the anchor
}

std::vector<PathInput> drawn(std::size_t n) {
  const Lattice lattice(Seed{3});
  std::vector<PathInput> out;
  for (std::size_t i = 0; i < n; ++i) {
    Scores z;
    for (std::size_t p = 0; p < kParams; ++p) z[p] = lattice.normal(i, p);
    out.push_back({priors().values(z), {0.3 * lattice.normal(i, 45), 0, 0}, 4e14, {}});
  }
  return out;
}

TEST(Paths, ServedAndUnmetAreDemandAndNothingIsNegative) {
  std::vector<int> months(kMonths);
  std::iota(months.begin(), months.end(), 0);
  const Paths p = run_paths(plain_world(), drawn(128), {}, months, Seed{7});
  bool short_of = false;
  for (std::size_t r = 0; r < months.size(); ++r) {
    for (std::size_t i = 0; i < p.count; ++i) {
      const double served = p.at(Output::tokens, r, i), unmet = p.at(Output::unmet, r, i);
      for (std::size_t o = 0; o < kOutputs; ++o) ASSERT_TRUE(std::isfinite(p.at(Output(o), r, i)) && p.at(Output(o), r, i) >= 0) << o;
      if (months[r] <= kAnchorMonth) continue;
      const double tight = double(p.at(Output::needed, r, i)) / p.at(Output::accelerators, r, i);
      short_of = short_of || unmet > 0;
      ASSERT_NEAR(served / (served + unmet), std::min(1.0, 1 / tight), 1e-5) << r << " " << i;
    }
  }
  EXPECT_TRUE(short_of);
}

TEST(Paths, BudgetThatBindsLeavesSpendingAlone) {
  // All of a segment is metered and capped at last year's spending: a price cut then buys tokens one for one (elasticity 1).
  World w = plain_world();
  for (auto& s : w.segments) {
    s.metered = 1;
    if (s.name != "code_agent") s.tokens_per_day = 0;  // it would outgrow the budget
  }
  PathInput in{middle(), {}, 1e14, {}};
  in.values[Param::capped_share] = 1;
  in.values[Param::budget_growth] = 1;
  in.values[Param::spend_ceiling] = 1e9;
  const int months[] = {48, 55};
  const Paths p = run_paths(w, std::vector{in}, {.chance = false, .scarcity = false}, months, Seed{1});
  EXPECT_NEAR(p.at(Output::spend, 1, 0) / p.at(Output::spend, 0, 0), 1, 1e-5);
  EXPECT_GT(p.at(Output::tokens, 1, 0) / p.at(Output::tokens, 0, 0), 1.05);
}

TEST(Paths, ComputeIgnoresEfficiencyAtElasticityOneAndRisesWithElasticity) {
  // Every segment at long-run elasticity one, all at once, full pass-through, no memory share: to first order compute per unit of
  // efficiency is unchanged. Efficiency is small so that the elasticity does not drift.
  World w = plain_world();
  PathInput in{middle(), {}, 1e14, {}};
  for (auto& s : w.segments) s.eps_short = s.eps_long = 1;
  Values& v = in.values;
  v[Param::elasticity_scale] = v[Param::pass_through] = 1;
  v[Param::hardware_gain] = v[Param::theta] = v[Param::memory_gain] = 0;
  v[Param::response_lag] = 1e-3;
  const int months[] = {42};
  const Switches still{.chance = false, .budgets = false, .scarcity = false};
  const auto needed = [&](double gain, double eps) {
    v[Param::compute_gain] = gain;
    v[Param::elasticity_scale] = eps;
    return double(run_paths(w, std::vector{in}, still, months, Seed{1}).at(Output::needed, 0, 0));
  };
  // A year on, capability has lowered the elasticity a little below one.
  const double response = std::log(needed(0.01, 1) / needed(0, 1)) / 0.01;
  EXPECT_NEAR(response, 0, 0.12);
  EXPECT_LT(std::log(needed(0.01, 0.6) / needed(0, 0.6)), 0);
  EXPECT_GT(std::log(needed(0.01, 1.6) / needed(0, 1.6)), 0);
  double before = 0;
  for (const double eps : {0.4, 0.8, 1.2, 1.6, 2.0}) {  // monotone
    const double now = needed(0.5, eps) / needed(0, eps);
    EXPECT_GT(now, before);
    before = now;
  }
}

TEST(Paths, SameBytesOnAnyNumberOfThreads) {
  const int months[] = {0, 30, 66, 107};
  const auto inputs = drawn(200);  // a last block that is not full
  const auto with = [&](std::size_t threads) {
    const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
    return run_paths(plain_world(), inputs, {}, months, Seed{5});
  };
  const Paths one = with(1), two = with(2);
  EXPECT_EQ(one.outputs, two.outputs);
  EXPECT_EQ(one.segments, two.segments);
  // A path's chance belongs to it: fewer paths, the same first ones.
  const Paths few = run_paths(plain_world(), std::span(inputs).first(64), {}, months, Seed{5});
  for (std::size_t i = 0; i < few.count; ++i) ASSERT_EQ(few.at(Output::tokens, 3, i), one.at(Output::tokens, 3, i));
}

TEST(Paths, ExtremeButPossibleValuesStayFinite) {
  World w = plain_world();
  for (auto& s : w.segments) s.tokens_per_day = s.name == "chat" ? 1e12 : 0;
  std::vector<PathInput> extremes;
  for (const double z : {-4.0, 4.0}) {
    Scores all;
    all.fill(z);
    extremes.push_back({priors().values(all), {3, -3, 3}, 1e18, {}});
  }
  const int months[] = {30, 60, 107};
  const Paths p = run_paths(w, extremes, {}, months, Seed{1});
  for (const float x : p.outputs) EXPECT_TRUE(std::isfinite(x));
}

TEST(Growth, CovarianceOfAnIntegratedRateAgreesWithQuadrature) {
  const double rate = 0.7, speed = 1.4, a = 0.8, b = 1.7;
  double sum = 0;
  constexpr int kSteps = 400;
  for (int i = 0; i < kSteps; ++i) {
    for (int j = 0; j < kSteps; ++j) {
      const double u = (i + 0.5) * a / kSteps, v = (j + 0.5) * b / kSteps;
      sum += rate * rate / (2 * speed) * std::exp(-speed * std::abs(u - v)) * a * b / (kSteps * double(kSteps));
    }
  }
  EXPECT_NEAR(integrated_ou(a, b, rate, speed), sum, 1e-5);
}

TEST(Growth, ConditioningOfTwoIsTheTextbookRegression) {
  // Variances 4 and 9, covariance 3; seen 1.5 above the mean: 0.75 * 1.5 higher, variance 9 - 9/4.
  const Conditional c = condition({{1, 2}, {4, 3, 3, 9}}, std::vector{2.5}, 1);
  EXPECT_NEAR(c.mean[0], 2 + 0.75 * 1.5, 1e-12);
  EXPECT_NEAR(c.root[0] * c.root[0], 9 - 9.0 / 4, 1e-12);
  EXPECT_NEAR(c.log_density, -std::log(2) - 1.5 * 1.5 / 8, 1e-12);
}

TEST(Growth, RatesAndVolumesAreOneField) {
  // The rate's covariance with a volume is the derivative of the volume's own: finite difference in time.
  const History h = *read_history(facts());
  const auto at = [&](std::vector<Point> points) { return field(h, segments(), middle(), {}, points).covariance; };
  const double t = 1.2, step = 1e-4;
  const auto up = at({{0, t + step, 0}, {1, 0.9, 0}}), down = at({{0, t - step, 0}, {1, 0.9, 0}});
  const auto rate = at({{0, t, 0, Quantity::common_rate}, {1, 0.9, 0}});
  // Services 0 and 1 share market and region (both outside China): market and rest.
  const auto rest = at({{0, t, 0, Quantity::rest_rate}, {1, 0.9, 0}});
  EXPECT_NEAR((up[1] - down[1]) / (2 * step), rate[1] + rest[1], 1e-6);
}

TEST(Calibration, LearnsWhereDataSpeakAndForgetsNothingElse) {
  const History h = *read_history(facts());
  const auto c = calibrate(h, segments(), priors(), {}, {}, {.draws = 512, .chains = 32, .steps = 25});
  EXPECT_EQ(c.used.size(), 35u);
  EXPECT_NEAR(std::accumulate(c.weights.begin(), c.weights.end(), 0.0), 1, 1e-12);
  EXPECT_GT(c.acceptance, 0.05);
  EXPECT_LT(c.acceptance, 0.8);
  // Strict history is what had been published: a subset, without Google's April 2024 at the end of that year.
  const auto dated = usable(h, {1.0, false}), strict = usable(h, {1.0, true});
  EXPECT_LT(strict.size(), dated.size());
  for (const auto& o : strict) EXPECT_LE(o.published, 1.0);
  EXPECT_TRUE(
      std::none_of(strict.begin(), strict.end(), [&](const auto& o) { return h.services[o.service].series == "google_all_monthly"; }));
  // The same bytes again.
  const auto again = calibrate(h, segments(), priors(), {}, {}, {.draws = 512, .chains = 32, .steps = 25});
  EXPECT_EQ(c.posterior, again.posterior);
}

TEST(Lattice, IsStratifiedInEveryCoordinate) {
  const Lattice lattice(Seed{9});
  for (const std::size_t d : {0u, 7u, 49u}) {
    std::vector<int> cells(256);
    double sum = 0;
    for (std::uint64_t i = 0; i < 256; ++i) {
      const double x = lattice.at(i, d);
      ++cells[std::size_t(x * 256)];
      sum += x;
    }
    // One point a cell, up to the shift that moves all of them alike.
    EXPECT_EQ(*std::max_element(cells.begin(), cells.end()), 1) << d;
    EXPECT_NEAR(sum / 256, 0.5, 1.0 / 256);
  }
  // A product over ten coordinates: error far below the 1/sqrt(n) of chance, mean of prod(2x) is 1, deviation about 4.1.
  double sum = 0;
  for (std::uint64_t i = 0; i < 16384; ++i) {
    double p = 1;
    for (std::size_t d = 0; d < 5; ++d) p *= 2 * lattice.at(i, d);
    sum += p;
  }
  EXPECT_NEAR(sum / 16384, 1, 0.003);  // chance alone would miss by 0.014
}

TEST(Forecast, SplitHasNoResidual) {
  const std::vector<std::vector<double>> before{{2, 3, 0.5}, {1, 7, 2}, {4, 1, 1}}, after{{2.5, 3, 1.5}, {3, 6, 0.2}, {4, 9, 0.7}};
  const auto terms = log_split(before, after);
  const double sum0 = 3 + 14 + 4, sum1 = 2.5 * 3 * 1.5 + 3 * 6 * 0.2 + 4 * 9 * 0.7;
  EXPECT_NEAR(std::accumulate(terms.begin(), terms.end(), 0.0), std::log(sum1 / sum0), 1e-12);
}

TEST(Forecast, VarianceSharesOfALinearSum) {
  // y = 3 a + 4 b + noise of variance 11: shares 9/36 and 16/36.
  std::vector<Scores> x(8192);
  std::vector<double> y(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    Stream s(Seed{4}, i, Draw::test, 0);
    for (auto& v : x[i]) v = s.normal();
    y[i] = 3 * x[i][0] + 4 * x[i][30] + std::sqrt(11.0) * s.normal();
  }
  const auto shares = variance_shares(x, {y}, double(x.size()))[0];
  EXPECT_NEAR(shares[0], 0.25, 0.03);  // eight bins lose about a twentieth
  EXPECT_NEAR(shares[30], 0.444, 0.04);
  EXPECT_LT(shares[5], 0.01);
}

TEST(Priors, RangesAreTheirQuantiles) {
  Prior p{Law::lognormal, 0.5, 2, {}, {}, {}};
  EXPECT_NEAR(p.at(1.959963984540054), 2, 1e-12);
  EXPECT_NEAR(p.at(0), 1, 1e-12);
  Priors all = priors();
  EXPECT_FALSE(set_range(all, "overhead", 0, 1));
  EXPECT_FALSE(set_range(all, "overhed", 1, 2));
  EXPECT_NE(set_range(all, "overhed", 1, 2).error().hint.find("overhead"), std::string::npos);
  EXPECT_FALSE(set_range(all, "level", 2, 1));
  EXPECT_TRUE(set_range(all, "level", -1, 1));
}

TEST(History, DatesAndUnits) {
  EXPECT_NEAR(*years_of("2025-01-01"), 366 / 365.25, 1e-12);
  EXPECT_FALSE(years_of("2025-02-30"));
  EXPECT_FALSE(years_of("soon"));
  EXPECT_EQ(month_name(2.5), "2026-07");
  EXPECT_EQ(month_name(-0.1), "2023-11");
  // Tokens a minute times 1,440 and a month over 30.4375 are tokens a day.
  const History h = *read_history(facts());
  for (const auto& o : h.observations) EXPECT_GT(o.ln_tokens, 24);
  const catalog::Series& v = (*facts().find(catalog::Section::demand, "token-volume"))->series;
  for (std::size_t r = 0; r < v.rows(); ++r) {
    const auto day = v.number(r, "tokens_per_day"), value = v.number(r, "value");
    if (!day || !value) continue;
    const auto unit = v.text(r, "unit");
    if (unit == "tokens/min") {
      EXPECT_NEAR(*day / (*value * 1440), 1, 1e-5) << r;
    }
    if (unit == "tokens/month") {
      EXPECT_NEAR(*day / (*value / 30.4375), 1, 0.02) << r;  // a named month has its own length
    }
    if (unit == "tokens/week") {
      EXPECT_NEAR(*day / (*value / 7), 1, 1e-5) << r;
    }
  }
}

TEST(Events, PriceChangesComeFromTheListPrices) {
  const auto events = *price_events(facts(), *read_history(facts()));
  const auto find = [&](std::string_view date) {
    return *std::find_if(events.begin(), events.end(), [&](const auto& e) { return e.date == date; });
  };
  EXPECT_NEAR(*find("2026-04-23").price_ratio, 2, 1e-12);    // GPT-5.5: both ends of the list price doubled
  EXPECT_NEAR(*find("2025-06-10").price_ratio, 0.2, 1e-12);  // o3: 10/40 to 2/8
  // Doubao: x10.83 in four months at 0.7 % of the price, ln 10.83 / ln(1/0.007) = 0.48.
  EXPECT_NEAR(*find("2024-05-15").arc_elasticity, 0.48, 0.005);
  EXPECT_FALSE(find("2026-05-27").price_ratio);
}

TEST(Verticals, FreeTokensBoundAdoption) {
  const auto all = *read_verticals(facts());
  for (const auto& v : all) {
    EXPECT_LE(v.share(1e-6, 0), v.share(0, 0));
    EXPECT_LE(v.share(1e-6, 0), v.share(1e-6, 3));
  }
}

}  // namespace
}  // namespace jevons::market
