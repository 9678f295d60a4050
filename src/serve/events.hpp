#pragma once
// Events other than steps and arrivals of an open load: 24 plain bytes in a 4-ary heap, ties broken by phase, then by order of scheduling.
#include <cstdint>
#include <type_traits>
#include <vector>

#include "serve/outcomes.hpp"

namespace jevons::serve {

enum class EventKind : std::uint32_t {
  release,    // a client sends a request
  arrive,     // it reaches the router
  hand_over,  // its prompt is done elsewhere: a decode replica is chosen
  fail,       // of a part
  repair,     // likewise
  ready,      // of a replica: its engine has started
  scale       // of a pool: the autoscaler looks
};

struct Event {
  SimTime at = 0;
  std::uint64_t order = 0;  // phase << 56 | sequence
  std::uint32_t subject = 0;
  EventKind kind = EventKind::release;
  bool before(const Event& o) const { return at != o.at ? at < o.at : order < o.order; }
};
static_assert(sizeof(Event) == 24 && std::is_trivially_copyable_v<Event>);

class EventHeap {
 public:
  bool empty() const { return heap_.empty(); }
  const Event& top() const { return heap_.front(); }
  SimTime next() const { return heap_.empty() ? kNever : heap_.front().at; }
  void reserve(std::size_t n) { heap_.reserve(n); }

  void push(SimTime at, EventKind kind, std::uint32_t subject) {
    Event e{at, std::uint64_t(kind) << 56 | sequence_++, subject, kind};
    std::size_t i = heap_.size();
    heap_.push_back(e);
    for (; i > 0 && e.before(heap_[(i - 1) / 4]); i = (i - 1) / 4) heap_[i] = heap_[(i - 1) / 4];
    heap_[i] = e;
  }
  Event pop() {
    const Event out = heap_.front(), last = heap_.back();
    heap_.pop_back();
    const std::size_t n = heap_.size();
    for (std::size_t i = 0; n > 0;) {
      const std::size_t first = 4 * i + 1;
      std::size_t least = first;
      for (std::size_t c = first + 1; c < first + 4 && c < n; ++c) {
        if (heap_[c].before(heap_[least])) least = c;
      }
      if (first >= n || !heap_[least].before(last)) {
        heap_[i] = last;
        break;
      }
      heap_[i] = heap_[least];
      i = least;
    }
    return out;
  }

 private:
  std::vector<Event> heap_;
  std::uint64_t sequence_ = 0;
};

}  // namespace jevons::serve
