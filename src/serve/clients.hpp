#pragma once
// Users: release the requests of a closed load and of sessions as others finish.
#include <optional>

#include "serve/events.hpp"

namespace jevons::serve {

class Clients {
 public:
  Clients(const traffic::Workload& workload, EventHeap& events, Outcomes& outcomes);

  /// The first row from `row` on that starts by its own arrival.
  std::size_t next_arrival(std::size_t row) const {
    const std::size_t n = requests_.size();
    if (closed_) return n;
    if (requests_.sessions.known()) {
      while (row < n && !requests_.sessions.parents(RequestId(row)).empty()) ++row;
    }
    return row;
  }
  void arrived(RequestId r) {
    if (!outcomes_.issued.empty()) outcomes_.issued[r] = requests_.arrival[r];
  }
  /// Schedules what was waiting for this request. A reply that comes with a step's end is seen by no decision of that instant.
  void finished(RequestId r, SimTime now);

 private:
  void start_next(SimTime at);
  void index_children();

  const traffic::Requests& requests_;
  EventHeap& events_;
  Outcomes& outcomes_;
  std::optional<traffic::ClosedLoad> closed_;
  std::size_t next_ = 0;  // row, or session
  std::vector<std::uint32_t> open_parents_, child_begin_, open_calls_, session_of_;
  std::vector<RequestId> child_;
};

}  // namespace jevons::serve
