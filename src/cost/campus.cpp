// Reading and checking a campus. The arithmetic is in appraisal.cpp.
#include "cost/campus.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/text.hpp"

namespace jevons::cost {
namespace {

constexpr double kYear = kHoursPerYear * 3600;

// A fact of the file, or the catalogue's value; remembered as source and, where it has a range, as a knob.
struct Taker {
  const catalog::Thing& thing;
  Campus& c;
  std::optional<Error> error;

  using Set = void (*)(Campus&, double);
  void note(const catalog::Fact* f, Set set) {
    c.facts.push_back(f);
    if (f->has_range) c.knobs.push_back({std::string(f->key), f->dim, f->low, f->high, set});
  }
  template <class Q>
  const catalog::Fact* of(std::string_view key) {
    const auto* f = thing.find(key);
    if (f != nullptr && !(f->dim == Q::dim)) {
      if (!error)
        error = Error{ErrorCode::bad_input,
                      std::string(thing.file),
                      f->line,
                      std::string(key),
                      fmt::format("'{}' has the wrong unit", f->text),
                      "see catalog/datacenters/gigawatt-campus.yaml",
                      {}};
      return nullptr;
    }
    return f;
  }
  void optional(const catalog::Fact* own, Set set) {
    if (own == nullptr) return;
    set(c, own->value);
    note(own, set);
  }
  void required(std::string_view key, const catalog::Fact* own, Set set) {
    if (own == nullptr) {
      if (!error)
        error = Error{ErrorCode::bad_input,
                      std::string(thing.file),
                      0,
                      std::string(key),
                      fmt::format("{} does not state it", thing.name),
                      "a value with its source, or kind: assumed with range and why",
                      {}};
      return;
    }
    optional(own, set);
  }
};

struct Plain {
  static constexpr Dim dim{};
};
struct PerWatt {
  static constexpr Dim dim = Usd::dim - Watts::dim;
};

Result<Business> business_of(const catalog::Thing& t) {
  const std::string b = lower(t.attribute("business"));
  if (b.empty() || b == "gpu-cloud") return Business::gpu_cloud;
  if (b == "colocation") return Business::colocation;
  if (b == "owner-operator") return Business::owner_operator;
  return fail(
      {ErrorCode::bad_input, std::string(t.file), 0, "business", fmt::format("'{}'", b), "gpu-cloud, colocation or owner-operator", {}});
}
Result<PowerBilling> billing_of(const catalog::Thing& t, Business business) {
  const std::string b = lower(t.attribute("power_billing"));
  if (b.empty()) return business == Business::colocation ? PowerBilling::pass_through : PowerBilling::in_rent;
  if (b == "in-rent") return PowerBilling::in_rent;
  if (b == "pass-through") return PowerBilling::pass_through;
  if (b == "net") return PowerBilling::net;
  return fail({ErrorCode::bad_input, std::string(t.file), 0, "power_billing", fmt::format("'{}'", b), "in-rent, pass-through or net", {}});
}

// Prices that the file leaves to the catalogue.
Result<void> take_prices(const catalog::Catalog& catalog, const catalog::Accelerator& chip, Taker& take, bool owns_hardware) {
  Campus& c = take.c;
  const auto site = catalog.find(catalog::Section::datacenter, "reference-site");
  JEVONS_ENSURE(site.has_value());
  const auto fallback = [&](const catalog::Fact* own, std::string_view key) { return own != nullptr ? own : (*site)->find(key); };
  take.required("build_cost", fallback(take.of<PerWatt>("build_cost"), "site_capex"), [](Campus& x, double v) { x.site_usd_per_watt = v; });
  take.required("electricity", fallback(take.of<UsdPerJoule>("electricity"), "electricity"),
                [](Campus& x, double v) { x.electricity = UsdPerJoule{v}; });
  take.required("operations", fallback(take.of<UsdPerSecond>("operations"), "operations"),
                [](Campus& x, double v) { x.operations_each = UsdPerSecond{v}; });
  take.required("hardware_life", fallback(take.of<Seconds>("hardware_life"), "it_life"),
                [](Campus& x, double v) { x.hardware_years = v / kYear; });
  take.required("site_life", fallback(take.of<Seconds>("site_life"), "site_life"), [](Campus& x, double v) { x.site_years = v / kYear; });
  take.required("cost_of_capital", fallback(take.of<Plain>("cost_of_capital"), "cost_of_capital"),
                [](Campus& x, double v) { x.cost_of_capital = v; });
  if (!owns_hardware) return {};
  if (const auto* own = take.of<Usd>("hardware_price")) {
    take.optional(own, [](Campus& x, double v) { x.hardware_each = Usd{v}; });
    return {};
  }
  JEVONS_TRY(const Ownership o, ownership(catalog, chip));
  c.hardware_each = o.system;
  for (const auto* f : o.facts) {
    if (f->key == "price" || f->key == "system_over_chip") c.facts.push_back(f);
  }
  if (chip.price && chip.price->fact->has_range) {
    const auto& f = *chip.price->fact;
    const double uplift = o.system / chip.price->value;  // servers and network, where the price is the chip's alone
    c.knobs.push_back({"hardware_price", f.dim, f.low * uplift, f.high * uplift, [](Campus& x, double v) { x.hardware_each = Usd{v}; }});
  }
  return {};
}

Result<void> take_revenue(const catalog::Accelerator& chip, Taker& take) {
  Campus& c = take.c;
  if (c.business == Business::gpu_cloud) {
    const catalog::Fact* rent = take.of<UsdPerSecond>("rent");
    if (rent == nullptr) {
      const auto known = chip.price_contract ? chip.price_contract : chip.thing->get<UsdPerSecond>("rental_3yr");
      if (!known) {
        return fail({ErrorCode::bad_input, std::string(take.thing.file), 0, "rent",
                     fmt::format("no contract rent of {} is known", chip.thing->name), "rent, in USD/h of one accelerator",
                     "or business: owner-operator"});
      }
      rent = known->fact;
    }
    take.optional(rent, [](Campus& x, double v) { x.rent_each = UsdPerSecond{v}; });
  }
  if (c.business == Business::colocation) {
    take.required("space_rent", take.of<UsdPerJoule>("space_rent"), [](Campus& x, double v) { x.space_rent = UsdPerJoule{v}; });
    take.required("pue", take.of<Plain>("pue"), [](Campus& x, double v) { x.pue = v; });
  }
  return {};
}

}  // namespace

Result<Campus> campus(const catalog::Catalog& catalog, const catalog::Thing& t) {
  Campus c;
  c.name = std::string(t.name);
  c.accelerator = std::string(t.attribute("accelerator"));
  if (c.accelerator.empty())
    return fail({ErrorCode::bad_input, std::string(t.file), 0, "accelerator", "is not stated", "attributes: {accelerator: NAME}", {}});
  JEVONS_TRY(c.business, business_of(t));
  JEVONS_TRY(c.billing, billing_of(t, c.business));
  JEVONS_TRY(const catalog::Thing* chip_thing, catalog.find(catalog::Section::accelerator, c.accelerator));
  const catalog::Accelerator chip = catalog::accelerator(*chip_thing);
  JEVONS_TRY(c.power_each, all_in_power(catalog, chip, c.facts));
  Taker take{t, c, {}};
  const auto* watts = take.of<Watts>("site_power");
  const auto* count = take.of<Plain>("accelerators");
  if ((watts == nullptr) == (count == nullptr) && !take.error) {
    return fail({ErrorCode::bad_input,
                 std::string(t.file),
                 0,
                 "site_power",
                 watts == nullptr ? "neither site_power nor accelerators is stated" : "both site_power and accelerators are stated",
                 "one of them",
                 {}});
  }
  // Whole accelerators; the size itself is what is asked, not an uncertainty.
  if (watts != nullptr) c.accelerators = std::floor(Watts{watts->value} / c.power_each);
  if (count != nullptr) c.accelerators = count->value;
  if (watts != nullptr || count != nullptr) c.facts.push_back(watts != nullptr ? watts : count);
  take.required("build_time", take.of<Seconds>("build_time"), [](Campus& x, double v) { x.build_years = v / kYear; });
  take.required("ramp_time", take.of<Seconds>("ramp_time"), [](Campus& x, double v) { x.ramp_years = v / kYear; });
  take.required("occupancy", take.of<Plain>("occupancy"), [](Campus& x, double v) { x.occupancy = v; });
  take.required("tax", take.of<Plain>("tax"), [](Campus& x, double v) { x.tax = v; });
  take.required("debt_share", take.of<Plain>("debt_share"), [](Campus& x, double v) { x.debt_share = v; });
  take.required("debt_rate", take.of<Plain>("debt_rate"), [](Campus& x, double v) { x.debt_rate = v; });
  take.required("overhead", take.of<Plain>("overhead"), [](Campus& x, double v) { x.overhead = v; });
  take.optional(take.of<TokensPerSecond>("tokens_per_second"), [](Campus& x, double v) { x.tokens_each = TokensPerSecond{v}; });
  JEVONS_CHECK(take_prices(catalog, chip, take, c.business != Business::colocation));
  JEVONS_CHECK(take_revenue(chip, take));
  if (take.error) return fail(*take.error);
  if (auto ok = check_campus(c); !ok) {
    Error e = ok.error();
    e.file = std::string(t.file);
    if (const auto* f = t.find(e.key)) e.line = f->line;
    return fail(std::move(e));
  }
  return c;
}

Result<void> check_campus(const Campus& c) {
  const auto refuse = [](std::string_view key, double v, std::string_view expected) {
    return bad_input(std::string(key), fmt::format("{}", v), std::string(expected));
  };
  const std::array<std::pair<std::string_view, double>, 5> shares{
      {{"occupancy", c.occupancy}, {"tax", c.tax}, {"debt_share", c.debt_share}, {"debt_rate", c.debt_rate}, {"overhead", c.overhead}}};
  for (const auto& [key, v] : shares) {
    if (!(v >= 0 && v <= 1)) return refuse(key, v, "a share from 0 to 1");
  }
  const std::array<std::pair<std::string_view, double>, 8> amounts{{{"hardware_price", c.hardware_each.value()},
                                                                    {"build_cost", c.site_usd_per_watt},
                                                                    {"electricity", c.electricity.value()},
                                                                    {"operations", c.operations_each.value()},
                                                                    {"rent", c.rent_each.value()},
                                                                    {"space_rent", c.space_rent.value()},
                                                                    {"build_time", c.build_years},
                                                                    {"ramp_time", c.ramp_years}}};
  for (const auto& [key, v] : amounts) {
    if (!(v >= 0 && v < 1e15)) return refuse(key, v, "an amount that is not negative");
  }
  if (!(c.accelerators >= 1 && c.accelerators <= 1e9))
    return refuse("accelerators", c.accelerators, "1 to 1e9: the site must hold at least one");
  if (!(c.hardware_years > 0 && c.hardware_years <= 100)) return refuse("hardware_life", c.hardware_years, "above 0 and up to 100 years");
  if (!(c.site_years > 0 && c.site_years <= 200)) return refuse("site_life", c.site_years, "above 0 and up to 200 years");
  if (!(c.build_years <= 50 && c.ramp_years <= 50))
    return refuse("build_time", std::max(c.build_years, c.ramp_years), "at most 50 years to build, and to fill");
  if (!(c.cost_of_capital >= 0 && c.cost_of_capital < 1)) return refuse("cost_of_capital", c.cost_of_capital, "a share from 0 to below 1");
  if (!(c.pue >= 1)) return refuse("pue", c.pue, "1 or more");
  if (c.tokens_each && !(c.tokens_each->value() > 0)) return refuse("tokens_per_second", c.tokens_each->value(), "a rate above 0");
  return {};
}

}  // namespace jevons::cost
