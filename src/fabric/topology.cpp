#include "fabric/topology.hpp"

#include <cmath>

namespace jevons::fabric {

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
  auto chips = f.number("switch_chips"), modules = f.number("optical_modules");
  if (const auto design = network(catalog, f)) {
    if (const auto list = parts_list(*design)) {
      chips = list->switch_chips;
      for (const auto& what : list->unknown) {
        if (what.starts_with("power")) b.unknown += (b.unknown.empty() ? "" : ", ") + what;
      }
      if (b.unknown.empty()) b.fabric_power = list->power * b.domains;
      // A design whose media are not named may still have modules: only the published count tells.
      if (design->endpoint_end || design->uplink) modules = list->optical_modules;
    }
  }
  if (chips) b.switch_chips = *chips * b.domains;
  if (modules) b.modules = *modules * b.domains;
  if (const auto power = f.get<Watts>("power")) b.power = power->value * b.domains;
  return b;
}

}  // namespace jevons::fabric
