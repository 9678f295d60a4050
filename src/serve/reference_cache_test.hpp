#pragma once
// The paged cache of the reference stepper: one list of blocks, searched from its start.
#include <algorithm>
#include <list>
#include <map>

#include "serve/block_pool.hpp"

namespace jevons::serve::reference {

/// All blocks in order of last use, as cached extents (of which the first `used` blocks are in use) and runs without content.
class Cache {
 public:
  struct Entry {
    bool content = false;
    traffic::BlockId id = 0;
    std::int64_t blocks = 0, used = 0;
    int holders = 0;
  };
  using Ref = std::list<Entry>::iterator;

  explicit Cache(std::int64_t n) : total{n} { give(n); }
  std::int64_t free() const {
    std::int64_t sum = 0;
    for (const Entry& e : queue) sum += e.blocks - e.used;
    return sum;
  }
  void take(std::int64_t n) {
    for (; n > 0; --n) {
      const Ref e = std::find_if(queue.begin(), queue.end(), [](const Entry& x) { return x.blocks > x.used; });
      --e->blocks;
      if (e->content) ++evicted;
      if (e->blocks > 0) continue;
      if (e->content) known.erase(e->id);
      queue.erase(e);
    }
  }
  void give(std::int64_t n) { queue.push_back({false, 0, n}); }
  void hold(Ref e, std::int64_t n) {
    ++e->holders;
    e->used = std::max(e->used, n);
  }
  void release(Ref e) {
    if (--e->holders > 0) return;
    e->used = 0;
    queue.splice(queue.end(), queue, e);
  }
  Ref create(traffic::BlockId id, std::int64_t n) {
    queue.push_back({true, id, n, n, 1});
    return known[id] = std::prev(queue.end());
  }
  std::int64_t extend(Ref e, std::int64_t n) {
    if (e->holders != 1) return 0;
    const std::int64_t more = n - e->used;
    give(e->blocks - e->used);
    e->blocks = e->used = n;
    return more;
  }

  std::int64_t total, evicted = 0;
  std::list<Entry> queue;
  std::map<traffic::BlockId, Ref> known;
};

}  // namespace jevons::serve::reference
