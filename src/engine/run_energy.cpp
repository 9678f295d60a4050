#include "engine/run_energy.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "engine/energy_table.hpp"
#include "engine/used_facts.hpp"

namespace jevons::engine {

Work work_of(const serve::Deployment& d, const serve::Simulation& sim, std::size_t pool) {
  std::size_t first = 0;
  for (std::size_t k = 0; k < pool; ++k) first += std::size_t(d.pools[k].replicas * d.pools[k].ranks);
  const serve::Pool& p = d.pools[pool];
  Work w;
  for (std::size_t i = first; i < first + std::size_t(p.replicas * p.ranks); ++i) {
    const serve::Counters& c = sim.replicas[i];
    w.decode += step::seconds_of(c.decode_busy);
    w.prefill += step::seconds_of(c.busy - c.decode_busy);
    w.sequences += step::seconds_of(c.sequence_ticks);
  }
  w.ordered = std::max(sim.fleet.accelerator_s[pool] * p.ranks / p.accelerators, w.prefill + w.decode);
  return w;
}

Result<RunEnergy> energy_of(const catalog::Catalog& catalog, std::string_view region, std::string_view site_class,
                            const std::vector<Worked>& pools, Tokens output, double share) {
  RunEnergy e{.region = std::string(region)};
  JEVONS_TRY(const cost::Grid grid, cost::grid_of(catalog, region));
  JEVONS_TRY(const cost::SiteClass site, cost::site_class_of(catalog, site_class));
  std::vector<cost::Powered> parts;
  for (const Worked& p : pools) {
    auto power = cost::power_model(catalog, *p.chip, site.pue);
    if (!power) {
      e.why_not = power.error().what;
      return e;
    }
    e.facts.insert(e.facts.end(), power->facts.begin(), power->facts.end());
    const double busy = p.work.prefill + p.work.decode, all = std::max(p.work.ordered, busy);
    cost::Load load;
    if (all > 0) load = {share * p.work.prefill / all, share * p.work.decode / all, busy > 0 ? std::max(1.0, p.work.sequences / busy) : 1};
    parts.push_back({std::move(*power), load, Seconds{p.work.ordered * p.accelerators_a_rank / share}});
  }
  for (const auto* more : {&grid.facts, &site.facts}) e.facts.insert(e.facts.end(), more->begin(), more->end());
  if (!(output.value() > 0)) {
    e.why_not = "no output";
    return e;
  }
  e.per_token = cost::token_energy(parts, output, grid.gco2_per_joule, grid.litres_per_joule, site.litres_per_joule);
  e.joules = (e.per_token->centre.joules * output).value();
  return e;
}

void put_energy(report::Document& out, const RunEnergy& e, const std::string& note) {
  if (!e.per_token) return out.notes.push_back(fmt::format("Energy: null, {}.", e.why_not));
  for (const auto* f : e.facts) use_fact(out, *f);
  out.tables.push_back(energy_table(*e.per_token, true, note + " Grid: region " + e.region + ".",
                                    fmt::format("region {} states no carbon of its grid", e.region),
                                    fmt::format("region {} states no water of its grid, or the class none of its site", e.region), out));
}

}  // namespace jevons::engine
