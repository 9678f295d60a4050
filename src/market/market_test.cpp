#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>

#include "base/text.hpp"
#include "market/jevons.hpp"

namespace jevons::market {
namespace {

// Arithmetic of public claims and of the theory: testdata/checks.csv (sources in its rows) states inputs, expected number and tolerance;
// here is how this room's functions get it.
const std::map<std::string, std::function<double()>> kChecks{
    {"K01", [] { return resource_ratio(10, implied_elasticity(100, 0.1)); }},           // efficiency x10, use x100
    {"K01b", [] { return implied_elasticity(100, 0.1); }},
    {"K02", [] { return demand_ratio(0.5, implied_elasticity(10, 0.5)) * 0.5; }},        // memory a call halved, calls x10
    {"K03", [] { return 1 / (1 - 0.6); }},
    {"K03b", [] { return std::pow(2.5, 1.0 / 3) - 1; }},
    {"K03c", [] { return implied_elasticity(2.5, 1 - 0.6); }},
    {"K04", [] { return resource_ratio(1000, 1); }},
    {"K04b", [] { return resource_ratio(1000, implied_elasticity(1e6, 1e-3)); }},
    {"K05_18_100", [] { return blended({0.82, 0.18}, {1, 100}); }},
    {"K05_18_8", [] { return blended({0.82, 0.18}, {1, 8}); }},
    {"K05_50_100", [] { return blended({0.5, 0.5}, {1, 100}); }},
    {"K05_50_8", [] { return blended({0.5, 0.5}, {1, 8}); }},
    {"K06", [] { return 215 / 1.45; }},
    {"K06b", [] { return (410.0 - 131) / 215 - 1; }},
    {"K07", [] { return 400 * 1.75; }},
    {"K08", [] { return 3.02 + 1.03 + 0.816; }},
    {"K08b", [] { return 4.866 / 7 / 120; }},                                            // middle of 100 and 140 T a day
    {"K09", [] { return 160.0 / 150 - 1; }},
    {"K10", [] { return 600.0 / 5; }},
    {"K11", [] { return 380.0 / 3; }},
    {"K12", [] { return (0.9 * (1 - 0.30) - 0.5) / (0.9 - 0.5); }},                      // F + 0.5 v = 0.5 and 1 - (F + 0.9 v)/0.9 = 0.3
    {"K13", [] { return *break_even_elasticity(0.5, 0.7); }},
    {"K14", [] { return blended({0.09, 0.90, 0.01}, {0.14, 0.0028, 0.28}) / blended({0.09, 0.90, 0.01}, {0.14, 0.028, 0.28}) - 1; }},
    {"K14b", [] {
       const double in = 3.62 / 4.62, hit = 0.563;
       const std::vector<double> mix{in * (1 - hit), in * hit, 1 - in};
       return blended(mix, {0.14, 0.0028, 0.28}) / blended(mix, {0.14, 0.028, 0.28}) - 1;
     }},
    {"K15_100", [] { return *break_even_elasticity(0.5, cost_ratio_of_share(0.5, 1.00)); }},
    {"K15_50", [] { return *break_even_elasticity(0.5, cost_ratio_of_share(0.5, 0.50)); }},
    {"K15_30", [] { return *break_even_elasticity(0.5, cost_ratio_of_share(0.5, 0.30)); }},
    {"K15_15", [] { return *break_even_elasticity(0.5, cost_ratio_of_share(0.5, 0.15)); }},
    {"K16", [] { return blended({1, 1}, {5, 30}) / blended({1, 1}, {2.5, 15}); }},
    {"K17_0p06", [] { return demand_ratio(0.25, 0.06); }},
    {"K17_1p11", [] { return demand_ratio(0.25, 1.11); }},
    {"K17_1p5", [] { return demand_ratio(0.25, 1.5); }},
    {"K18", [] { return blended({1e-3, 5e-3 * 0.35}, {1.25, 10}) / blended({1e-3, 5e-3}, {2, 8}); }},  // per answer, USD per Mtok
    {"K19", [] { return 272.0 + 128; }},
    {"K20", [] { return std::log(2) * 1.05 / std::log(3200.0 / 480) * 12; }},
    {"K21", [] { return std::pow(0.35, 0.25); }},
    {"M1", [] { return resource_response(1.11); }},
    {"M2", [] { return resource_response(1.5, 0.6); }},
    {"M3", [] { return resource_response(1.5, 1, 0.5); }},
    {"M4", [] { return rebound(0.8, 2); }},
    {"M5_2", [] { return threshold_elasticity(2, 1); }},
    {"M5_0", [] { return threshold_elasticity(0, 1); }},
    {"M5_-1", [] { return threshold_elasticity(-1, 1); }},
    {"M6", [] { return adoption_slope(1.5, std::log(10)); }},
    {"M7", [] { return demand_ratio(0.5, 1); }},
    {"M8", [] { return crps_normal(0, 1, 0); }},
};

// The table prints six significant digits: half a unit of the last one is its own rounding.
double rounding_of(const std::string& printed) {
  const auto dot = printed.find('.');
  return dot == std::string::npos ? 0 : 0.5 * std::pow(10.0, -double(printed.size() - dot - 1));
}

TEST(Claims, ArithmeticOfTheCheckTable) {
  std::ifstream in(JEVONS_SOURCE_DIR "/src/market/testdata/checks.csv");
  std::string line;
  std::getline(in, line);
  int seen = 0;
  while (std::getline(in, line)) {
    const auto cells = csv_cells(line);
    const bool ours = cells[0][0] == 'K' || (cells[0][0] == 'M' && cells[0] != "M9" && cells[0] != "M10" && cells[0] != "M11");
    if (!ours) continue;
    ASSERT_TRUE(kChecks.contains(cells[0])) << cells[0];
    const double tolerance = cells[8] == "exact" ? 1e-9 : std::stod(cells[8]);
    EXPECT_NEAR(kChecks.at(cells[0])(), std::stod(cells[6]), tolerance + rounding_of(cells[6])) << line;
    ++seen;
  }
  EXPECT_EQ(seen, int(kChecks.size()));
  EXPECT_NEAR(crps_normal(0, 1, 2), 1.452792, 1e-6);
  EXPECT_NEAR(rent_response(1.5, 1, 0.5), 0.142857, 1e-6);
}

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
    const Verdict scarce = verdict({.cost_ratio = 0.6, .compute_ratio = 0.7, .hbm_ratio = 0.3, .eps_low = e, .eps_high = e, .supply_feedback = 0.5});
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
