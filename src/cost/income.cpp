#include "cost/income.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace jevons::cost {
namespace {

Result<void> check(const IncomeModel& m) {
  const auto share = [](std::string_view key, double v) -> Result<void> {
    if (v >= 0) return {};
    return bad_input("income." + std::string(key), fmt::format("{}", v), "a share of revenue that is not negative");
  };
  JEVONS_CHECK(share("variable", m.variable));
  JEVONS_CHECK(share("fixed_goods", m.fixed_goods));
  JEVONS_CHECK(share("fixed_other", m.fixed_other));
  JEVONS_CHECK(share("power", m.power));
  if (!(m.tax >= 0 && m.tax < 1)) return bad_input("income.tax", fmt::format("{}", m.tax), "a share from 0 to below 1");
  return {};
}

}  // namespace

Result<Statement> statement(const IncomeModel& m, double u) {
  JEVONS_CHECK(check(m));
  if (!(u >= 0 && u <= 1))
    return bad_input("occupancy", fmt::format("{}", u), "a share from 0 to 1: a site cannot rent out more than it has");
  const double power = m.power * u;
  Statement s;
  s.revenue = u + (m.billing == PowerBilling::pass_through ? power : 0);
  s.goods = m.fixed_goods + m.variable * u + (m.billing == PowerBilling::net ? 0 : power);
  s.other = m.fixed_other;
  s.tax = m.tax * std::max(0.0, s.pre_tax());
  return s;
}

Result<std::optional<double>> break_even(const IncomeModel& m) {
  JEVONS_CHECK(check(m));
  const double left = 1 - m.variable - (m.billing == PowerBilling::in_rent ? m.power : 0), fixed = m.fixed_goods + m.fixed_other;
  return left <= 0 || fixed > left ? std::nullopt : std::optional(fixed / left);
}

IncomeModel reference_income_model(const catalog::Catalog& catalog) {
  const auto t = catalog.find(catalog::Section::datacenter, "income-model");
  JEVONS_ENSURE(t.has_value());
  const auto take = [&](std::string_view key) {
    const auto v = (*t)->number(key);
    JEVONS_ENSURE(v.has_value());
    return *v;
  };
  IncomeModel m;
  m.variable = take("variable_over_revenue");
  m.fixed_goods = take("fixed_cost_of_goods");
  m.fixed_other = take("other_fixed_cost");
  m.tax = take("tax");
  return m;
}

std::vector<Account> accounts(const catalog::Thing& thing) {
  std::vector<Account> out;
  for (std::size_t r = 0; r < thing.series.rows(); ++r) {
    const auto amount = thing.series.number(r, "kcny");
    JEVONS_ENSURE(amount.has_value());
    out.push_back({std::string(thing.series.text(r, "line")), *amount});
  }
  return out;
}

double total(std::span<const Account> lines) {
  double sum = 0;
  for (const auto& l : lines) sum += l.amount;
  return sum;
}

double sum_of(std::span<const Account> lines, std::initializer_list<std::string_view> names) {
  double sum = 0;
  for (const auto name : names) {
    const auto it = std::find_if(lines.begin(), lines.end(), [&](const Account& a) { return a.line == name; });
    JEVONS_ENSURE(it != lines.end());
    sum += it->amount;
  }
  return sum;
}

double straight_line_year(double it, double it_years, double facility, double facility_years, double operations, double capital) {
  JEVONS_ENSURE(it_years > 0 && facility_years > 0);
  return it / it_years + facility / facility_years + operations + capital;
}

}  // namespace jevons::cost
