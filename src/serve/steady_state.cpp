#include "serve/steady_state.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::serve {

double prefill_seconds(const step::StepTime& model, const Workload& w, double batch, double fresh, double cached) {
  const double context = w.isl + w.osl / 2;
  const double without = model.seconds({batch, context, 0, 0});
  const double room = w.chunk * model.placement().dp;  // every attention rank takes a chunk of its own
  double seconds = 0;
  // Whole chunks differ only in what came before them; the middle one stands for all when there are many.
  const double whole = std::floor(fresh / room), rest = fresh - whole * room;
  if (whole > 0) {
    const double first = model.seconds({batch, context, room, cached}) - without;
    const double last = model.seconds({batch, context, room, cached + (whole - 1) * room}) - without;
    seconds += whole * (first + last) / 2;
  }
  if (rest > 0) seconds += model.seconds({batch, context, rest, cached + whole * room}) - without;
  return seconds;
}

SteadyState steady_state(const step::StepTime& model, const Workload& w, double concurrency) {
  SteadyState s;
  s.concurrency = concurrency;
  const double cached = std::floor(w.isl * w.prefix_hit_rate), fresh = std::max(1.0, w.isl - cached);
  const double context = w.isl + w.osl / 2;
  const double steps = w.osl / w.tokens_per_step;  // decode steps of one request
  s.batch = concurrency;
  for (int round = 0; round < 50; ++round) {
    s.decode_step_s = model.seconds({s.batch * (1 + w.draft_tokens), context, 0, 0});
    s.prefill_s = prefill_seconds(model, w, s.batch, fresh, cached);
    const double p = s.prefill_s, t = s.decode_step_s;
    // A sequence's step also waits for the prompts of the others that are prefilled meanwhile.
    const double per_step = t + std::max(0.0, concurrency - 1) * p / steps;
    s.tpot_s = per_step / w.tokens_per_step;
    const double rho = concurrency * p / (concurrency * p + t * steps);
    // A prompt is prefilled by one attention rank, not by all at once.
    s.ttft_s = w.host_constant + 2.5 * t + p * model.placement().dp + rho * p / std::max(1e-9, 1 - rho);
    const double batch = std::max(1.0, concurrency * w.osl * s.tpot_s / (w.osl * s.tpot_s + s.ttft_s));
    const bool settled = std::abs(batch - s.batch) <= 1e-4 * batch;
    s.batch = batch;
    if (settled) break;
  }
  s.prefill_without_cached_s = prefill_seconds(model, w, s.batch, fresh, 0);
  s.requests_per_s = concurrency / (s.ttft_s + std::max(0.0, w.osl - 1) * s.tpot_s);
  s.output_tok_s = s.requests_per_s * w.osl;
  return s;
}

}  // namespace jevons::serve
