#pragma once
// How long collective operations take on a network: bounds of its bandwidth and latency, and what was measured on it.
#include <string>
#include <vector>

#include "fabric/collectives.hpp"
#include "fabric/network.hpp"

namespace jevons::fabric {

struct CollectiveTime {
  std::string operation;  // "all-reduce"
  std::string how;        // "ring, bound", "in the switch, bound", "measured, gb200-nvl72 (alpha-beta fit)"
  int ranks = 0;
  Bytes per_rank{};
  Seconds time{};
  std::optional<double> error;  // mean error of a fit; nothing for a bound
};

/// Expert dispatch and combine that are timed: width 7,168 and top 8, as measured.
struct ExchangeQuestion {
  std::vector<double> tokens{128, 4096};  // of one rank
  std::string format = "bf16";            // of what is dispatched: bf16, fp8 or nvfp4; results come back in bf16
  bool balanced = false;                  // experts spread as evenly as can be, as benchmarks do, instead of at random
  double ranks = 64;                      // at most as many as endpoints
};

/// Times for `bytes` per rank over all endpoints: closed forms (a bound: no protocol, no congestion; latency 0 where a switch's is not
/// known), hierarchical where leaves group the endpoints, and fits measured on accelerators that live in the fabric, at the largest group
/// measured that fits. Nothing for a single endpoint. Requires known formats and 1 or more tokens and ranks.
std::vector<CollectiveTime> collective_times(const catalog::Catalog& catalog, const Network& n, const PartsList& list, Bytes bytes,
                                             const ExchangeQuestion& exchange = {});

}  // namespace jevons::fabric
