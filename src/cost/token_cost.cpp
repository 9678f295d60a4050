#include "cost/token_cost.hpp"

#include "base/result.hpp"

namespace jevons::cost {

TokenCost token_cost(UsdPerSecond replica, double requests_per_s, double utilization, const RequestTime& time, double fresh_tokens,
                     double cached_tokens, double output_tokens) {
  JEVONS_ENSURE(requests_per_s > 0 && utilization > 0 && time.total() > 0);
  TokenCost c;
  c.per_request = Usd{replica.value() / (requests_per_s * utilization)};
  const double per_second = c.per_request.value() / time.total();
  c.fresh = UsdPerToken{per_second * time.prefill_alone / fresh_tokens};
  if (cached_tokens > 0) c.cached = UsdPerToken{per_second * time.prefill_context / cached_tokens};
  c.output = UsdPerToken{per_second * time.decode / output_tokens};
  c.blended = UsdPerToken{c.per_request.value() / (fresh_tokens + cached_tokens + output_tokens)};
  return c;
}

}  // namespace jevons::cost
