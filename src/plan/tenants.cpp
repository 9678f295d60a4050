#include "plan/tenants.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

namespace jevons::plan {
namespace {

double rate(const TenantLoad& t, int hour) {
  return t.rate_mean * (1 + t.amplitude * std::cos(2 * std::numbers::pi * (hour - t.peak_hour) / kHours));
}
double units(double rate, const TenantLoad& t) { return std::ceil(rate / t.unit_rps - 1e-9) * t.unit_accelerators; }

}  // namespace

FleetSharing share_fleet(const std::vector<TenantLoad>& tenants) {
  FleetSharing f;
  double work = 0, batch = 0;  // accelerator-hours of a day
  for (const TenantLoad& t : tenants) {
    double most = 0;
    for (int h = 0; h < kHours; ++h) most = std::max(most, units(t.batch ? t.rate_mean : rate(t, h), t));
    f.dedicated.push_back(most);
    const double hours = t.rate_mean / t.unit_rps * t.unit_accelerators * kHours;
    work += hours;
    if (t.batch) batch += hours;
  }
  f.dedicated_total = std::accumulate(f.dedicated.begin(), f.dedicated.end(), 0.0);
  double most = -1;  // accelerators before rounding up
  for (int h = 0; h < kHours; ++h) {
    double wanted = 0;
    std::map<std::string, std::pair<double, int>> held;  // of a model: units in parts, accelerators of one
    for (const TenantLoad& t : tenants) {
      if (t.batch) continue;
      auto& [n, each] = held[t.model];
      each = std::max(each, t.unit_accelerators);
      n += rate(t, h) / t.unit_rps;
    }
    for (const auto& [model, x] : held) {
      f.interactive[std::size_t(h)] += std::ceil(x.first - 1e-9) * x.second;
      wanted += x.first * x.second;
    }
    if (wanted > most) most = wanted, f.peak_hour = h;
  }
  const auto peak = std::max_element(f.interactive.begin(), f.interactive.end());
  // The least fleet whose valleys hold the batch work: the room that it leaves rises with its size.
  int step = 1;
  for (const TenantLoad& t : tenants) step = t.batch ? std::max(step, t.unit_accelerators) : step;
  const auto room = [&](double fleet) {
    double sum = 0;
    for (const double held : f.interactive) sum += std::floor(std::max(0.0, fleet - held) / step) * step;
    return sum;
  };
  f.shared_total = *peak;
  while (room(f.shared_total) < batch - 1e-9) f.shared_total += step;
  if (f.dedicated_total > 0) f.dedicated_use = work / (f.dedicated_total * kHours);
  if (f.shared_total > 0) f.shared_use = work / (f.shared_total * kHours);
  return f;
}

}  // namespace jevons::plan
