#pragma once
// Energy, carbon and water of an output token from what a simulation's accelerators did.
#include <string>
#include <vector>

#include "cost/energy.hpp"
#include "serve/simulate.hpp"

namespace jevons::report {
struct Document;
}

namespace jevons::engine {

/// Of the accelerator-time that a run ordered, over its output tokens.
struct RunEnergy {
  std::optional<cost::TokenEnergyBand> per_token;  // nothing: `why_not`
  double joules = 0;
  std::string why_not, region;
  std::vector<const catalog::Fact*> facts;
};

/// What the attention ranks of one pool did: seconds of all of them together, and sequences x seconds.
struct Work {
  double prefill = 0, decode = 0, sequences = 0, ordered = 0;
  Work operator-(const Work& before) const {
    return {prefill - before.prefill, decode - before.decode, sequences - before.sequences, ordered - before.ordered};
  }
};
Work work_of(const serve::Deployment& deployment, const serve::Simulation& simulation, std::size_t pool);

/// One pool's accelerators and what they did. accelerators_a_rank turns its ranks' seconds into accelerator-seconds.
struct Worked {
  const catalog::Accelerator* chip = nullptr;
  Work work;
  double accelerators_a_rank = 1;
};
/// share: of the time ordered that is used like this; the rest is idle. Errors: an unknown region or class of site.
Result<RunEnergy> energy_of(const catalog::Catalog& catalog, std::string_view region, std::string_view site_class,
                            const std::vector<Worked>& pools, Tokens output, double share = 1);

/// Table, values and facts. note: what else the tokens carry.
void put_energy(report::Document& document, const RunEnergy& energy, const std::string& note);

}  // namespace jevons::engine
