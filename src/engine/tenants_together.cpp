#include "engine/tenants_together.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "serve/shares.hpp"
#include "traffic/generate.hpp"

namespace jevons::engine {
namespace {

constexpr double kSeconds = 300;          // simulated of an hour
constexpr std::size_t kRequests = 20000;  // at most

traffic::SimTime ns(double seconds) { return traffic::SimTime(seconds * double(traffic::kNsPerSecond)); }

// A tenant's users as a class of their own, with the limits on means that the plan asked for as targets of each request.
traffic::ClassSpec class_of(const plan::TenantLoad& t, const PlanQuestion& q, double rate) {
  traffic::ClassSpec c = q.load.users;
  c.tenant = {t.name, t.batch ? std::max(1, t.priority) : t.priority, {}};
  for (const plan::Slo& s : q.terms.slo) {
    if (t.batch) break;
    if (s.metric == plan::Slo::Metric::ttft) c.tenant.slo.ttft = ns(s.seconds);
    if (s.metric == plan::Slo::Metric::tpot) c.tenant.slo.tpot = ns(s.seconds);
    if (s.metric == plan::Slo::Metric::e2e) c.tenant.slo.e2e = ns(s.seconds);
  }
  c.arrivals = {.rate_per_s = rate};
  return c;
}

struct Served {
  std::vector<serve::TenantMetrics> tenants;
  serve::Metrics all;
};
Result<Served> serve_together(const TenantUnit& unit, int units, std::vector<traffic::ClassSpec> classes, std::uint64_t seed) {
  traffic::GenerateSpec spec;
  double rate = 0;
  for (const auto& c : classes) rate += c.arrivals.rate_per_s;
  spec.num_requests = std::clamp(std::size_t(rate * kSeconds), std::size_t(100), kRequests);
  spec.classes = std::move(classes);
  if (unit.question.load.users.shared_prompt_tokens > 0) spec.block_tokens = unit.question.load.block_tokens;
  traffic::Workload w;
  JEVONS_TRY(w.requests, traffic::generate(spec, Seed{seed}));
  serve::Deployment d = plan::deployment_of(unit.answer.ask, unit.answer.shape(*unit.answer.best()));
  for (serve::Pool& p : d.pools) {
    p.replicas *= std::max(1, units);
    p.policy.queue = serve::Queue::priority;
  }
  JEVONS_TRY(const serve::Simulation sim, serve::simulate(d, w, {.seed = {seed}}));
  Served out{serve::shares_of(sim, d, w).tenants, serve::measure(sim, d, w)};
  if (out.tenants.empty()) {  // one alone
    const serve::Metrics& m = out.all;
    out.tenants.push_back(
        {w.requests.tenants.front().name, w.requests.size(), m.finished, m.ttft.mean, m.ttft.p99, m.tpot.mean, m.e2e.mean, {}, {}});
  }
  return out;
}

}  // namespace

Result<report::Table> tenants_together(const std::vector<plan::TenantLoad>& tenants, const std::vector<std::unique_ptr<TenantUnit>>& units,
                                       const plan::FleetSharing& f, std::uint64_t seed) {
  const report::Origin origin{"simulated", "serve::simulate over the units of the shared fleet", "docs/planner.md"};
  report::Table t{"together", "Tenants of a model together, simulated at the busiest and the quietest hour", {}, {}, {}, true};
  t.columns = {{"hour", "hour", "{:.0f}", {}},
               {"tenant", "tenant", "{}", {}},
               {"rate", "req/s", "{:.4g}", {}},
               {"units", "units\nshared", "{:.0f}", origin},
               {"ttft_ms", "TTFT\nms", "{:.1f}", origin},
               {"ttft_p99_ms", "TTFT\np99", "{:.1f}", origin},
               {"tpot_ms", "TPOT\nms", "{:.2f}", origin},
               {"own_units", "units\nof its own", "{:.0f}", origin},
               {"own_ttft_ms", "TTFT\nms", "{:.1f}", origin},
               {"own_ttft_p99_ms", "TTFT\np99", "{:.1f}", origin},
               {"own_tpot_ms", "TPOT\nms", "{:.2f}", origin}};
  const auto quiet = int(std::min_element(f.interactive.begin(), f.interactive.end()) - f.interactive.begin());
  std::set<std::string> models;
  for (const auto& x : tenants) models.insert(x.model);
  for (const int hour : {f.peak_hour, quiet}) {
    for (const std::string& model : models) {
      std::vector<std::size_t> who;
      const TenantUnit* unit = nullptr;
      int each = 1;
      for (std::size_t i = 0; i < tenants.size(); ++i) {
        if (tenants[i].model != model || plan::rate_at(tenants[i], f, hour) <= 0) continue;
        who.push_back(i);
        if (unit == nullptr || (!tenants[i].batch && tenants[who.front()].batch))
          unit = units[i].get(), each = tenants[i].unit_accelerators;
      }
      if (unit == nullptr) continue;
      std::vector<traffic::ClassSpec> classes;
      for (const std::size_t i : who) classes.push_back(class_of(tenants[i], units[i]->question, plan::rate_at(tenants[i], f, hour)));
      const int shared = plan::units_at(tenants, f, model, each, hour);
      JEVONS_TRY(const Served together, serve_together(*unit, shared, classes, seed));
      for (std::size_t k = 0; k < who.size(); ++k) {
        const plan::TenantLoad& x = tenants[who[k]];
        const int own = int(f.dedicated[who[k]] / x.unit_accelerators);
        const double alone_rate = x.batch ? x.rate_mean : classes[k].arrivals.rate_per_s;
        JEVONS_TRY(const Served alone, serve_together(*units[who[k]], own, {class_of(x, units[who[k]]->question, alone_rate)}, seed));
        const serve::TenantMetrics &a = together.tenants[k], &b = alone.tenants.front();
        t.rows.push_back({double(hour), x.name, classes[k].arrivals.rate_per_s, double(shared), a.ttft_mean_s * 1e3, a.ttft_p99_s * 1e3,
                          a.tpot_mean_s * 1e3, double(own), b.ttft_mean_s * 1e3, b.ttft_p99_s * 1e3, b.tpot_mean_s * 1e3});
      }
    }
  }
  t.notes = {
      fmt::format("{:.0f} s of Poisson arrivals at the hour's rates; interactive tenants go first, batch work behind them by priority, at "
                  "the pace at which the day's room takes it. Own pools: interactive ones at the same hour, batch at its mean.",
                  kSeconds)};
  return t;
}

}  // namespace jevons::engine
