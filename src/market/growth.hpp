#pragma once
// Reported volumes as the sum of what segments do and what wanders: a Gaussian process around the deterministic law.
//
//   ln y(service, t) = level(service) + ln sum_s mix_s growth_s(t) + rollout(age) + common(t) + region(t) + service(t) + noise
//
// level: free. rollout: a Gompertz surge from the opening date. common, region, service: integrals of Ornstein-Uhlenbeck growth rates.
#include <span>
#include <vector>

#include "market/segments.hpp"

namespace jevons::market {

/// A service's ln tokens, or a growth rate that nobody reports: of the market, of China or of the rest beyond the market.
enum class Quantity : std::uint8_t { volume, common_rate, china_rate, rest_rate };
struct Point {
  std::size_t service = 0;  // of a volume
  double at = 0;            // years
  double sd = 0;            // of a report there; 0 without report noise
  Quantity what = Quantity::volume;
};

/// Covariance of integral over [start, a] and [start, b] of a stationary Ornstein-Uhlenbeck rate with diffusion `rate` and reversion
/// `speed` per year: s (2 k m - 1 + e^-km + e^-kM - e^-k(M-m)) / k^2, s = rate^2 / 2k. Source: integrate the OU autocovariance twice.
double integrated_ou(double a, double b, double rate, double speed);

/// Mean and covariance at points for one draw of the parameters.
struct Field {
  std::vector<double> mean, covariance;  // n, n x n
};
Field field(const History& h, const Segments& segments, const Values& v, const Mechanisms& on, std::span<const Point> points);

/// The history given one draw: its log density, and what it says about `wanted` points.
struct Conditional {
  double log_density = 0;
  std::vector<double> mean, root;  // of the wanted points; root is the lower Cholesky factor of their covariance, n x n
};
Conditional condition(const Field& all, std::span<const double> observed, std::size_t wanted);

}  // namespace jevons::market
