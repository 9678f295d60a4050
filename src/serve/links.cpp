#include "serve/links.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace jevons::serve {

void Links::start(RequestId r, std::uint32_t from, std::uint32_t to, double bytes, SimTime now) {
  pass(now);
  flows_.push_back({r, from, to, bytes, 0});
  share();
}

void Links::cancel(RequestId r, SimTime now) {
  const auto it = std::find_if(flows_.begin(), flows_.end(), [r](const Flow& f) { return f.id == r; });
  if (it == flows_.end()) return;
  pass(now);
  flows_.erase(it);
  share();
}

RequestId Links::pop() {
  pass(next_);
  const RequestId r = flows_[first_].id;
  flows_.erase(flows_.begin() + std::ptrdiff_t(first_));
  share();
  return r;
}

void Links::pass(SimTime now) {
  const double seconds = double(now - at_) * 1e-9;
  for (Flow& f : flows_) f.left = std::max(0.0, f.left - f.rate * seconds);
  at_ = now;
}

void Links::share() {
  const std::size_t n = bandwidth_.size();
  std::vector<double> room(2 * n);  // of links out, then in
  std::vector<int> open(2 * n, 0);  // flows that still rise
  for (std::size_t i = 0; i < n; ++i) room[i] = room[n + i] = bandwidth_[i];
  for (Flow& f : flows_) {
    f.rate = -1;
    ++open[f.from];
    ++open[n + f.to];
  }
  for (std::size_t left = flows_.size(); left > 0;) {
    double least = std::numeric_limits<double>::infinity();
    std::size_t full = 0;
    for (const Flow& f : flows_) {
      for (const std::size_t l : {std::size_t(f.from), n + f.to}) {
        if (f.rate < 0 && room[l] / open[l] < least) least = room[l] / open[l], full = l;
      }
    }
    for (Flow& f : flows_) {
      if (f.rate >= 0 || (f.from != full && n + f.to != full)) continue;
      f.rate = least;
      --left;
      for (const std::size_t l : {std::size_t(f.from), n + f.to}) room[l] = std::max(0.0, room[l] - least), --open[l];
    }
  }
  next_ = kNever;
  for (std::size_t i = 0; i < flows_.size(); ++i) {
    const SimTime end = at_ + SimTime(std::ceil(flows_[i].left / flows_[i].rate * 1e9));
    if (end < next_) next_ = end, first_ = i;
  }
}

}  // namespace jevons::serve
