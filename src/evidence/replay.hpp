#pragma once
// A recorded run of vLLM, simulated again from its own arrivals and lengths: how far off is each request?
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.hpp"
#include "evidence/profile.hpp"
#include "serve/engine.hpp"
#include "traffic/read.hpp"

namespace jevons::evidence {

/// What the metadata beside a run's log says about its engine; what it does not say is vLLM's default.
struct RunSetup {
  std::string file;              // "" when there is none
  std::string model, gpu;        // as recorded: "meta-llama/Llama-3.1-8B", "NVIDIA GeForce RTX 4090"; "" when unknown
  std::optional<double> memory;  // bytes of one GPU, as the driver reports them
  std::optional<double> memory_fraction;  // gpu_memory_utilization
  std::string version;
  int tp = 1;
  serve::EnginePolicy policy;
  std::optional<std::int64_t> blocks;  // num_gpu_blocks
  std::vector<int> capture_sizes;      // of CUDA graphs, ascending; empty when it ran eagerly
};
/// Reads "<run>_meta.json" for a log "<run>_requests.jsonl", or "meta.json" for "requests.jsonl". Without such a file everything is a
/// default. Errors: no JSON, a value of the wrong type or range (file and key), an engine that is not replayed (pipeline or data
/// parallel, speculation).
Result<RunSetup> read_setup(const std::string& log);

/// Predicted against measured. Times count from the engine's own clock: a request starts when the engine queued it (queued_ts).
struct Replay {
  std::size_t n = 0, n_tpot = 0;  // requests; of these with more than one output token
  double ttft_mean_s = 0, ttft_measured_s = 0;
  double tpot_mean_s = 0, tpot_measured_s = 0;
  double makespan_s = 0, makespan_measured_s = 0;  // first queued to last token
  double ttft_ks = 0, tpot_ks = 0;                 // Kolmogorov-Smirnov distance of the two samples
  std::vector<double> ttft_s, ttft_measured_each_s;
  std::string model, gpu;
  int tp = 1;
  RunSetup setup;
  std::optional<Profile> profile;  // none: the model of docs/step-time.md
  std::int64_t blocks = 0;         // cache blocks that requests can use
  std::int64_t preemptions = 0;
  std::vector<std::string> notes;  // what was assumed

  double ttft_error() const { return ttft_mean_s / ttft_measured_s - 1; }
  double tpot_error() const { return tpot_mean_s / tpot_measured_s - 1; }
  double makespan_error() const { return makespan_s / makespan_measured_s - 1; }
};
/// Simulates the run of `log` (format vllm_run of traffic/read.hpp) with step times from the profile's tables, or without any from the
/// step model. Errors: those of reading; a profile of another model or tensor parallelism than the run's; names unknown to the catalogue
/// where they are needed; a run that could not fit its cache.
Result<Replay> replay(const catalog::Catalog& catalog, const std::string& log, const std::vector<std::string>& profile);

/// Largest distance between the distribution functions of two samples. Requires both not empty.
double ks_distance(std::vector<double> a, std::vector<double> b);
/// Mean context of the longest `share` of n sequences (at least one) that decode at once, over the mean of all n; entry n, from 0.
/// A request is found in the batch in proportion to its output, at any of its contexts alike.
std::vector<double> longest_over_mean(const traffic::Requests& requests, double share, int max_n);

}  // namespace jevons::evidence
