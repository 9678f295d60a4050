#include "engine/datacenter_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"

namespace jevons::engine {
namespace {

const report::Origin kAppraised{"derived", "cost::appraise in src/cost/appraisal.cpp", "src/cost/README.md"};
const report::Origin kTornado{"derived", "cost::tornado: the appraisal with one input at the end of its range", "src/cost/README.md"};
const report::Origin kSupply{"derived", "cost::supply in src/cost/supply.cpp: lead + need / (world a year x share)",
                             "catalog/datacenters/supply-limits.yaml"};
const report::Origin kHours{"assumed", "factors of the day on the means", "catalog/datacenters/hour-shapes.yaml"};

report::Cell maybe(const std::optional<double>& v, double scale = 1) {
  return v ? report::Cell(*v / scale) : report::Cell(std::monostate{});
}

// An input in the unit of its key.
std::string quoted(std::string_view key, double v, Dim dim) {
  if (dim == Usd::dim) return format_si(v, "USD");
  for (const auto& o : cost::campus_keys()) {
    if (o.path != key || o.unit.empty() || o.unit == "count") continue;
    if (const auto unit = parse_unit(o.unit)) return fmt::format("{} {}", format_number(v / unit->value, 3), o.unit);
  }
  return fmt::format("{:.3g}", v);
}

// A bar of the terminal: where the answer lies between the widest ends.
std::string bar(const cost::Swing& s, double least, double most) {
  constexpr int kCells = 24;
  const double span = most > least ? most - least : 1;
  const int from = int(std::lround((std::min(s.at_low, s.at_high) - least) / span * kCells)),
            to = std::max(from + 1, int(std::lround((std::max(s.at_low, s.at_high) - least) / span * kCells)));
  std::string out;
  for (int i = 0; i < kCells; ++i) out += i >= from && i < to ? "█" : "·";
  return out;
}

std::pair<double, double> ends(const std::vector<cost::Swing>& swings) {
  double least = 0, most = 0;
  for (std::size_t i = 0; i < swings.size(); ++i) {
    const auto [lo, hi] = std::minmax(swings[i].at_low, swings[i].at_high);
    least = i == 0 ? lo : std::min(least, lo);
    most = i == 0 ? hi : std::max(most, hi);
  }
  return {least, most};
}

std::string of_answer(bool hour) { return hour ? "USD an accelerator-hour" : "NPV, millions of USD"; }

}  // namespace

report::Table years_table(const cost::Campus& c, const cost::Appraisal& a) {
  report::Table t{"years",
                  c.business == cost::Business::colocation ? "Income statement by year of the site's life, millions of USD"
                                                           : "Income statement by year of one hardware generation, millions of USD",
                  {{"year", "year", "{:.0f}", kAppraised},
                   {"occupancy", "occ.", "{:.2f}", kAppraised},
                   {"revenue_musd", "revenue", "{:.0f}", kAppraised},
                   {"power_musd", "power", "{:.0f}", kAppraised},
                   {"operations_musd", "oper.", "{:.0f}", kAppraised},
                   {"staff_musd", "(staff)", "{:.0f}", kAppraised},
                   {"maintenance_musd", "(upkeep)", "{:.0f}", kAppraised},
                   {"depreciation_musd", "deprec.", "{:.0f}", kAppraised},
                   {"overhead_musd", "overh.", "{:.0f}", kAppraised},
                   {"interest_musd", "interest", "{:.0f}", kAppraised},
                   {"tax_musd", "tax", "{:.0f}", kAppraised},
                   {"net_musd", "net", "{:.0f}", kAppraised}},
                  {},
                  {"In brackets: inside operations."},
                  true};
  if (c.business == cost::Business::owner_operator) t.notes.push_back("An owner-operator sells nothing: net is what the campus costs.");
  for (const auto& y : a.years) {
    const auto m = [](Usd v) { return v.value() / kMega; };
    t.rows.push_back({double(y.year), y.occupancy, m(y.revenue), m(y.power), m(y.operations), m(y.staff), m(y.maintenance),
                      m(y.depreciation), m(y.overhead), m(y.interest), m(y.tax), m(y.net())});
  }
  return t;
}

report::Table hour_table(const catalog::Catalog& catalog, const cost::Campus& c, const cost::Appraisal& a, report::Document& d) {
  report::Table t{"hour",
                  "An accelerator-hour: built up by its owner, against the market",
                  {{"part", "part", "{}", {}}, {"usd_per_hour", "USD/h", "{:.3f}", kAppraised}, {"how", "how", "{}", {}}},
                  {},
                  {},
                  true};
  const auto add = [&](std::string path, std::string part, std::optional<double> v, std::string how, report::Origin origin) {
    d.values.push_back({"hour." + path, part, "USD/h", v, std::move(origin)});
    t.rows.push_back({std::move(part), maybe(v), std::move(how)});
  };
  if (a.cost_of_hour) {
    for (const auto& [path, part, v, how] :
         {std::tuple{"hardware", "hardware", a.hour.hardware, "price over the hours sold, at the cost of capital"},
          std::tuple{"site", "site", a.hour.site, "building spread over the same hours, its book value back"},
          std::tuple{"power", "power", a.hour.power, "all-in power while sold, idle power while not"},
          std::tuple{"operations", "operations", a.hour.operations, "staff, upkeep, spares, sold or not"},
          std::tuple{"overhead", "overhead", a.hour.overhead, "selling and administration"}})
      add(fmt::format("{}_usd", path), part, to_usd_per_hour(v), how, kAppraised);
    add("owner_usd", "owner's cost, the sum", to_usd_per_hour(*a.cost_of_hour), "before tax", kAppraised);
  }
  for (const auto& p : c.fleet) {
    const auto chip = catalog::accelerator(**catalog.find(catalog::Section::accelerator, p.accelerator));
    for (const auto& [basis, label] : {std::pair{cost::Basis::contract, "contract"}, std::pair{cost::Basis::on_demand, "on-demand"}}) {
      const auto price = cost::gpu_hour(catalog, chip, basis);
      add(fmt::format("{}_usd.{}", basis == cost::Basis::contract ? "contract" : "on_demand", p.accelerator),
          fmt::format("{}, {}", label, p.accelerator), price ? std::optional(to_usd_per_hour(price->total)) : std::nullopt,
          price ? std::string(price->facts.back()->date) : std::string("no price known"),
          {price ? std::string(catalog::name(price->facts.back()->kind)) : "derived", price ? price->how : price.error().what,
           price ? std::string(price->facts.back()->source) : ""});
    }
    for (const auto& [key, label] : {std::pair{"tco_neocloud", "published cost to own, GPU cloud"},
                                     std::pair{"tco_hyperscaler", "published cost to own, hyperscaler"}}) {
      if (const auto f = chip.thing->get<UsdPerSecond>(key))
        add(fmt::format("{}_usd.{}", key, p.accelerator), label, to_usd_per_hour(f->value),
            fmt::format("{}, {}", p.accelerator, f->fact->date),
            {std::string(catalog::name(f->fact->kind)), "as published", std::string(f->fact->source)});
    }
  }
  return t;
}

report::Table tornado_table(const std::vector<cost::Swing>& swings, bool hour) {
  const auto [least, most] = ends(swings);
  report::Table t{"tornado",
                  "What moves the answer most: each input to the ends of its range, " + of_answer(hour),
                  {{"input", "input", "{}", {}},
                   {"low", "low", "{}", {}},
                   {"high", "high", "{}", {}},
                   {"at_low", "at low", "{:.4g}", kTornado},
                   {"at_high", "at high", "{:.4g}", kTornado},
                   {"bar", fmt::format("{:.3g} to {:.3g}", least, most), "{}", {}}},
                  {},
                  {},
                  true};
  for (const auto& s : swings)
    t.rows.push_back({s.key, quoted(s.key, s.low, s.dim), quoted(s.key, s.high, s.dim), s.at_low, s.at_high, bar(s, least, most)});
  return t;
}

report::Chart tornado_chart(const std::vector<cost::Swing>& swings, bool hour) {
  report::Chart chart{"tornado",
                      "What moves the answer most",
                      "bar",
                      "input",
                      of_answer(hour),
                      false,
                      false,
                      {},
                      {{"at the low end", {}, {}}, {"at the high end", {}, {}}}};
  for (const auto& s : swings) {
    chart.categories.push_back(s.key);
    chart.series[0].y.push_back(s.at_low);
    chart.series[1].y.push_back(s.at_high);
  }
  return chart;
}

std::string tornado_svg(const std::vector<cost::Swing>& swings, bool hour, double centre) {
  constexpr double kWidth = 860, kLeft = 200, kRight = 150, kRow = 26, kTop = 56;
  auto [least, most] = ends(swings);
  least = std::min(least, centre);
  most = std::max(most, centre);
  const double span = most > least ? most - least : 1;
  const auto x = [&](double v) { return kLeft + (kWidth - kLeft - kRight) * (v - least) / span; };
  const double height = kTop + kRow * double(swings.size()) + 30;
  std::string body = fmt::format("<text x=\"12\" y=\"26\" font-size=\"16\">What moves the answer most, {}</text>\n", of_answer(hour));
  for (std::size_t i = 0; i < swings.size(); ++i) {
    const auto& s = swings[i];
    const double y = kTop + kRow * double(i);
    for (const auto& [at, colour] : {std::pair{s.at_low, "#2563eb"}, std::pair{s.at_high, "#b45309"}}) {
      const double from = std::min(x(at), x(centre)), to = std::max(x(at), x(centre));
      body += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"18\" fill=\"{}\"/>\n", from, y, to - from, colour);
    }
    body += fmt::format("<text x=\"12\" y=\"{:.1f}\" font-size=\"13\">{}</text>\n", y + 14, s.key);
    body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"11\">{} … {}</text>\n", kWidth - kRight + 8, y + 14,
                        quoted(s.key, s.low, s.dim), quoted(s.key, s.high, s.dim));
  }
  body +=
      fmt::format("<line x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"#0f172a\"/>\n", x(centre), kTop - 8, height - 24);
  body +=
      fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"12\" text-anchor=\"middle\">{:.4g}</text>\n", x(centre), height - 8, centre);
  body += "<text x=\"12\" y=\"44\" font-size=\"11\">blue: input at its low end; orange: at its high end</text>\n";
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1:.0f}\" width=\"{0}\" height=\"{1:.0f}\" font-family=\"sans-serif\" "
      "fill=\"#0f172a\">\n<rect width=\"{0}\" height=\"{1:.0f}\" fill=\"white\"/>\n{2}</svg>\n",
      kWidth, height, body);
}

