#pragma once
// A data centre as an investment: what it costs to build, how fast it fills, what it earns, and what an hour and a token cost in it.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/options.hpp"
#include "cost/gpu_hour.hpp"
#include "cost/income.hpp"

namespace jevons::cost {

enum class Business : std::uint8_t {
  gpu_cloud,      // owns site and accelerators, rents accelerators out
  colocation,     // owns the site, rents out power and space; accelerators belong to tenants
  owner_operator  // owns both and uses them: no revenue, only cost
};

/// One kind of accelerator in a mixed fleet.
struct FleetPart {
  std::string accelerator;
  double share = 1;         // of the accelerators' power
  double accelerators = 0;  // whole
  Watts power_each{};       // at the meter
  double idle_power = 0;    // of an unsold one, over power_each
  Usd hardware_each{};
  UsdPerSecond rent_each{};
};

struct Campus {
  std::string name, accelerator;  // of a mixed fleet: its names joined by " + "
  std::string region, build_class;
  Business business = Business::gpu_cloud;
  PowerBilling billing = PowerBilling::in_rent;
  std::vector<FleetPart> fleet;
  double accelerators = 0;  // what follows is a mean over the fleet, each
  Watts power_each{};       // at the meter, PUE included
  double pue = 1;           // inside power_each
  double idle_power = 0;    // of an unsold accelerator over power_each; colocation has none of its own
  Usd hardware_each{};
  double site_usd_per_watt = 0, build_factor = 1;  // of IT power, as construction surveys quote it; the class's factor on it
  UsdPerJoule electricity{};                       // mean over the hours of a year
  double price_by_hour = 1, carbon_by_hour = 1;    // what the shapes of load, price and carbon over a day do to their means
  UsdPerSecond operations_each{};                  // stated as one sum; else 0, and the four below add up to it
  double staff_per_watt = 0;                       // people
  UsdPerSecond staff_cost{};                       // of one
  double site_maintenance = 0, spares = 0;         // a year, over site and hardware capital
  double build_years = 0, ramp_years = 0, occupancy = 0;
  double hardware_years = 0, site_years = 0, cost_of_capital = 0;
  double tax = 0, debt_share = 0, debt_rate = 0;
  double overhead = 0;                         // selling and administration over revenue
  UsdPerSecond rent_each{};                    // GPU cloud: of one accelerator
  UsdPerJoule space_rent{};                    // colocation: USD per kilowatt and month of IT power has this dimension
  std::optional<TokensPerSecond> tokens_each;  // of one busy accelerator
  std::optional<double> carbon, grid_water;    // gCO2 and litres behind a joule at the meter
  std::optional<double> site_water;            // litres at the site for a joule of IT
  std::string hour_shape = "flat", load_shape = "flat";
  std::vector<const catalog::Fact*> facts;  // where the numbers come from
  struct Knob {                             // an uncertain input and its range
    std::string key;
    Dim dim{};
    double low = 0, high = 0;
    void (*set)(Campus&, double) = nullptr;
  };
  std::vector<Knob> knobs;

  Watts power() const { return power_each * accelerators; }
};
/// The form of a campus: every key with its unit and meaning, as --help prints it and --set takes it.
std::span<const OptionSpec> campus_keys();
/// A thing of the section datacenter, or a file of the same form. What it does not state comes from its region (datacenters/region-NAME),
/// its class (datacenters/class-NAME), the accelerator, or reference-site. Errors: missing, unknown or impossible values by key.
Result<Campus> campus(const catalog::Catalog& catalog, const catalog::Thing& thing);

/// Mean of `value` over the hours of a day, weighted by `load`; both have 24 entries. Requires a load that is not all zero.
double hourly_mean(std::span<const double> load, std::span<const double> value);
/// Hours of datacenters/hour-shapes: the column `name`, such as "solar_price". Errors: no such shape.
Result<std::vector<double>> hour_shape(const catalog::Catalog& catalog, std::string_view name);

/// What must hold: shares in [0, 1], money and power not negative, lives above 0. campus() checks it; a hand-made value is checked by
/// appraise().
Result<void> check_campus(const Campus& c);

struct CampusYear {
  int year = 0;          // since opening, from 1
  double share = 1;      // part of a year that is left in the last one
  double occupancy = 0;  // mean
  Usd revenue{}, power{}, operations{}, depreciation{}, overhead{}, interest{}, tax{};
  Usd staff{}, maintenance{};  // of operations, where they are built up
  Usd goods() const { return power + operations + depreciation; }
  Usd gross() const { return revenue - goods(); }
  Usd net() const { return gross() - overhead - interest - tax; }
};

/// What an accelerator-hour sold must earn, by what it pays for; they add up to the whole.
struct HourParts {
  UsdPerSecond hardware{}, site{}, power{}, operations{}, overhead{};
  UsdPerSecond total() const { return hardware + site + power + operations + overhead; }
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
  HourParts hour;
  std::vector<double> spent_by_quarter;    // of the site's capital while building, USD
  std::vector<double> cumulative_by_year;  // cash before debt since the first day, USD, at the end of each year
  std::optional<UsdPerToken> cost_of_token;
};
/// One generation of hardware over its life, by months: site paid on an S-curve while building, hardware at opening, occupancy by the
/// ramp, straight-line depreciation, debt repaid evenly over the hardware's life, tax on each year's profit, the site's book value
/// returned at the end. Accelerators not sold draw idle power, which the campus pays. Source: hardware facts 6.6 to 6.8.
Result<Appraisal> appraise(const Campus& c);

struct Swing {
  std::string key;
  Dim dim{};
  double low = 0, high = 0;        // the input
  double at_low = 0, at_high = 0;  // USD per accelerator-hour; for colocation the NPV in millions of USD
};
/// Each uncertain input to the ends of its range, the others at their centre; widest swing first.
Result<std::vector<Swing>> tornado(const Campus& c);

}  // namespace jevons::cost
