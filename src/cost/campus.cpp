// Reading and checking a campus. The arithmetic is in appraisal.cpp.
#include "cost/campus.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

#include "base/text.hpp"
#include "catalog/keys.hpp"
#include "cost/energy.hpp"

namespace jevons::cost {
namespace {

using catalog::Section;
constexpr double kYear = kHoursPerYear * 3600;

const catalog::Fact& must(const catalog::Catalog& catalog, std::string_view thing, std::string_view key) {
  const auto t = catalog.find(Section::datacenter, thing);
  JEVONS_ENSURE(t.has_value() && (*t)->find(key) != nullptr);
  return *(*t)->find(key);
}

// A thing that an attribute names with a prefix: region-us, class-ai-liquid. Nothing when the attribute is not stated.
Result<const catalog::Thing*> named(const catalog::Catalog& catalog, const catalog::Thing& t, std::string_view attribute) {
  const std::string value = lower(t.attribute(attribute));
  if (value.empty()) return nullptr;
  const std::string prefix = std::string(attribute) + "-";
  if (const auto found = catalog.find(Section::datacenter, prefix + value)) return *found;
  std::vector<std::string_view> known;
  for (const auto* d : catalog.things(Section::datacenter)) {
    if (d->name.starts_with(prefix)) known.push_back(d->name.substr(prefix.size()));
  }
  return fail({ErrorCode::bad_input, std::string(t.file), 0, std::string(attribute), fmt::format("unknown {} '{}'", attribute, value),
               fmt::format("one of {}", fmt::join(known, ", ")), did_you_mean(value, known)});
}

// A fact of the file, or of its region, class or reference-site; remembered as source and, where it has a range, as a knob.
struct Taker {
  const catalog::Thing& thing;
  const catalog::Thing *region, *build_class, *reference;
  Campus& c;
  std::optional<Error> error;

