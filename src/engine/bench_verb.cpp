// jevons bench: how long the reference workloads take here.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "engine/plan_verb.hpp"
#include "engine/simulate_verb.hpp"

namespace jevons::engine {
namespace {

struct Reference {
  std::string_view name, requests, rate, replicas;
  double limit_s;
};
// Llama-3.1-8B on an A100, 1,000 tokens in and 200 out: within capacity, over it, and on eight replicas.
constexpr Reference kReferences[] = {{"serve-w1", "100000", "4", "1", 0.10},
                                     {"serve-w1-million", "1000000", "4", "1", 0.95},
                                     {"serve-w2", "10000", "20", "1", 0.015},
                                     {"serve-w2-100k", "100000", "20", "1", 0.15},
                                     {"serve-w3", "100000", "32", "8", 0.15}};

}  // namespace

Result<Outcome> run_bench(Context& c) {
  constexpr int kRuns = 5;
  const std::string wanted = c.words.empty() ? "" : c.words[0];
  if (wanted == "plan-160") return bench_plan(c);
  if (wanted == "market") return bench_market(c);
  Outcome o;
  o.document.version = std::string(version());
  o.document.title = fmt::format("Reference workloads: median of {} runs, one thread", kRuns);
  report::Table t{"bench",
                  "jevons simulate, from settings to metrics (starting the process adds about 2 ms)",
                  {{"workload", "workload", "{}", {}},
                   {"requests", "requests", "{:.0f}", {}},
                   {"seconds", "seconds", "{:.4f}", {"measured", "steady clock", {}}},
                   {"limit_s", "limit s", "{:.3f}", {}},
                   {"requests_per_s", "requests/s", "{:.3g}", {}}},
                  {},
                  {},
                  true};
  for (const Reference& r : kReferences) {
    if (!wanted.empty() && !r.name.starts_with(wanted)) continue;
    std::vector<double> seconds;
    double requests = 0;
    for (int i = 0; i < kRuns && !(c.stop != nullptr && c.stop->load()); ++i) {
      const auto start = std::chrono::steady_clock::now();
      Context run{.catalog = c.catalog, .settings = Settings(simulate_options()), .words = {}, .progress = {}};
      const std::pair<std::string_view, std::string_view> settings[] = {{"model", "llama-3.1-8b"},
                                                                        {"accelerator", "a100-80g-sxm"},
                                                                        {"engine_args.max_num_seqs", "256"},
                                                                        {"engine_args.max_num_batched_tokens", "2048"},
                                                                        {"engine_args.block_size", "16"},
                                                                        {"workload.isl", "1000"},
                                                                        {"workload.osl", "200"},
                                                                        {"workload.num_requests", r.requests},
                                                                        {"load.request_rate", r.rate},
                                                                        {"replicas", r.replicas}};
      for (const auto& [path, value] : settings) JEVONS_CHECK(run.settings.set(path, value, "bench"));
      JEVONS_TRY(const Outcome done, run_simulate(run));
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      requests = run.settings.number("workload.num_requests");
    }
    if (seconds.empty()) break;
    std::nth_element(seconds.begin(), seconds.begin() + std::ptrdiff_t(seconds.size() / 2), seconds.end());
    const double median = seconds[seconds.size() / 2];
    t.rows.push_back({std::string(r.name), requests, median, r.limit_s, requests / median});
  }
  if (t.rows.empty())
    return bad_input("bench", fmt::format("unknown workload '{}'", wanted.substr(0, 40)), "serve-w1, serve-w2, serve-w3, plan-160 or market");
  o.document.tables.push_back(std::move(t));
  return o;
}

}  // namespace jevons::engine
