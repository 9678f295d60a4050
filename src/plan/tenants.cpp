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
  for (int h = 0; h < kHours; ++h)
    f.room[std::size_t(h)] = std::floor(std::max(0.0, f.shared_total - f.interactive[std::size_t(h)]) / step) * step;
  if (f.dedicated_total > 0) f.dedicated_use = work / (f.dedicated_total * kHours);
  if (f.shared_total > 0) f.shared_use = work / (f.shared_total * kHours);
  return f;
}

double rate_at(const TenantLoad& t, const FleetSharing& f, int hour) {
  if (!t.batch) return rate(t, hour);
  const double all = std::accumulate(f.room.begin(), f.room.end(), 0.0);
  return all > 0 ? t.rate_mean * kHours * f.room[std::size_t(hour)] / all : 0;
}

int units_at(const std::vector<TenantLoad>& tenants, const FleetSharing& f, std::string_view model, int each, int hour) {
  double interactive = 0, batch = 0, all_batch = 0;
  for (const TenantLoad& t : tenants) {
    const double hours = t.rate_mean / t.unit_rps * t.unit_accelerators;
    all_batch += t.batch ? hours : 0;
    if (t.model != model) continue;
    if (t.batch)
      batch += hours;
    else
      interactive += rate(t, hour) / t.unit_rps;
  }
  const double room = all_batch > 0 ? f.room[std::size_t(hour)] * batch / all_batch : 0;
  return int(std::ceil(interactive - 1e-9)) + int(room / each + 1e-9);
}

}  // namespace jevons::plan
