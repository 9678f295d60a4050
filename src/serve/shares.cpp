#include "serve/shares.hpp"

#include <algorithm>

namespace jevons::serve {
namespace {

// What attention over `cached` tokens adds to a prompt of `fresh` more: attention of a token depends on its position alone.
double cached_seconds(const step::StepForm& form, std::int64_t cached, std::int64_t fresh) {
  return step::seconds_of(form.position_time(cached + fresh) - form.position_time(cached) - form.position_time(fresh));
}

std::vector<TenantMetrics> tenants_of(const Simulation& sim, const traffic::Requests& q) {
  const Outcomes& o = sim.outcomes;
  std::vector<TenantMetrics> out(q.tenants.size());
  std::vector<std::vector<double>> ttft(out.size());
  std::vector<double> met(out.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i].name = q.tenants[i].name;
  for (std::size_t r = 0; r < q.size(); ++r) {
    const std::size_t i = q.tenant.empty() ? 0 : q.tenant[r];
    TenantMetrics& t = out[i];
    ++t.requests;
    if (o.status[r] != Status::finished) continue;
    ++t.finished;
    const SimTime sent = o.issued.empty() ? q.arrival[r] : o.issued[r];
    const SimTime first = o.first_token[r] - sent, all = o.finished[r] - sent;
    const double each = q.output_tokens[r] > 1 ? double(all - first) / (q.output_tokens[r] - 1) : 0;
    ttft[i].push_back(double(first) * 1e-9);
    t.ttft_mean_s += double(first) * 1e-9;
    t.tpot_mean_s += each * 1e-9;
    t.e2e_mean_s += double(all) * 1e-9;
    t.tokens.cached += o.cached[r];
    t.tokens.fresh += q.input_tokens[r] - o.cached[r];
    t.tokens.output += q.output_tokens[r];
    const auto& slo = q.tenants[i].slo;
    met[i] += (slo.ttft == 0 || first <= slo.ttft) && (slo.tpot == 0 || each <= double(slo.tpot)) && (slo.e2e == 0 || all <= slo.e2e);
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    TenantMetrics& t = out[i];
    const auto& slo = q.tenants[i].slo;
    if (t.requests > 0 && (slo.ttft > 0 || slo.tpot > 0 || slo.e2e > 0)) t.slo_attainment = met[i] / double(t.requests);
    if (t.finished == 0) continue;
    for (double* sum : {&t.ttft_mean_s, &t.tpot_mean_s, &t.e2e_mean_s}) *sum /= double(t.finished);
    const auto k = ttft[i].begin() + std::ptrdiff_t(0.99 * double(ttft[i].size() - 1));
    std::nth_element(ttft[i].begin(), k, ttft[i].end());
    t.ttft_p99_s = *k;
  }
  return out;
}

}  // namespace

Shares shares_of(const Simulation& sim, const Deployment& deployment, const traffic::Workload& workload) {
  const traffic::Requests& q = workload.requests;
  const Outcomes& o = sim.outcomes;
  Shares out;
  std::vector<const Pool*> pool_of;
  for (const Pool& p : deployment.pools) {
    for (int k = 0; k < p.replicas * p.ranks; ++k) {
      const Counters& c = sim.replicas[pool_of.size()];
      const double each = double(p.accelerators) / p.ranks;
      out.times.output += step::seconds_of(c.decode_busy) * each;
      out.times.fresh += step::seconds_of(c.busy - c.decode_busy) * each;
      pool_of.push_back(&p);
    }
  }
  const bool one = deployment.pools.size() == 1;
  for (std::size_t r = 0; r < q.size(); ++r) {
    if (o.status[r] != Status::finished) continue;
    out.tokens.cached += o.cached[r];
    out.tokens.fresh += q.input_tokens[r] - o.cached[r];
    out.tokens.output += q.output_tokens[r];
    if (o.cached[r] == 0) continue;
    // The prompt's pool: with prefill pools any of them stands for the one that took it.
    const Pool* p = one ? &deployment.pools[0] : pool_of[o.replica[r]];
    if (p->role == Role::decode)
      p = &*std::find_if(deployment.pools.begin(), deployment.pools.end(), [](const Pool& x) { return x.role == Role::prefill; });
    out.times.cached += cached_seconds(*p->form, o.cached[r], q.input_tokens[r] - o.cached[r]) * double(p->accelerators) / p->ranks;
  }
  out.times.cached = std::min(out.times.cached, out.times.fresh);
  out.times.fresh -= out.times.cached;
  if (q.tenants.size() > 1) out.tenants = tenants_of(sim, q);
  return out;
}

}  // namespace jevons::serve
