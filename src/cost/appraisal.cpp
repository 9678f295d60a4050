// What a campus costs and earns, month by month.
#include <algorithm>
#include <cmath>

#include "cost/campus.hpp"
#include "cost/finance.hpp"

namespace jevons::cost {
namespace {

constexpr Seconds kYear{kHoursPerYear * 3600};

// Flows of one year: revenue, power and what is billed for it when everything is sold; power when nothing is; the rest at any occupancy.
struct Flows {
  Usd revenue{}, power_sold{}, power_idle{}, power_billed{}, operations{}, staff{}, maintenance{}, depreciation{};
  Usd power(double occupancy) const { return power_sold * occupancy + power_idle * (1 - occupancy); }
};

Flows full_year(const Campus& c, Usd site_capital, Usd site_value) {
  Flows f;
  const UsdPerJoule price = c.electricity * c.price_by_hour;
  f.power_sold = electricity_cost(c.power(), 1, c.idle_power, price) * kYear;
  if (c.business != Business::colocation) f.power_idle = electricity_cost(c.power(), 0, c.idle_power, price) * kYear;
  f.staff = c.staff_cost * kYear * (c.staff_per_watt * c.power().value());
  // Tenants' hardware is not the operator's to mend.
  f.maintenance = site_capital * c.site_maintenance + c.hardware_each * c.accelerators * c.spares;
  f.operations = c.operations_each * c.accelerators * kYear + f.staff + f.maintenance;
  if (c.business == Business::gpu_cloud) f.revenue = c.rent_each * c.accelerators * kYear;
  if (c.business == Business::colocation) f.revenue = c.space_rent * (c.power() / c.pue) * kYear;
  const bool rents = c.business != Business::owner_operator;
  if (rents && c.billing == PowerBilling::pass_through) f.power_billed = f.power_sold;
  if (rents && c.billing == PowerBilling::net) f.power_sold = Usd{};  // tenants pay their supplier
  f.depreciation = site_value / c.site_years + c.hardware_each * c.accelerators / c.hardware_years;
  return f;
}

CampusYear year_of(const Campus& c, const Flows& f, int number, double share, double occupancy, Usd interest) {
  CampusYear y;
  y.year = number;
  y.share = share;
  y.occupancy = occupancy;
  y.revenue = (f.revenue + f.power_billed) * (occupancy * share);
  y.power = f.power(occupancy) * share;
  y.operations = f.operations * share;
  y.staff = f.staff * share;
  y.maintenance = f.maintenance * share;
  y.depreciation = f.depreciation * share;
  y.overhead = y.revenue * c.overhead;
  y.interest = interest;
  y.tax = max(Usd{}, y.gross() - y.overhead - y.interest) * c.tax;
  return y;
}

struct Timeline {
  int build = 0, operating = 0;  // months
};

// Cash by month: index 0 is the first month of building.
struct Cash {
  std::vector<double> project, equity;
  double site = 0, hardware = 0, power = 0, operations = 0, overhead = 0, hours = 0;  // present values for the levelized hour
};

Cash cash_flows(const Campus& c, const Appraisal& a, const Flows& f, Timeline t) {
  Cash cash;
  const auto months = std::size_t(t.build + t.operating + 1);
  cash.project.assign(months, 0);
  cash.equity.assign(months, 0);
  const double monthly = std::pow(1 + c.cost_of_capital, 1.0 / 12) - 1;
  const auto discount = [&](int m) { return std::pow(1 + monthly, -m); };
  const auto pay = [&](int m, Usd amount, Usd of_debt) {
    cash.project[std::size_t(m)] -= amount.value();
    cash.equity[std::size_t(m)] -= (amount - of_debt).value();
  };
  const Usd debt = a.capital() * c.debt_share;
  for (int m = 1; m <= t.build; ++m) {
    const Usd spent = a.site_capital * (spent_by(m, t.build) - spent_by(m - 1, t.build));
    pay(m, spent, spent * c.debt_share);
    cash.site += spent.value() * discount(m);
  }
  // Interest while building is lent too, so that equity pays its own share of it at opening; the project flow is before any interest.
  const Usd opening = a.hardware_capital + (t.build == 0 ? a.site_capital : Usd{});
  pay(t.build, opening, opening * c.debt_share);
  cash.equity[std::size_t(t.build)] -= (a.construction_interest * (1 - c.debt_share)).value();
  cash.hardware += a.hardware_capital.value() * discount(t.build);
  if (t.build == 0) cash.site += a.site_capital.value();
  for (int m = 0; m < t.operating; ++m) {
    const double u = mean_occupancy(m, m + 1, c.occupancy, 12 * c.ramp_years);
    const Usd revenue = (f.revenue + f.power_billed) * (u / 12);
    const Usd out = f.power(u) / 12.0 + f.operations / 12.0 + revenue * c.overhead;
    const CampusYear& y = a.years[std::size_t(m / 12)];
    const double of_year = 1 / (12 * y.share);
    const int at = t.build + m + 1;
    // Without debt the same profit would be taxed more: the project pays its own tax.
    const Usd own_tax = max(Usd{}, y.gross() - y.overhead) * c.tax;
    cash.project[std::size_t(at)] += (revenue - out - own_tax * of_year).value();
    cash.equity[std::size_t(at)] += (revenue - out - (y.tax + y.interest) * of_year - debt / double(t.operating)).value();
    cash.power += (f.power(u) / 12.0).value() * discount(at);
    cash.operations += (f.operations / 12.0).value() * discount(at);
    cash.overhead += (revenue * c.overhead).value() * discount(at);
    cash.hours += c.accelerators * u * kYear.value() / 12 * discount(at);
  }
  const double left = std::max(0.0, 1 - t.operating / (12 * c.site_years));
  const double residual = a.site_capital.value() * left;
  cash.project.back() += residual;
  cash.equity.back() += residual;
  cash.site -= residual * discount(t.build + t.operating);
  return cash;
}

std::optional<double> per_year(std::optional<double> monthly) {
  return monthly ? std::optional(std::pow(1 + *monthly, 12) - 1) : std::nullopt;
}

}  // namespace

Result<Appraisal> appraise(const Campus& c) {
  JEVONS_CHECK(check_campus(c));
  Appraisal a;
  a.site_capital = site_capital(c.site_usd_per_watt * c.build_factor, c.power(), c.pue);
  a.hardware_capital = c.hardware_each * c.accelerators;
  a.construction_interest = a.site_capital * (c.debt_share * interest_during_construction(c.debt_rate, c.build_years));
  const Flows f = full_year(c, a.site_capital, a.site_capital + a.construction_interest);
  // Colocation has no hardware of its own: it is appraised over the life of its site.
  const double life = c.business == Business::colocation ? c.site_years : c.hardware_years;
  const Timeline t{int(std::lround(12 * c.build_years)), std::max(1, int(std::lround(12 * life)))};
  const Usd debt = a.capital() * c.debt_share;
  for (int m = 0; m < t.operating; m += 12) {
    const int end = std::min(m + 12, t.operating);
    const double share = (end - m) / 12.0, owed = 1 - (m + end) / 2.0 / t.operating;
    a.years.push_back(
        year_of(c, f, m / 12 + 1, share, mean_occupancy(m, end, c.occupancy, 12 * c.ramp_years), debt * (owed * c.debt_rate * share)));
  }
  const Usd mean_interest = debt * (c.debt_rate / 2);
  a.mature = year_of(c, f, 0, 1, c.occupancy, mean_interest);
  if (a.mature.revenue > Usd{}) {
    a.gross_margin = a.mature.gross() / a.mature.revenue;
    a.net_margin = a.mature.net() / a.mature.revenue;
    const Usd per_occupancy = (f.revenue + f.power_billed) * (1 - c.overhead) - (f.power_sold - f.power_idle),
              fixed = f.operations + f.depreciation + mean_interest + f.power_idle;
    if (per_occupancy > Usd{} && fixed <= per_occupancy) a.break_even = fixed / per_occupancy;
  }
  const Cash cash = cash_flows(c, a, f, t);
  for (int m = 0; m < t.build; m += 3)
    a.spent_by_quarter.push_back((a.site_capital * (spent_by(std::min(m + 3, t.build), t.build) - spent_by(m, t.build))).value());
  double sum = 0;
  for (std::size_t m = 0; m < cash.project.size(); ++m) {
    sum += cash.project[m];
    if ((m > 0 && m % 12 == 0) || m + 1 == cash.project.size()) a.cumulative_by_year.push_back(sum);
  }
  a.npv = Usd{npv(cash.project, std::pow(1 + c.cost_of_capital, 1.0 / 12) - 1)};
  if (a.mature.revenue > Usd{}) {  // a residual value alone is no return
    a.irr = per_year(internal_rate(cash.project));
    if (c.debt_share < 1) a.equity_irr = per_year(internal_rate(cash.equity));
    if (const auto months = payback(cash.project)) a.payback_years = *months / 12;
  }
  if (c.business != Business::colocation && cash.hours > 0) {
    const auto each = [&](double present) { return UsdPerSecond{present / cash.hours}; };
    a.hour = {each(cash.hardware), each(cash.site), each(cash.power), each(cash.operations), each(cash.overhead)};
    a.cost_of_hour = a.hour.total();
    if (c.tokens_each) a.cost_of_token = *a.cost_of_hour / *c.tokens_each;
  }
  return a;
}

Result<std::vector<Swing>> tornado(const Campus& c) {
  std::vector<Swing> out;
  const auto measure = [&](const Appraisal& a) { return a.cost_of_hour ? to_usd_per_hour(*a.cost_of_hour) : a.npv.value() / kMega; };
  for (const auto& k : c.knobs) {
    Campus low = c, high = c;
    k.set(low, k.low);
    k.set(high, k.high);
    JEVONS_TRY(const Appraisal at_low, appraise(low));
    JEVONS_TRY(const Appraisal at_high, appraise(high));
    out.push_back({k.key, k.dim, k.low, k.high, measure(at_low), measure(at_high)});
  }
  // An input that does not touch the answer is no uncertainty of it.
  std::erase_if(out, [](const Swing& s) { return std::abs(s.at_high - s.at_low) <= 1e-9 * std::abs(s.at_low); });
  const auto width = [](const Swing& s) { return std::abs(s.at_high - s.at_low); };
  std::stable_sort(out.begin(), out.end(), [&](const Swing& a, const Swing& b) { return width(a) > width(b); });
  return out;
}

}  // namespace jevons::cost
