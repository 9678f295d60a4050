#pragma once
// How accelerators are wired: switch chips, optical modules, watts of a fabric.
// Source of the counting rules: Clos and fat-tree arithmetic (Al-Fares, Loukissas, Vahdat, SIGCOMM 2008), multi-plane as in NVL72.
#include <string>

#include "base/quantity.hpp"
#include "base/result.hpp"
#include "catalog/catalog.hpp"

namespace jevons::fabric {

/// A non-blocking Clos: every endpoint spreads its bandwidth over planes of identical switches.
struct Clos {
  double endpoints = 0;
  BytesPerSecond endpoint_bandwidth{};  // one direction
  BytesPerSecond switch_capacity{};     // one direction, of one chip
  double radix = 0;                     // ports of a chip at the lane rate used
  int tiers = 1;
};
struct ClosParts {
  double switch_chips = 0;
  double endpoints_per_chip = 0;
  BytesPerSecond aggregate{};           // both directions, all endpoints
};
/// Chips: tiers 1: ceil(N B / S); L tiers: (2L - 1) N B / S. Errors: radix too small for the endpoints (with the tiers that would do).
Result<ClosParts> clos_parts(const Clos& c);
/// Endpoints that L tiers of radix k reach: k for one tier, 2 (k/2)^L above.
double clos_reach(double radix, int tiers);
/// Optical modules: two ends a link, L links an endpoint path: 2 L N B / module rate; copper to the first tier takes two away.
double optical_modules(double endpoints, BytesPerSecond bandwidth, BytesPerSecond module_rate, int tiers, bool copper_first_tier);

/// The scale-up fabric of one domain as the catalogue knows it, scaled to the accelerators used.
struct Bill {
  std::string fabric;                   // catalogue name
  double accelerators = 0, domains = 0;
  std::optional<double> switch_chips, modules;  // nothing: not published
  std::optional<Watts> power;           // of the whole systems, when published
};
/// Finds the scale-up system an accelerator lives in by its attribute `scaleup_system`; nothing when the catalogue has none.
std::optional<Bill> scaleup_bill(const catalog::Catalog& catalog, const catalog::Thing& accelerator, double accelerators);

}  // namespace jevons::fabric
