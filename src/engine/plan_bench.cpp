// jevons bench plan-160: a study of 160 configurations, each simulated, as one command.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/plan_verb.hpp"
#include "engine/scenario.hpp"
#include "plan/parallel.hpp"
#include "plan/replica.hpp"
#include "plan/subject.hpp"
#include "serve/metrics.hpp"
#include "traffic/generate.hpp"

namespace jevons::engine {
namespace {

constexpr std::string_view kModels[] = {"llama-3.1-8b", "llama-3.1-70b"};
constexpr std::string_view kChips[] = {"a100-80g-sxm", "h100-sxm", "h200-sxm", "b200-sxm"};
constexpr int kTps[] = {1, 2, 4, 8}, kRates[] = {1, 2, 4, 8, 16};
constexpr int kIsl = 1000, kOsl = 200, kSeconds = 250;
constexpr double kLimit = 0.15;

struct Cell {  // one configuration
  std::string_view model, chip;
  int tp = 1, rate = 1;
  bool fits = false;
  serve::Metrics metrics;
};
struct Study {
  std::vector<Cell> cells;
  double requests = 0;
};

Result<traffic::Workload> arrivals(int rate) {
  traffic::ClassSpec users;
  users.arrivals.rate_per_s = rate;
  users.input = traffic::Fixed{kIsl};
  users.output = traffic::Fixed{kOsl};
  traffic::GenerateSpec spec;
  spec.num_requests = std::size_t(rate * kSeconds);
  spec.classes.push_back(std::move(users));
  traffic::Workload w;
  JEVONS_TRY(w.requests, traffic::generate(spec, {1}));
  return w;
}

Result<std::unique_ptr<plan::Replica>> replica(const catalog::Catalog& catalog, const step::Subject& subject, int tp) {
  const double memory = subject.chip.memory->value.value();
  plan::Design d{.subject = &subject, .placement = {.tp = tp}, .max_context = kIsl + kOsl};
  d.policy = serve::defaults_of(serve::Engine::vllm, memory, subject.chip.thing->name.starts_with("a100"));
  return plan::Replica::build(catalog, d);
}

// All rates of one replica share its step times, all replicas one realisation of each rate's arrivals.
Result<Study> run_study(const catalog::Catalog& catalog, int threads) {
  std::vector<model::Model> models(std::size(kModels));
  std::vector<step::Subject> subjects;
  for (std::size_t m = 0; m < models.size(); ++m) {
    JEVONS_TRY(models[m], load_model(catalog, std::string(kModels[m])));
    for (const auto chip : kChips) {
      JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::accelerator, chip));
      JEVONS_TRY(step::Subject s, plan::subject_of(models[m], *thing));
      subjects.push_back(std::move(s));
    }
  }
  constexpr std::size_t kRateCount = std::size(kRates), kTpCount = std::size(kTps);
  std::vector<Result<traffic::Workload>> loads(kRateCount);
  std::vector<Result<std::unique_ptr<plan::Replica>>> replicas(subjects.size() * kTpCount);
  plan::for_each_index(loads.size() + replicas.size(), threads, [&](std::size_t i) {
    if (i < loads.size())
      loads[i] = arrivals(kRates[i]);
    else
      replicas[i - loads.size()] = replica(catalog, subjects[(i - loads.size()) / kTpCount], kTps[(i - loads.size()) % kTpCount]);
  });
  for (const auto& l : loads) {
    if (!l) return fail(l.error());
  }
  for (const auto& r : replicas) {
    if (!r) return fail(r.error());
  }
  Study study;
  study.cells.resize(replicas.size() * kRateCount);
  // The longest first, so that no core is left with one at the end.
  plan::for_each_index(study.cells.size(), threads, [&](std::size_t i) {
    const std::size_t rate = kRateCount - 1 - i / replicas.size(), r = i % replicas.size();
    Cell& cell = study.cells[r * kRateCount + rate];
    const plan::Replica& what = **replicas[r];
    cell = {kModels[r / kTpCount / std::size(kChips)],
            kChips[r / kTpCount % std::size(kChips)],
            kTps[r % kTpCount],
            kRates[rate],
            what.fits(),
            {}};
    if (!what.fits()) return;
    const serve::Deployment d{{what.pool(1)}};
    const auto sim = serve::simulate(d, *loads[rate]);
    JEVONS_ENSURE(sim.has_value());
    cell.metrics = serve::measure(*sim, d, *loads[rate]);
  });
  for (const Cell& c : study.cells) study.requests += double(c.metrics.requests);
  return study;
}

}  // namespace

Result<Outcome> bench_plan(Context& c) {
  constexpr int kRuns = 5;
  std::vector<double> seconds;
  Study study;
  for (int i = 0; i < kRuns && !(c.stop != nullptr && c.stop->load()); ++i) {
    const auto start = std::chrono::steady_clock::now();
    JEVONS_TRY(study, run_study(c.catalog, 2));
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  Outcome o;
  o.document.version = std::string(version());
  o.document.title = fmt::format("160 configurations on two threads: median of {} runs", seconds.size());
  if (seconds.empty()) return o;
  std::nth_element(seconds.begin(), seconds.begin() + std::ptrdiff_t(seconds.size() / 2), seconds.end());
  const double median = seconds[seconds.size() / 2];
  o.document.tables.push_back({"bench",
                               "The whole study, from names to metrics",
                               {{"workload", "workload", "{}", {}},
                                {"configurations", "configurations", "{:.0f}", {}},
                                {"requests", "requests", "{:.0f}", {}},
                                {"seconds", "seconds", "{:.4f}", {"measured", "steady clock", {}}},
                                {"limit_s", "limit s", "{:.3f}", {}}},
                               {{std::string("plan-160"), double(study.cells.size()), study.requests, median, kLimit}},
                               {},
                               true});
  const report::Origin simulated{"simulated", "serve::measure over serve::simulate", "docs/glossary.md"};
  report::Table t{"configurations",
                  fmt::format("{} in, {} out, Poisson arrivals, {} s; one replica", kIsl, kOsl, kSeconds),
                  {{"model", "model", "{}", {}},
                   {"accelerator", "accelerator", "{}", {}},
                   {"tp", "TP", "{:.0f}", {}},
                   {"request_rate", "req/s", "{:.0f}", {}},
                   {"state", "state", "{}", {}},
                   {"ttft_ms", "TTFT ms", "{:.1f}", simulated},
                   {"ttft_p99_ms", "p99", "{:.1f}", simulated},
                   {"tpot_ms", "TPOT ms", "{:.2f}", simulated},
                   {"output_tok_s_per_gpu", "tok/s/GPU", "{:.1f}", simulated}},
                  {},
                  {},
                  true};
  for (const Cell& x : study.cells) {
    std::vector<report::Cell> row{std::string(x.model), std::string(x.chip), double(x.tp), double(x.rate)};
    if (!x.fits) {
      row.insert(row.end(), {std::string("does not fit"), {}, {}, {}, {}});
    } else {
      const auto& m = x.metrics;
      row.insert(row.end(), {std::string(m.load == serve::Load::saturated ? "saturated" : "sustained"), m.ttft.mean * 1e3, m.ttft.p99 * 1e3,
                             m.tpot.mean * 1e3, m.output_tok_s_per_gpu});
    }
    t.rows.push_back(std::move(row));
  }
  o.document.tables.push_back(std::move(t));
  return o;
}

}  // namespace jevons::engine
