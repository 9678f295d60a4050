// The form of a campus, and the shapes of a day.
#include <fmt/format.h>

#include "cost/campus.hpp"

namespace jevons::cost {
namespace {

constexpr OptionSpec kKeys[] = {
    {.path = "accelerator", .help = "accelerator of the catalogue; or fleet"},
    {.path = "fleet", .help = "mixed fleet by share of power: 'ascend-910c 0.6, h20-96g 0.4'"},
    {.path = "region",
     .help = "us, us-texas, us-virginia, us-iowa, us-california, china, germany, ireland, france, finland, denmark, sweden"},
    {.path = "class", .help = "conventional, ai-liquid, modular: build cost, time, PUE, water, staff"},
    {.path = "business", .help = "gpu-cloud (default), colocation, owner-operator"},
    {.path = "power_billing", .help = "in-rent (default of clouds), pass-through (of colocation), net: decides the margins"},
    {.path = "load_shape", .help = "flat (default) or day: weighs price and carbon by the hours of use"},
    {.path = "supply_check", .help = "report (default) or enforce: with enforce a supply limit that delays the opening is exit 3"},
    {.path = "site_power", .unit = "W", .help = "at the meter; or accelerators"},
    {.path = "accelerators", .unit = "count", .help = "how many; or site_power"},
    {.path = "occupancy", .unit = "count", .help = "share of what is sold when full, 0 to 1"},
    {.path = "build_time", .unit = "yr", .help = "spending follows an S-curve; default: the class's"},
    {.path = "ramp_time", .unit = "yr", .help = "until 95 % of the occupancy; default: 12 months"},
    {.path = "tax", .unit = "count", .help = "on profits; default: the region's"},
    {.path = "debt_share", .unit = "count", .help = "of the capital, 0 to 1"},
    {.path = "debt_rate", .unit = "count", .help = "interest a year"},
    {.path = "overhead", .unit = "count", .help = "selling and administration over revenue"},
    {.path = "cost_of_capital", .unit = "count", .help = "discount rate a year"},
    {.path = "hardware_price", .unit = "USD", .help = "of one accelerator with its share of servers and network"},
    {.path = "hardware_life", .unit = "yr", .help = "depreciation life"},
    {.path = "site_life", .unit = "yr", .help = "depreciation life"},
    {.path = "build_cost", .unit = "USD/W", .help = "of IT power, without the IT; default: the region's times the class's factor"},
    {.path = "pue", .unit = "count", .help = "power of the site over power of its IT; default: the class's"},
    {.path = "idle_power",
     .unit = "count",
     .help = "share of its power an unsold accelerator draws; 0: switched off; default: the power model's"},
    {.path = "electricity", .unit = "USD/kWh", .help = "mean price; default: the region's"},
    {.path = "carbon", .unit = "gCO2/kWh", .help = "of the grid; default: the region's"},
    {.path = "grid_water", .unit = "L/kWh", .help = "behind a kilowatt-hour of the grid; default: the region's"},
    {.path = "site_water", .unit = "L/kWh", .help = "at the site, over IT energy; default: the class's"},
    {.path = "operations", .unit = "USD/h", .help = "of one accelerator as one sum, instead of the next four"},
    {.path = "staff_per_megawatt", .unit = "people/MW", .help = "default: the class's"},
    {.path = "staff_cost", .unit = "USD/yr", .help = "of one; default: the region's"},
    {.path = "site_maintenance", .unit = "count", .help = "a year, share of the site's capital"},
    {.path = "spares", .unit = "count", .help = "a year, share of the hardware's capital"},
    {.path = "rent", .unit = "USD/h", .help = "GPU cloud: of one accelerator; default: its contract price"},
    {.path = "space_rent", .unit = "USD/kW/month", .help = "colocation: of IT power; default: wholesale"},
    {.path = "tokens_per_second", .unit = "tok/s", .help = "of one busy accelerator, for $/Mtok and energy per token"},
    {.path = "prefill_share", .unit = "count", .help = "of busy time, for the energy per token; a simulation tells it"},
    {.path = "decode_batch", .unit = "count", .help = "sequences in a decode step, for the energy per token"},
};

}  // namespace

std::span<const OptionSpec> campus_keys() { return kKeys; }

double hourly_mean(std::span<const double> load, std::span<const double> value) {
  JEVONS_ENSURE(load.size() == 24 && value.size() == 24);
  double sum = 0, weight = 0;
  for (std::size_t h = 0; h < 24; ++h) {
    sum += load[h] * value[h];
    weight += load[h];
  }
  JEVONS_ENSURE(weight > 0);
  return sum / weight;
}

Result<std::vector<double>> hour_shape(const catalog::Catalog& catalog, std::string_view name) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::datacenter, "hour-shapes"));
  if (!t->series.column(name) || t->series.rows() != 24) {
    return fail({ErrorCode::bad_input,
                 std::string(t->file),
                 0,
                 std::string(name),
                 "no such shape of 24 hours",
                 fmt::format("one of {}", fmt::join(t->series.columns, ", ")),
                 {}});
  }
  std::vector<double> out;
  for (std::size_t h = 0; h < 24; ++h) {
    const auto v = t->series.number(h, name);
    if (!v || !(*v >= 0))
      return fail({ErrorCode::bad_input, std::string(t->file), 0, std::string(name), "a missing or negative hour", "24 factors", {}});
    out.push_back(*v);
  }
  return out;
}

}  // namespace jevons::cost
