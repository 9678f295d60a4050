#include "savings/attribution.hpp"

#include <bit>
#include <cmath>

#include "base/result.hpp"

namespace jevons::savings {

std::vector<double> shapley(std::span<const double> values) {
  JEVONS_ENSURE(std::has_single_bit(values.size()) && values.size() <= (std::size_t{1} << 20));
  const int n = std::countr_zero(values.size());
  // Weight of a coalition of size s in the marginal contribution of a player outside it: s! (n - s - 1)! / n!
  std::vector<double> weight(std::size_t(n), 0.0);
  for (int s = 0; s < n; ++s) weight[std::size_t(s)] = std::exp(std::lgamma(s + 1) + std::lgamma(n - s) - std::lgamma(n + 1));
  std::vector<double> share(std::size_t(n), 0.0);
  for (std::size_t mask = 0; mask < values.size(); ++mask) {
    for (int i = 0; i < n; ++i) {
      const std::size_t bit = std::size_t{1} << i;
      if (mask & bit) continue;
      share[std::size_t(i)] += weight[std::size_t(std::popcount(mask))] * (values[mask | bit] - values[mask]);
    }
  }
  return share;
}

double logarithmic_mean(double a, double b) {
  JEVONS_ENSURE(a > 0 && b > 0);
  const double x = std::log(a / b);
  // Near equality the quotient loses digits: use the series of (e^x - 1)/x.
  if (std::abs(x) < 1e-4) return b * (1 + x / 2 + x * x / 6);
  return (a - b) / x;
}

std::vector<double> lmdi(std::span<const std::vector<double>> before, std::span<const std::vector<double>> after) {
  JEVONS_ENSURE(before.size() == after.size() && !before.empty());
  std::vector<double> contribution(before[0].size(), 0.0);
  for (std::size_t term = 0; term < before.size(); ++term) {
    JEVONS_ENSURE(before[term].size() == contribution.size() && after[term].size() == contribution.size());
    double v0 = 1, v1 = 1;
    for (std::size_t x = 0; x < contribution.size(); ++x) {
      v0 *= before[term][x];
      v1 *= after[term][x];
    }
    const double mean = logarithmic_mean(v1, v0);
    for (std::size_t x = 0; x < contribution.size(); ++x) contribution[x] += mean * std::log(after[term][x] / before[term][x]);
  }
  return contribution;
}

}  // namespace jevons::savings
