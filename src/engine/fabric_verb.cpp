// jevons fabric: a network counted from its endpoints up.
#include <fmt/format.h>

#include "base/units.hpp"
#include "catalog/loader.hpp"
#include "engine/verb.hpp"
#include "fabric/network.hpp"

namespace jevons::engine {
namespace {

report::Cell maybe(const std::optional<double>& v) { return v ? report::Cell(*v) : report::Cell(std::monostate{}); }

report::Table parts_table(const fabric::PartsList& list) {
  const report::Origin origin{"derived", "fabric::parts_list in src/fabric/network.cpp", "src/fabric/README.md"};
  report::Table t{"parts",
                  "Parts",
                  {{"part", "part", "{}", {}},
                   {"component", "component", "{}", {}},
                   {"count", "count", "{:.0f}", origin},
                   {"watts_each", "W each", "{:.1f}", origin},
                   {"watts", "W", "{:.0f}", origin},
                   {"usd_each", "$ each", "{:.0f}", origin},
                   {"usd", "$", "{:.0f}", origin}},
                  {},
                  {},
                  true};
  for (const auto& p : list.parts) {
    const auto watts = p.power ? std::optional(p.power->value()) : std::nullopt,
               usd = p.price ? std::optional(p.price->value()) : std::nullopt;
    t.rows.push_back({p.what, p.component.empty() ? std::string("-") : p.component, p.count, maybe(watts),
                      maybe(watts ? std::optional(*watts * p.count) : watts), maybe(usd),
                      maybe(usd ? std::optional(*usd * p.count) : usd)});
  }
  return t;
}

}  // namespace

Result<Outcome> run_fabric(Context& c) {
  catalog::Store store;
  const catalog::Thing* thing = nullptr;
  if (c.words[0].ends_with(".yaml") || c.words[0].find('/') != std::string::npos) {
    JEVONS_TRY(thing, catalog::load_file(store, catalog::Section::fabric, c.words[0]));
  } else {
    JEVONS_TRY(thing, c.catalog.find(catalog::Section::fabric, c.words[0]));
  }
  JEVONS_TRY(const fabric::Network n, fabric::network(c.catalog, *thing));
  JEVONS_TRY(const fabric::PartsList list, fabric::parts_list(n));
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} ({})", thing->title.empty() ? thing->name : thing->title, thing->file);
  const report::Origin origin{"derived", "fabric::parts_list in src/fabric/network.cpp", "src/fabric/README.md"};
  report::Table t{
      "network",
      fmt::format("{} endpoints of {} in one direction", format_number(n.endpoints), format_si(n.endpoint_bandwidth.value() * 8, "bit/s")),
      {{"quantity", "quantity", "{}", {}}, {"value", "value", "{}", {}}, {"exact", "exact", "{:.6g}", origin}, {"unit", "unit", "{}", {}}},
      {},
      {},
      true};
  const auto row = [&](std::string path, std::string what, std::string shown, double exact, std::string unit) {
    d.values.push_back({std::move(path), what, unit, exact, origin});
    t.rows.push_back({std::move(what), std::move(shown), exact, std::move(unit)});
  };
  row("switch_chips", "switch chips", format_number(list.switch_chips), list.switch_chips, "chips");
  if (list.endpoints_per_chip > 0)
    row("endpoints_per_chip", "endpoints per chip", format_number(list.endpoints_per_chip), list.endpoints_per_chip, "");
  row("trays", "trays", format_number(list.trays), list.trays, "");
  row("links", "links", format_number(list.links), list.links, "");
  row("optical_modules", "optical modules", format_number(list.optical_modules), list.optical_modules, "modules");
  row("cables", "cables", format_number(list.cables), list.cables, "cables");
  row("aggregate_bytes_per_s", "aggregate, both directions", format_si(list.aggregate.value(), "B/s"), list.aggregate.value(), "B/s");
  row("bisection_bytes_per_s", "bisection, one direction", format_si(list.bisection.value(), "B/s"), list.bisection.value(), "B/s");
  row("hops", "hops on the longest path", format_number(list.hops), list.hops, "");
  if (list.latency) row("latency_s", "latency of that path", format_seconds(list.latency->value()), list.latency->value(), "s");
  row("known_watts", "power of the parts known", format_si(list.power.value(), "W"), list.power.value(), "W");
  row("known_usd", "price of the parts known", format_si(list.price.value(), "USD"), list.price.value(), "USD");
  d.tables = {std::move(t), parts_table(list)};
  for (const auto& what : list.unknown) d.notes.push_back("Not in the sums, because it is not published: " + what + ".");
  return o;
}

}  // namespace jevons::engine
