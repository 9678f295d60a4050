#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cmath>

#include "cost/finance.hpp"
#include "cost/gpu_hour.hpp"
#include "cost/income.hpp"

namespace jevons::cost {
namespace {

TEST(Finance, NetPresentValueByHand) {
  const std::array flows{-100.0, 60.0, 60.0};
  // -100 + 60 / 1.1 + 60 / 1.21 = 4.13223.
  EXPECT_NEAR(npv(flows, 0.1), 4.132231, 1e-6);
  // x = 1 / (1 + r) solves 60 x^2 + 60 x = 100: x = (-60 + sqrt(3600 + 24000)) / 120 = 0.884437, r = 13.066 %.
  EXPECT_NEAR(*internal_rate(flows), 0.130662, 1e-6);
  EXPECT_NEAR(*payback(flows), 1 + 40.0 / 60, 1e-12);
  EXPECT_FALSE(internal_rate(std::array{1.0, 2.0}));
  EXPECT_FALSE(payback(std::array{-1.0, 0.5}));
}

TEST(Finance, BuildAndRamp) {
  EXPECT_EQ(spent_by(0, 24), 0);
  EXPECT_EQ(spent_by(12, 24), 0.5);
  EXPECT_EQ(spent_by(24, 24), 1);
  EXPECT_EQ(spent_by(0, 0), 1);
  // Half of the build at 10 % a year, two years: 10 %.
  EXPECT_NEAR(interest_during_construction(0.1, 2), 0.1, 1e-12);
  EXPECT_NEAR(occupancy(12, 0.9, 12), 0.9 * 0.9502, 1e-4);  // 95 % at the ramp's end
  EXPECT_EQ(occupancy(5, 0.9, 0), 0.9);
  // The mean is the integral: compare with a fine sum.
  double sum = 0;
  for (int i = 0; i < 100000; ++i) sum += occupancy((i + 0.5) * 24 / 100000, 0.9, 12) / 100000;
  EXPECT_NEAR(mean_occupancy(0, 24, 0.9, 12), sum, 1e-8);
}

RC_GTEST_PROP(Finance, AnnuityRepaysItself, ()) {
  const double rate = *rc::gen::inRange(1, 400) / 1000.0;
  const int years = *rc::gen::inRange(1, 40);
  std::vector<double> flows(std::size_t(years) + 1, capital_recovery(rate, years));
  flows[0] = -1;
  RC_ASSERT(std::abs(npv(flows, rate)) < 1e-9);
  RC_ASSERT(years == 1 || std::abs(*internal_rate(flows) - rate) < 1e-9);
}

TEST(Income, TwoPointsAndHandWorkedCases) {
  IncomeModel m{0.10, 0.33, 0.12, 0.15, 0, PowerBilling::net};
  // u = 0.9: revenue 0.9, goods 0.33 + 0.09 = 0.42, other 0.12: pre-tax 0.36, tax 0.054, net 0.306 = 34 %.
  const auto s = *statement(m, 0.9);
  EXPECT_NEAR(s.pre_tax(), 0.36, 1e-12);
  EXPECT_NEAR(*s.net_margin(), 0.34, 1e-12);
  EXPECT_NEAR(*s.gross_margin(), 0.48 / 0.9, 1e-12);
  EXPECT_NEAR(**break_even(m), 0.5, 1e-12);
  EXPECT_FALSE(statement(m, 0)->net_margin());
  EXPECT_NEAR(statement(m, 0)->net(), -0.45, 1e-12);  // losses are not taxed
  // A loss-making site: fixed cost above what full occupancy leaves.
  m.fixed_goods = 0.9;
  EXPECT_FALSE(break_even(m)->has_value());
}

TEST(Income, BillingOfPowerDecidesTheMargins) {
  IncomeModel m{0.10, 0.33, 0.12, 0.15, 0.4, PowerBilling::net};
  const auto net = *statement(m, 0.9);
  m.billing = PowerBilling::pass_through;
  const auto through = *statement(m, 0.9);
  m.billing = PowerBilling::in_rent;
  const auto in_rent = *statement(m, 0.9);
  EXPECT_NEAR(through.net(), net.net(), 1e-12);           // same money,
  EXPECT_NEAR(*through.net_margin(), 0.34 / 1.4, 1e-12);  // smaller share
  EXPECT_NEAR(in_rent.pre_tax(), net.pre_tax() - 0.36, 1e-12);
  EXPECT_NEAR(**break_even(m), 0.45 / 0.5, 1e-12);  // 90 % instead of 50 %
}

TEST(Income, RefusesNonsense) {
  IncomeModel m{0.1, 0.33, 0.12, 0.15, 0, PowerBilling::net};
  EXPECT_EQ(statement(m, 1.01).error().key, "occupancy");
  EXPECT_FALSE(statement(m, -0.1));
  EXPECT_FALSE(statement(m, NAN));
  m.fixed_goods = -1;
  EXPECT_EQ(statement(m, 0.5).error().key, "income.fixed_goods");
  m.fixed_goods = 0;
  m.tax = 1;
  EXPECT_FALSE(break_even(m));
}

RC_GTEST_PROP(Income, MarginsRiseWithOccupancy, ()) {
  const auto share = [] { return *rc::gen::inRange(0, 90) / 100.0; };
  const IncomeModel m{share(), share(), share(), 0.2, share(), PowerBilling(*rc::gen::inRange(0, 3))};
  const double u = *rc::gen::inRange(1, 99) / 100.0;
  // More occupancy never lowers profit, unless every unit sold loses money.
  if (m.variable + (m.billing == PowerBilling::in_rent ? m.power : 0) <= 1)
    RC_ASSERT(statement(m, u + 0.01)->net() >= statement(m, u)->net() - 1e-12);
  const auto zero = *break_even(m);
  if (zero) RC_ASSERT(std::abs(statement(m, *zero)->net()) < 1e-12);
}

}  // namespace
}  // namespace jevons::cost
