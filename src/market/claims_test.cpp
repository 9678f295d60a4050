#include "market/claims.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>

#include "base/text.hpp"
#include "market/jevons.hpp"

namespace jevons::market {
namespace {

std::vector<Claim> all() { return *claims(catalog::Catalog::builtin()); }

// The table prints six significant digits: half a unit of the last one is its own rounding.
double rounding_of(const std::string& printed) {
  const auto dot = printed.find('.');
  return dot == std::string::npos ? 0 : 0.5 * std::pow(10.0, -double(printed.size() - dot - 1));
}

TEST(Claims, AllOfTheCheckTable) {
  std::map<std::string, Claim> by;
  for (const auto& c : all()) by[c.id] = c;
  std::ifstream in(JEVONS_SOURCE_DIR "/src/market/testdata/checks.csv");
  std::string line;
  std::getline(in, line);
  int seen = 0;
  while (std::getline(in, line)) {
    const auto cells = csv_cells(line);
    ASSERT_TRUE(by.contains(cells[0])) << cells[0];
    const double value = by[cells[0]].value;
    if (cells[8].find('-', 1) != std::string::npos && cells[8].find('e') == std::string::npos) {  // a range is a range
      const auto dash = cells[8].find('-');
      EXPECT_GE(value, std::stod(cells[8].substr(0, dash))) << line;
      EXPECT_LE(value, std::stod(cells[8].substr(dash + 1))) << line;
    } else {
      const double tolerance = cells[8] == "exact" ? 1e-9 : std::stod(cells[8]);
      EXPECT_NEAR(value, std::stod(cells[6]), tolerance + rounding_of(cells[6])) << line;
    }
    ++seen;
  }
  EXPECT_EQ(seen, 68);
  // Second numbers that the table's notes state.
  EXPECT_NEAR(crps_normal(0, 1, 2), 1.452792, 1e-6);
  EXPECT_NEAR(rent_response(1.5, 1, 0.5), 0.142857, 1e-6);
  EXPECT_NEAR(by["M9"].value / by["M10"].value, 12.4, 0.05);
  EXPECT_NEAR(implied_elasticity(1e6, 1e-3), 2, 1e-12);
  EXPECT_NEAR(demand_ratio(2, 1.11), 0.463, 5e-4);
  EXPECT_NEAR(2 * demand_ratio(2, 1.11), 0.927, 5e-4);
}

TEST(Claims, TotalsOfTheRouterAgreeAcrossThreeRows) {
  // Tokens over share, each row by itself: three measurements of one total, within the rounding of a share to six decimals.
  std::map<std::string, double> by;
  for (const auto& c : all()) by[c.id] = c.value;
  EXPECT_NE(by["D4a"], by["D4b"]);
  EXPECT_NEAR(by["D4a"], by["D4b"], by["D4b"] * 0.5e-6 / 0.0839);
  EXPECT_NEAR(by["D4a"], by["D4c"], by["D4c"] * 0.5e-6 / 0.0684);
}

TEST(Claims, VerdictsFollowTheirRules) {
  std::map<std::string, ClaimVerdict> by;
  for (const auto& c : all()) by[c.id] = c.verdict;
  EXPECT_EQ(by["K16"], ClaimVerdict::contradicted);  // list price doubled
  EXPECT_EQ(by["K04"], ClaimVerdict::ambiguous);     // use or dollars
  EXPECT_EQ(by["K15_30"], ClaimVerdict::holds_only_if);
  EXPECT_EQ(by["K19"], ClaimVerdict::holds);
  EXPECT_EQ(by["K14b"], ClaimVerdict::contradicted);  // one-tenth of the cache price is 9 % of a chat's bill
}

}  // namespace
}  // namespace jevons::market
