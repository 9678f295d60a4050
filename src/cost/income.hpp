#pragma once
// Income statements of data centres: a model of occupancy, and reported accounts added up.
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "catalog/catalog.hpp"

namespace jevons::cost {

/// What customers pay for the power they use decides the margins, so it is an explicit choice.
enum class PowerBilling : std::uint8_t {
  net,           // passed through and left out of revenue and cost
  pass_through,  // billed at cost on top of the rent: in revenue and in cost of goods
  in_rent        // the operator pays it out of the rent
};

/// Per unit of full-capacity revenue without power. Revenue u; cost of goods F_c + a u; other fixed cost F_o. Source: hardware facts 6.7.
struct IncomeModel {
  double variable = 0;     // a: variable cost of goods over revenue
  double fixed_goods = 0;  // F_c: depreciation, site staff, maintenance
  double fixed_other = 0;  // F_o: selling, administration, interest
  double tax = 0;          // on profits only
  double power = 0;        // power at full occupancy over full revenue without power
  PowerBilling billing = PowerBilling::net;
};
struct Statement {
  double revenue = 0, goods = 0, other = 0, tax = 0;
  double gross() const { return revenue - goods; }
  double pre_tax() const { return gross() - other; }
  double net() const { return pre_tax() - tax; }
  /// Nothing without revenue.
  std::optional<double> gross_margin() const { return revenue > 0 ? std::optional(gross() / revenue) : std::nullopt; }
  std::optional<double> net_margin() const { return revenue > 0 ? std::optional(net() / revenue) : std::nullopt; }
};
/// Errors: occupancy outside [0, 1], negative shares, tax outside [0, 1).
Result<Statement> statement(const IncomeModel& m, double occupancy);
/// Occupancy of zero profit: (F_c + F_o) / (1 - a), with power in rent a grows by it. Nothing when no occupancy up to 1 reaches it.
Result<std::optional<double>> break_even(const IncomeModel& m);
/// The catalogue's model: datacenters/income-model. Holds on revenue without passed-through power and with little debt: it is no
/// constant of the industry (GDS's accounts give a break-even near 80 %).
IncomeModel reference_income_model(const catalog::Catalog& catalog);

/// Reported accounts: signed lines that add up to a result.
struct Account {
  std::string line;
  double amount = 0;
};
/// Lines of a datacenter entry with the columns `line` and `kcny`, in thousands of its currency.
std::vector<Account> accounts(const catalog::Thing& thing);
double total(std::span<const Account> lines);
/// Sum of the named lines; throws InternalError when one is missing.
double sum_of(std::span<const Account> lines, std::initializer_list<std::string_view> names);

/// Yearly cost with straight-line depreciation: IT / life + facility / life + operations + cost of capital. Amounts of one currency.
double straight_line_year(double it, double it_years, double facility, double facility_years, double operations, double capital);

}  // namespace jevons::cost
