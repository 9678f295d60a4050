#pragma once
// The paged cache of the reference stepper: one list of blocks, searched from its start; its adapters.
#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <set>

#include "serve/block_pool.hpp"
#include "serve/replica.hpp"

namespace jevons::serve::reference {

using Content = std::pair<std::int32_t, traffic::BlockId>;  // of an adapter's requests

/// All blocks in order of last use, as cached extents (of which the first `used` blocks are in use) and runs without content.
class Cache {
 public:
  struct Entry {
    bool content = false;
    Content id;
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
      if (e->content) {
        ++evicted;
        if (forgets) forgets(e->id, e->blocks);
      }
      if (e->blocks > 0) continue;
      if (e->content) known.erase(e->id);
      queue.erase(e);
    }
  }
  void give(std::int64_t n) { queue.push_back({false, {}, n}); }
  void hold(Ref e, std::int64_t n) {
    ++e->holders;
    e->used = std::max(e->used, n);
  }
  void release(Ref e) {
    if (--e->holders > 0) return;
    e->used = 0;
    queue.splice(queue.end(), queue, e);
  }
  Ref create(Content id, std::int64_t n) {
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
  std::function<void(Content, std::int64_t)> forgets;  // which block of what
  std::list<Entry> queue;
  std::map<Content, Ref> known;
};

/// Adapters with requests in the batch, and all that ever left it, the latest first.
class Adapters {
 public:
  explicit Adapters(const EnginePolicy& p) : slots(std::size_t(p.max_loras)), host(std::size_t(std::max(p.max_loras, p.max_cpu_loras))) {}
  bool fits(int a) const { return a < 0 || users.contains(a) || users.size() < slots; }
  step::Ticks join(int a, const LoraCost& cost, Counters& n) {
    if (a < 0 || users[a]++ > 0) return 0;
    std::set<int> since;  // others used after it
    for (const auto& [other, count] : users) since.insert(other);
    since.erase(a);
    const auto seen = std::find(left.begin(), left.end(), a);
    since.insert(left.begin(), seen);
    const bool load = seen == left.end() || since.size() >= slots, read = seen == left.end() || since.size() >= host;
    n.adapter_loads += load;
    n.adapter_reads += read;
    return (load ? cost.load : 0) + (read ? cost.read : 0);
  }
  void leave(int a) {
    if (a < 0) return;
    if (--users[a] == 0) users.erase(a);
    left.remove(a);
    left.push_front(a);
  }
  std::size_t slots, host;
  std::map<int, int> users;
  std::list<int> left;
};

}  // namespace jevons::serve::reference
