#include "cost/finance.hpp"

#include <algorithm>
#include <cmath>

#include "base/result.hpp"

namespace jevons::cost {

double npv(std::span<const double> flows, double rate) {
  JEVONS_ENSURE(rate > -1);
  double sum = 0, factor = 1;
  for (const double f : flows) {
    sum += f * factor;
    factor /= 1 + rate;
  }
  return sum;
}

std::optional<double> internal_rate(std::span<const double> flows) {
  // Walk up until the sign changes, then halve: robust where Newton is not, and 60 halvings are exact to a double.
  constexpr double kLowest = -0.99, kHighest = 10, kStep = 0.01;
  double low = kLowest, at_low = npv(flows, low);
  for (double high = low + kStep; high <= kHighest; high += kStep) {
    const double at_high = npv(flows, high);
    if (at_low != 0 && (at_low < 0) == (at_high < 0)) {
      low = high;
      at_low = at_high;
      continue;
    }
    if (at_low == 0 && at_high == 0) return std::nullopt;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2, at = npv(flows, middle);
      ((at < 0) == (at_low < 0) ? low : high) = middle;
    }
    return (low + high) / 2;
  }
  return std::nullopt;
}

std::optional<double> payback(std::span<const double> flows) {
  double sum = 0;
  std::optional<double> at;
  for (std::size_t i = 0; i < flows.size(); ++i) {
    const double before = sum;
    sum += flows[i];
    if (sum < 0)
      at.reset();
    else if (!at)
      at = before < 0 ? double(i) - 1 + (0 - before) / flows[i] : double(i);
  }
  return at;
}

double spent_by(double t, double duration) {
  if (duration <= 0) return t >= 0 ? 1 : 0;
  const double x = std::clamp(t / duration, 0.0, 1.0);
  return x * x * (3 - 2 * x);
}

double interest_during_construction(double rate, double duration) { return rate * std::max(0.0, duration) / 2; }

double occupancy(double t, double u_max, double ramp) {
  if (t <= 0 && ramp > 0) return 0;
  return ramp > 0 ? -u_max * std::expm1(-3 * t / ramp) : u_max;
}

double mean_occupancy(double a, double b, double u_max, double ramp) {
  JEVONS_ENSURE(b > a);
  if (ramp <= 0) return u_max;
  const double from = std::max(a, 0.0), to = std::max(b, 0.0), tau = ramp / 3;
  return u_max * ((to - from) - tau * (std::exp(-from / tau) - std::exp(-to / tau))) / (b - a);
}

}  // namespace jevons::cost