report::Table business_table(const catalog::Catalog& catalog, const catalog::Thing& thing) {
  report::Table t{"businesses",
                  "The same campus as each business, and who pays for power: a choice that decides the margins",
                  {{"business", "business", "{}", {}},
                   {"power_billing", "power", "{}", {}},
                   {"capital_musd", "capital\nM$", "{:.0f}", kAppraised},
                   {"revenue_musd", "revenue\nM$/yr", "{:.0f}", kAppraised},
                   {"gross_margin_pct", "gross\n%", "{:.1f}", kAppraised},
                   {"net_margin_pct", "net\n%", "{:.1f}", kAppraised},
                   {"break_even_pct", "break-even\noccupancy %", "{:.1f}", kAppraised},
                   {"npv_musd", "NPV\nM$", "{:.0f}", kAppraised},
                   {"irr_pct", "IRR\n%", "{:.1f}", kAppraised},
                   {"payback_years", "payback\nyears", "{:.1f}", kAppraised}},
                  {},
                  {},
                  true};
  for (const auto& [business, billing] :
       {std::pair{"gpu-cloud", "in-rent"}, std::pair{"gpu-cloud", "pass-through"}, std::pair{"gpu-cloud", "net"},
        std::pair{"colocation", "in-rent"}, std::pair{"colocation", "pass-through"}, std::pair{"colocation", "net"},
        std::pair{"owner-operator", "in-rent"}}) {
    std::vector<catalog::Attribute> attributes;
    for (const auto& a : thing.attributes) {
      if (a.key != "business" && a.key != "power_billing") attributes.push_back(a);
    }
    attributes.push_back({"business", business});
    attributes.push_back({"power_billing", billing});
    catalog::Thing variant = thing;
    variant.attributes = attributes;
    const auto c = cost::campus(catalog, variant);
    const auto a = c ? cost::appraise(*c) : tl::make_unexpected(c.error());
    if (!a) {
      if (std::string why = fmt::format("{}: null, {}.", business, a.error().what); t.notes.empty() || t.notes.back() != why)
        t.notes.push_back(std::move(why));
      continue;
    }
    t.rows.push_back({std::string(business), std::string(std::string_view(business) == "owner-operator" ? "-" : billing),
                      a->capital().value() / kMega, a->mature.revenue.value() / kMega, maybe(a->gross_margin, 0.01),
                      maybe(a->net_margin, 0.01), maybe(a->break_even, 0.01), a->npv.value() / kMega, maybe(a->irr, 0.01),
                      maybe(a->payback_years)});
  }
  t.notes.push_back(
      "Debt, lives and rents are those of this campus: a landlord's debt_rate, site_life and space_rent are his own. in-rent: power is "
      "paid out of it; pass-through: billed at cost on top; net: "
      "customers pay their supplier, in neither revenue nor "
      "cost.");
  return t;
}

