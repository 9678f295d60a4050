#include "cost/gpu_hour.hpp"

#include <fmt/format.h>

#include <cmath>

namespace jevons::cost {
namespace {

// A fact that must be there: the build checks catalog/datacenters, an overlay can only replace it.
const catalog::Fact& site_fact(const catalog::Catalog& catalog, std::string_view key, std::string_view thing = "reference-site") {
  const auto site = catalog.find(catalog::Section::datacenter, thing);
  JEVONS_ENSURE(site.has_value());
  const catalog::Fact* f = (*site)->find(key);
  JEVONS_ENSURE(f != nullptr);
  return *f;
}

// Purchase price of one accelerator with its share of the system: a system price over its accelerators, or a chip price with an uplift.
Result<Usd> system_price(const catalog::Catalog& catalog, const catalog::Accelerator& chip, Ownership& out) {
  if (chip.price && chip.thing->attribute("price_scope") == "system") {  // the share of a rack: servers and switches are inside
    out.facts.push_back(chip.price->fact);
    out.how = "its share of the price of a rack";
    return chip.price->value;
  }
  if (chip.price) {
    const catalog::Fact& uplift = site_fact(catalog, "system_over_chip");
    out.facts.push_back(chip.price->fact);
    out.facts.push_back(&uplift);
    out.how = "chip price with its share of servers and network";
    return chip.price->value * uplift.value;
  }
  if (const auto name = chip.thing->attribute("scaleup_system"); !name.empty()) {
    if (const auto system = catalog.find(catalog::Section::fabric, name)) {
      const auto price = (*system)->get<Usd>("price");
      const auto endpoints = (*system)->number("endpoints");
      if (price && endpoints) {
        out.facts.push_back(price->fact);
        out.how = fmt::format("price of a {} over its accelerators", (*system)->name);
        return price->value / *endpoints;
      }
    }
  }
  return fail({ErrorCode::bad_input, std::string(chip.thing->file), 0, "price",
               fmt::format("no purchase price of {} is known", chip.thing->name), "a price with its source",
               "give --usd-per-gpu-hour, another --cost-basis, or the price with --catalog DIR"});
}

}  // namespace

double capital_recovery(double rate, double years) { return rate == 0 ? 1 / years : rate / (1 - std::pow(1 + rate, -years)); }

Usd site_capital(double usd_per_it_watt, Watts meter, double pue) {
  JEVONS_ENSURE(pue >= 1);
  return Usd{usd_per_it_watt * meter.value() / pue};
}

UsdPerSecond electricity_cost(Watts meter, double in_use, double idle_share, UsdPerJoule price) {
  return meter * (in_use + idle_share * (1 - in_use)) * price;
}

Result<Watts> all_in_power(const catalog::Catalog& catalog, const catalog::Accelerator& chip, std::vector<const catalog::Fact*>& facts) {
  if (chip.all_in_power) {
    facts.push_back(chip.all_in_power->fact);
    return chip.all_in_power->value;
  }
  if (chip.tdp) {
    const catalog::Fact& ratio = site_fact(catalog, "power_over_tdp");
    facts.push_back(chip.tdp->fact);
    facts.push_back(&ratio);
    return chip.tdp->value * ratio.value;
  }
  return fail({ErrorCode::bad_input, std::string(chip.thing->file), 0, "tdp", fmt::format("no power of {} is known", chip.thing->name),
               "tdp or all_in_power", "give it with --catalog DIR"});
}

Result<GpuHour> gpu_hour(const catalog::Catalog& catalog, const catalog::Accelerator& chip, Basis basis) {
  GpuHour g;
  g.basis = basis;
  JEVONS_TRY(g.power, all_in_power(catalog, chip, g.facts));
  if (basis != Basis::owner) {
    const auto rent3 = chip.thing->get<UsdPerSecond>("rental_3yr");
    const auto& known = basis == Basis::on_demand ? chip.price_on_demand : chip.price_contract ? chip.price_contract : rent3;
    if (!known) {
      return fail({ErrorCode::bad_input, std::string(chip.thing->file), 0, basis == Basis::on_demand ? "price_on_demand" : "price_contract",
                   fmt::format("no {} price of {} is known", basis == Basis::on_demand ? "on-demand" : "contract", chip.thing->name),
                   "a price with its source", "give --usd-per-gpu-hour or another --cost-basis"});
    }
    g.facts.push_back(known->fact);
    g.total = known->value;
    g.how = "market price";
    return g;
  }
  // Without a purchase price, a published cost to own stands in whole.
  if (const auto& published = chip.tco_neocloud ? chip.tco_neocloud : chip.tco_hyperscaler; published && !chip.price) {
    g.facts.push_back(published->fact);
    g.total = published->value;
    g.how = "published cost to own; no purchase price is known";
    return g;
  }
  JEVONS_TRY(const Ownership o, ownership(catalog, chip));
  g.facts = o.facts;
  const double year = kHoursPerYear * 3600;
  g.it_capital = UsdPerSecond{o.system.value() * capital_recovery(o.cost_of_capital, o.system_years) / year};
  g.site_capital = UsdPerSecond{o.site.value() * capital_recovery(o.cost_of_capital, o.site_years) / year};
  g.electricity = electricity_cost(o.power, 1, 0, o.electricity);  // an hour in use
  g.operations = o.operations;
  g.total = g.it_capital + g.site_capital + g.electricity + g.operations;
  g.how = "(capital of IT and site at their recovery factors) / 8,760 h + power x price + operations; " + o.how;
  return g;
}

Result<Ownership> ownership(const catalog::Catalog& catalog, const catalog::Accelerator& chip) {
  Ownership o;
  JEVONS_TRY(o.power, all_in_power(catalog, chip, o.facts));
  JEVONS_TRY(o.system, system_price(catalog, chip, o));
  const auto take = [&](std::string_view key) {
    o.facts.push_back(&site_fact(catalog, key));
    return o.facts.back()->value;
  };
  const double year = kHoursPerYear * 3600;
  o.cost_of_capital = take("cost_of_capital");
  o.system_years = take("it_life") / year;
  const catalog::Fact& pue = site_fact(catalog, "all_in_pue", "power-model");
  o.facts.push_back(&pue);
  o.site = site_capital(take("site_capex"), o.power, pue.value);
  o.site_years = take("site_life") / year;
  o.electricity = UsdPerJoule{take("electricity")};
  o.operations = UsdPerSecond{take("operations")};
  return o;
}

}  // namespace jevons::cost
