#include "plan/edge.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/units.hpp"

namespace jevons::plan {
namespace {

bool meets(const EdgeQuestion& q, const Side& s, double network) {
  return (!q.ttft_s || s.ttft_s + network <= *q.ttft_s) && (!q.tpot_s || s.tpot_s <= *q.tpot_s);
}
std::string speed(const Side& s, double network) {
  return fmt::format("TTFT {}, TPOT {}", format_seconds(s.ttft_s + network), format_seconds(s.tpot_s));
}

}  // namespace

EdgeAnswer split_edge(const EdgeQuestion& q) {
  EdgeAnswer a;
  a.device_meets = !q.no_device && meets(q, q.device, 0);
  a.cloud_meets = !q.no_cloud && meets(q, q.cloud, q.round_trip_s);
  a.least_share = 1 - (1 - q.private_share) * (1 - q.offline_share);
  a.most_share = a.device_meets ? q.eligible_share : 0;
  EdgeBinding top = a.device_meets ? EdgeBinding::eligible : q.no_device ? EdgeBinding::device_missing : EdgeBinding::device_latency;
  if (a.device_meets && q.battery_joules && q.device.joules > 0 && q.requests_per_day > 0) {
    const double fits = *q.battery_joules / (q.device.joules * q.requests_per_day);
    if (fits < a.most_share) a.most_share = fits, top = EdgeBinding::battery;
  }
  if (!a.cloud_meets) a.least_share = 1;
  if (a.least_share > a.most_share + 1e-12) {
    a.binding = top;
    const std::string need = !a.cloud_meets ? fmt::format("the cloud cannot serve ({}), so all requests",
                                                          q.no_cloud ? *q.no_cloud : speed(q.cloud, q.round_trip_s))
                                            : fmt::format("{:.0f} % of the requests", a.least_share * 100);
    const std::string why = q.no_device                          ? *q.no_device
                            : top == EdgeBinding::device_latency ? "it does " + speed(q.device, 0)
                            : top == EdgeBinding::battery
                                ? fmt::format("the battery lasts for {:.3g} % of them; {:.3g} Wh a day would do", a.most_share * 100,
                                              a.least_share * q.device.joules * q.requests_per_day / 3600)
                                : fmt::format("its model answers {:.0f} % of them well enough", a.most_share * 100);
    a.explanation = fmt::format("{} must stay on the device, but {}", need, why);
    return a;
  }
  a.feasible = true;
  const bool device_cheaper = q.device.usd < q.cloud.usd;
  a.device_share = device_cheaper ? a.most_share : a.least_share;
  a.binding = device_cheaper ? top : a.cloud_meets ? EdgeBinding::must_stay : EdgeBinding::cloud_latency;
  if (device_cheaper)
    a.explanation = top == EdgeBinding::battery ? "battery: more would stay on the device if it lasted"
                    : top == EdgeBinding::eligible
                        ? "the share that the device's model answers well enough"
                        : "the device does not meet the limits: " + (q.no_device ? *q.no_device : speed(q.device, 0));
  else
    a.explanation = a.cloud_meets ? "the share that must stay: private or offline" : "the cloud does not meet the limits";
  const double d = a.device_share, n = q.requests_per_day;
  a.usd_per_day = n * (d * q.device.usd + (1 - d) * q.cloud.usd);
  a.usd_all_cloud = n * q.cloud.usd;
  a.joules_per_day = n * d * q.device.joules;
  a.mean_ttft_s = d * q.device.ttft_s + (1 - d) * (q.cloud.ttft_s + q.round_trip_s);
  a.mean_tpot_s = d * q.device.tpot_s + (1 - d) * q.cloud.tpot_s;
  return a;
}

}  // namespace jevons::plan
