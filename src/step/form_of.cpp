#include "step/form_of.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::step {
namespace {

constexpr double kTicksPerSecond = 1e9 * double(kTicksPerNs);

// Contexts at which attention time may bend: every cap of the model's caches, and powers of two to follow what bends smoothly.
std::vector<std::int64_t> knots(const Subject& s, std::int64_t max_context) {
  std::vector<std::int64_t> at{0};
  for (std::int64_t n = 128; n < max_context; n *= 4) at.push_back(n);
  for (const auto& g : s.cache) {
    const std::int64_t cap = (g.read_cap > 0 ? g.read_cap : g.stored_cap) * g.tokens_per_entry;
    if (cap > 1 && cap < max_context) at.push_back(cap);
  }
  at.push_back(std::max<std::int64_t>(max_context, 1024));
  std::sort(at.begin(), at.end());
  at.erase(std::unique(at.begin(), at.end()), at.end());
  return at;
}

// Attention seconds that one decoding sequence with each knot's context adds, above one with none.
std::vector<double> sequence_seconds(const StepTime& time, const std::vector<std::int64_t>& at, double factor) {
  constexpr double kMany = 64;  // attention is proportional to the sequences: many of them lose no digits to the rest of the step
  const double all = kMany * time.placement().dp, none = time.seconds({all, 0, 0, 0});
  std::vector<double> out;
  for (const auto n : at) {
    out.push_back(std::max(out.empty() ? 0.0 : out.back(), factor * (time.seconds({all, double(n), 0, 0}) - none) / kMany));
  }
  return out;
}

std::vector<Segment> decode_table(const StepTime& time, const FormOptions& o, const std::vector<std::int64_t>& at) {
  const auto attention = sequence_seconds(time, at, o.decode_factor);
  std::vector<Segment> out;
  out.reserve(std::size_t(o.max_batch) * (at.size() - 1));
  Ticks floor = 0;
  for (int b = 1; b <= o.max_batch; ++b) {
    const double none = o.decode_factor * time.seconds({double(b) * o.tokens_per_sequence * time.placement().dp, 0, 0, 0});
    Ticks base = floor = std::max(floor, ticks_of(none));  // never less than a smaller batch
    for (std::size_t i = 0; i + 1 < at.size(); ++i) {
      const double rise = (attention[i + 1] - attention[i]) / double(at[i + 1] - at[i]) / o.unit;
      const Ticks slope = Ticks(std::llround(rise * kTicksPerSecond));
      const std::int64_t width = std::int64_t(b) * (at[i + 1] - at[i]) * o.unit;
      out.push_back({std::int64_t(b) * at[i] * o.unit, base, slope});
      base += slope * width;  // joined without a step, so that time never falls
    }
  }
  return out;
}

// Ticks of 0 … max_tokens tokens, from their seconds at some of them.
template <class Seconds>
std::vector<Ticks> token_table(int max_tokens, Seconds&& seconds) {
  constexpr int kEach = 512, kStride = 64;
  std::vector<Ticks> out(std::size_t(max_tokens) + 1, 0);
  int from = 0;
  for (int n = 1; n <= max_tokens; n = n < kEach ? n + 1 : n < max_tokens ? std::min(n + kStride, max_tokens) : n + 1) {
    out[std::size_t(n)] = std::max(ticks_of(seconds(double(n))), out[std::size_t(from)]);
    const Ticks first = out[std::size_t(from)], last = out[std::size_t(n)];
    for (int i = from + 1; i < n; ++i) out[std::size_t(i)] = first + Ticks(Int128(last - first) * (i - from) / (n - from));
    from = n;
  }
  return out;
}

// Attention ticks of one prompt token at `position`: the mean over a chunk around it. The engine's chunk: latent attention expands what
// is cached once a chunk, which a smaller one could not repay.
double token_attention(const StepTime& time, std::int64_t position, std::int64_t around) {
  const std::int64_t half = std::min(around / 2, std::max<std::int64_t>(position, 1));
  return time.prefill_attention_seconds(double(2 * half), double(std::max<std::int64_t>(position - half, 0))) / double(2 * half) *
         time.placement().dp * kTicksPerSecond;
}

std::vector<PositionSegment> position_table(const StepTime& time, const std::vector<std::int64_t>& at, const FormOptions& o) {
  std::vector<PositionSegment> out;
  double sum = 0, here = 0;
  for (std::size_t i = 0; i + 1 < at.size(); ++i) {
    const double next = std::max(here, o.prompt_factor * token_attention(time, at[i + 1], o.max_tokens)), width = double(at[i + 1] - at[i]);
    out.push_back({at[i], sum, here, (next - here) / (2 * width)});
    sum += width * (here + next) / 2;
    here = next;
  }
  return out;
}

}  // namespace

StepForm form_of(const StepTime& time, const FormOptions& o) {
  JEVONS_ENSURE(o.max_batch >= 1 && o.max_tokens >= 1 && o.max_context >= 1 && o.tokens_per_sequence >= 1 && o.unit >= 1);
  const auto at = knots(time.subject(), o.max_context);
  const int ranks = time.placement().dp;
  std::vector<Ticks> tokens, shared;
  if (ranks == 1) {
    tokens = token_table(o.max_tokens, [&](double n) { return o.prompt_factor * time.token_seconds(n); });
  } else {
    tokens = token_table(o.max_tokens,
                         [&](double n) { return o.prompt_factor * (time.token_seconds(n * ranks) - time.expert_seconds(n * ranks)); });
    shared = token_table(o.max_tokens * ranks, [&](double n) { return o.prompt_factor * time.expert_seconds(n); });
  }
  return StepForm(decode_table(time, o, at), int(at.size()) - 1, std::move(tokens), position_table(time, at, o),
                  ticks_of(o.prompt_factor * o.prefill_floor), o.unit, std::move(shared));
}

}  // namespace jevons::step