report::Table fleet_table(const catalog::Catalog& catalog, const cost::Campus& c, const std::vector<cost::Export>& exports) {
  report::Table t{
      "fleet",
      "Fleet, where it comes from, and whether it may be shipped here",
      {{"accelerator", "accelerator", "{}", {}},
       {"count", "count", "{:.0f}", kAppraised},
       {"kw_each", "kW each", "{:.2f}", kAppraised},
       {"usd_each", "$ each", "{:.0f}", kAppraised},
       {"owner_usd_per_hour", "owner\nUSD/h full", "{:.2f}", kAppraised},
       {"from", "from", "{}", {}},
       {"shipment", "shipment", "{}", {}},
       {"tpp", "TPP", "{:.0f}", {"derived", "cost::export_of: largest of dense TFLOPS x bits", "catalog/datacenters/export-rules.yaml"}}},
      {},
      {},
      true};
  for (std::size_t i = 0; i < c.fleet.size(); ++i) {
    const auto& p = c.fleet[i];
    const auto chip = catalog::accelerator(**catalog.find(catalog::Section::accelerator, p.accelerator));
    const auto hour = cost::gpu_hour(catalog, chip, cost::Basis::owner);
    const auto& e = exports[i];
    t.rows.push_back({p.accelerator, p.accelerators, p.power_each.value() / kKilo,
                      p.hardware_each > Usd{} ? report::Cell(p.hardware_each.value()) : report::Cell(std::monostate{}),
                      hour ? report::Cell(to_usd_per_hour(hour->total)) : report::Cell(std::monostate{}),
                      e.from.empty() ? std::string("-") : e.from, std::string(cost::name(e.shipment)),
                      e.performance > 0 ? report::Cell(e.performance) : report::Cell(std::monostate{})});
    t.notes.push_back(fmt::format("{}: {}.", p.accelerator, e.why));
  }
  return t;
}

