#pragma once
// Step times as integers: the form in which the simulator of `serve` takes them. Decode steps of one batch are piecewise linear in the
// tokens they read from cache, so that many steps add up in closed form to exactly what stepping one by one gives.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"

namespace jevons::step {

/// Durations are counted in 2^-20 ns, so that a slope per cached token keeps its precision.
using Ticks = std::int64_t;
inline constexpr int kTickBits = 20;
inline constexpr Ticks kTicksPerNs = Ticks{1} << kTickBits;
inline Ticks ticks_of(double seconds) { return Ticks(std::llround(seconds * (1e9 * double(kTicksPerNs)))); }
inline double seconds_of(Int128 ticks) { return double(ticks) / (1e9 * double(kTicksPerNs)); }

/// From a context sum of `from` units on, until the next segment: base + slope·(sum − from).
struct Segment {
  std::int64_t from = 0;
  Ticks base = 0, slope = 0;
};
/// Prefill attention of one sequence up to position `from` and beyond: base + slope·d + curve·d², d = position − from, in ticks.
struct PositionSegment {
  std::int64_t from = 0;
  double base = 0, slope = 0, curve = 0;
};

/// What steps take on one replica, or on one of its attention ranks. A step decodes `batch` sequences by one step each and pushes new
/// prompt tokens:
///   time = decode(batch, sum of cached tokens of the decoding sequences)
///        + tokens(batch + prefill tokens) − tokens(batch)                     products and experts see all tokens of the step alike
///        + for each prompt's chunk: position(end) − position(begin)           attention of a token depends on its position alone
/// and a step that pushes prompt tokens takes at least `prefill_floor`. Where the kernels that decode beside prompt tokens are slower than
/// those that decode alone, a second table says what the decodes take there.
class StepForm {
 public:
  /// decode: `row` segments for each batch of 1 … max_batch, ascending, the first from 0. tokens: times of 0 … max_tokens tokens, [0] = 0,
  /// never falling. position: ascending, the first from 0. unit: context sums count 1/unit tokens (speculation yields parts of tokens).
  /// shared: with several attention ranks, times of 0 … tokens of all of them together (experts), which `tokens` then leaves out.
  StepForm(std::vector<Segment> decode, int row, std::vector<Ticks> tokens, std::vector<PositionSegment> position, Ticks prefill_floor = 0,
           std::int32_t unit = 1, std::vector<Ticks> shared = {})
      : decode_(std::move(decode)),
        row_(row),
        tokens_(std::move(tokens)),
        shared_(std::move(shared)),
        position_(std::move(position)),
        floor_(prefill_floor),
        unit_(unit) {
    JEVONS_ENSURE(row_ > 0 && !decode_.empty() && decode_.size() % std::size_t(row_) == 0 && !tokens_.empty() && tokens_[0] == 0);
    JEVONS_ENSURE(!position_.empty() && unit_ > 0 && floor_ >= 0);
  }

  /// The same form with a table of its own, of the same shape, for decodes in steps that push prompt tokens.
  StepForm beside_prompts(std::vector<Segment> decode) && {
    JEVONS_ENSURE(decode.size() == decode_.size());
    beside_ = std::move(decode);
    return std::move(*this);
  }

  int max_batch() const { return int(decode_.size()) / row_; }
  int max_tokens() const { return int(tokens_.size()) - 1; }
  std::int32_t unit() const { return unit_; }

  /// Segments of a decode batch, 1 <= batch <= max_batch.
  std::span<const Segment> decode(int batch) const { return row_of(decode_, batch); }

  /// One decode-only step.
  Ticks decode_time(int batch, std::int64_t sum) const { return time(at(decode(batch), sum), sum); }
  /// Attention time of pushing a prompt from its start to `position` tokens.
  Ticks position_time(std::int64_t position) const {
    const PositionSegment& s = at(std::span(position_), position);
    const double d = double(position - s.from);
    return Ticks(s.base + d * (s.slope + d * s.curve));
  }
  /// A step of `batch` decodes and `prefill_tokens` > 0 prompt tokens whose attention takes `attention`.
  Ticks mixed_time(int batch, std::int64_t sum, int prefill_tokens, Ticks attention) const {
    const Ticks decodes = batch == 0 ? 0 : beside_.empty() ? decode_time(batch, sum) : time(at(row_of(beside_, batch), sum), sum);
    return std::max(floor_, decodes + token_time(batch + prefill_tokens) - token_time(batch) + attention);
  }

