#pragma once
// Steady-state closed form of one replica under closed-loop load: what mean latency and throughput settle at. Not a simulation:
// no bursts, no queueing beyond a first-order term, no spread of lengths. Named as such wherever its numbers are shown.
#include "step/step_time.hpp"

namespace jevons::serve {

struct Workload {
  double isl = 0, osl = 0;      // mean tokens of a request; isl counts cached ones too
  double prefix_hit_rate = 0;   // share of isl found in the prefix cache
  double chunk = 8192;          // prefill token budget of one step
  double tokens_per_step = 1;   // tokens a decode step yields per sequence: acceptance length of speculation
  double draft_tokens = 0;      // tokens verified beside the next one in each step
  double host_constant = 0.02;  // seconds of HTTP and tokenisation per request; does not block the engine
};

struct SteadyState {
  double concurrency = 0;  // requests in flight
  double batch = 0;        // of these decoding at a time
  double ttft_s = 0, tpot_s = 0;
  double requests_per_s = 0, output_tok_s = 0;
  double decode_step_s = 0;             // pure decode step at `batch`
  double prefill_s = 0;                 // engine time of one prompt's fresh tokens
  double prefill_without_cached_s = 0;  // the same if the fresh tokens stood alone: the rest is what cached context costs
};

/// Fixed point of: batch B = C O tpot / (O tpot + ttft), tpot = t(B) + (B - 1) p / O, ttft = a + 2.5 t + p + rho p / (1 - rho) with
/// rho = C p / (C p + t O). Requires concurrency >= 1 and that the caller checked that it fits in memory.
/// Source: little's law over one serial engine; terms measured on published closed-loop benchmarks (docs/step-time.md).
SteadyState steady_state(const step::StepTime& model, const Workload& w, double concurrency);

/// Engine seconds that prefilling `fresh` tokens after `cached` ones adds to steps that also decode `batch` sequences.
double prefill_seconds(const step::StepTime& model, const Workload& w, double batch, double fresh, double cached);

}  // namespace jevons::serve
