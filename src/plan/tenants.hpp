#pragma once
// Several tenants over a day: one fleet for all, or a pool for each.
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace jevons::plan {

inline constexpr int kHours = 24;

/// What one tenant asks for and what serves it. A unit is the deployment that the planner chose for its model and limits.
struct TenantLoad {
  std::string name, model;
  bool batch = false;                                  // may run at any hour of the day; else each hour's requests are served in it
  double rate_mean = 0, amplitude = 0, peak_hour = 0;  // requests/s: mean·(1 + amplitude·cos(2 pi (h − peak)/24))
  double unit_rps = 0;                                 // requests/s of one unit within the tenant's limits
  int unit_accelerators = 1;
  int priority = 0;  // lower goes first on shared replicas
};
struct FleetSharing {
  std::array<double, kHours> interactive{};  // accelerators that interactive tenants hold in each hour, in the shared fleet
  std::array<double, kHours> room{};         // that they leave to batch work, in whole units
  std::vector<double> dedicated;             // accelerators of each tenant's own pool
  double dedicated_total = 0, shared_total = 0;
  double dedicated_use = 0, shared_use = 0;  // share of accelerator-hours with work
  int peak_hour = 0;
};
/// Dedicated: each interactive tenant's pool holds its busiest hour, each batch tenant's its mean. Shared: tenants of one model share
/// units, units move between models from hour to hour (as long as starting one takes much less than an hour), batch work fills what
/// interactive tenants leave. Whole units. Interactive tenants go first: the shared fleet is never smaller than their busiest hour.
FleetSharing share_fleet(const std::vector<TenantLoad>& tenants);

/// Requests per second of a tenant in an hour of the day; batch work in proportion to the room that the hour leaves.
double rate_at(const TenantLoad& tenant, const FleetSharing& fleet, int hour);
/// Units, of `each` accelerators, of a model in an hour of the shared fleet: what its interactive tenants hold, and the part of the room
/// that its batch tenants' share of all batch work fills.
int units_at(const std::vector<TenantLoad>& tenants, const FleetSharing& fleet, std::string_view model, int each, int hour);

}  // namespace jevons::plan
