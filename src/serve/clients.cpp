#include "serve/clients.hpp"

#include <algorithm>

namespace jevons::serve {

Clients::Clients(const traffic::Workload& w, EventHeap& events, Outcomes& outcomes)
    : requests_{w.requests}, events_{events}, outcomes_{outcomes} {
  if (const auto* closed = std::get_if<traffic::ClosedLoad>(&w.load)) closed_ = *closed;
  if (closed_ || requests_.sessions.known()) outcomes_.issued.resize(requests_.size());
  if (requests_.sessions.known()) index_children();
  if (closed_) {
    for (int i = 0; i < closed_->concurrency; ++i) start_next(0);
  }
}

void Clients::finished(RequestId r, SimTime now) {
  if (requests_.sessions.known()) {
    for (std::uint32_t k = child_begin_[r]; k < child_begin_[r + 1]; ++k) {
      const RequestId child = child_[k];
      if (--open_parents_[child] > 0) continue;
      const SimTime earliest = closed_ ? 0 : requests_.arrival[child];
      events_.push(std::max(earliest, now + 1 + requests_.sessions.wait[child]), EventKind::release, child);
    }
    if (closed_ && --open_calls_[session_of_[r]] == 0) start_next(now + 1);
  } else if (closed_) {
    start_next(now + 1);
  }
}

void Clients::start_next(SimTime at) {
  if (!requests_.sessions.known()) {
    if (next_ < requests_.size()) events_.push(at, EventKind::release, RequestId(next_++));
    return;
  }
  if (next_ >= requests_.sessions.count()) return;
  const auto& first = requests_.sessions.first;
  for (RequestId r = first[next_]; r < first[next_ + 1]; ++r) {
    if (open_parents_[r] == 0) events_.push(at, EventKind::release, r);
  }
  ++next_;
}

void Clients::index_children() {
  const auto& s = requests_.sessions;
  const std::size_t n = requests_.size();
  open_parents_.resize(n);
  child_begin_.assign(n + 1, 0);
  child_.resize(s.parent.size());
  for (const RequestId p : s.parent) ++child_begin_[p + 1];
  for (std::size_t i = 0; i < n; ++i) child_begin_[i + 1] += child_begin_[i];
  std::vector<std::uint32_t> at(child_begin_.begin(), child_begin_.end() - 1);
  for (RequestId r = 0; r < n; ++r) {
    open_parents_[r] = std::uint32_t(s.parents(r).size());
    for (const RequestId p : s.parents(r)) child_[at[p]++] = r;
  }
  if (!closed_) return;
  session_of_.resize(n);
  for (std::size_t i = 0; i < s.count(); ++i) {
    open_calls_.push_back(s.first[i + 1] - s.first[i]);
    std::fill(session_of_.begin() + s.first[i], session_of_.begin() + s.first[i + 1], std::uint32_t(i));
  }
}

}  // namespace jevons::serve
