// jevons simulate: requests one by one through replicas behind a router.
#include "engine/simulate_verb.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/units.hpp"
#include "cost/energy.hpp"
#include "engine/accuracy_table.hpp"
#include "engine/links.hpp"
#include "engine/simulate_page.hpp"
#include "traffic/prefix_count.hpp"

namespace jevons::engine {
namespace {

Result<Settings> read_settings(const Context& c) {
  Settings s(c.settings.table());
  if (!c.words.empty()) {
    JEVONS_TRY(const std::string yaml, read_file(c.words[0], 1u << 20));
    JEVONS_CHECK(s.load_yaml(yaml, c.words[0]));
  }
  s.lay_over(c.settings);
  for (const auto* path : {"model", "accelerator"}) {
    if (s.has(path) || (s.has("pools") && std::string_view(path) == "accelerator")) continue;
    return fail(s.error(path, "is missing", std::string(s.spec(path)->help), fmt::format("give {}", s.spec(path)->flag)));
  }
  return s;
}

// Money of the accelerator-time that the run ordered.
Priced price_of(const Simulated& x) {
  Priced p;
  double usd = 0, start_up = 0;
  for (std::size_t k = 0; k < x.pools.size(); ++k) {
    p.accelerator_s += x.simulation.fleet.accelerator_s[k];
    usd += (x.pools[k].hour.total * Seconds{x.simulation.fleet.accelerator_s[k]}).value();
    if (!x.pools[k].unpriced.empty()) p.why_not = x.pools[k].unpriced;
    const serve::Pool& pool = x.deployment.pools[k];
    if (pool.scaling && x.pools.size() == 1)
      start_up += (x.pools[k].hour.total * Seconds{double(x.simulation.fleet.started) * pool.start_up_s * pool.accelerators}).value();
  }
  const serve::Metrics& m = x.metrics;
  const double output = m.output_tok_s * m.makespan_s;
  if (p.why_not.empty()) {
    p.usd = usd;
    p.usd_idle = usd * (1 - x.shares.times.total() / std::max(p.accelerator_s, 1e-300));
    if (x.deployment.pools.front().scaling && x.pools.size() == 1) p.usd_start_up = start_up;
    if (output > 0) p.usd_per_output_mtok = usd / output * 1e6;
  }
  return p;
}

Outcome does_not_fit(const Answers& a, const PoolPlan& p) {
  Outcome o;
  o.answer = Answer::no;
  o.document.title = fmt::format("{} on {}", a.model.name, p.subject.chip.thing->name);
  o.document.version = std::string(version());
  o.document.answer = {
      {"Infeasible", fmt::format("memory binds: {} of weights and {} of reserve leave no cache within {} of an accelerator",
                                 format_bytes(p.memory.weights), format_bytes(p.memory.reserve), format_bytes(p.memory.capacity))}};
  o.document.notes = {
      "More accelerators (--tp, --pp), a smaller weight format (--weights) or a higher --gpu-memory-utilization would help."};
  return o;
}

// The same deployment under other draws, in parallel. Each replication has its own streams: results do not depend on the threads.
Result<report::Table> replications_of(const Context& c, const Settings& s, const Simulated& x, const serve::Goodput& goodput) {
  const auto n = std::size_t(s.integer("replications"));
  const auto& policy = x.deployment.pools.front().policy;
  std::vector<Result<serve::Metrics>> all(n, fail(Error{}));
  tbb::parallel_for(std::size_t{0}, n, [&](std::size_t k) {
    auto asked = workload_of(s, policy.block_size, policy.max_model_len, k);
    if (!asked) return void(all[k] = fail(asked.error()));
    auto sim =
        serve::simulate(x.deployment, asked->workload, {.seed = {std::uint64_t(s.integer("seed"))}, .replication = k, .stop = c.stop});
    if (!sim) return void(all[k] = fail(sim.error()));
    all[k] = serve::measure(*sim, x.deployment, asked->workload, goodput);
  });
  report::Table t{"replications",
                  fmt::format("Over {} replications", n),
                  {{"metric", "metric", "{}", {}},
                   {"mean", "mean", "{:.5g}", {}},
                   {"deviation", "std. deviation", "{:.3g}", {}},
                   {"least", "least", "{:.5g}", {}},
                   {"most", "most", "{:.5g}", {}},
                   {"unit", "unit", "{}", {}}},
                  {},
                  {},
                  true};
  struct Row {
    const char *name, *unit;
    double (*value)(const serve::Metrics&);
  };
  constexpr Row kRows[] = {{"TTFT mean", "ms", [](const serve::Metrics& m) { return m.ttft.mean * 1e3; }},
                           {"TTFT p99", "ms", [](const serve::Metrics& m) { return m.ttft.p99 * 1e3; }},
                           {"TPOT mean", "ms", [](const serve::Metrics& m) { return m.tpot.mean * 1e3; }},
                           {"E2E mean", "ms", [](const serve::Metrics& m) { return m.e2e.mean * 1e3; }},
                           {"output throughput", "tok/s", [](const serve::Metrics& m) { return m.output_tok_s; }}};
  for (const Row& row : kRows) {
    double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
    for (const auto& m : all) {
      if (!m) return fail(m.error());
      const double v = row.value(*m);
      sum += v;
      squares += v * v;
      least = std::min(least, v);
      most = std::max(most, v);
    }
    const double mean = sum / double(n);
    t.rows.push_back({std::string(row.name), mean,
                      std::sqrt(std::max(0.0, squares / double(n) - mean * mean) * double(n) / std::max(1.0, double(n) - 1)), least, most,
                      std::string(row.unit)});
  }
  return t;
}

}  // namespace

Result<Outcome> run_simulate(Context& c) {
  JEVONS_TRY(Settings settings, read_settings(c));
  Answers a{.scenario = {.settings = std::move(settings)}};
  const Settings& s = a.scenario.settings;
  const std::string& basis = s.text("cost.basis");
  a.scenario.basis = basis == "owner" ? cost::Basis::owner : basis == "contract" ? cost::Basis::contract : cost::Basis::on_demand;
  JEVONS_TRY(a.model, load_model(c.catalog, s.text("model")));
  JEVONS_TRY(const serve::Goodput goodput, goodput_of(s));
  JEVONS_CHECK(cost::grid_of(c.catalog, s.text("site.region")));  // before the run, not after it
  JEVONS_CHECK(cost::site_class_of(c.catalog, s.text("site.class")));

  Simulated x;
  JEVONS_TRY(x.pools, pools_of(c, a));
  for (const PoolPlan& p : x.pools) {
    if (!p.memory.fits()) return does_not_fit(a, p);
  }
  const serve::EnginePolicy& policy = x.pools.front().policy;
  JEVONS_TRY(x.asked, workload_of(s, policy.block_size, policy.max_model_len));
  JEVONS_TRY(x.deployment, deployment_of(c, s, x.pools, x.asked.longest));
  serve::RunOptions options{.seed = {std::uint64_t(s.integer("seed"))}, .stop = c.stop};
  if (c.progress) options.progress = [&](std::size_t done, std::size_t all) { c.progress(double(done) / double(all), "simulating"); };
  JEVONS_TRY(x.simulation, serve::simulate(x.deployment, x.asked.workload, options));
  x.metrics = serve::measure(x.simulation, x.deployment, x.asked.workload, goodput);
  x.shares = serve::shares_of(x.simulation, x.deployment, x.asked.workload);
  x.priced = price_of(x);
  std::vector<Worked> worked;
  for (std::size_t k = 0; k < x.pools.size(); ++k) {
    const serve::Pool& pool = x.deployment.pools[k];
    worked.push_back({&x.pools[k].subject.chip, work_of(x.deployment, x.simulation, k), double(pool.accelerators) / pool.ranks});
  }
  JEVONS_TRY(x.energy, energy_of(c.catalog, s.text("site.region"), s.text("site.class"), worked,
                                 Tokens{x.metrics.output_tok_s * x.metrics.makespan_s}));
  if (s.boolean("count_reuse") && x.asked.workload.requests.prefix.known()) {
    const auto curve = traffic::count_prefix_hits(x.asked.workload.requests);
    x.reuse = curve.rate(curve.unlimited_hits());
  }

  JEVONS_TRY(const Sureness sure, sureness_of(c.catalog, s, x));
  Outcome o;
  o.document = simulation_page(s, x, sure, std::string(version()));
  if (s.integer("replications") > 1) {
    JEVONS_TRY(report::Table t, replications_of(c, s, x, goodput));
    o.document.tables.push_back(std::move(t));
  }
  if (c.wants_files) {
    o.files = {{"requests.csv", serve::requests_csv(x.simulation, x.asked.workload)},
               {"requests.jsonl", serve::requests_jsonl(x.simulation, x.asked.workload)}};
  }
  if (s.has("trace")) {
    const std::filesystem::path path(s.text("trace"));
    JEVONS_CHECK(write_files(path.has_parent_path() ? path.parent_path().string() : ".",
                             {{path.filename().string(), serve::chrome_trace(x.simulation, x.asked.workload)}}));
  }
  return o;
}

}  // namespace jevons::engine
