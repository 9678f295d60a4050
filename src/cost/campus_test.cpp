#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <cmath>

#include "cost/campus.hpp"
#include "cost/finance.hpp"

namespace jevons::cost {
namespace {

const catalog::Catalog& builtin() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}
Campus gigawatt() {
  auto c = campus(builtin(), **builtin().find(catalog::Section::datacenter, "gigawatt-campus"));
  EXPECT_TRUE(c) << c.error().message();
  return *c;
}
// One accelerator, at once, full, without tax, debt, overhead or site.
Campus simple() {
  Campus c;
  c.name = "simple";
  c.accelerators = 1;
  c.power_each = Watts{2000};
  c.hardware_each = Usd{40000};
  c.electricity = UsdPerJoule{0.08 / 3.6e6};
  c.operations_each = usd_per_hour(0.10);
  c.occupancy = 1;
  c.hardware_years = 5;
  c.site_years = 14;
  c.cost_of_capital = 0.1;
  c.rent_each = usd_per_hour(2);
  return c;
}

TEST(Campus, HandWorkedHour) {
  // Monthly rate 1.1^(1/12) - 1 = 0.797414 %; 60 months: CRF 0.0210352 a month; 40,000 x that / 730 h = 1.15261 USD/h;
  // power 2 kW x 0.08 = 0.16; operations 0.10.
  const auto a = *appraise(simple());
  const double monthly = std::pow(1.1, 1.0 / 12) - 1;
  EXPECT_NEAR(to_usd_per_hour(*a.cost_of_hour), 40000 * capital_recovery(monthly, 60) / 730 + 0.26, 1e-9);
  // A year: 8,760 h x 2 = 17,520 revenue; 2,277.60 power and operations; 8,000 depreciation.
  EXPECT_NEAR(a.mature.revenue.value(), 17520, 1e-9);
  EXPECT_NEAR(a.mature.goods().value(), 8760 * 0.26 + 8000, 1e-9);
  EXPECT_NEAR(*a.break_even, (876 + 8000) / (17520 - 1401.6), 1e-12);
  EXPECT_EQ(a.years.size(), 5u);
  // 40,000 back at 17,520 - 2,277.60 a year.
  EXPECT_NEAR(*a.payback_years, 40000 / (17520 - 2277.6), 0.01);
}

TEST(Campus, RentAtCostEarnsTheCostOfCapital) {
  for (Campus c : {simple(), gigawatt()}) {
    c.tax = c.overhead = 0;
    c.rent_each = *appraise(c)->cost_of_hour;
    const auto a = *appraise(c);
    EXPECT_NEAR(a.npv / a.capital(), 0, 1e-9) << c.name;
    EXPECT_NEAR(*a.irr, c.cost_of_capital, 1e-6) << c.name;
  }
}

TEST(Campus, GigawattAgainstPublishedFigures) {
  const Campus c = gigawatt();
  const auto start = std::chrono::steady_clock::now();
  const auto a = *appraise(c);
  const auto swings = *tornado(c);
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 0.1);
  // 1 GW over 2.1 kW: 476,190. Published: 35 (Bernstein) to 38 billion USD (Epoch AI) a gigawatt; GB200-hours cost 1.86 to 2.75 to own.
  EXPECT_EQ(c.accelerators, 476190);
  EXPECT_GT(a.capital().value(), 0.85 * 35e9);
  EXPECT_LT(a.capital().value(), 1.15 * 38e9);
  EXPECT_GT(to_usd_per_hour(*a.cost_of_hour), 0.75 * 1.86);
  EXPECT_LT(to_usd_per_hour(*a.cost_of_hour), 1.25 * 2.75);
  EXPECT_GT(swings.size(), 5u);
  for (std::size_t i = 1; i < swings.size(); ++i)
    EXPECT_GE(std::abs(swings[i - 1].at_high - swings[i - 1].at_low), std::abs(swings[i].at_high - swings[i].at_low));
}

TEST(Campus, YearsAddUp) {
  const auto a = *appraise(gigawatt());
  double depreciated = 0, interest = 0;
  for (const auto& y : a.years) {
    depreciated += y.depreciation.value();
    interest += y.interest.value();
    EXPECT_NEAR(y.net().value(), (y.revenue - y.power - y.operations - y.depreciation - y.overhead - y.interest - y.tax).value(), 1);
  }
  const Campus c = gigawatt();
  EXPECT_NEAR(depreciated / (a.hardware_capital + (a.site_capital + a.construction_interest) * (c.hardware_years / c.site_years)).value(),
              1, 1e-9);
  // Debt repaid evenly is owed half on average.
  EXPECT_NEAR(interest / (a.capital().value() * c.debt_share * c.debt_rate * c.hardware_years / 2), 1, 1e-9);
  EXPECT_LT(a.years[0].occupancy, a.years[1].occupancy);
}

