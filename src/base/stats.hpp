#pragma once
#include <span>
#include <vector>

namespace jevons {

/// Quantile q in [0, 1] of an ascending sample by linear interpolation between closest ranks (numpy's default, Hyndman-Fan type 7).
/// Requires a non-empty sample.
double quantile_sorted(std::span<const double> ascending, double q);

struct Summary {
  std::size_t n = 0;
  double mean = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, min = 0, max = 0;
};
/// Summary of a sample; sorts its argument. An empty sample gives n = 0 and zeros that nobody may print.
Summary summarize(std::vector<double>& sample);

}  // namespace jevons
