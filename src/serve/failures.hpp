#pragma once
// Parts that fail and are repaired, and what that leaves of a fleet.
#include <string>
#include <vector>

#include "base/random.hpp"
#include "serve/outcomes.hpp"

namespace jevons::serve {

/// One kind of part: each serves `accelerators` consecutive accelerators of the deployment, all of which stop when it fails. Times between
/// failures are exponential with the given mean; a repair takes a fixed time. Seconds.
struct FailureLaw {
  std::string part;
  double mtbf_s = 0, repair_s = 0;
  int accelerators = 1;
};

/// Which parts fail when, in order of time.
class Failures {
 public:
  /// Parts of each kind cover all `accelerators`; draws are named by kind and part, so that one kind moves no other's.
  Failures(std::vector<FailureLaw> laws, int accelerators, Seed seed, std::uint64_t replication);

  std::size_t parts() const { return streams_.size(); }
  /// Time from a part's start or repair to its failure.
  SimTime lifetime(std::size_t part);
  SimTime repair(std::size_t part) const;
  /// Accelerators [first, last) that a part serves.
  int first(std::size_t part) const;
  int last(std::size_t part) const;

 private:
  const FailureLaw& law(std::size_t part) const { return laws_[law_of_[part]]; }
  std::vector<FailureLaw> laws_;
  int accelerators_;
  std::vector<std::uint32_t> law_of_, number_;
  std::vector<Stream> streams_;
};

/// Share of time in which at least k of the replicas are up, for k = 0 … replicas, over about `failures` failures and their repairs:
/// parts that several replicas share take them down together. replica_accelerators: of one replica; start_up_s: after a repair.
std::vector<double> availability(const std::vector<FailureLaw>& laws, int replicas, int replica_accelerators, double start_up_s,
                                 double failures, Seed seed);

}  // namespace jevons::serve
