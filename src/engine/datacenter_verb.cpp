// jevons datacenter: a campus from accelerators to an income statement, the cost of an hour and a token, its energy and its supply.
#include "engine/datacenter_verb.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "base/units.hpp"
#include "catalog/keys.hpp"
#include "engine/datacenter_tables.hpp"
#include "engine/energy_table.hpp"
#include "engine/income_page.hpp"
#include "engine/used_facts.hpp"

namespace jevons::engine {
namespace {

const report::Origin kOrigin{"derived", "cost::appraise in src/cost/appraisal.cpp", "src/cost/README.md"};

report::Table campus_table(const cost::Campus& c, const cost::Appraisal& a, report::Document& d) {
  report::Table t{
      "campus",
      fmt::format("{} x {}, {} at the meter, {}", format_number(c.accelerators, 9), c.accelerator, format_si(c.power().value(), "W"),
                  c.region.empty() ? "no region stated" : "region " + c.region),
      {{"quantity", "quantity", "{}", {}}, {"value", "value", "{}", {}}, {"exact", "exact", "{:.6g}", kOrigin}, {"unit", "unit", "{}", {}}},
      {},
      {},
      true};
  const auto row = [&](std::string path, std::string what, std::optional<double> exact, std::string shown, std::string unit,
                       std::string how) {
    d.values.push_back({std::move(path), what, unit, exact, {"derived", std::move(how), kOrigin.how}});
    t.rows.push_back({std::move(what), exact ? std::move(shown) : std::string("none"),
                      exact ? report::Cell(*exact) : report::Cell(std::monostate{}), std::move(unit)});
  };
  const auto usd = [&](std::string path, std::string what, Usd v, std::string how) {
    row(std::move(path), std::move(what), v.value(), format_si(v.value(), "USD"), "USD", std::move(how));
  };
  const auto share = [&](std::string path, std::string what, std::optional<double> v, std::string how) {
    row(std::move(path), std::move(what), v, fmt::format("{:.1f} %", 100 * v.value_or(0)), "fraction", std::move(how));
  };
  row("accelerators", "accelerators", c.accelerators, format_number(c.accelerators, 9), "",
      "power of the site / all-in power of one, whole; or as stated");
  usd("capital_usd", "capital", a.capital(), "hardware + site + interest while building");
  usd("hardware_capital_usd", "  hardware", a.hardware_capital, "accelerators x price of one with its share of servers and network");
  usd("site_capital_usd", "  site", a.site_capital, "build cost a watt of IT x factor of the class x power at the meter / PUE");
  usd("construction_interest_usd", "  interest while building", a.construction_interest,
      "site x debt share x debt rate x build time / 2, of an S-curve");
  share("gross_margin", "gross margin, mature year", a.gross_margin,
        "(revenue - power - operations - depreciation) / revenue, at the full occupancy");
  share("net_margin", "net margin, mature year", a.net_margin,
        "(gross profit - overhead - mean interest - tax) / revenue, at the full occupancy");
  share("break_even_occupancy", "break-even occupancy", a.break_even,
        "(operations + depreciation + mean interest + idle power) / (revenue x (1 - overhead) - power over idle, when full); none above 1");
  usd("npv_usd", fmt::format("net present value at {:.0f} %", 100 * c.cost_of_capital), a.npv,
      "monthly cash before debt since the first day of building");
  share("irr", "internal rate of return", a.irr, "rate a year at which that present value is 0; none without revenue");
  share("equity_irr", "  of equity", a.equity_irr, "the same of the owners' cash after debt service");
  row("payback_years", "payback from the first day", a.payback_years, fmt::format("{:.1f} years", a.payback_years.value_or(0)), "years",
      "when the sum of the cash stays above 0; none when it never does");
  const auto hour = a.cost_of_hour ? std::optional(to_usd_per_hour(*a.cost_of_hour)) : std::nullopt;
  row("owner_usd_per_hour", "owner's cost of an hour sold", hour, fmt::format("{:.2f} USD", hour.value_or(0)), "USD/h",
      "present value of cost / present value of accelerator-hours sold; none for colocation");
  const auto mtok = a.cost_of_token ? std::optional(to_usd_per_mtok(*a.cost_of_token)) : std::nullopt;
  row("owner_usd_per_mtok", "owner's cost of a million tokens", mtok, fmt::format("{:.4f} USD", mtok.value_or(0)), "USD/Mtok",
      "owner's cost of an hour / tokens_per_second of a busy accelerator");
  if (!mtok && c.tokens_each)
    t.notes.push_back(c.business == cost::Business::colocation ? "Cost per token: null, the tokens are the tenants'."
                                                               : "Cost per token: null, nothing is sold.");
  else if (!mtok)
    t.notes.push_back("Cost per token: null, tokens_per_second of a busy accelerator is not stated; `jevons run` or `simulate` gives it.");
  if (c.price_by_hour != 1 || c.carbon_by_hour != 1)
    t.notes.push_back(fmt::format("Load shape {} on the {} hours of the region: price x {:.3f}, carbon x {:.3f} of their means.",
                                  c.load_shape, c.hour_shape, c.price_by_hour, c.carbon_by_hour));
  return t;
}

// Load of the mean accelerator: busy while sold, in the stated or assumed mix.
Result<std::optional<cost::TokenEnergyBand>> energy(const catalog::Catalog& catalog, const catalog::Thing& thing, const cost::Campus& c,
                                                    report::Document& d) {
  for (const std::string_view key : {"prefill_share", "decode_batch"}) {
    const auto* f = thing.find(key);
    if (f != nullptr && !c.tokens_each)
      return fail({ErrorCode::bad_input,
                   std::string(f->file),
                   f->line,
                   std::string(key),
                   "has no meaning without tokens_per_second",
                   "both or neither",
                   {}});
  }
  if (!c.tokens_each || c.occupancy <= 0) return std::nullopt;
  if (c.fleet.size() != 1) {
    d.notes.push_back("Energy of a token: null, the load of each part of a mixed fleet is not known.");
    return std::nullopt;
  }
  JEVONS_TRY(const catalog::Thing* chip, catalog.find(catalog::Section::accelerator, c.fleet[0].accelerator));
  auto band = cost::power_model(catalog, catalog::accelerator(*chip), c.pue);
  if (!band) {
    d.notes.push_back("Energy of a token: null, " + band.error().what + ".");
    return std::nullopt;
  }
  for (const auto* f : band->facts) use_fact(d, *f);
  const auto model = catalog.find(catalog::Section::datacenter, "power-model");
  const auto mix = [&](std::string_view key) {
    const auto* f = thing.find(key);
    if (f == nullptr && model) f = (*model)->find(key);
    JEVONS_ENSURE(f != nullptr);
    use_fact(d, *f);
    return f;
  };
  const auto *prefill = mix("prefill_share"), *batch = mix("decode_batch");
  if (!(prefill->value >= 0 && prefill->value <= 1))
    return fail({ErrorCode::bad_input,
                 std::string(prefill->file),
                 prefill->line,
                 "prefill_share",
                 std::string(prefill->text),
                 "a share from 0 to 1",
                 {}});
  if (!(batch->value >= 1 && batch->value < 1e9))
    return fail(
        {ErrorCode::bad_input, std::string(batch->file), batch->line, "decode_batch", std::string(batch->text), "1 or more sequences", {}});
  const cost::Load load{c.occupancy * prefill->value, c.occupancy * (1 - prefill->value), batch->value};
  const auto by_hour = c.carbon ? std::optional(*c.carbon * c.carbon_by_hour) : std::nullopt;
  return std::optional(cost::token_energy(*band, load, *c.tokens_each * c.occupancy, by_hour, c.grid_water, c.site_water));
}

// Of another accelerator nothing that the file says of its own one holds: price, rent, speed.
constexpr catalog::Drops kDrops[] = {{"site_power", "accelerators"},
                                     {"accelerators", "site_power"},
                                     {"accelerator", "fleet"},
                                     {"fleet", "accelerator"},
                                     {"accelerator", "hardware_price"},
                                     {"accelerator", "rent"},
                                     {"accelerator", "tokens_per_second"},
                                     {"fleet", "hardware_price"},
                                     {"fleet", "rent"},
                                     {"fleet", "tokens_per_second"}};

std::vector<cost::Export> exports_of(const catalog::Catalog& catalog, const cost::Campus& c, report::Document& d) {
  std::vector<const catalog::Fact*> facts;
  std::vector<cost::Export> out;
  const auto region = catalog.find(catalog::Section::datacenter, "region-" + lower(c.region));
  const std::string country(region && !c.region.empty() ? (*region)->attribute("country") : "");
  for (const auto& p : c.fleet)
    out.push_back(cost::export_of(catalog, **catalog.find(catalog::Section::accelerator, p.accelerator), country, facts));
  for (const auto* f : facts) use_fact(d, *f);
  return out;
}

// What makes the answer "no": chips that may not be shipped, or, where it is asked to count, a supply that comes too late.
void verdict(const catalog::Catalog& catalog, const catalog::Thing& thing, const cost::Campus& c, const std::vector<cost::Export>& exports,
             const std::vector<cost::SupplyLimit>& limits, Outcome& o) {
  for (const auto& e : exports) {
    if (e.shipment == cost::Shipment::licence)
      o.document.notes.push_back(fmt::format("{} needs an export licence: {}.", e.accelerator, e.why));
    if (e.shipment != cost::Shipment::denied) continue;
    o.answer = Answer::no;
    std::string fit;
    std::vector<const catalog::Fact*> unused;
    for (const auto* t : catalog.things(catalog::Section::accelerator)) {
      const auto other = cost::export_of(catalog, *t, "china", unused).shipment;
      if ((other == cost::Shipment::domestic || other == cost::Shipment::licence || other == cost::Shipment::free) &&
          t->find("price") != nullptr)
        fit += (fit.empty() ? "" : ", ") + std::string(t->name);
    }
    o.document.answer.push_back(
        {"No", fmt::format("{} may not be shipped to {}: {}. Would fit: {}.", e.accelerator, c.region, e.why, fit)});
  }
  if (thing.attribute("supply_check") != "enforce" || limits.empty() || limits[0].ready_years() <= c.build_years) return;
  o.answer = Answer::no;
  double most = c.accelerators;
  for (const auto& l : limits) most = std::min(most, l.accelerators_by(c.build_years, c.accelerators).value_or(c.accelerators));
  o.document.answer.push_back({"No", fmt::format("{} binds: all of it is there after {:.1f} years, the building after {:.1f}. Would fit: "
                                                 "build_time={:.0f} month, or {} accelerators by then.",
                                                 limits[0].what, limits[0].ready_years(), c.build_years,
                                                 std::ceil(limits[0].ready_years() * 12), format_number(most, 9))});
}

}  // namespace

std::span<const OptionSpec> datacenter_options() { return cost::campus_keys(); }

namespace {

Result<Outcome> appraised(Context& context) {
  catalog::Store store;
  const auto& catalog = context.catalog;
  JEVONS_TRY(const catalog::Thing* thing, catalog::thing_for(catalog, store, catalog::Section::datacenter, context.words[0],
                                                             cost::campus_keys(), context.settings, kDrops));
  const auto check = thing->attribute("supply_check");
  if (!check.empty() && check != "report" && check != "enforce")
    return fail({ErrorCode::bad_input, std::string(thing->file), 0, "supply_check", fmt::format("'{}'", check), "report or enforce", {}});
  JEVONS_TRY(auto income, income_page(catalog, *thing));
  if (income) {
    for (const auto& o : cost::campus_keys()) {
      if (context.settings.has(o.path))
        return fail(context.settings.error(o.path, fmt::format("has no effect on {}", thing->name), "no --set", "it changes a campus"));
    }
    return Outcome{.document = std::move(*income)};
  }
  JEVONS_TRY(const cost::Campus c, cost::campus(catalog, *thing));
  JEVONS_TRY(const cost::Appraisal a, cost::appraise(c));
  JEVONS_TRY(const auto swings, cost::tornado(c));
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} ({})", thing->title.empty() ? thing->name : thing->title, thing->file);
  for (const auto* f : c.facts) use_fact(d, *f);
  const bool hour = a.cost_of_hour.has_value();
  const auto exports = exports_of(catalog, c, d);
  std::vector<const catalog::Fact*> supply_facts;
  const auto limits = cost::supply(catalog, c, supply_facts);
  for (const auto* f : supply_facts) use_fact(d, *f);
  d.tables = {campus_table(c, a, d), hour_table(catalog, c, a, d), years_table(c, a), business_table(catalog, *thing),
              fleet_table(catalog, c, exports)};
  JEVONS_TRY(const auto per_token, energy(catalog, *thing, c, d));
  if (per_token)
    d.tables.push_back(energy_table(*per_token, false, "tokens count whatever tokens_per_second counts.",
                                    "the region states no carbon of its grid",
                                    "the region states no water of its grid, or the class none of its site", d));
  d.tables.push_back(supply_table(limits, c));
  d.tables.push_back(tornado_table(swings, hour));
  JEVONS_TRY(auto by_hour, hours_table(catalog, c));
  d.tables.push_back(std::move(by_hour));
  d.tables.push_back(building_table(a));
  d.charts = {tornado_chart(swings, hour), cash_chart(a)};
  o.files.push_back({"tornado.svg", tornado_svg(swings, hour, hour ? to_usd_per_hour(*a.cost_of_hour) : a.npv.value() / kMega)});
  verdict(catalog, *thing, c, exports, limits, o);
  return o;
}

}  // namespace

Result<Outcome> run_datacenter(Context& context) {
  auto outcome = appraised(context);
  return outcome ? std::move(outcome) : fail(catalog::placed(std::move(outcome).error(), context.settings));
}

}  // namespace jevons::engine
