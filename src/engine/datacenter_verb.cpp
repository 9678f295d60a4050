// jevons datacenter: a campus from accelerators to an income statement and the cost of an hour and a token.
#include <fmt/format.h>

#include "base/units.hpp"
#include "catalog/loader.hpp"
#include "cost/campus.hpp"
#include "engine/verb.hpp"

namespace jevons::engine {
namespace {

const report::Origin kOrigin{"derived", "cost::appraise in src/cost/appraisal.cpp", "src/cost/README.md"};

report::Table years_table(const cost::Appraisal& a) {
  report::Table t{"years",
                  "Years of one hardware generation, millions of USD",
                  {{"year", "year", "{:.0f}", kOrigin},
                   {"occupancy", "occupancy", "{:.2f}", kOrigin},
                   {"revenue_musd", "revenue", "{:.0f}", kOrigin},
                   {"power_musd", "power", "{:.0f}", kOrigin},
                   {"operations_musd", "operations", "{:.0f}", kOrigin},
                   {"depreciation_musd", "deprec.", "{:.0f}", kOrigin},
                   {"overhead_musd", "overhead", "{:.0f}", kOrigin},
                   {"interest_musd", "interest", "{:.0f}", kOrigin},
                   {"tax_musd", "tax", "{:.0f}", kOrigin},
                   {"net_musd", "net", "{:.0f}", kOrigin}},
                  {},
                  {},
                  true};
  for (const auto& y : a.years) {
    const auto m = [](Usd v) { return v.value() / kMega; };
    t.rows.push_back({double(y.year), y.occupancy, m(y.revenue), m(y.power), m(y.operations), m(y.depreciation), m(y.overhead),
                      m(y.interest), m(y.tax), m(y.net())});
  }
  return t;
}

// An input in the unit it is quoted in.
std::string quoted(double v, Dim dim) {
  if (dim == Seconds::dim) return fmt::format("{:.3g} yr", v / (kHoursPerYear * 3600));
  if (dim == UsdPerSecond::dim) return fmt::format("{:.3g} USD/h", v * 3600);
  if (dim == UsdPerJoule::dim) return fmt::format("{:.3g} USD/kWh", v * 3.6e6);
  if (dim == Usd::dim) return format_si(v, "USD");
  if (dim == Usd::dim - Watts::dim) return fmt::format("{:.3g} USD/W", v);
  return fmt::format("{:.3g}", v);
}

report::Table tornado_table(const std::vector<cost::Swing>& swings, bool hour) {
  const std::string unit = hour ? "USD an accelerator-hour" : "NPV, USD";
  report::Table t{"tornado",
                  "What moves the answer most: each input to the ends of its range, " + unit,
                  {{"input", "input", "{}", {}},
                   {"low", "low", "{}", {}},
                   {"high", "high", "{}", {}},
                   {"at_low", "at low", "{:.4g}", kOrigin},
                   {"at_high", "at high", "{:.4g}", kOrigin}},
                  {},
                  {},
                  true};
  for (const auto& s : swings) t.rows.push_back({s.key, quoted(s.low, s.dim), quoted(s.high, s.dim), s.at_low, s.at_high});
  return t;
}

// Owner's cost, contract rent and on-demand price of the same accelerator: three numbers that are never mixed.
void prices(const catalog::Catalog& catalog, const cost::Campus& c, report::Table& t, report::Document& d) {
  const auto chip = catalog::accelerator(**catalog.find(catalog::Section::accelerator, c.accelerator));
  for (const auto& [basis, path, label] : {std::tuple{cost::Basis::contract, "contract_usd_per_hour", "contract rent of one, per hour"},
                                           {cost::Basis::on_demand, "on_demand_usd_per_hour", "on-demand price of one, per hour"}}) {
    const auto price = cost::gpu_hour(catalog, chip, basis);
    const auto value = price ? std::optional(to_usd_per_hour(price->total)) : std::nullopt;
    d.values.push_back(
        {path,
         label,
         "USD/h",
         value,
         {price ? "measured" : "derived", price ? price->how : price.error().what, price ? std::string(price->facts.back()->source) : ""}});
    t.rows.push_back({std::string(label), value ? fmt::format("{:.2f} USD", *value) : std::string("not known"),
                      value ? report::Cell(*value) : report::Cell(std::monostate{}), std::string("USD/h")});
  }
}

}  // namespace

Result<Outcome> run_datacenter(Context& context) {
  catalog::Store store;
  const catalog::Thing* thing = nullptr;
  const std::string& word = context.words[0];
  if (word.ends_with(".yaml") || word.find('/') != std::string::npos) {
    JEVONS_TRY(thing, catalog::load_file(store, catalog::Section::datacenter, word));
  } else {
    JEVONS_TRY(thing, context.catalog.find(catalog::Section::datacenter, word));
  }
  JEVONS_TRY(const cost::Campus c, cost::campus(context.catalog, *thing));
  JEVONS_TRY(const cost::Appraisal a, cost::appraise(c));
  JEVONS_TRY(const auto swings, cost::tornado(c));
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} ({})", thing->title.empty() ? thing->name : thing->title, thing->file);
  report::Table t{
      "campus",
      fmt::format("{} x {}, {} at the meter", format_number(c.accelerators), c.accelerator, format_si(c.power().value(), "W")),
      {{"quantity", "quantity", "{}", {}}, {"value", "value", "{}", {}}, {"exact", "exact", "{:.6g}", kOrigin}, {"unit", "unit", "{}", {}}},
      {},
      {},
      true};
  const auto row = [&](std::string path, std::string what, std::optional<double> exact, std::string shown, std::string unit) {
    d.values.push_back({std::move(path), what, unit, exact, kOrigin});
    t.rows.push_back({std::move(what), exact ? std::move(shown) : std::string("none"),
                      exact ? report::Cell(*exact) : report::Cell(std::monostate{}), std::move(unit)});
  };
  const auto usd = [&](std::string path, std::string what, Usd v) {
    row(std::move(path), std::move(what), v.value(), format_si(v.value(), "USD"), "USD");
  };
  const auto share = [&](std::string path, std::string what, std::optional<double> v) {
    row(std::move(path), std::move(what), v, fmt::format("{:.1f} %", 100 * v.value_or(0)), "fraction");
  };
  usd("capital_usd", "capital", a.capital());
  usd("hardware_capital_usd", "  hardware", a.hardware_capital);
  usd("site_capital_usd", "  site", a.site_capital);
  usd("construction_interest_usd", "  interest while building", a.construction_interest);
  share("gross_margin", "gross margin, mature year", a.gross_margin);
  share("net_margin", "net margin, mature year", a.net_margin);
  share("break_even_occupancy", "break-even occupancy", a.break_even);
  usd("npv_usd", fmt::format("net present value at {:.0f} %", 100 * c.cost_of_capital), a.npv);
  share("irr", "internal rate of return", a.irr);
  share("equity_irr", "  of equity", a.equity_irr);
  row("payback_years", "payback from the first day", a.payback_years, fmt::format("{:.1f} years", a.payback_years.value_or(0)), "years");
  const auto hour = a.cost_of_hour ? std::optional(to_usd_per_hour(*a.cost_of_hour)) : std::nullopt;
  row("owner_usd_per_hour", "owner's cost of an hour sold", hour, fmt::format("{:.2f} USD", hour.value_or(0)), "USD/h");
  const auto mtok = a.cost_of_token ? std::optional(to_usd_per_mtok(*a.cost_of_token)) : std::nullopt;
  if (mtok) row("owner_usd_per_mtok", "owner's cost of a million tokens", mtok, fmt::format("{:.4f} USD", *mtok), "USD/Mtok");
  prices(context.catalog, c, t, d);
  if (!mtok) t.notes.push_back("Cost per token: null, the file states no tokens_per_second of a busy accelerator.");
  d.tables = {std::move(t), years_table(a), tornado_table(swings, a.cost_of_hour.has_value())};
  for (const auto* f : c.facts) {
    d.facts.push_back({std::string(f->thing), std::string(f->key), std::string(f->text), std::string(catalog::name(f->kind)),
                       std::string(catalog::name(f->confidence)), std::string(f->source.empty() ? f->why : f->source),
                       std::string(f->date)});
  }
  return o;
}

}  // namespace jevons::engine
