#include "serve/outcomes.hpp"

#include "base/result.hpp"

namespace jevons::serve {

void DurationHistogram::add_run(step::Ticks first, step::Ticks last, std::int64_t n, std::int64_t weight) {
  const std::size_t low = bin(first), high = bin(last);
  if (low >= high) {
    bins_[low] += n * weight;
    return;
  }
  // Evenly spaced values first, first + d, …: those below a bin's end are counted, not visited.
  const double d = double(last - first) / double(n - 1);
  std::int64_t counted = 0;
  for (std::size_t b = low; b < high; ++b) {
    const auto below = std::min<std::int64_t>(n, std::int64_t(double(lower(b + 1) - 1 - first) / d) + 1);
    if (below > counted) bins_[b] += (below - counted) * weight;
    counted = std::max(counted, below);
  }
  bins_[high] += (n - counted) * weight;
}

std::int64_t DurationHistogram::total() const {
  std::int64_t sum = 0;
  for (const auto w : bins_) sum += w;
  return sum;
}

double DurationHistogram::quantile(double q) const {
  const std::int64_t all = total();
  JEVONS_ENSURE(all > 0 && q >= 0 && q <= 1);
  const auto rank = std::int64_t(q * double(all - 1));
  std::int64_t before = 0;
  std::size_t b = 0;
  while (before + bins_[b] <= rank) before += bins_[b++];
  return step::seconds_of((Int128(lower(b)) + lower(b + 1)) / 2);
}

void DurationHistogram::merge(const DurationHistogram& other) {
  for (std::size_t b = 0; b < bins_.size(); ++b) bins_[b] += other.bins_[b];
}

}  // namespace jevons::serve