TEST(Campus, BusinessesDiffer) {
  Campus c = gigawatt();
  c.business = Business::owner_operator;
  auto a = *appraise(c);
  EXPECT_FALSE(a.gross_margin || a.break_even || a.irr);
  EXPECT_LT(a.npv.value(), 0);
  c.business = Business::colocation;
  c.hardware_each = Usd{};
  c.operations_each = UsdPerSecond{};
  c.billing = PowerBilling::pass_through;
  c.pue = 1.16;
  c.space_rent = UsdPerJoule{137.5 / 1000 / (kHoursPerYear * 3600 / 12)};  // CoreWeave's landlords
  a = *appraise(c);
  ASSERT_TRUE(a.gross_margin);
  EXPECT_FALSE(a.cost_of_hour);
  const double through = *a.gross_margin;
  c.billing = PowerBilling::net;
  EXPECT_GT(*appraise(c)->gross_margin, through);  // the same money over less revenue
  // Billed at cost, power leaves profit alone, but for the overhead that is counted on revenue.
  const auto profit = [](const CampusYear& y) { return (y.gross() - y.overhead - y.interest).value(); };
  EXPECT_NEAR(profit(appraise(c)->mature) / (profit(a.mature) + (a.mature.power * c.overhead).value()), 1, 1e-9);
}

TEST(Campus, TokensShareTheHour) {
  Campus c = simple();
  c.tokens_each = TokensPerSecond{1000};
  const auto a = *appraise(c);
  EXPECT_NEAR(to_usd_per_mtok(*a.cost_of_token), to_usd_per_hour(*a.cost_of_hour) / 3.6, 1e-9);  // 3.6 Mtok an hour
}

TEST(Campus, RefusesNonsense) {
  const auto key_of = [](auto change) {
    Campus c = simple();
    change(c);
    const auto a = appraise(c);
    return a ? std::string("accepted") : a.error().key;
  };
  EXPECT_EQ(key_of([](Campus& c) { c.occupancy = 1.01; }), "occupancy");
  EXPECT_EQ(key_of([](Campus& c) { c.hardware_each = Usd{-1}; }), "hardware_price");
  EXPECT_EQ(key_of([](Campus& c) { c.accelerators = 0; }), "accelerators");
  EXPECT_EQ(key_of([](Campus& c) { c.hardware_years = 0; }), "hardware_life");
  EXPECT_EQ(key_of([](Campus& c) { c.electricity = UsdPerJoule{NAN}; }), "electricity");
  EXPECT_EQ(key_of([](Campus& c) { c.cost_of_capital = 1; }), "cost_of_capital");
  EXPECT_EQ(key_of([](Campus&) {}), "accepted");
}

RC_GTEST_PROP(Campus, CostRisesWithEveryPriceAndFallsWithOccupancy, ()) {
  Campus c = gigawatt();
  c.occupancy = *rc::gen::inRange(20, 90) / 100.0;
  c.build_years = *rc::gen::inRange(0, 5);
  c.ramp_years = *rc::gen::inRange(0, 3);
  c.debt_share = *rc::gen::inRange(0, 10) / 10.0;
  const double cost = appraise(c)->cost_of_hour->value();
  const auto with = [&](auto change) {
    Campus d = c;
    change(d);
    return appraise(d)->cost_of_hour->value();
  };
  RC_ASSERT(with([](Campus& d) { d.occupancy += 0.05; }) < cost);
  RC_ASSERT(with([](Campus& d) { d.hardware_each *= 1.1; }) > cost);
  RC_ASSERT(with([](Campus& d) { d.electricity *= 1.1; }) > cost);
  RC_ASSERT(with([](Campus& d) { d.site_usd_per_watt *= 1.1; }) > cost);
  RC_ASSERT(with([](Campus& d) { d.hardware_years += 1; }) < cost);
  RC_ASSERT(with([](Campus& d) { d.ramp_years += 1; }) > cost);
}

}  // namespace
}  // namespace jevons::cost
