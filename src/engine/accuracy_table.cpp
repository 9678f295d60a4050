#include "engine/accuracy_table.hpp"

#include <fmt/format.h>

#include "evidence/case_run.hpp"

namespace jevons::engine {
Result<Sureness> sureness_of(const catalog::Catalog& catalog, const Settings& s, const Simulated& x) {
  Sureness out;
  if (x.pools.size() > 1) {
    out.why_not = "prefill and decode in pools of their own: too few measurements for a band";
    return out;
  }
  const PoolPlan& p = x.pools.front();
  JEVONS_TRY(const evidence::Bands bands, evidence::read_bands(catalog));
  JEVONS_TRY(const step::ServedBlocks blocks, step::served_blocks(catalog));
  out.corrected = p.factors.cases > 0;
  const serve::Pool& pool = x.deployment.pools.front();
  const double unsure = evidence::cache_uncertainty(p.memory.for_cache);
  const bool near = evidence::near_kv_limit(x.metrics.preemptions, x.metrics.kv_peak, unsure);
  const evidence::Seen seen = evidence::seen_in(blocks);
  out.regime = evidence::regime_of({s.text("model"), std::string(p.subject.chip.thing->name), p.block}, near, seen);
  out.band = bands[std::size_t(*out.regime)];
  if (near && x.asked.workload.requests.size() <= kBandRequests && !x.metrics.partial && pool.blocks > 1) {
    const auto means = [](const serve::Metrics& m) { return evidence::Means{m.tpot.mean, m.ttft.mean, m.output_tok_s}; };
    const auto run = [&](std::int64_t n) -> Result<evidence::Means> {
      serve::Deployment d = x.deployment;
      d.pools.front().blocks = n;
      JEVONS_TRY(const serve::Simulation sim, serve::simulate(d, x.asked.workload, {.seed = {std::uint64_t(s.integer("seed"))}}));
      return means(serve::measure(sim, d, x.asked.workload));
    };
    evidence::Prediction about;
    JEVONS_TRY(about.capacity, evidence::with_other_caches(means(x.metrics), pool.blocks, unsure, 1, run));
    out.band = evidence::band_of(about, out.band);
  }
  return out;
}

void put_sureness(report::Document& d, const serve::Metrics& m, const Sureness& sure) {
  if (!sure.regime) {
    d.notes.push_back(fmt::format("No band: {}.", sure.why_not));
    return;
  }
  const report::Origin origin{"derived", "evidence::bands_of in src/evidence/bands.cpp",
                              "residuals of measured points left out: docs/accuracy.md"};
  report::Table t{"bands", "90 % bands", {}, {}, {}, true};
  t.columns = {{"metric", "mean", "{}", {}},
               {"predicted", "predicted", "{:.5g}", origin},
               {"low", "low", "{:.5g}", origin},
               {"high", "high", "{:.5g}", origin},
               {"unit", "unit", "{}", {}}};
  const auto row = [&](const char* name, double value, const evidence::Interval& band, const char* unit) {
    t.rows.push_back({name, value, value * band.low, value * band.high, unit});
  };
  row("time to first token", m.ttft.mean * 1e3, sure.band.ttft, "ms");
  row("time per output token", m.tpot.mean * 1e3, sure.band.tpot, "ms");
  row("output throughput", m.output_tok_s, sure.band.output_tok_s, "tok/s");
  t.notes = {fmt::format("Of what is known of the deployment: {}. {}", evidence::name(*sure.regime),
                         sure.corrected ? "The correction of this very deployment spoke, beside the physics."
                                        : "The physics spoke; no correction of this deployment (--engine-version) is known.")};
  d.tables.push_back(std::move(t));
}

}  // namespace jevons::engine
