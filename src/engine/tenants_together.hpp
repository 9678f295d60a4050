#pragma once
// Tenants on shared replicas, request by request.
#include <memory>

#include "engine/plan_verb.hpp"
#include "plan/tenants.hpp"

namespace jevons::engine {

/// What the planner chose for one tenant; the answer points into the question.
struct TenantUnit {
  PlanQuestion question;
  plan::Answer answer;
};

/// A row an hour and interactive tenant, at the busiest and the quietest hour: latencies on the shared replicas of its model, with the
/// other tenants of the model and the batch work of that hour behind it by priority, and in a pool of its own. Batch tenants: what they get
/// done. Errors: as the simulator's.
Result<report::Table> tenants_together(const std::vector<plan::TenantLoad>& tenants, const std::vector<std::unique_ptr<TenantUnit>>& units,
                                       const plan::FleetSharing& fleet, std::uint64_t seed);

}  // namespace jevons::engine
