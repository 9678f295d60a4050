#pragma once
// The Monte Carlo: many futures of the market, month by month from January 2024 to December 2032.
//
// Each path is one draw of the parameters plus chance. A month does, in this order: chance moves growth rates and mark-ups; tier prices
// follow cost, rent and mark-up; users switch between tiers; each segment's demand follows price, capability, adoption and intensity;
// yearly budgets cap what is metered; the fleet serves what it can; what it cannot is unmet, and the rent of the next month rises; owners
// order accelerators against expected demand within their capital budget, and receive them a lead time later.
// Before the anchor (July 2026) chance, budgets and scarcity are off: the reported past had them inside.
#include <span>
#include <vector>

#include "base/random.hpp"
#include "market/segments.hpp"

namespace jevons::market {

inline constexpr int kMonths = 108;      // January 2024 to December 2032
inline constexpr int kAnchorMonth = 30;  // July 2026

/// What serving takes and is sold for, by segment and tier, at the anchor. From the hardware half of the chain.
struct Resource {
  double usd_per_token = 0;                 // list price of the segment's mix of fresh, cached and output tokens
  double h100e_seconds_per_token = 0;       // time of an H100-equivalent
  double hbm_byte_seconds_per_token = 0;    // memory held times the time it is held
  double flops_per_token = 0;
};
using Resources = std::array<std::array<Resource, kTiers>, kSegments>;

/// The world's accelerators at the anchor.
struct Fleet {
  double stock = 0;             // H100-equivalents
  double capex_per_year = 0;    // USD, accelerators with their systems and sites
  double usd_per_h100e = 0;     // of an addition, with system and site
  double watts_per_h100e = 0;   // of an addition at the meter
  double fleet_watts = 0;       // of the whole stock at the meter
  double hbm_bytes = 0;         // of the whole stock
  double life_years = 6;
  double power_gain_share = 0.5;  // decline of watts per H100e over decline of its price, in ln
};

/// Which parts run: tests and the Jevons question switch them.
struct Switches {
  bool chance = true, budgets = true, scarcity = true;
  bool efficiency = true;  // off: cost, time and memory per token stay at the anchor's: the counterfactual
};

/// Chance at the anchor that history has moved: growth rates beyond the segments' own, ln/yr.
struct Momentum {
  double common = 0, china = 0, rest = 0;
};

struct PathInput {
  Values values;
  Momentum momentum;
  double total_tokens = 0;                       // per day, all segments at the anchor
  std::array<double, kSegments> level{};         // ln deviation of each segment's share before they are scaled to the total
};

/// What is recorded of a path, in this order; floats.
enum class Output : std::uint8_t {
  tokens, unmet, price, spend, accelerators, serving_share, hbm, power, capex, rent, china, needed, serving_hbm
};
inline constexpr std::size_t kOutputs = 13;
std::string_view name(Output o);

struct Paths {
  std::size_t count = 0;
  std::vector<int> months;         // recorded months
  std::vector<float> outputs;      // [output][record][path]
  std::vector<float> segments;     // tokens served per day [segment][record][path]
  float at(Output o, std::size_t record, std::size_t path) const {
    return outputs[(std::size_t(o) * months.size() + record) * count + path];
  }
  std::span<const float> all(Output o, std::size_t record) const {
    return std::span(outputs).subspan((std::size_t(o) * months.size() + record) * count, count);
  }
  std::span<const float> segment(std::size_t s, std::size_t record) const {
    return std::span(segments).subspan((s * months.size() + record) * count, count);
  }
};

struct World {
  Segments segments;
  Resources resources;
  Fleet fleet;
};

/// Runs every input; path i's chance comes from (seed, i), whatever the number of threads. `months` to record: ascending, below kMonths.
Paths run_paths(const World& world, std::span<const PathInput> inputs, const Switches& on, std::span<const int> months, Seed seed);

}  // namespace jevons::market
