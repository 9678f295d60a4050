#pragma once
#include <optional>

#include "base/quantity.hpp"

namespace jevons::cost {

/// Engine time of one request, seconds of one replica's serial engine.
struct RequestTime {
  double prefill_alone = 0;    // prefilling the fresh tokens as if nothing were cached before them
  double prefill_context = 0;  // what attending to the cached prefix adds
  double decode = 0;           // this request's share of the decode steps it was in
  double total() const { return prefill_alone + prefill_context + decode; }
};

/// Dollars per token by class. Each class pays for the engine time it occupies: fresh input its own prefill, cached input the extra
/// attention over it, output its share of decode steps. Idle time is spread in proportion.
struct TokenCost {
  UsdPerToken fresh{}, output{}, blended{};
  std::optional<UsdPerToken> cached;  // nothing when no input is cached
  Usd per_request{};
};
/// replica: cost of the replica per second. requests_per_s: at the planned load. utilization: share of paid time at that load.
TokenCost token_cost(UsdPerSecond replica, double requests_per_s, double utilization, const RequestTime& time, double fresh_tokens,
                     double cached_tokens, double output_tokens);

}  // namespace jevons::cost
