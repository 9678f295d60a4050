#include "serve/timing.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::serve {
namespace {

// first, … , last; each at most half as much again as the one before it.
std::vector<std::int64_t> grid(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> points{0};
  for (std::int64_t x = first; x < last; x = std::max(x + 1, x + x / 2)) points.push_back(x);
  points.push_back(last);
  return points;
}

}  // namespace

step::StepForm form_of(const step::StepTime& model, const FormRange& range, Seconds prefill_floor) {
  // Decode: rows at the grid's batches, straight lines between them at equal mean context.
  const auto batches = grid(1, std::max(2, range.max_batch));
  const auto contexts = grid(64, std::max<std::int64_t>(128, range.max_context));
  std::vector<std::vector<double>> sampled;
  for (std::size_t i = 1; i < batches.size(); ++i) {
    auto& row = sampled.emplace_back();
    for (const auto c : contexts) row.push_back(model.seconds({double(batches[i]) * range.verified_tokens, double(c), 0, 0}));
    for (std::size_t k = 1; k < row.size(); ++k) row[k] = std::max(row[k], row[k - 1]);  // more cache is never read faster
  }
  const int row = int(contexts.size()) - 1;
  std::vector<step::Segment> decode;
  decode.reserve(std::size_t(range.max_batch) * std::size_t(row));
  std::size_t i = 0;
  for (int b = 1; b <= range.max_batch; ++b) {
    while (i + 2 < sampled.size() && batches[i + 2] <= b) ++i;
    const double w = sampled.size() == 1 ? 0 : double(b - batches[i + 1]) / double(batches[i + 2] - batches[i + 1]);
    const auto at = [&](std::size_t k) { return sampled[i][k] * (1 - w) + (sampled.size() == 1 ? 0 : sampled[i + 1][k] * w); };
    for (std::size_t k = 0; k + 1 < contexts.size(); ++k) {
      const double slope = (at(k + 1) - at(k)) / double((contexts[k + 1] - contexts[k]) * b * range.unit);
      decode.push_back({contexts[k] * b * range.unit, step::ticks_of(at(k)), step::ticks_of(slope)});
    }
  }

  // Prompts: what one more token costs at a position, summed up.
  const double second = 1e9 * double(step::kTicksPerNs);
  const double alone = model.seconds({0, 0, 1, 0});
  const auto marginal = [&](std::int64_t c) { return (model.seconds({0, 0, 1, double(c)}) - alone) * second; };
  std::vector<step::PositionSegment> position;
  double sum = 0;
  for (std::size_t k = 0; k + 1 < contexts.size(); ++k) {
    const double low = std::max(0.0, marginal(contexts[k])), high = std::max(low, marginal(contexts[k + 1]));
    const double length = double(contexts[k + 1] - contexts[k]);
    position.push_back({contexts[k], sum, low, (high - low) / (2 * length)});
    sum += length * (low + high) / 2;
  }

  const auto counts = grid(1, std::max(2, range.max_tokens + range.max_batch));
  std::vector<step::Ticks> tokens(std::size_t(counts.back()) + 1);
  const auto attention = [&](std::int64_t n) {
    auto s = std::find_if(position.rbegin(), position.rend(), [n](const auto& p) { return p.from <= n; });
    const double d = double(n - s->from);
    return s->base + d * (s->slope + d * s->curve);
  };
  for (std::size_t k = 1; k < counts.size(); ++k) {
    const std::int64_t n = counts[k], from = counts[k - 1];
    const auto value = step::Ticks(std::max(0.0, model.seconds({0, 0, double(n), 0}) * second - attention(n)));
    tokens[std::size_t(n)] = std::max(value, tokens[std::size_t(from)]);
    for (std::int64_t m = from + 1; m < n; ++m) {
      tokens[std::size_t(m)] =
          tokens[std::size_t(from)] + step::Ticks(Int128(tokens[std::size_t(n)] - tokens[std::size_t(from)]) * (m - from) / (n - from));
    }
  }
  return step::StepForm(std::move(decode), row, std::move(tokens), std::move(position), step::ticks_of(prefill_floor.value()), range.unit);
}

std::int64_t cache_blocks(const step::Subject& subject, const step::Placement& placement, std::int32_t block_size, std::int64_t context) {
  if (!step::memory(subject, placement).fits()) return 0;
  return std::int64_t(step::sequences_that_fit(subject, placement, context) * double(context) / block_size);
}

}  // namespace jevons::serve
