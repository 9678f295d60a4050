#pragma once
// What a simulation says, in the field's words. Formulas: docs/glossary.md.
#include <optional>
#include <string>
#include <vector>

#include "serve/simulate.hpp"

namespace jevons::serve {

/// Mean and quantiles of a latency, seconds; quantiles interpolate between closest ranks, those of `itl` are within 1.1 %.
struct Latency {
  std::size_t n = 0;
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};

/// Limits for goodput; a request counts if it meets all that are given. Seconds.
struct Goodput {
  std::optional<double> ttft_s, tpot_s, e2e_s;
};

enum class Load : std::uint8_t { sustained, saturated };

struct Metrics {
  std::size_t requests = 0, finished = 0, rejected = 0;
  Latency ttft;           // first token − sent by the client
  Latency tpot;           // (E2E − TTFT)/(output tokens − 1), requests of two tokens and more
  Latency itl;            // between consecutive steps of a sequence (speculation: of a step's tokens all at once)
  Latency e2e;            // last token − sent
  Latency queueing;       // first scheduled − sent
  double makespan_s = 0;  // first send to last token
  double requests_per_s = 0, output_tok_s = 0, input_tok_s = 0;
  double output_tok_s_per_gpu = 0, output_tok_s_per_user = 0;  // per user: 1/mean TPOT
  std::optional<double> goodput_rps, slo_attainment;           // of requests meeting the limits; of all that were sent
  double cache_hit_rate = 0;                                   // prompt tokens found in the prefix cache at admission, of all admitted
  std::int64_t preemptions = 0, steps = 0;
  std::array<double, kTiers> tier_hit_rate{};       // prompt tokens fetched from host memory, SSD, a remote store; of all admitted
  double tier_recomputed = 0;                       // … that a tier had and that were computed all the same
  std::int64_t fetches = 0;                         // requests that waited for a tier
  double fetch_wait_s = 0;                          // … how long in the mean
  std::array<std::int64_t, kTiers> tier_written{};  // blocks
  std::int64_t adapter_loads = 0, adapter_reads = 0, adapter_passed = 0;  // as Counters
  double adapter_time = 0;                                                // that adapters add to steps, of the busy time
  double mean_batch = 0;                                                  // sequences decoding, averaged over busy time
  double busy = 0;                                                        // share of replica time with a step running
  double kv_use = 0, kv_peak = 0;                                         // of the blocks: mean over busy time, highest
  /// saturated: when the last request arrived, over a twentieth of all had not been scheduled, and more than ever ran at once.
  Load load = Load::sustained;
  bool partial = false;
};

/// Requires the arguments that `simulate` had. The first `uncounted` rows of a closed load are left out of the latencies.
Metrics measure(const Simulation& simulation, const Deployment& deployment, const traffic::Workload& workload, const Goodput& goodput = {});

/// One line a request,
/// "request_id,sent_s,scheduled_s,first_token_s,finished_s,input_tokens,output_tokens,cached_tokens,preemptions,replica,status" with that
/// header; cells of what did not happen are empty.
std::string requests_csv(const Simulation& simulation, const traffic::Workload& workload);
/// The same as one JSON object a line.
std::string requests_jsonl(const Simulation& simulation, const traffic::Workload& workload);
/// Requests as slices (queue, prefill, decode) for chrome://tracing and Perfetto: the JSON object format of the "Trace Event Format";
/// one process a replica, one lane for each request in flight.
std::string chrome_trace(const Simulation& simulation, const traffic::Workload& workload);

}  // namespace jevons::serve
