#include "fabric/topology.hpp"

#include <fmt/format.h>

#include <cmath>

namespace jevons::fabric {

double clos_reach(double radix, int tiers) { return tiers == 1 ? radix : 2 * std::pow(radix / 2, tiers); }

Result<ClosParts> clos_parts(const Clos& c) {
  if (!(c.endpoints >= 1) || !(c.radix >= 2) || c.tiers < 1 || c.tiers > 6) {
    return bad_input("topology", fmt::format("{} endpoints, radix {}, {} tiers", c.endpoints, c.radix, c.tiers), "at least 1 endpoint, radix 2 and 1 to 6 tiers");
  }
  if (clos_reach(c.radix, c.tiers) < c.endpoints) {
    int enough = c.tiers;
    while (enough < 6 && clos_reach(c.radix, enough) < c.endpoints) ++enough;
    return bad_input("topology.tiers", fmt::format("{} endpoints do not fit {} tier(s) of radix {}: the limit is {}", c.endpoints, c.tiers, c.radix, clos_reach(c.radix, c.tiers)),
                     "endpoints within reach of the tiers", clos_reach(c.radix, enough) >= c.endpoints ? fmt::format("{} tiers would fit", enough) : "a larger radix");
  }
  const double single = c.endpoints * (c.endpoint_bandwidth / c.switch_capacity);
  ClosParts p;
  p.switch_chips = std::ceil((2.0 * c.tiers - 1) * single - 1e-9);
  p.endpoints_per_chip = c.endpoints / p.switch_chips;
  p.aggregate = c.endpoint_bandwidth * (2 * c.endpoints);
  return p;
}

double optical_modules(double endpoints, BytesPerSecond bandwidth, BytesPerSecond module_rate, int tiers, bool copper_first_tier) {
  return (2.0 * tiers - (copper_first_tier ? 2 : 0)) * endpoints * (bandwidth / module_rate);
}

std::optional<Bill> scaleup_bill(const catalog::Catalog& catalog, const catalog::Thing& accelerator, double accelerators) {
  const auto name = accelerator.attribute("scaleup_system");
  if (name.empty()) return std::nullopt;
  const auto found = catalog.find(catalog::Section::fabric, name);
  if (!found) return std::nullopt;
  const catalog::Thing& f = **found;
  const auto endpoints = f.number("endpoints");
  if (!endpoints) return std::nullopt;
  Bill b;
  b.fabric = std::string(f.name);
  b.accelerators = accelerators;
  b.domains = std::ceil(accelerators / *endpoints - 1e-9);
  if (const auto chips = f.number("switch_chips")) b.switch_chips = *chips * b.domains;
  if (const auto modules = f.number("optical_modules")) b.modules = *modules * b.domains;
  if (const auto power = f.get<Watts>("power")) b.power = power->value * b.domains;
  return b;
}

}  // namespace jevons::fabric