  using Set = void (*)(Campus&, double);
  const catalog::Fact* own(std::string_view key) const { return thing.find(key); }
  static const catalog::Fact* of(const catalog::Thing* t, std::string_view key) { return t == nullptr ? nullptr : t->find(key); }
  // The first that states it.
  const catalog::Fact* find(std::string_view key, std::string_view in_reference = {}) const {
    for (const auto* t : {&thing, build_class, region}) {
      if (const auto* f = of(t, key)) return f;
    }
    return in_reference.empty() ? nullptr : of(reference, in_reference);
  }
  // key: of the form, where the fact that stands in has another name.
  void take(const catalog::Fact* f, Set set, std::string_view key = {}) {
    if (f == nullptr) return;
    set(c, f->value);
    c.facts.push_back(f);
    if (f->has_range) c.knobs.push_back({std::string(key.empty() ? f->key : key), f->dim, f->low, f->high, set});
  }
  void required(std::string_view key, const catalog::Fact* f, Set set) {
    if (f != nullptr) return take(f, set, key);
    if (error) return;
    error = Error{ErrorCode::bad_input,
                  std::string(thing.file),
                  0,
                  std::string(key),
                  fmt::format("{} does not state {}", thing.name, key),
                  "a value with its source, or kind: assumed with range and why",
                  fmt::format("or --set {}=…, or a region and class that have it", key)};
  }
};

tl::unexpected<Error> refuse_attribute(const catalog::Thing& t, std::string_view key, std::string_view value, std::string_view expected) {
  return fail({ErrorCode::bad_input, std::string(t.file), 0, std::string(key), fmt::format("'{}'", value), std::string(expected), {}});
}

Result<Business> business_of(const catalog::Thing& t) {
  const std::string b = lower(t.attribute("business"));
  if (b.empty() || b == "gpu-cloud") return Business::gpu_cloud;
  if (b == "colocation") return Business::colocation;
  if (b == "owner-operator") return Business::owner_operator;
  return refuse_attribute(t, "business", b, "gpu-cloud, colocation or owner-operator");
}
Result<PowerBilling> billing_of(const catalog::Thing& t, Business business) {
  const std::string b = lower(t.attribute("power_billing"));
  if (b.empty()) return business == Business::colocation ? PowerBilling::pass_through : PowerBilling::in_rent;
  if (b == "in-rent") return PowerBilling::in_rent;
  if (b == "pass-through") return PowerBilling::pass_through;
  if (b == "net") return PowerBilling::net;
  return refuse_attribute(t, "power_billing", b, "in-rent, pass-through or net");
}

// "ascend-910c 0.6, h20-96g 0.4": names with their shares of the power.
Result<std::vector<FleetPart>> fleet_of(const catalog::Thing& t) {
  const auto one = t.attribute("accelerator"), many = t.attribute("fleet");
  if (one.empty() == many.empty()) {
    return fail({ErrorCode::bad_input,
                 std::string(t.file),
                 0,
                 "accelerator",
                 one.empty() ? "is not stated" : "is stated beside fleet",
                 "attributes: {accelerator: NAME}, or fleet: 'NAME 0.6, NAME 0.4'",
                 {}});
  }
  if (!one.empty()) return std::vector{FleetPart{std::string(one)}};
  std::vector<FleetPart> parts;
  double sum = 0;
  for (const auto piece : split(many, ',')) {
    const auto words = trim(piece);
    const auto space = words.rfind(' ');
    FleetPart p;
    const auto number = space == std::string_view::npos ? std::string_view{} : words.substr(space + 1);
    const auto [end, status] = std::from_chars(number.data(), number.data() + number.size(), p.share);
    if (number.empty() || status != std::errc{} || end != number.data() + number.size() || !(p.share > 0 && p.share <= 1))
      return refuse_attribute(t, "fleet", words, "a name and its share of the power, above 0 and up to 1: 'h20-96g 0.4'");
    p.accelerator = std::string(trim(words.substr(0, space)));
    sum += p.share;
    parts.push_back(std::move(p));
  }
  if (std::abs(sum - 1) > 1e-6)
    return refuse_attribute(t, "fleet", fmt::format("shares that add up to {}", sum), "shares that add up to 1");
  return parts;
}

// What an accelerator of this part draws when nobody has it, over its all-in power: the same at any PUE. Without its board power, the
// surroundings' share stands in.
void take_idle_power(const catalog::Catalog& catalog, const catalog::Accelerator& chip, Campus& c, FleetPart& p) {
  const auto& rest = must(catalog, "power-model", "rest_idle");
  std::array<double, 3> share{rest.value, rest.low, rest.high};
  std::vector<const catalog::Fact*> facts{&rest};
  if (const auto band = power_model(catalog, chip)) {
    const Watts all_in = *all_in_power(catalog, chip, facts);
    const std::array models{&band->centre, &band->low, &band->high};
    for (std::size_t i = 0; i < models.size(); ++i) share[i] = std::min(1.0, power_at(*models[i], {}) / all_in);
    facts.push_back(&must(catalog, "power-model", "chip_idle"));
  }
  p.idle_power = share[0];
  c.facts.insert(c.facts.end(), facts.begin(), facts.end());
  if (c.fleet.size() == 1) c.knobs.push_back({"idle_power", Dim{}, share[1], share[2], [](Campus& x, double v) { x.idle_power = v; }});
}

// Power at the meter, price and rent of one accelerator of each part.
Result<void> price_parts(const catalog::Catalog& catalog, Taker& take) {
  Campus& c = take.c;
  const auto *own_price = take.own("hardware_price"), *own_rent = take.own("rent");
  const double published_pue = must(catalog, "power-model", "all_in_pue").value;
  const bool own_pue = take.find("pue") != nullptr;
  for (auto& p : c.fleet) {
    JEVONS_TRY(const catalog::Thing* t, catalog.find(Section::accelerator, p.accelerator));
    const catalog::Accelerator chip = catalog::accelerator(*t);
    p.accelerator = std::string(t->name);
    JEVONS_TRY(p.power_each, all_in_power(catalog, chip, c.facts));
    if (own_pue) p.power_each = p.power_each * (c.pue / published_pue);
    take_idle_power(catalog, chip, c, p);
    if (c.business != Business::colocation && own_price == nullptr) {
      const auto owned = ownership(catalog, chip);
      if (!owned) {
        Error e = owned.error();
        e.hint = "give hardware_price, in the file or with --set hardware_price='… USD'";
        return fail(std::move(e));
      }
      const Ownership& o = *owned;
      p.hardware_each = o.system;
      for (const auto* f : o.facts) {
        if (f->key == "price" || f->key == "system_over_chip") c.facts.push_back(f);
      }
      if (chip.price && chip.price->fact->has_range && c.fleet.size() == 1) {
        const auto& f = *chip.price->fact;
        const double uplift = o.system / chip.price->value;  // servers and network, where the price is the chip's alone
        c.knobs.push_back(
            {"hardware_price", f.dim, f.low * uplift, f.high * uplift, [](Campus& x, double v) { x.hardware_each = Usd{v}; }});
      }
    }
    if (c.business == Business::gpu_cloud && own_rent == nullptr) {
      const auto known = chip.price_contract ? chip.price_contract : chip.thing->get<UsdPerSecond>("rental_3yr");
      if (!known) {
        return fail({ErrorCode::bad_input, std::string(take.thing.file), 0, "rent",
                     fmt::format("no contract rent of {} is known", chip.thing->name), "rent, in USD/h of one accelerator",
                     "or business: owner-operator"});
      }
      p.rent_each = known->value;
      c.facts.push_back(known->fact);
    }
  }
  return {};
}

// Whole accelerators of each part, and the means over the fleet.
Result<void> size_fleet(Taker& take) {
  Campus& c = take.c;
  const auto *watts = take.own("site_power"), *count = take.own("accelerators");
  if ((watts == nullptr) == (count == nullptr)) {
    return fail({ErrorCode::bad_input,
                 std::string(take.thing.file),
                 count == nullptr ? 0 : count->line,
                 "site_power",
                 watts == nullptr ? "neither site_power nor accelerators is stated" : "both site_power and accelerators are stated",
                 "one of them",
                 {}});
  }
  double per_watt = 0;  // accelerators a watt
  for (const auto& p : c.fleet) per_watt += p.share / p.power_each.value();
  const double site = watts != nullptr ? watts->value : count->value / per_watt;
  const auto& asked = watts != nullptr ? *watts : *count;
  if (!(site >= (1 - 1e-9) / per_watt && site < 1e15)) {
    return fail(
        {ErrorCode::bad_input,
         std::string(asked.file),
         asked.line,
         std::string(asked.key),
         site < 1e15 ? fmt::format("'{}' holds no accelerator", asked.text) : fmt::format("'{}' is more than the world makes", asked.text),
         site < 1e15 ? fmt::format("at least {:.3g} W, one accelerator at the meter", 1 / per_watt) : std::string("below 1e15 W"),
         {}});
  }
  Watts power{}, idle{};
  Usd hardware{};
  UsdPerSecond rent{};
  for (auto& p : c.fleet) {
    // The size itself is what is asked, not an uncertainty.
    p.accelerators = c.fleet.size() == 1 && count != nullptr ? count->value : std::floor(site * p.share / p.power_each.value() + 1e-9);
    c.accelerators += p.accelerators;
    power += p.power_each * p.accelerators;
    idle += p.power_each * (p.accelerators * p.idle_power);
    hardware += p.hardware_each * p.accelerators;
    rent += p.rent_each * p.accelerators;
    c.accelerator += (c.accelerator.empty() ? "" : " + ") + p.accelerator;
  }
  if (c.accelerators > 0) {
    c.power_each = power / c.accelerators;
    c.idle_power = idle / power;
    c.hardware_each = hardware / c.accelerators;
    c.rent_each = rent / c.accelerators;
  }
  c.facts.push_back(&asked);
  return {};
}

void take_site(const catalog::Catalog& catalog, Taker& take) {
  Campus& c = take.c;
  const auto* build_cost = take.own("build_cost");
  take.required("build_cost", build_cost != nullptr ? build_cost : take.find("build_cost", "site_capex"),
                [](Campus& x, double v) { x.site_usd_per_watt = v; });
  if (build_cost == nullptr) take.take(take.find("build_factor"), [](Campus& x, double v) { x.build_factor = v; });
  if (const auto* own = take.own("idle_power")) {
    std::erase_if(c.knobs, [](const auto& k) { return k.key == "idle_power"; });
    take.take(own, [](Campus& x, double v) { x.idle_power = v; });
  }
  take.required("electricity", take.find("electricity", "electricity"), [](Campus& x, double v) { x.electricity = UsdPerJoule{v}; });
  take.required("build_time", take.find("build_time"), [](Campus& x, double v) { x.build_years = v / kYear; });
  const auto* ramp = take.find("ramp_time");
  take.required("ramp_time", ramp != nullptr ? ramp : &must(catalog, "build-times", "customer_ramp"),
                [](Campus& x, double v) { x.ramp_years = v / kYear; });
  take.take(take.find("carbon"), [](Campus& x, double v) { x.carbon = v; });
  take.take(take.find("grid_water"), [](Campus& x, double v) { x.grid_water = v; });
  take.take(take.find("site_water"), [](Campus& x, double v) { x.site_water = v; });
  if (c.business == Business::colocation) {
    const auto* rent = take.own("space_rent");
    take.required("space_rent", rent != nullptr ? rent : &must(catalog, "colocation-rent", "coreweave_wholesale"),
                  [](Campus& x, double v) { x.space_rent = UsdPerJoule{v}; });
  }
}

// Operations as one sum, or built up from people, upkeep and spares: never both.
Result<void> take_operations(Taker& take) {
  const auto* lump = take.own("operations");
  for (const std::string_view key : {"staff_per_megawatt", "staff_cost", "site_maintenance", "spares"}) {
    if (lump == nullptr || take.own(key) == nullptr) continue;
    return fail({ErrorCode::bad_input,
                 std::string(take.thing.file),
                 take.own(key)->line,
                 std::string(key),
                 "is stated beside operations, which holds it already",
                 "operations alone, or its parts alone",
                 {}});
  }
  const bool parts = take.find("staff_per_megawatt") != nullptr && take.find("staff_cost") != nullptr;
  if (lump != nullptr || !parts) {
    take.required("operations", lump != nullptr ? lump : take.find("operations", "operations"),
                  [](Campus& x, double v) { x.operations_each = UsdPerSecond{v}; });
    return {};
  }
  take.take(take.find("staff_per_megawatt"), [](Campus& x, double v) { x.staff_per_watt = v; });
  take.take(take.find("staff_cost"), [](Campus& x, double v) { x.staff_cost = UsdPerSecond{v}; });
  take.take(take.find("site_maintenance"), [](Campus& x, double v) { x.site_maintenance = v; });
  take.take(take.find("spares"), [](Campus& x, double v) { x.spares = v; });
  return {};
}

void take_finance(Taker& take) {
  take.required("occupancy", take.own("occupancy"), [](Campus& x, double v) { x.occupancy = v; });
  take.required("tax", take.find("tax"), [](Campus& x, double v) { x.tax = v; });
  take.required("debt_share", take.own("debt_share"), [](Campus& x, double v) { x.debt_share = v; });
  take.required("debt_rate", take.own("debt_rate"), [](Campus& x, double v) { x.debt_rate = v; });
  take.required("overhead", take.own("overhead"), [](Campus& x, double v) { x.overhead = v; });
  take.required("hardware_life", take.find("hardware_life", "it_life"), [](Campus& x, double v) { x.hardware_years = v / kYear; });
  take.required("site_life", take.find("site_life", "site_life"), [](Campus& x, double v) { x.site_years = v / kYear; });
  take.required("cost_of_capital", take.find("cost_of_capital", "cost_of_capital"), [](Campus& x, double v) { x.cost_of_capital = v; });
  if (take.c.business != Business::colocation) take.take(take.own("hardware_price"), [](Campus& x, double v) { x.hardware_each = Usd{v}; });
  if (take.c.business == Business::gpu_cloud) take.take(take.own("rent"), [](Campus& x, double v) { x.rent_each = UsdPerSecond{v}; });
  take.take(take.own("tokens_per_second"), [](Campus& x, double v) { x.tokens_each = TokensPerSecond{v}; });
}

Result<void> take_hours(const catalog::Catalog& catalog, const catalog::Thing& t, const catalog::Thing* region, Campus& c) {
  if (region != nullptr && !region->attribute("hour_shape").empty()) c.hour_shape = std::string(region->attribute("hour_shape"));
  if (const auto shape = t.attribute("load_shape"); !shape.empty()) c.load_shape = std::string(shape);
  if (c.load_shape != "flat" && c.load_shape != "day") return refuse_attribute(t, "load_shape", c.load_shape, "flat or day");
  JEVONS_TRY(const auto load, hour_shape(catalog, c.load_shape + "_load"));
  JEVONS_TRY(const auto price, hour_shape(catalog, c.hour_shape + "_price"));
  JEVONS_TRY(const auto carbon, hour_shape(catalog, c.hour_shape + "_carbon"));
  c.price_by_hour = hourly_mean(load, price);
  c.carbon_by_hour = hourly_mean(load, carbon);
  return {};
}

}  // namespace

Result<Campus> campus(const catalog::Catalog& catalog, const catalog::Thing& t) {
  JEVONS_CHECK(catalog::check_units(t, campus_keys()));
  Campus c;
  c.name = std::string(t.name);
  JEVONS_TRY(c.business, business_of(t));
  JEVONS_TRY(c.billing, billing_of(t, c.business));
  JEVONS_TRY(c.fleet, fleet_of(t));
  JEVONS_TRY(const catalog::Thing* region, named(catalog, t, "region"));
  JEVONS_TRY(const catalog::Thing* build_class, named(catalog, t, "class"));
  JEVONS_TRY(const catalog::Thing* reference, catalog.find(Section::datacenter, "reference-site"));
  for (const auto* part : {region, build_class}) {
    if (part != nullptr) JEVONS_CHECK(catalog::check_units(*part, campus_keys()));
  }
  c.region = std::string(t.attribute("region"));
  c.build_class = std::string(t.attribute("class"));
  Taker take{t, region, build_class, reference, c, {}};
  const auto* pue = take.find("pue");
  if (pue == nullptr) pue = &must(catalog, "power-model", "all_in_pue");
  take.take(pue, [](Campus& x, double v) {
    x.power_each = x.power_each * (v / x.pue);
    x.pue = v;
  });
  if (!(c.pue >= 1 && c.pue < 100)) {
    return fail({ErrorCode::bad_input,
                 std::string(pue->file),
                 pue->line,
                 "pue",
                 fmt::format("'{}'", pue->text),
                 "1 or more: the site draws at least what its IT draws",
                 {}});
  }
  JEVONS_CHECK(price_parts(catalog, take));
  JEVONS_CHECK(size_fleet(take));
  take_site(catalog, take);
  JEVONS_CHECK(take_operations(take));
  take_finance(take);
  JEVONS_CHECK(take_hours(catalog, t, region, c));
  if (take.error) return fail(*take.error);
  if (auto ok = check_campus(c); !ok) {
    Error e = ok.error();
    e.file = std::string(t.file);
    if (const auto* f = t.find(e.key)) {
      e.line = f->line;
      e.file = std::string(f->file);
      e.what = fmt::format("'{}'", f->text);
    }
    return fail(std::move(e));
  }
  return c;
}

Result<void> check_campus(const Campus& c) {
  const auto refuse = [](std::string_view key, double v, std::string_view expected, std::string_view hint = {}) {
    return bad_input(std::string(key), fmt::format("{}", v), std::string(expected), std::string(hint));
  };
  if (c.occupancy > 1)
    return refuse("occupancy", c.occupancy, "a share from 0 to 1: a site cannot sell more than it has", "write 90 % as 0.9, or build more");
  const std::array<std::pair<std::string_view, double>, 6> shares{{{"occupancy", c.occupancy},
                                                                   {"idle_power", c.idle_power},
                                                                   {"tax", c.tax},
                                                                   {"debt_share", c.debt_share},
                                                                   {"debt_rate", c.debt_rate},
                                                                   {"overhead", c.overhead}}};
  for (const auto& [key, v] : shares) {
    if (!(v >= 0 && v <= 1)) return refuse(key, v, "a share from 0 to 1");
  }
  const std::array<std::pair<std::string_view, double>, 16> amounts{{{"hardware_price", c.hardware_each.value()},
                                                                     {"build_cost", c.site_usd_per_watt},
                                                                     {"build_factor", c.build_factor},
                                                                     {"electricity", c.electricity.value()},
                                                                     {"operations", c.operations_each.value()},
                                                                     {"staff_per_megawatt", c.staff_per_watt},
                                                                     {"staff_cost", c.staff_cost.value()},
                                                                     {"site_maintenance", c.site_maintenance},
                                                                     {"spares", c.spares},
                                                                     {"carbon", c.carbon.value_or(0)},
                                                                     {"grid_water", c.grid_water.value_or(0)},
                                                                     {"site_water", c.site_water.value_or(0)},
                                                                     {"rent", c.rent_each.value()},
                                                                     {"space_rent", c.space_rent.value()},
                                                                     {"build_time", c.build_years},
                                                                     {"ramp_time", c.ramp_years}}};
  for (const auto& [key, v] : amounts) {
    if (!(v >= 0 && v < 1e15)) return refuse(key, v, "an amount that is not negative");
  }
  if (!(c.accelerators >= 1 && c.accelerators <= 1e9))
    return refuse("accelerators", c.accelerators, "1 to 1e9: the site must hold at least one");
  if (!(c.hardware_years >= 1.0 / 12 && c.hardware_years <= 100)) return refuse("hardware_life", c.hardware_years, "a month to 100 years");
  if (!(c.site_years >= 1.0 / 12 && c.site_years <= 200)) return refuse("site_life", c.site_years, "a month to 200 years");
  if (!(c.build_years <= 50)) return refuse("build_time", c.build_years, "at most 50 years");
  if (!(c.ramp_years <= 50)) return refuse("ramp_time", c.ramp_years, "at most 50 years");
  if (!(c.cost_of_capital >= 0 && c.cost_of_capital < 1)) return refuse("cost_of_capital", c.cost_of_capital, "a share from 0 to below 1");
  if (!(c.pue >= 1)) return refuse("pue", c.pue, "1 or more");
  if (c.tokens_each && !(c.tokens_each->value() >= 1e-6 && c.tokens_each->value() <= 1e12))
    return refuse("tokens_per_second", c.tokens_each->value(), "a rate of 1e-6 to 1e12 tokens a second");
  return {};
}

}  // namespace jevons::cost
