#pragma once
// A step model of given coefficients: for theory, for tests, and where someone knows an engine's speed without knowing why.
#include "step/step_form.hpp"

namespace jevons::step {

/// time = fixed + per_sequence·decodes + per_cached_token·(cached tokens of the decoding sequences)
///      + per_prefill_token·(new prompt tokens) + per_pair·Σ over new prompt tokens of their position (1 for the first of a prompt);
/// at least prefill_floor if there are prompt tokens. Seconds.
struct LinearStep {
  double fixed = 0, per_sequence = 0, per_cached_token = 0, per_prefill_token = 0, per_pair = 0, prefill_floor = 0;
};

/// The integer form for up to max_batch sequences and max_tokens tokens in a step; context sums in 1/unit tokens.
inline StepForm form_of(const LinearStep& m, int max_batch, int max_tokens, std::int32_t unit = 1) {
  const Ticks token = ticks_of(m.per_prefill_token), sequence = ticks_of(m.per_sequence), fixed = ticks_of(m.fixed);
  std::vector<Segment> decode;
  for (int b = 1; b <= max_batch; ++b) decode.push_back({0, fixed + sequence * b, ticks_of(m.per_cached_token / unit)});
  std::vector<Ticks> tokens(std::size_t(std::max(1, max_tokens)) + 1);
  for (std::size_t n = 1; n < tokens.size(); ++n) tokens[n] = fixed + token * Ticks(n);
  const double pair = m.per_pair * 1e9 * double(kTicksPerNs);
  return StepForm(std::move(decode), 1, std::move(tokens), {{0, 0, pair / 2, pair / 2}}, ticks_of(m.prefill_floor), unit);
}

}  // namespace jevons::step
