#pragma once
// Device or cloud: which share of a user's requests runs on the device that they have, at the least cost within limits and battery.
#include <optional>
#include <string>

namespace jevons::plan {

/// One request on either side, alone on the device, as planned in the cloud. Seconds, joules, USD.
struct Side {
  double ttft_s = 0, tpot_s = 0;
  double joules = 0;  // of the device; 0 in the cloud
  double usd = 0;
};
struct EdgeQuestion {
  Side device, cloud;                              // cloud: network not yet counted
  std::optional<std::string> no_device, no_cloud;  // why a side cannot serve at all
  double round_trip_s = 0;                         // added to the cloud's time to first token
  double requests_per_day = 0;
  double private_share = 0, offline_share = 0;  // of the requests, independent of each other; both must stay on the device
  double eligible_share = 1;                    // of the requests that the device's model answers well enough
  std::optional<double> ttft_s, tpot_s;
  std::optional<double> battery_joules;  // a day, that serving may take
};
enum class EdgeBinding { none, device_latency, cloud_latency, battery, eligible, must_stay, device_missing, cloud_missing };
struct EdgeAnswer {
  bool feasible = false;
  double device_share = 0;
  double least_share = 0, most_share = 0;  // what must stay, what may stay: battery, eligibility, latency
  bool device_meets = false, cloud_meets = false;
  double usd_per_day = 0, usd_all_cloud = 0;
  double joules_per_day = 0;
  double mean_ttft_s = 0, mean_tpot_s = 0;
  EdgeBinding binding = EdgeBinding::none;
  std::string explanation;  // what binds; of "infeasible" with the nearest change
};
/// The cost is linear in the share, so the least cost lies at an end of the feasible interval. Never fails.
EdgeAnswer split_edge(const EdgeQuestion& q);

}  // namespace jevons::plan
