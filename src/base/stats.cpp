#include "base/stats.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/result.hpp"

namespace jevons {

double quantile_sorted(std::span<const double> ascending, double q) {
  JEVONS_ENSURE(!ascending.empty() && q >= 0 && q <= 1);
  const double at = q * double(ascending.size() - 1);
  const auto low = std::size_t(std::floor(at));
  const auto high = std::min(low + 1, ascending.size() - 1);
  return ascending[low] + (ascending[high] - ascending[low]) * (at - double(low));
}

Summary summarize(std::vector<double>& sample) {
  if (sample.empty()) return {};
  std::sort(sample.begin(), sample.end());
  const double sum = std::accumulate(sample.begin(), sample.end(), 0.0);
  return {sample.size(),
          sum / double(sample.size()),
          quantile_sorted(sample, 0.5),
          quantile_sorted(sample, 0.9),
          quantile_sorted(sample, 0.95),
          quantile_sorted(sample, 0.99),
          sample.front(),
          sample.back()};
}

}  // namespace jevons
