#pragma once
// Who used a simulated deployment: engine time by class of token, and what each tenant got.
#include "serve/metrics.hpp"

namespace jevons::serve {

/// Engine time by class of token, in accelerator-seconds with a step running. Output: what the decodes of each step would have taken
/// without prompt tokens beside them. Cached input: what attention over the tokens found in the prefix cache added to the prompts behind
/// them. Fresh input: the rest.
struct ClassTimes {
  double fresh = 0, cached = 0, output = 0;
  double total() const { return fresh + cached + output; }
};
struct ClassTokens {
  double fresh = 0, cached = 0, output = 0;  // of finished requests
};

struct TenantMetrics {
  std::string name;
  std::size_t requests = 0, finished = 0;
  double ttft_mean_s = 0, ttft_p99_s = 0, tpot_mean_s = 0, e2e_mean_s = 0;
  std::optional<double> slo_attainment;  // of all its requests, by the tenant's own limits; nothing without limits
  ClassTokens tokens;
};

struct Shares {
  ClassTimes times;
  ClassTokens tokens;
  std::vector<TenantMetrics> tenants;  // empty: one tenant
};

/// Requires the arguments that `simulate` had.
Shares shares_of(const Simulation& simulation, const Deployment& deployment, const traffic::Workload& workload);

}  // namespace jevons::serve
