#include "engine/income_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"
#include "cost/income.hpp"
#include "engine/used_facts.hpp"

namespace jevons::engine {
namespace {

const report::Origin kModel{"derived", "cost::statement in src/cost/income.cpp", "catalog/datacenters/income-model.yaml"};

report::Cell percent(const std::optional<double>& v) { return v ? report::Cell(100 * *v) : report::Cell(std::monostate{}); }

Result<void> model_tables(const catalog::Catalog& catalog, const catalog::Thing& thing, report::Document& d) {
  const cost::IncomeModel m = cost::reference_income_model(catalog);
  report::Table t{"income",
                  "Income by occupancy, in % of the revenue of a full site, power passed through and left out",
                  {{"occupancy_pct", "occupancy %", "{:.0f}", kModel},
                   {"revenue_pct", "revenue", "{:.0f}", kModel},
                   {"goods_pct", "cost of goods", "{:.1f}", kModel},
                   {"other_pct", "other", "{:.1f}", kModel},
                   {"tax_pct", "tax", "{:.1f}", kModel},
                   {"net_pct", "net", "{:.1f}", kModel},
                   {"gross_margin_pct", "gross margin %", "{:.1f}", kModel},
                   {"net_margin_pct", "net margin %", "{:.1f}", kModel}},
                  {},
                  {},
                  true};
  for (const double u : {0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0}) {
    JEVONS_TRY(const cost::Statement s, cost::statement(m, u));
    t.rows.push_back({100 * u, 100 * s.revenue, 100 * s.goods, 100 * s.other, 100 * s.tax, 100 * s.net(), percent(s.gross_margin()),
                      percent(s.net_margin())});
  }
  t.notes = {"It meets two published points of one research house and is no constant of the industry: jevons datacenter gds-2024."};
  d.tables.push_back(std::move(t));

  report::Table v{"variable",
                  "What power and other variable cost inside the revenue do to it, fixed cost as above",
                  {{"variable_pct", "variable cost, % of revenue", "{:.0f}", kModel},
                   {"break_even_pct", "break-even occupancy %", "{:.1f}", kModel},
                   {"net_80_pct", "net margin % at 80", "{:.1f}", kModel},
                   {"net_90_pct", "at 90", "{:.1f}", kModel},
                   {"net_95_pct", "at 95", "{:.1f}", kModel}},
                  {},
                  {},
                  true};
  for (const double a : {m.variable, 0.2, 0.3, 0.4, 0.5}) {
    cost::IncomeModel with = m;
    with.variable = a;
    JEVONS_TRY(const auto even, cost::break_even(with));
    std::vector<report::Cell> row;
    row.emplace_back(100 * a);
    row.push_back(percent(even));
    for (const double u : {0.8, 0.9, 0.95}) {
      JEVONS_TRY(const cost::Statement s, cost::statement(with, u));
      row.push_back(percent(s.net_margin()));
    }
    v.rows.push_back(std::move(row));
  }
  d.tables.push_back(std::move(v));
  use_facts(d, thing);
  return {};
}

// Share of capacity in use: the row of operator-accounts that an entry named OPERATOR-PERIOD stands for.
std::optional<double> utilisation_of(const catalog::Catalog& catalog, std::string_view name) {
  const auto found = catalog.find(catalog::Section::datacenter, "operator-accounts");
  const auto dash = name.find('-');
  if (!found || dash == std::string_view::npos) return std::nullopt;
  const auto& rows = (*found)->series;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    if (lower(rows.text(r, "operator")) == name.substr(0, dash) && rows.text(r, "period") == name.substr(dash + 1))
      return rows.number(r, "utilisation_frac");
  }
  return std::nullopt;
}

Result<void> account_tables(const catalog::Catalog& catalog, const catalog::Thing& thing, report::Document& d) {
  const auto lines = cost::accounts(thing);
  const report::Origin origin{"measured", "as reported", std::string(thing.attribute("source"))};
  report::Table t{"account",
                  "As reported, thousands of CNY",
                  {{"line", "line", "{}", {}}, {"kcny", "kCNY", "{:.0f}", origin}, {"of_revenue_pct", "% of revenue", "{:.1f}", origin}},
                  {},
                  {},
                  true};
  const auto named = [&](std::string_view line) {
    return std::any_of(lines.begin(), lines.end(), [&](const auto& l) { return l.line == line; });
  };
  if (!named("revenue") || !named("cost of revenue"))
    return fail({ErrorCode::bad_input, std::string(thing.file), 0, "series", "has no revenue or no cost of revenue", "both lines", {}});
  const double revenue = cost::sum_of(lines, {"revenue"}), goods = -cost::sum_of(lines, {"cost of revenue"}), result = cost::total(lines);
  for (const auto& l : lines) t.rows.push_back({l.line, l.amount, 100 * l.amount / revenue});
  t.rows.push_back({std::string("gross profit"), revenue - goods, 100 * (revenue - goods) / revenue});
  t.rows.push_back({std::string("result"), result, 100 * result / revenue});
  d.tables.push_back(std::move(t));
  const double tax = named("income tax") ? -cost::sum_of(lines, {"income tax"}) : 0;
  const auto used = utilisation_of(catalog, thing.name);
  if (!used) return {};
  report::Table e{"break_even",
                  fmt::format("Occupancy at which these costs earn nothing, by the income model; {:.1f} % was in use", 100 * *used),
                  {{"variable_pct", "variable cost, % of revenue (assumed)", "{:.0f}", kModel},
                   {"break_even_pct", "break-even occupancy %", "{:.1f}", kModel}},
                  {},
                  {"Goods beyond the variable share, and all else before tax with interest, are taken as fixed."},
                  true};
  for (const double a : {0.10, 0.20, 0.35}) {
    const double full = revenue / *used;  // revenue of a full site
    cost::IncomeModel m{.variable = a, .fixed_goods = (goods - a * revenue) / full};
    m.fixed_other = (revenue - goods - result - tax) / full;
    JEVONS_TRY(const auto even, cost::break_even(m));
    e.rows.push_back({100 * a, percent(even)});
  }
  d.tables.push_back(std::move(e));
  return {};
}

}  // namespace

Result<std::optional<report::Document>> income_page(const catalog::Catalog& catalog, const catalog::Thing& thing) {
  const bool model = thing.find("variable_over_revenue") != nullptr && thing.find("fixed_cost_of_goods") != nullptr;
  const bool account = thing.series.column("line").has_value() && thing.series.column("kcny").has_value();
  if (!model && !account) return std::nullopt;
  report::Document d;
  d.version = std::string(version());
  d.title = fmt::format("{} ({})", thing.title, thing.file);
  JEVONS_CHECK(model ? model_tables(catalog, thing, d) : account_tables(catalog, thing, d));
  return d;
}

}  // namespace jevons::engine
