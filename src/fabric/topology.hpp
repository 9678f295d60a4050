#pragma once
// The scale-up fabric that comes with a number of accelerators.
#include <optional>
#include <string>

#include "fabric/network.hpp"

namespace jevons::fabric {

struct Bill {
  std::string fabric;  // catalogue name
  double accelerators = 0, domains = 0;
  std::optional<double> switch_chips, modules;  // counted where the design is published, else as published; nothing: neither
  std::optional<Watts> power;                   // of the whole systems, when published
  std::optional<Watts> fabric_power;            // of switches and links; nothing when a part\'s power is not published
  std::string unknown;                          // which
};
/// Finds the scale-up system an accelerator lives in by its attribute `scaleup_system`; nothing when the catalogue has none.
std::optional<Bill> scaleup_bill(const catalog::Catalog& catalog, const catalog::Thing& accelerator, double accelerators);

}  // namespace jevons::fabric
