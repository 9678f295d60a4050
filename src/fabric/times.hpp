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

/// Times for `bytes` per rank over all endpoints: closed forms (a bound: no protocol, no congestion; latency 0 where a switch's is not
/// known), hierarchical where leaves group the endpoints, and fits measured on accelerators that live in the fabric, at the largest group
/// measured that fits. Expert dispatch and combine at 128 and 4,096 tokens a rank of 7,168 bf16 values, top 8 of experts at random,
/// at up to 64 ranks. Nothing for a single endpoint.
std::vector<CollectiveTime> collective_times(const catalog::Catalog& catalog, const Network& n, const PartsList& list, Bytes bytes);

}  // namespace jevons::fabric
