#pragma once
// When requests (or sessions) arrive: gaps drawn from a renewal law, run through a rate that may change with time.
#include <cstddef>
#include <variant>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"
#include "traffic/requests.hpp"

namespace jevons::traffic {

struct Poisson {};
struct Constant {};
/// Gaps with the given coefficient of variation (standard deviation / mean; 1 is Poisson). Gamma: 0.02 to 50; Weibull: 0.02 to 20.
struct GammaGaps {
  double cv = 1;
};
struct WeibullGaps {
  double cv = 1;
};
using Gaps = std::variant<Poisson, Constant, GammaGaps, WeibullGaps>;

struct Steady {};
/// rate(t) = mean rate·(1 + amplitude·cos(2·pi·(t − peak_at)/period)), 0 <= amplitude <= 1; peak to mean is 1 + amplitude.
struct Diurnal {
  double period_s = 86400, amplitude = 0, peak_at_s = 0;
};
/// Every period starts with `length_s` at `factor` times the rate of the rest; the mean over a period stays the mean rate.
struct Burst {
  double period_s = 0, length_s = 0, factor = 1;
};
using Shape = std::variant<Steady, Diurnal, Burst>;

struct Arrivals {
  double rate_per_s = 1;  // mean over a period
  Gaps gaps = Poisson{};
  Shape shape = Steady{};
};

/// Refuses rates, variations and shapes outside the ranges above, naming the field under `key`.
Result<Arrivals> checked(Arrivals arrivals, std::string_view key);

/// Arrival instants in order, one at a time or in batches. The k-th is the inverse of the cumulative rate at the sum of the first k gaps of
/// mean 1: a change of time, exact for every gap law (thinning is exact for Poisson only), one gap a request under every shape.
/// Source: Çinlar, "Introduction to Stochastic Processes", 1975, section 4.7. Stream: Draw::arrival of `entity`.
class ArrivalProcess {
 public:
  ArrivalProcess(const Arrivals& arrivals, Seed seed, std::uint64_t replication, std::uint64_t entity);
  SimTime next();
  /// The same as `times.size()` calls of next(), faster.
  void fill(std::span<SimTime> times);

 private:
  double gap();
  SimTime at(double operational);
  Arrivals arrivals_;
  double seconds_each_ = 1, gap_shape_ = 1, gap_scale_ = 1;
  Stream stream_;
  double operational_ = 0, last_s_ = 0;
};

}  // namespace jevons::traffic
