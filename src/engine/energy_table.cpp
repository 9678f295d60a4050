#include "engine/energy_table.hpp"

#include <fmt/format.h>

namespace jevons::engine {
namespace {

const report::Origin kEnergy{"derived", "cost::token_energy in src/cost/energy.cpp", "catalog/datacenters/power-model.yaml"};

}  // namespace

report::Table energy_table(const cost::TokenEnergyBand& e, bool of_output, const std::string& note, const std::string& no_carbon,
                           const std::string& no_water, report::Document& d) {
  report::Table t{"energy",
                  fmt::format("Energy of {} token by load: {:.0f} W an accelerator at the meter, {:.0f} % of its busiest",
                              of_output ? "an output" : "a", e.power.value(), 100 * e.centre.of_busiest),
                  {{"quantity", "quantity", "{}", {}},
                   {"low", "low", "{:.4g}", kEnergy},
                   {"value", "value", "{:.4g}", kEnergy},
                   {"high", "high", "{:.4g}", kEnergy},
                   {"unit", "unit", "{}", {}}},
                  {},
                  {},
                  true};
  const auto row = [&](std::string path, std::string what, std::optional<double> low, std::optional<double> v, std::optional<double> high,
                       std::string unit, const std::string& why) {
    d.values.push_back({"energy." + path, "", unit, v, v ? kEnergy : report::Origin{"derived", why, ""}});
    const auto cell = [](const std::optional<double>& x) { return x ? report::Cell{*x} : report::Cell{}; };
    t.rows.push_back({std::move(what), cell(low), cell(v), cell(high), std::move(unit)});
    if (!v) t.notes.push_back(fmt::format("{}: null, {}.", path, why));
  };
  const double l = e.low.joules.value(), c = e.centre.joules.value(), h = e.high.joules.value();
  const std::string of = of_output ? "output_" : "";
  row(fmt::format("joules_per_{}token", of), "energy", l, c, h, "J/token", "");
  row(fmt::format("wh_per_{}token", of), "energy", l / 3600, c / 3600, h / 3600, "Wh/token", "");
  const auto million = [](const std::optional<double>& v) { return v ? std::optional(*v * kMega) : v; };
  row(fmt::format("gco2_per_{}mtok", of), "carbon", million(e.low.gco2), million(e.centre.gco2), million(e.high.gco2), "gCO2/Mtok",
      no_carbon);
  row(fmt::format("litres_per_{}mtok", of), "water", million(e.low.litres), million(e.centre.litres), million(e.high.litres), "L/Mtok",
      no_water);
  d.values.push_back({"energy.watts", "", "W", e.power.value(), kEnergy});
  d.values.push_back({"energy.of_busiest", "", "", e.centre.of_busiest, kEnergy});
  t.notes.push_back("A band of the power model's facts, not of the load" + (note.empty() ? "." : "; " + note));
  return t;
}

}  // namespace jevons::engine