report::Table supply_table(const std::vector<cost::SupplyLimit>& limits, const cost::Campus& c) {
  report::Table t{"supply",
                  fmt::format("Supply: when {} years of building would wait for parts", format_number(c.build_years)),
                  {{"limit", "limit", "{}", {}},
                   {"need", "need", "{:.0f}", kSupply},
                   {"unit", "", "{}", {}},
                   {"world_per_year", "world\na year", "{:.0f}", kSupply},
                   {"share_of_world_pct", "% of a\nyear", "{:.2f}", kSupply},
                   {"lead_years", "lead\nyears", "{:.1f}", kSupply},
                   {"ready_years", "all there\nafter years", "{:.1f}", kSupply},
                   {"accelerators_by_opening", "accelerators\nby opening", "{:.0f}", kSupply}},
                  {},
                  {},
                  true};
  for (const auto& l : limits) {
    const auto some = [](double v) { return v > 0 ? report::Cell(v) : report::Cell(std::monostate{}); };
    const auto known = [&](double v) { return l.unknown() ? report::Cell(std::monostate{}) : report::Cell(v); };
    if (l.unknown()) t.notes.push_back(fmt::format("{}: when and how many is null, its output is not published.", l.what));
    t.rows.push_back({l.what, some(l.need), l.unit.empty() ? std::string("-") : l.unit, maybe(l.world_per_year),
                      l.world_per_year ? report::Cell(100 * l.need / *l.world_per_year) : report::Cell(std::monostate{}),
                      known(l.lead_years), known(l.ready_years()),
                      known(l.accelerators_by(c.build_years, c.accelerators).value_or(c.accelerators))});
  }
  if (!limits.empty() && limits[0].ready_years() > c.build_years)
    t.notes.push_back(
        fmt::format("{} binds: all of it is there after {:.1f} years, {:.1f} after the building. Order earlier, build smaller, or generate "
                    "power on site.",
                    limits[0].what, limits[0].ready_years(), limits[0].ready_years() - c.build_years));
  return t;
}

