#pragma once
// Cache tiers of the reference stepper, block by block.
#include "serve/reference_cache_test.hpp"
#include "serve/tiers.hpp"

namespace jevons::serve::reference {

struct Piece {
  std::size_t tier = 0;
  Content id;
  std::vector<std::int64_t> blocks;
};

class Tiers {
 public:
  Tiers(const TierSet& s, Counters& n) : set{s}, counters{n} {}
  void computed(Content id, std::int64_t n, Instant now) {
    if (set.write == WritePolicy::write_back) return;
    for (std::size_t t = 0; t < kTiers; ++t) {
      if (set.tier[t].blocks > 0) put(t, id, 0, n, now);
    }
  }
  void evicted(Content id, std::int64_t block, Instant now) {
    if (set.write == WritePolicy::write_back && set.any()) pass_on(0, id, block, now);
  }
  // Of a prompt's blocks from number `from` on: the fastest tier's while it has them, then the fastest that has the next one.
  std::vector<Piece> find(const std::vector<std::pair<Content, std::int64_t>>& prompt, std::int64_t from, Instant now) const {
    std::vector<Piece> pieces;
    for (std::size_t i = std::size_t(from); i < prompt.size(); ++i) {
      const auto& [id, block] = prompt[i];
      if (!pieces.empty() && pieces.back().id == id && has(pieces.back().tier, id, block, now)) {
        pieces.back().blocks.push_back(block);
        continue;
      }
      std::size_t t = 0;
      while (t < kTiers && !has(t, id, block, now)) ++t;
      if (t == kTiers) break;
      pieces.push_back({t, id, {block}});
    }
    return pieces;
  }
  Instant wait(const std::vector<Piece>& pieces, Instant now) const {
    auto free = read_free;
    Instant last = now;
    for (const Piece& p : pieces) {
      free[p.tier] = std::max(free[p.tier], now) + Instant(p.blocks.size()) * set.tier[p.tier].read;
      last = std::max(last, free[p.tier] + set.tier[p.tier].latency);
    }
    return last - now;
  }
  std::int64_t fetch(const Piece& p, Instant now) {
    read_free[p.tier] = std::max(read_free[p.tier], now) + Instant(p.blocks.size()) * set.tier[p.tier].read;
    auto& q = queue[p.tier];
    if (const auto e = at(p.tier, p.id); e != q.end()) q.splice(q.end(), q, e);
    return std::int64_t(p.blocks.size());
  }

 private:
  struct Entry {
    Content id;
    std::set<std::int64_t> blocks, before;  // before: those that could be read when the ones under way were sent
    Instant ready = 0;
  };
  using Queue = std::list<Entry>;
  Queue::iterator at(std::size_t t, Content id) {
    return std::find_if(queue[t].begin(), queue[t].end(), [&](const Entry& e) { return e.id == id; });
  }
  bool has(std::size_t t, Content id, std::int64_t block, Instant now) const {
    for (const Entry& e : queue[t]) {
      if (e.id == id) return (e.ready <= now ? e.blocks : e.before).contains(block);
    }
    return false;
  }
  void pass_on(std::size_t t, Content id, std::int64_t block, Instant now) {
    while (t < kTiers && set.tier[t].blocks == 0) ++t;
    if (t < kTiers) put(t, id, block, block + 1, now);
  }
  void put(std::size_t t, Content id, std::int64_t low, std::int64_t high, Instant now) {
    Queue& q = queue[t];
    auto e = at(t, id);
    if (e == q.end()) q.push_back({id, {}, {}, 0}), e = std::prev(q.end());
    q.splice(q.end(), q, e);
    if (!e->blocks.empty()) low = std::min(low, *e->blocks.begin()), high = std::max(high, *e->blocks.rbegin() + 1);
    const auto before = e->blocks;
    std::int64_t fresh = 0;
    for (std::int64_t b = low; b < high; ++b) fresh += e->blocks.insert(b).second;
    if (fresh > 0) {
      if (e->ready <= now) e->before = before;
      write_free[t] = std::max(write_free[t], now) + Instant(fresh) * set.tier[t].write;
      e->ready = write_free[t] + set.tier[t].latency;
      counters.tier_written[t] += fresh;
    }
    std::int64_t used = 0;
    for (const Entry& x : q) used += std::int64_t(x.blocks.size());
    for (; used > set.tier[t].blocks; --used) {
      Entry& oldest = q.front();
      const std::int64_t last = *oldest.blocks.rbegin();
      const Content gone = oldest.id;
      oldest.blocks.erase(last);
      oldest.before.erase(last);
      if (oldest.blocks.empty()) q.pop_front();
      ++counters.tier_evicted[t];
      if (set.write == WritePolicy::write_back) pass_on(t + 1, gone, last, now);
    }
  }

  const TierSet set;
  Counters& counters;
  std::array<Queue, kTiers> queue;
  std::array<Instant, kTiers> read_free{}, write_free{};
};

}  // namespace jevons::serve::reference
