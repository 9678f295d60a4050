#include <gtest/gtest.h>

#include "cost/gpu_hour.hpp"
#include "cost/token_cost.hpp"

namespace jevons::cost {
namespace {

catalog::Accelerator chip(std::string_view name) {
  return catalog::accelerator(**catalog::Catalog::builtin().find(catalog::Section::accelerator, name));
}

TEST(CapitalRecovery, HandWorked) {
  // 10 % over 5 years: 0.1 / (1 - 1.1^-5) = 0.1 / 0.37908 = 0.26380; over 14 years 0.13575.
  EXPECT_NEAR(capital_recovery(0.10, 5), 0.26380, 1e-5);
  EXPECT_NEAR(capital_recovery(0.10, 14), 0.13575, 1e-5);
  EXPECT_DOUBLE_EQ(capital_recovery(0, 4), 0.25);
}

// Owner's cost must land within 25 % of the range that SemiAnalysis publishes (hyperscaler Q3 2026 to neocloud April 2026).
TEST(GpuHour, AgreesWithPublishedOwnershipCosts) {
  const auto catalog = catalog::Catalog::builtin();
  for (const auto& [name, low, high] : {std::tuple{"h100-sxm", 1.17, 1.69}, {"b200-sxm", 1.73, 2.34}, {"gb200-nvl72", 1.86, 2.75}}) {
    const auto g = gpu_hour(catalog, chip(name), Basis::owner);
    ASSERT_TRUE(g) << g.error().message();
    EXPECT_GT(to_usd_per_hour(g->total), low * 0.75) << name;
    EXPECT_LT(to_usd_per_hour(g->total), high * 1.25) << name;
    EXPECT_NEAR((g->it_capital + g->site_capital + g->electricity + g->operations - g->total).value(), 0, 1e-15);
  }
}

// GB200 by hand: 2,100 W at the meter hold 2,100 / 1.16 = 1,810 W of IT, so 21,181 USD of site at 11.7 USD/W; x 0.13575 / 8,760 h.
TEST(GpuHour, SiteIsPaidByTheWattOfIt) {
  const auto g = gpu_hour(catalog::Catalog::builtin(), chip("gb200-nvl72"), Basis::owner);
  ASSERT_TRUE(g) << g.error().message();
  EXPECT_NEAR(g->power.value(), 2100, 1e-9);
  EXPECT_NEAR(to_usd_per_hour(g->site_capital), 2100 / 1.16 * 11.7 * 0.135746 / 8760, 1e-5);
  EXPECT_NEAR(to_usd_per_hour(g->electricity), 2.1 * 0.081, 1e-12);
  EXPECT_NEAR(site_capital(11.7, Watts{1.16e6}, 1.16).value(), 11.7e6, 1e-6);
  // In use a quarter of the time, 40 % of its power otherwise: 0.25 + 0.4 x 0.75 = 0.55.
  EXPECT_NEAR(to_usd_per_hour(electricity_cost(Watts{2000}, 0.25, 0.4, UsdPerJoule{0.1 / 3.6e6})), 0.11, 1e-12);
}

TEST(GpuHour, ThreeBasesAreThreeNumbers) {
  const auto catalog = catalog::Catalog::builtin();
  EXPECT_NEAR(to_usd_per_hour(gpu_hour(catalog, chip("h100-sxm"), Basis::contract)->total), 2.35, 1e-12);
  EXPECT_NEAR(to_usd_per_hour(gpu_hour(catalog, chip("h100-sxm"), Basis::on_demand)->total), 2.95, 1e-12);
  EXPECT_EQ(gpu_hour(catalog, chip("a800-80g-sxm"), Basis::on_demand).error().key, "price_on_demand");
}

TEST(TokenCost, ClassesPayForTheirTimeAndAddUp) {
  // 10 USD/s, 2 requests/s at 50 % utilisation: 10 USD a request. Times 1, 1, 2 s: 2.5, 2.5 and 5 USD.
  const auto c = token_cost(UsdPerSecond{10}, 2, 0.5, {1, 1, 2}, 100, 400, 50);
  EXPECT_DOUBLE_EQ(c.per_request.value(), 10);
  EXPECT_DOUBLE_EQ(c.fresh.value(), 0.025);
  EXPECT_DOUBLE_EQ(c.cached->value(), 2.5 / 400);
  EXPECT_DOUBLE_EQ(c.output.value(), 0.1);
  EXPECT_DOUBLE_EQ(c.fresh.value() * 100 + c.cached->value() * 400 + c.output.value() * 50, 10);
  EXPECT_DOUBLE_EQ(c.blended.value() * 550, 10);
  EXPECT_FALSE(token_cost(UsdPerSecond{10}, 2, 0.5, {1, 0, 2}, 100, 0, 50).cached);
}

}  // namespace
}  // namespace jevons::cost
