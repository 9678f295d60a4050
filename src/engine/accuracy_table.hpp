#pragma once
#include "engine/simulate_page.hpp"
#include "evidence/bands.hpp"

namespace jevons::engine {

/// How sure a simulation's means are.
struct Sureness {
  std::optional<evidence::Regime> regime;  // nothing: `why_not`
  evidence::MetricBands band;
  bool corrected = false;  // the correction of this very deployment spoke, beside the physics
  std::string why_not;
};
/// The 90 % band of a simulation of one pool, by what measurements know of its deployment; near the KV limit about what the same run gives
/// with as much less and more cache as its size is uncertain (up to kBandRequests requests). Errors: a catalogue file is missing.
Result<Sureness> sureness_of(const catalog::Catalog& catalog, const Settings& settings, const Simulated& simulated);
inline constexpr std::size_t kBandRequests = 100000;

void put_sureness(report::Document& document, const serve::Metrics& metrics, const Sureness& sureness);

}  // namespace jevons::engine
