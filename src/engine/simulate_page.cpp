// The page of a simulation: latency, load, cost, and what each tenant and class of token takes.
#include "engine/simulate_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"
#include "engine/accuracy_table.hpp"
#include "engine/memory_table.hpp"
#include "engine/simulate_tiers.hpp"

namespace jevons::engine {
namespace {

using report::Origin;

const Origin kSimulated{"simulated", "serve::measure in src/serve/metrics.cpp over serve::simulate",
                        "docs/glossary.md; step times: docs/step-time.md"};
const Origin kMoney{"simulated", "price of an hour x accelerator-hours paid, idle time included",
                    "cost::gpu_hour in src/cost/gpu_hour.cpp"};
const Origin kByClass{"simulated", "cost of the run by engine time of each class of token (serve::shares_of), idle time in proportion",
                      "docs/glossary.md"};

// Requests in flight and waiting at 200 instants.
report::Chart load_chart(const serve::Simulation& sim, const traffic::Requests& q) {
  constexpr std::size_t kPoints = 200;
  report::Chart chart{
      "load", "Requests over time", "line", "s", "requests", false, false, {}, {{"in the batch", {}, {}}, {"waiting", {}, {}}}};
  std::vector<double> running(kPoints + 2), waiting(kPoints + 2);
  const double width = std::max(1.0, double(sim.end)) / kPoints;
  const auto slot = [&](serve::SimTime t) { return std::min(kPoints + 1, std::size_t(std::ceil(double(t) / width))); };
  const serve::Outcomes& o = sim.outcomes;
  for (std::size_t r = 0; r < q.size(); ++r) {
    if (o.status[r] != serve::Status::finished) continue;
    ++waiting[slot(o.issued.empty() ? q.arrival[r] : o.issued[r])];
    --waiting[slot(o.scheduled[r])];
    ++running[slot(o.scheduled[r])];
    --running[slot(o.finished[r])];
  }
  double in = 0, wait = 0;
  for (std::size_t i = 0; i <= kPoints; ++i) {
    in += running[i];
    wait += waiting[i];
    const double t = double(i) * width * 1e-9;
    chart.series[0].x.push_back(t);
    chart.series[0].y.push_back(in);
    chart.series[1].x.push_back(t);
    chart.series[1].y.push_back(wait);
  }
  return chart;
}

report::Table latency_table(const serve::Metrics& m) {
  report::Table t{"latency",
                  "Latency",
                  {{"metric", "ms", "{}", {}},
                   {"avg_ms", "avg", "{:.2f}", kSimulated},
                   {"p50_ms", "p50", "{:.2f}", kSimulated},
                   {"p90_ms", "p90", "{:.2f}", kSimulated},
                   {"p95_ms", "p95", "{:.2f}", kSimulated},
                   {"p99_ms", "p99", "{:.2f}", kSimulated},
                   {"max_ms", "max", "{:.2f}", kSimulated}},
                  {},
                  {},
                  true};
  const std::pair<const char*, const serve::Latency*> rows[] = {{"Time to first token", &m.ttft},
                                                                {"Time per output token", &m.tpot},
                                                                {"Inter-token latency", &m.itl},
                                                                {"Request latency", &m.e2e},
                                                                {"Queueing", &m.queueing}};
  for (const auto& [label, l] : rows) {
    if (l->n == 0) continue;
    t.rows.push_back({std::string(label), l->mean * 1e3, l->p50 * 1e3, l->p90 * 1e3, l->p95 * 1e3, l->p99 * 1e3, l->max * 1e3});
  }
  return t;
}

void put_values(report::Document& d, const Simulated& x) {
  const serve::Metrics& m = x.metrics;
  const Priced& p = x.priced;
  const serve::FleetCounters& f = x.simulation.fleet;
  const auto put = [&](std::string path, std::string label, std::string unit, std::optional<double> v, const Origin& origin = kSimulated) {
    d.values.push_back({std::move(path), std::move(label), std::move(unit), v, origin});
  };
  const std::pair<const char*, const serve::Latency*> latencies[] = {
      {"ttft", &m.ttft}, {"tpot", &m.tpot}, {"itl", &m.itl}, {"e2e", &m.e2e}, {"queueing", &m.queueing}};
  for (const auto& [key, l] : latencies) {
    const auto of = [&](double v) { return l->n > 0 ? std::optional(v * 1e3) : std::nullopt; };
    put(fmt::format("{}.mean_ms", key), "", "ms", of(l->mean));
    put(fmt::format("{}.p50_ms", key), "", "ms", of(l->p50));
    put(fmt::format("{}.p90_ms", key), "", "ms", of(l->p90));
    put(fmt::format("{}.p95_ms", key), "", "ms", of(l->p95));
    put(fmt::format("{}.p99_ms", key), "", "ms", of(l->p99));
  }
  put("requests.sent", "requests", "", double(m.requests));
  put("requests.finished", "finished", "", double(m.finished));
  put("requests.rejected", "rejected: cannot fit the cache or the context", "", double(m.rejected));
  put("makespan_s", "makespan, first send to last token", "s", m.makespan_s);
  put("throughput.requests_per_s", "request throughput", "req/s", m.requests_per_s);
  put("throughput.output_tok_s", "output token throughput", "tok/s", m.output_tok_s);
  put("throughput.input_tok_s", "input token throughput", "tok/s", m.input_tok_s);
  put("throughput.output_tok_s_per_gpu", "output tokens per accelerator", "tok/s", m.output_tok_s_per_gpu);
  put("throughput.output_tok_s_per_user", "output tokens per user", "tok/s", m.output_tok_s_per_user);
  put("goodput.requests_per_s", "requests within the limits", "req/s", m.goodput_rps);
  put("goodput.slo_attainment", "share within the limits, of all sent", "", m.slo_attainment);
  put("kv_cache.hit_rate", "prompt tokens found in the prefix cache", "", m.cache_hit_rate);
  put("kv_cache.mean_use", "cache blocks in use, of all", "", m.kv_use);
  put("kv_cache.peak_use", "cache blocks in use, peak", "", m.kv_peak);
  put("engine.preemptions", "preemptions", "", double(m.preemptions));
  put("engine.steps", "engine steps", "", double(m.steps));
  put("engine.mean_batch", "sequences decoding, while busy", "", m.mean_batch);
  put("engine.busy", "share of time with a step running", "", m.busy);
  put("engine.saturated", "", "", m.load == serve::Load::saturated ? 1.0 : 0.0);
  const bool split = x.deployment.disaggregated();
  if (split) {
    put("handover.requests", "caches handed from prefill to decode", "", double(f.handed_over));
    put("handover.bytes", "bytes of them", "bytes", f.handed_over_bytes);
  }
  if (!x.deployment.failures.empty()) {
    put("fleet.failures", "parts that failed", "", double(f.failures));
    put("fleet.lost_requests", "requests sent on because their replica died", "", double(f.lost));
    put("fleet.down_share", "accelerator time lost to failures, of all paid", "",
        p.accelerator_s > 0 ? std::optional(f.accelerator_down_s / p.accelerator_s) : std::nullopt);
  }
  if (x.deployment.pools.front().scaling) {
    put("fleet.started", "replicas started by the autoscaler", "", double(f.started));
    put("fleet.stopped", "replicas stopped by it", "", double(f.stopped));
  }
  put("fleet.accelerator_hours", "accelerator-hours paid, start-up and drain included", "h", p.accelerator_s / 3600);
  put("cost.usd", "the run", "USD", p.usd, kMoney);
  put("cost.idle_usd", "the run, idle time alone", "USD", p.usd_idle, kMoney);
  put("cost.usd_per_output_mtok", "the run, per million output tokens", "USD/Mtok", p.usd_per_output_mtok, kMoney);
  const auto each = [&](double part, double tokens) {
    return p.usd && tokens > 0 && x.shares.times.total() > 0 ? std::optional(*p.usd * part / x.shares.times.total() / tokens * 1e6)
                                                             : std::nullopt;
  };
  const auto& t = x.shares;
  put("cost.usd_per_fresh_mtok", "per million fresh input tokens", "USD/Mtok", each(t.times.fresh, t.tokens.fresh), kByClass);
  put("cost.usd_per_cached_mtok", "per million cached input tokens", "USD/Mtok", each(t.times.cached, t.tokens.cached), kByClass);
  put("cost.usd_per_decoded_mtok", "per million output tokens, their decode steps alone", "USD/Mtok", each(t.times.output, t.tokens.output),
      kByClass);
  put("cost.start_up_usd", "the run, replicas starting by the autoscaler's order", "USD", p.usd_start_up, kMoney);
  put("energy.joules", "energy at the meter", "J", x.energy.per_token ? std::optional(x.energy.joules) : std::nullopt,
      {"simulated", "power by busy share, prefill share and batch x time", "cost::power_at in src/cost/energy.cpp"});
}

std::string share(double x) { return fmt::format("{:.1f} %", x * 100); }

report::Table tenant_table(const Simulated& x) {
  report::Table t{"tenants",
                  "Tenants",
                  {{"tenant", "tenant", "{}", {}},
                   {"requests", "requests", "{:.0f}", kSimulated},
                   {"ttft_mean_ms", "TTFT ms", "{:.1f}", kSimulated},
                   {"ttft_p99_ms", "p99", "{:.1f}", kSimulated},
                   {"tpot_mean_ms", "TPOT ms", "{:.2f}", kSimulated},
                   {"slo_attainment", "within limits", "{:.3f}", kSimulated},
                   {"output_mtok", "output Mtok", "{:.4g}", kSimulated},
                   {"usd", "USD", "{:.4g}", kByClass}},
                  {},
                  {},
                  true};
  const auto& all = x.shares;
  for (const auto& m : all.tenants) {
    std::optional<double> usd;
    if (x.priced.usd && all.times.total() > 0) {
      const auto part = [](double time, double mine, double sum) { return sum > 0 ? time * mine / sum : 0; };
      usd = *x.priced.usd *
            (part(all.times.fresh, m.tokens.fresh, all.tokens.fresh) + part(all.times.cached, m.tokens.cached, all.tokens.cached) +
             part(all.times.output, m.tokens.output, all.tokens.output)) /
            all.times.total();
    }
    t.rows.push_back({m.name, double(m.requests), m.ttft_mean_s * 1e3, m.ttft_p99_s * 1e3, m.tpot_mean_s * 1e3,
                      m.slo_attainment ? report::Cell{*m.slo_attainment} : report::Cell{}, m.tokens.output / 1e6,
                      usd ? report::Cell{*usd} : report::Cell{}});
  }
  return t;
}

report::Table pool_table(const Simulated& x) {
  report::Table t{"pools",
                  "Pools",
                  {{"pool", "pool", "{}", {}},
                   {"replicas", "replicas", "{:.0f}", {}},
                   {"accelerators", "accelerators", "{:.0f}", {}},
                   {"busy", "busy", "{:.3f}", kSimulated},
                   {"mean_batch", "batch", "{:.1f}", kSimulated},
                   {"kv_blocks", "cache blocks", "{:.0f}", kSimulated},
                   {"kv_peak", "peak use", "{:.3f}", kSimulated},
                   {"preemptions", "preemptions", "{:.0f}", kSimulated}},
                  {},
                  {},
                  true};
  std::size_t rank = 0;
  for (std::size_t k = 0; k < x.pools.size(); ++k) {
    const serve::Pool& p = x.deployment.pools[k];
    double busy = 0, sequences = 0, peak = 0, preempted = 0;
    const int ranks = p.replicas * p.ranks;
    for (int i = 0; i < ranks; ++i, ++rank) {
      const serve::Counters& c = x.simulation.replicas[rank];
      busy += step::seconds_of(c.busy);
      sequences += step::seconds_of(c.sequence_ticks);
      peak = std::max(peak, p.blocks > 0 ? double(c.peak_blocks) / double(p.blocks) : 0);
      preempted += double(c.preemptions);
    }
    const char* role = p.role == serve::Role::prefill ? "prefill" : p.role == serve::Role::decode ? "decode" : "both";
    t.rows.push_back({fmt::format("{} {} {}", role, x.pools[k].subject.chip.thing->name, step::name(x.pools[k].placement)),
                      double(p.replicas), double(p.replicas * p.accelerators),
                      x.metrics.makespan_s > 0 ? busy / (x.metrics.makespan_s * ranks) : 0, busy > 0 ? sequences / busy : 0,
                      double(p.blocks), peak, preempted});
  }
  return t;
}

// How many replicas beyond those asked for keep that many up.
report::Table spares_table(const Settings& s, const Simulated& x) {
  const Origin origin{"simulated", "serve::availability in src/serve/failures.cpp: failures and repairs alone, without requests",
                      "catalog/efficiency/serving-fleet.yaml"};
  report::Table t{"spares",
                  "Share of time with at least the replicas asked for up",
                  {{"pool", "pool", "{}", {}},
                   {"replicas", "replicas", "{:.0f}", {}},
                   {"n0", "no spare", "{:.6f}", origin},
                   {"n1", "1 spare", "{:.6f}", origin},
                   {"n2", "2 spares", "{:.6f}", origin},
                   {"n3", "3 spares", "{:.6f}", origin}},
                  {},
                  {},
                  true};
  const Seed seed{std::uint64_t(s.integer("seed"))};
  for (std::size_t k = 0; k < x.pools.size(); ++k) {
    const serve::Pool& p = x.deployment.pools[k];
    std::vector<report::Cell> row{fmt::format("{} {}", x.pools[k].subject.chip.thing->name, step::name(x.pools[k].placement)),
                                  double(p.replicas)};
    for (int spare = 0; spare < 4; ++spare) {
      constexpr double kFailures = 1e5;
      const auto up = serve::availability(x.deployment.failures, p.replicas + spare, p.accelerators, p.start_up_s, kFailures, seed);
      row.push_back(up[std::size_t(p.replicas)]);
    }
    t.rows.push_back(std::move(row));
  }
  t.notes = {"Nodes, switches and racks take all their replicas down at once; each pool stands on parts of its own here."};
  return t;
}

std::string title_of(const Settings& s, const Simulated& x) {
  std::string of;
  for (std::size_t k = 0; k < x.pools.size(); ++k) {
    const serve::Pool& p = x.deployment.pools[k];
    of += fmt::format("{}{}{} x {} ({}), {} replica{}", k > 0 ? " + " : "",
                      p.role == serve::Role::prefill  ? "prefill "
                      : p.role == serve::Role::decode ? "decode "
                                                      : "",
                      p.accelerators, x.pools[k].subject.chip.thing->name, serve::name(p.policy.engine), p.replicas,
                      p.replicas == 1 ? "" : "s");
  }
  return fmt::format("{} on {}, simulated", s.text("model"), of);
}

void add_notes(report::Document& out, const Simulated& x) {
  if (x.asked.skipped_rows > 0) out.notes.push_back(fmt::format("{} bad rows of the file were skipped.", x.asked.skipped_rows));
  for (const serve::Pool& pool : x.deployment.pools) {
    std::string blocks = fmt::format("{} cache blocks of {} tokens", pool.blocks, pool.policy.block_size);
    if (const auto fixed = serve::capped_blocks(pool.capped, INT64_MAX); fixed > 0)
      blocks += fmt::format(", of which a sequence holds up to {} for windows and states", fixed);
    out.notes.push_back(fmt::format("{} {}; step times as in docs/step-time.md.", blocks,
                                    pool.ranks > 1 ? fmt::format("an attention rank, {} ranks a replica", pool.ranks) : "a replica"));
    if (pool.ranks > 1)
      out.notes.push_back(
          "The router chooses among attention ranks; a replica's ranks take every step together, limits of the engine are of one rank.");
  }
  if (x.reuse) {
    out.notes.push_back(
        fmt::format("Counted without time or engine, a cache of unlimited size would find {} of the prompt blocks; simulated, with the "
                    "engine's rules for "
                    "partial blocks, requests in flight and this much memory, {} of the prompt tokens were found.",
                    share(*x.reuse), share(x.metrics.cache_hit_rate)));
  }
}

}  // namespace

report::Document simulation_page(const Settings& s, const Simulated& x, const Sureness& sure, std::string version) {
  const serve::Metrics& m = x.metrics;
  const Priced& p = x.priced;
  report::Document out;
  out.version = std::move(version);
  out.partial = m.partial;
  out.title = title_of(s, x);
  std::string state = m.load == serve::Load::saturated ? "saturated: more comes than can be served, the queue grows" : "sustained";
  if (m.rejected > 0) state += fmt::format("; {} requests can never fit and were rejected", m.rejected);
  if (m.partial) state += "; stopped early, results so far";
  out.answer = {
      {"Latency", fmt::format("TTFT {} (p99 {}), TPOT {} (p99 {}), E2E {}", format_seconds(m.ttft.mean), format_seconds(m.ttft.p99),
                              format_seconds(m.tpot.mean), format_seconds(m.tpot.p99), format_seconds(m.e2e.mean))},
      {"Load", fmt::format("{} of {} requests in {} at {:.4g} req/s: {:.4g} output tok/s, {:.4g} per accelerator; {}", m.finished,
                           m.requests, format_seconds(m.makespan_s), m.requests_per_s, m.output_tok_s, m.output_tok_s_per_gpu, state)},
      {"Cost", p.usd_per_output_mtok ? fmt::format("${:.4g} per million output tokens, input and {} idle time included",
                                                   *p.usd_per_output_mtok, share(*p.usd_idle / *p.usd))
                                     : fmt::format("null: {}", p.why_not.empty() ? "no output" : p.why_not)}};
  out.tables.push_back(latency_table(m));
  put_sureness(out, m, sure);
  put_values(out, x);
  put_adapters(out, x.deployment.pools.front(), m);
  put_tiers(out, x.deployment.pools.front(), m);
  if (x.reuse)
    out.values.push_back(
        {"kv_cache.reuse_unlimited", "", "", *x.reuse, {"counted", "traffic::count_prefix_hits", "src/traffic/prefix_count.hpp"}});
  report::Table t{"summary",
                  "Throughput, cache, engine",
                  {{"quantity", "quantity", "{}", {}}, {"value", "value", "{:.6g}", kSimulated}, {"unit", "unit", "{}", {}}},
                  {},
                  {},
                  true};
  for (const auto& v : out.values) {
    if (!v.label.empty() && v.number) t.rows.push_back({v.label, *v.number, v.unit});
  }
  out.tables.push_back(std::move(t));
  for (std::size_t k = 0; k < x.pools.size(); ++k) {
    out.tables.push_back(memory_table(x.pools[k], x.deployment.pools[k]));
    if (k > 0) out.tables.back().name += fmt::format("_{}", k);
  }
  put_energy(out, x.energy, "prompts and idle time included.");
  if (x.pools.size() > 1) out.tables.push_back(pool_table(x));
  if (x.shares.tenants.size() > 1) out.tables.push_back(tenant_table(x));
  if (!x.deployment.failures.empty()) out.tables.push_back(spares_table(s, x));
  add_notes(out, x);
  out.charts.push_back(load_chart(x.simulation, x.asked.workload.requests));
  return out;
}

}  // namespace jevons::engine
