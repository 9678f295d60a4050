#include "serve/metrics.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::serve {
namespace {

// Mean and quantiles by selection; reorders its argument. Values in ns.
Latency latency_of(std::vector<double>& v) {
  Latency out;
  out.n = v.size();
  if (v.empty()) return out;
  double sum = 0;
  for (const double x : v) sum += x;
  auto from = v.begin();
  const auto quantile = [&](double q) {
    const double at = q * double(v.size() - 1);
    const auto k = v.begin() + std::ptrdiff_t(at);
    if (k >= from) std::nth_element(from, k, v.end());
    from = k;
    const double low = *k, part = at - std::floor(at);
    return part == 0 ? low : low + part * (*std::min_element(k + 1, v.end()) - low);
  };
  constexpr double kNs = 1e-9;
  out.mean = sum / double(v.size()) * kNs;
  out.p50 = quantile(0.5) * kNs;
  out.p90 = quantile(0.9) * kNs;
  out.p95 = quantile(0.95) * kNs;
  out.p99 = quantile(0.99) * kNs;
  out.max = *std::max_element(from, v.end()) * kNs;
  return out;
}

}  // namespace

Metrics measure(const Simulation& sim, const Deployment& deployment, const traffic::Workload& workload, const Goodput& goodput) {
  const Outcomes& o = sim.outcomes;
  const traffic::Requests& q = workload.requests;
  const std::size_t n = q.size();
  const auto* closed = std::get_if<traffic::ClosedLoad>(&workload.load);
  const std::size_t first = closed != nullptr ? std::min(n, closed->uncounted) : 0;
  const bool warm_up = closed != nullptr && !closed->count_first_calls && q.sessions.known();
  const auto sent = [&](std::size_t r) { return o.issued.empty() ? q.arrival[r] : o.issued[r]; };
  Metrics m;
  m.requests = n;
  m.partial = sim.partial;
  SimTime begin = kNever, end = 0, last_sent = 0;
  double input = 0, output = 0, met = 0;
  const auto counts = [&](std::size_t r) {
    return o.status[r] == Status::finished && !(warm_up && q.sessions.parents(RequestId(r)).empty());
  };
  const auto tpot = [&](std::size_t r) { return double(o.finished[r] - o.first_token[r]) / (q.output_tokens[r] - 1); };
  for (std::size_t r = first; r < n; ++r) {
    if (!counts(r)) continue;
    ++m.finished;
    const double each = q.output_tokens[r] > 1 ? tpot(r) : 0;
    input += q.input_tokens[r];
    output += q.output_tokens[r];
    begin = std::min(begin, sent(r));
    end = std::max(end, o.finished[r]);
    const auto within = [](double ns, const std::optional<double>& limit) { return !limit || ns * 1e-9 <= *limit; };
    met += within(double(o.first_token[r] - sent(r)), goodput.ttft_s) && within(each, goodput.tpot_s) &&
           within(double(o.finished[r] - sent(r)), goodput.e2e_s);
  }
  for (std::size_t r = 0; r < n; ++r) {
    m.rejected += o.status[r] == Status::rejected;
    last_sent = std::max(last_sent, sent(r));
  }
  std::vector<double> values;  // of one latency after the other: 8 bytes a request, not 32
  values.reserve(m.finished);
  const auto latency = [&](bool several_tokens, auto&& value) {
    values.clear();
    for (std::size_t r = first; r < n; ++r) {
      if (counts(r) && (!several_tokens || q.output_tokens[r] > 1)) values.push_back(value(r));
    }
    return latency_of(values);
  };
  m.ttft = latency(false, [&](std::size_t r) { return double(o.first_token[r] - sent(r)); });
  m.tpot = latency(true, tpot);
  m.e2e = latency(false, [&](std::size_t r) { return double(o.finished[r] - sent(r)); });
  m.queueing = latency(false, [&](std::size_t r) { return double(o.scheduled[r] - sent(r)); });

  Counters sum;
  double busy_s = 0, used = 0, peak = 0, blocks = 0;
  std::size_t i = 0;
  std::int64_t slots = 0;
  for (const Pool& p : deployment.pools) {
    for (int k = 0; k < p.replicas * p.ranks; ++k, ++i) {
      const Counters& c = sim.replicas[i];
      sum.steps += c.steps;
      sum.prefill_tokens += c.prefill_tokens;
      sum.cached_tokens += c.cached_tokens;
      sum.preemptions += c.preemptions;
      sum.sequence_ticks += c.sequence_ticks;
      sum.fetches += c.fetches;
      sum.fetch_ticks += c.fetch_ticks;
      sum.tier_recomputed += c.tier_recomputed;
      for (std::size_t t = 0; t < kTiers; ++t) {
        sum.tier_tokens[t] += c.tier_tokens[t];
        m.tier_written[t] += c.tier_written[t];
      }
      sum.adapter_loads += c.adapter_loads;
      sum.adapter_reads += c.adapter_reads;
      sum.adapter_passed += c.adapter_passed;
      sum.adapter_ticks += c.adapter_ticks;
      busy_s += step::seconds_of(c.busy);
      used += sim.block_seconds[i];
      blocks += double(p.blocks) * step::seconds_of(c.busy);
      peak = std::max(peak, p.blocks > 0 ? double(c.peak_blocks) / double(p.blocks) : 0);
      slots += c.peak_running;
    }
  }
  if (const std::int64_t all = sim.itl.total(); all > 0) {
    m.itl = {std::size_t(all),   0, sim.itl.quantile(0.5), sim.itl.quantile(0.9), sim.itl.quantile(0.95), sim.itl.quantile(0.99),
             sim.itl.quantile(1)};
    m.itl.mean = step::seconds_of(sum.sequence_ticks) / double(all);
  }
  m.steps = sum.steps;
  m.preemptions = sum.preemptions;
  double pushed = double(sum.prefill_tokens + sum.cached_tokens);
  for (const std::int64_t t : sum.tier_tokens) pushed += double(t);
  for (std::size_t t = 0; t < kTiers && pushed > 0; ++t) m.tier_hit_rate[t] = double(sum.tier_tokens[t]) / pushed;
  if (pushed > 0) m.tier_recomputed = double(sum.tier_recomputed) / pushed;
  m.fetches = sum.fetches;
  if (sum.fetches > 0) m.fetch_wait_s = step::seconds_of(sum.fetch_ticks) / double(sum.fetches);
  m.cache_hit_rate = pushed > 0 ? double(sum.cached_tokens) / pushed : 0;
  if (busy_s > 0) m.mean_batch = step::seconds_of(sum.sequence_ticks) / busy_s;
  m.adapter_loads = sum.adapter_loads;
  m.adapter_reads = sum.adapter_reads;
  m.adapter_passed = sum.adapter_passed;
  if (busy_s > 0) m.adapter_time = step::seconds_of(sum.adapter_ticks) / busy_s;
  if (blocks > 0) m.kv_use = used / blocks;
  m.kv_peak = peak;
  if (m.finished > 0) {
    m.makespan_s = double(end - begin) * 1e-9;
    m.requests_per_s = double(m.finished) / m.makespan_s;
    m.output_tok_s = output / m.makespan_s;
    m.input_tok_s = input / m.makespan_s;
    m.output_tok_s_per_gpu = m.output_tok_s / deployment.accelerators();
    m.output_tok_s_per_user = m.tpot.mean > 0 ? 1 / m.tpot.mean : 0;
    m.busy = busy_s / (m.makespan_s * deployment.ranks());
    if (goodput.ttft_s || goodput.tpot_s || goodput.e2e_s) {
      m.goodput_rps = met / m.makespan_s;
      m.slo_attainment = met / double(n - first);
    }
  }
  if (closed == nullptr) {
    std::int64_t backlog = 0;
    for (std::size_t r = 0; r < n; ++r) backlog += o.status[r] == Status::finished && o.scheduled[r] > last_sent;
    if (backlog > slots && double(backlog) > 0.05 * double(n)) m.load = Load::saturated;
  }
  return m;
}

}  // namespace jevons::serve
