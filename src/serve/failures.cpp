#include "serve/failures.hpp"

#include <algorithm>
#include <cmath>
#include <queue>

namespace jevons::serve {

Failures::Failures(std::vector<FailureLaw> laws, int accelerators, Seed seed, std::uint64_t replication)
    : laws_{std::move(laws)}, accelerators_{accelerators} {
  for (std::uint32_t l = 0; l < laws_.size(); ++l) {
    const auto n = std::uint32_t((accelerators + laws_[l].accelerators - 1) / laws_[l].accelerators);
    for (std::uint32_t i = 0; i < n; ++i) {
      law_of_.push_back(l);
      number_.push_back(i);
      streams_.emplace_back(seed, replication, Draw::failure, (std::uint64_t(l) << 32) + i);
    }
  }
}

SimTime Failures::lifetime(std::size_t part) {
  constexpr double kLongest = 9e18;  // ns; 285 years
  return SimTime(std::min(kLongest, streams_[part].exponential() * law(part).mtbf_s * 1e9)) + 1;
}
SimTime Failures::repair(std::size_t part) const { return SimTime(law(part).repair_s * 1e9) + 1; }
int Failures::first(std::size_t part) const { return int(number_[part]) * law(part).accelerators; }
int Failures::last(std::size_t part) const { return std::min(accelerators_, first(part) + law(part).accelerators); }

std::vector<double> availability(const std::vector<FailureLaw>& laws, int replicas, int replica_accelerators, double start_up_s,
                                 double failures_wanted, Seed seed) {
  Failures failures(laws, replicas * replica_accelerators, seed, 0);
  struct Change {
    double at;
    std::uint32_t part;
    bool fails;
    bool operator<(const Change& o) const { return at != o.at ? at > o.at : part > o.part; }
  };
  std::priority_queue<Change> next;
  for (std::uint32_t p = 0; p < failures.parts(); ++p) next.push({double(failures.lifetime(p)) * 1e-9, p, true});
  double rate = 0;  // failures a second
  for (const FailureLaw& l : laws) rate += std::ceil(double(replicas) * replica_accelerators / l.accelerators) / (l.mtbf_s + l.repair_s);
  const double end = failures_wanted / rate;
  std::vector<int> broken(std::size_t(replicas), 0);  // parts of a replica that are down
  std::vector<double> share(std::size_t(replicas) + 1, 0);
  int up = replicas;
  double now = 0;
  while (!next.empty() && now < end) {
    const Change c = next.top();
    next.pop();
    const double at = std::min(c.at, end);
    share[std::size_t(up)] += (at - now) / end;
    now = at;
    if (now == end) break;
    const int first = failures.first(c.part) / replica_accelerators, last = (failures.last(c.part) - 1) / replica_accelerators;
    for (int i = first; i <= last; ++i) {
      const int before = broken[std::size_t(i)];
      broken[std::size_t(i)] += c.fails ? 1 : -1;
      up += (before == 0 ? -1 : 0) + (broken[std::size_t(i)] == 0 ? 1 : 0);
    }
    const double wait = c.fails ? double(failures.repair(c.part)) * 1e-9 + start_up_s : double(failures.lifetime(c.part)) * 1e-9;
    next.push({now + wait, c.part, !c.fails});
  }
  if (now < end) share[std::size_t(up)] += (end - now) / end;
  for (std::size_t k = std::size_t(replicas); k-- > 0;) share[k] += share[k + 1];
  return share;
}

}  // namespace jevons::serve
