#pragma once
// A data centre as an investment: what it costs to build, how fast it fills, what it earns, and what an hour and a token cost in it.
#include <optional>
#include <string>
#include <vector>

#include "cost/gpu_hour.hpp"
#include "cost/income.hpp"

namespace jevons::cost {

enum class Business : std::uint8_t {
  gpu_cloud,      // owns site and accelerators, rents accelerators out
  colocation,     // owns the site, rents out power and space; accelerators belong to tenants
  owner_operator  // owns both and uses them: no revenue, only cost
};

struct Campus {
  std::string name, accelerator;
  Business business = Business::gpu_cloud;
  PowerBilling billing = PowerBilling::in_rent;
  double accelerators = 0;
  Watts power_each{};  // at the meter, PUE included
  double pue = 1;      // colocation only: space is rented by IT power
  Usd hardware_each{};
  double site_usd_per_watt = 0;  // at the meter
  UsdPerJoule electricity{};
  UsdPerSecond operations_each{};
  double build_years = 0, ramp_years = 0, occupancy = 0;
  double hardware_years = 0, site_years = 0, cost_of_capital = 0;
  double tax = 0, debt_share = 0, debt_rate = 0;
  double overhead = 0;                         // selling and administration over revenue
  UsdPerSecond rent_each{};                    // GPU cloud: of one accelerator
  UsdPerJoule space_rent{};                    // colocation: USD per kilowatt and month of IT power has this dimension
  std::optional<TokensPerSecond> tokens_each;  // of one busy accelerator
  std::vector<const catalog::Fact*> facts;     // where the numbers come from
  struct Knob {                                // an uncertain input and its range
    std::string key;
    Dim dim{};
    double low = 0, high = 0;
    void (*set)(Campus&, double) = nullptr;
  };
  std::vector<Knob> knobs;

  Watts power() const { return power_each * accelerators; }
};
/// A thing of the section datacenter, or a file of the same form. Attribute `accelerator` (required), `business` (gpu-cloud, colocation,
/// owner-operator), `power_billing` (in-rent, pass-through, net). Facts: site_power or accelerators (one of them), build_time, ramp_time,
/// occupancy, tax, debt_share, debt_rate, overhead; optional, else from the catalogue: hardware_price, build_cost, electricity, operations,
/// hardware_life, site_life, cost_of_capital, rent, space_rent, pue, tokens_per_second. Errors: missing, unknown or impossible values by
/// key.
Result<Campus> campus(const catalog::Catalog& catalog, const catalog::Thing& thing);
/// What must hold: shares in [0, 1], money and power not negative, lives above 0. campus() checks it; a hand-made value is checked by
/// appraise().
Result<void> check_campus(const Campus& c);

struct CampusYear {
  int year = 0;          // since opening, from 1
  double share = 1;      // part of a year that is left in the last one
  double occupancy = 0;  // mean
  Usd revenue{}, power{}, operations{}, depreciation{}, overhead{}, interest{}, tax{};
  Usd goods() const { return power + operations + depreciation; }
  Usd gross() const { return revenue - goods(); }
  Usd net() const { return gross() - overhead - interest - tax; }
};

struct Appraisal {
  Usd site_capital{}, hardware_capital{}, construction_interest{};
  Usd capital() const { return site_capital + hardware_capital + construction_interest; }
  std::vector<CampusYear> years;
  CampusYear mature;                               // a full year at full ramp, with the mean interest
  std::optional<double> gross_margin, net_margin;  // of that year; nothing without revenue
  std::optional<double> break_even;                // occupancy at which that year earns nothing; nothing when none does, or without revenue
  Usd npv{};                                       // at the cost of capital, before debt, from the first day of building
  std::optional<double> irr, equity_irr, payback_years;  // a year; payback counts from the first day of building
  /// Present cost over present accelerator-hours sold: what an hour must earn. Nothing for colocation.
  std::optional<UsdPerSecond> cost_of_hour;
  std::optional<UsdPerToken> cost_of_token;
};
/// One generation of hardware over its life, by months: site paid on an S-curve while building, hardware at opening, occupancy by the
/// ramp, straight-line depreciation, debt repaid evenly over the hardware's life, tax on each year's profit, the site's book value
/// returned at the end. Empty accelerators draw no power. Source: hardware facts 6.6 to 6.8.
Result<Appraisal> appraise(const Campus& c);

struct Swing {
  std::string key;
  Dim dim{};
  double low = 0, high = 0;        // the input
  double at_low = 0, at_high = 0;  // USD per accelerator-hour; for colocation the NPV in USD
};
/// Each uncertain input to the ends of its range, the others at their centre; widest swing first.
Result<std::vector<Swing>> tornado(const Campus& c);

}  // namespace jevons::cost
