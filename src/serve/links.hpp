#pragma once
// Cache on its way between replicas: flows that share the replicas' network links max-min fairly.
#include <vector>

#include "serve/outcomes.hpp"

namespace jevons::serve {

/// Every rank has a link out and a link in. Rates are max-min fair: all flows rise together until a link is full, those through it stop
/// there, the others go on. Source: Bertsekas, Gallager, "Data Networks", 2nd ed., section 6.5.2 (progressive filling). Flows are fluid:
/// no start-up, no packets; microseconds of latency are left out.
class Links {
 public:
  /// Bytes a second of each rank's link, each way.
  explicit Links(std::vector<double> bandwidth) : bandwidth_{std::move(bandwidth)} {}

  double bandwidth(std::uint32_t rank) const { return bandwidth_[rank]; }
  /// Times never fall between calls. bytes >= 0.
  void start(RequestId r, std::uint32_t from, std::uint32_t to, double bytes, SimTime now);
  void cancel(RequestId r, SimTime now);
  /// When the first flow ends; kNever without one.
  SimTime next() const { return next_; }
  /// The flow that ends at next(); it is gone then.
  RequestId pop();

 private:
  struct Flow {
    RequestId id;
    std::uint32_t from, to;
    double left, rate;
  };
  void pass(SimTime now);
  void share();

  std::vector<double> bandwidth_;
  std::vector<Flow> flows_;  // in order of start
  SimTime at_ = 0, next_ = kNever;
  std::size_t first_ = 0;  // ends first
};

}  // namespace jevons::serve