Result<report::Table> hours_table(const catalog::Catalog& catalog, const cost::Campus& c) {
  JEVONS_TRY(const auto load, cost::hour_shape(catalog, c.load_shape + "_load"));
  JEVONS_TRY(const auto price, cost::hour_shape(catalog, c.hour_shape + "_price"));
  JEVONS_TRY(const auto carbon, cost::hour_shape(catalog, c.hour_shape + "_carbon"));
  report::Table t{"hours",
                  fmt::format("Electricity by local hour, shape {}", c.hour_shape),
                  {{"hour", "hour", "{:.0f}", {}},
                   {"load", "load", "{:.2f}", kHours},
                   {"usd_per_kwh", "USD/kWh", "{:.4f}", kHours},
                   {"gco2_per_kwh", "gCO2/kWh", "{:.0f}", kHours}},
                  {},
                  {},
                  false};
  for (std::size_t h = 0; h < 24; ++h) {
    std::vector<report::Cell> row{double(h), load[h], c.electricity.value() * 3.6e6 * price[h]};
    if (c.carbon)
      row.emplace_back(*c.carbon * 3.6e6 * carbon[h]);
    else
      row.emplace_back();
    t.rows.push_back(std::move(row));
  }
  return t;
}

report::Table building_table(const cost::Appraisal& a) {
  report::Table t{"building",
                  "Site capital spent while building, an S-curve",
                  {{"quarter", "quarter", "{:.0f}", kAppraised},
                   {"spent_musd", "spent M$", "{:.0f}", kAppraised},
                   {"total_musd", "in all M$", "{:.0f}", kAppraised}},
                  {},
                  {},
                  false};
  double total = 0;
  for (std::size_t q = 0; q < a.spent_by_quarter.size(); ++q) {
    total += a.spent_by_quarter[q];
    t.rows.push_back({double(q + 1), a.spent_by_quarter[q] / kMega, total / kMega});
  }
  return t;
}

report::Chart cash_chart(const cost::Appraisal& a) {
  report::Chart chart{
      "cash", "Cash since the first day of building, before debt", "line", "year", "G$", false, false, {}, {{"cumulative", {}, {}}}};
  for (std::size_t i = 0; i < a.cumulative_by_year.size(); ++i) {
    chart.series[0].x.push_back(double(i + 1));
    chart.series[0].y.push_back(a.cumulative_by_year[i] / kGiga);
  }
  return chart;
}

}  // namespace jevons::engine