  /// What a decode-only step of `batch` sequences takes before their contexts count.
  Ticks base_time(int batch) const { return batch > 0 ? decode_[std::size_t(batch - 1) * std::size_t(row_)].base : 0; }
  /// Products for n tokens of one rank; beyond the table, as its last part goes on.
  Ticks token_time(int n) const { return on(tokens_, n); }
  /// Experts for n tokens of all ranks.
  Ticks shared_time(int n) const { return shared_.empty() ? 0 : on(shared_, n); }
  Ticks prefill_floor() const { return floor_; }

  struct Run {
    std::int64_t steps = 0;
    Int128 ticks = 0;
  };
  /// The longest run of at most `steps` decode steps that lasts at most `limit`, the context sum growing by `growth` a step from `sum`,
  /// each step `extra` longer than its decodes. Exactly what adding up decode_time one by one gives.
  Run run(int batch, std::int64_t sum, std::int64_t growth, std::int64_t steps, Int128 limit, Ticks extra = 0) const;

 private:
  template <class S>
  static const S& at(std::span<const S> segments, std::int64_t x) {
    std::size_t i = segments.size() - 1;
    while (segments[i].from > x) --i;
    return segments[i];
  }
  static Ticks time(const Segment& s, std::int64_t sum) { return s.base + s.slope * (sum - s.from); }
  std::span<const Segment> row_of(const std::vector<Segment>& table, int batch) const {
    return {table.data() + std::size_t(batch - 1) * std::size_t(row_), std::size_t(row_)};
  }
  static Ticks on(const std::vector<Ticks>& table, int n) {
    const int last = int(table.size()) - 1;
    if (n <= last) return table[std::size_t(n)];
    return table[std::size_t(last)] + (last > 0 ? (table[std::size_t(last)] - table[std::size_t(last - 1)]) * (n - last) : 0);
  }

  std::vector<Segment> decode_, beside_;  // beside_: empty, or as long as decode_
  int row_ = 1;
  std::vector<Ticks> tokens_, shared_;
  std::vector<PositionSegment> position_;
  Ticks floor_ = 0;
  std::int32_t unit_ = 1;
};

inline StepForm::Run StepForm::run(int batch, std::int64_t sum, std::int64_t growth, std::int64_t steps, Int128 limit, Ticks extra) const {
  const auto segments = decode(batch);
  Run out;
  std::size_t i = segments.size() - 1;
  while (segments[i].from > sum) --i;
  for (; out.steps < steps; ++i) {
    const Segment& s = segments[i];
    std::int64_t n = steps - out.steps;  // steps within this segment
    if (i + 1 < segments.size() && growth > 0) n = std::min(n, (segments[i + 1].from - sum + growth - 1) / growth);
    if (n <= 0) continue;
    const Ticks first = s.base + extra + s.slope * (sum - s.from);
    const Ticks rise = s.slope * growth;  // from one step to the next
    const auto total = [&](std::int64_t k) { return Int128(first) * k + Int128(rise) * (Int128(k) * (k - 1) / 2); };
    if (out.ticks + total(n) > limit) {
      // first·k + rise·k(k − 1)/2 <= rest: a root in doubles, then mended to the exact integer.
      const double rest = double(limit - out.ticks), b = double(first) - double(rise) / 2;
      const double root = rest <= 0 ? 0.0 : 2 * rest / (b + std::sqrt(b * b + 2 * double(rise) * rest));
      auto k = std::int64_t(std::clamp(root, 0.0, double(n)));
      while (k > 0 && out.ticks + total(k) > limit) --k;
      while (k < n && out.ticks + total(k + 1) <= limit) ++k;
      return {out.steps + k, out.ticks + total(k)};
    }
    out.ticks += total(n);
    out.steps += n;
    sum += growth * n;
  }
  return out;
}

}  // namespace jevons::step
