#pragma once
// The paged cache of one replica: blocks in use counted exactly, finished prefixes kept in least-recently-used order until taken.
#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "traffic/requests.hpp"

namespace jevons::serve {

/// Blocks that nobody uses form one queue: those without content (at the start, all) and those of finished requests, oldest first.
/// Taking pops its head and so forgets the oldest prefixes, from their tail on. Cached content is kept by extents: consecutive block
/// identities from a run's first one, of which the leading `valid` engine blocks are present and the leading `used` ones are in use.
/// Rules: vLLM v1 `kv_cache_manager.py`, `block_pool.py` (a free-block queue; requests free their blocks in reverse order).
class BlockPool {
 public:
  using Index = std::uint32_t;
  static constexpr Index kNone = ~Index{0};

  explicit BlockPool(std::int64_t blocks = 0) : total_{blocks}, free_{blocks} {
    entries_.push_back({});  // ends of the queue
    entries_[0].previous = entries_[0].next = 0;
    free_ = 0;
    give(blocks);
  }

  std::int64_t total() const { return total_; }
  std::int64_t free() const { return free_; }
  std::int64_t evicted() const { return evicted_; }

  /// Content that was forgotten: blocks [low, high) from its start.
  struct Forgotten {
    traffic::BlockId id = 0;
    std::int64_t low = 0, high = 0;
  };
  /// take() appends there what it forgets; null: nowhere.
  void report_to(std::vector<Forgotten>* forgotten) { forgotten_ = forgotten; }

  /// Takes n unused blocks. Requires n <= free().
  void take(std::int64_t n) {
    free_ -= n;
    JEVONS_ASSERT(free_ >= 0);
    while (n > 0) {
      const Index i = entries_[0].next;
      Entry& e = entries_[i];
      const std::int64_t k = n < e.valid - e.used ? n : e.valid - e.used;
      e.valid -= k;
      n -= k;
      if (e.id != kNoContent) {
        evicted_ += k;
        if (forgotten_ != nullptr) forgotten_->push_back({e.id, e.valid, e.valid + k});
      }
      if (e.valid == e.used) unlink(i);
      if (e.valid == 0) drop(i);
    }
  }
  /// Returns n blocks without content.
  void give(std::int64_t n) {
    if (n <= 0) return;
    free_ += n;
    Entry& last = entries_[entries_[0].previous];
    if (entries_[0].previous != 0 && last.id == kNoContent) {
      last.valid += n;
    } else {
      const Index i = make(kNoContent);
      entries_[i].valid = n;
      append(i);
    }
  }

  /// The extent of content that starts with this identity, or kNone.
  Index find(traffic::BlockId id) const;
  std::int64_t valid(Index i) const { return entries_[i].valid; }
  std::int64_t used(Index i) const { return entries_[i].used; }
  /// A request uses the first n blocks of an extent: they cannot be taken until its last user releases it.
  void hold(Index i, std::int64_t n) {
    Entry& e = entries_[i];
    ++e.holders;
    if (n <= e.used) return;
    free_ -= n - e.used;
    e.used = n;
    if (e.used == e.valid) unlink(i);
  }
  /// A request has finished with an extent; the last one to do so puts it at the end of the queue.
  void release(Index i) {
    Entry& e = entries_[i];
    if (--e.holders > 0) return;
    if (e.used < e.valid) unlink(i);
    free_ += e.used;
    e.used = 0;
    append(i);
  }
  /// A new extent, held once, of `n` blocks that its maker has taken before. Requires find(id) == kNone.
  Index create(traffic::BlockId id, std::int64_t n);
  /// Its only holder has filled an extent up to n > valid blocks, all of them taken before. Blocks that were there but not in use take the
  /// place of the holder's own copies. Returns how many of the holder's blocks are part of it now that were not; 0 with other holders,
  /// whose copies stay their own.
  std::int64_t extend(Index i, std::int64_t n) {
    Entry& e = entries_[i];
    if (e.holders != 1) return 0;
    const std::int64_t spare = e.valid - e.used, more = n - e.used;
    if (spare > 0) unlink(i);
    e.valid = e.used = n;
    free_ -= spare;
    give(spare);  // may move the entries
    return more;
  }

 private:
  static constexpr traffic::BlockId kNoContent = ~traffic::BlockId{0};
  struct Entry {
    traffic::BlockId id = kNoContent;
    std::int64_t valid = 0, used = 0;  // engine blocks
    std::int32_t holders = 0;
    Index previous = 0, next = 0;
  };
  Index make(traffic::BlockId id);
  void append(Index i) {
    const Index last = entries_[0].previous;
    entries_[i].previous = last;
    entries_[i].next = 0;
    entries_[last].next = i;
    entries_[0].previous = i;
  }
  void unlink(Index i) {
    entries_[entries_[i].previous].next = entries_[i].next;
    entries_[entries_[i].next].previous = entries_[i].previous;
  }
  void drop(Index i);
  void erase(traffic::BlockId id);
  std::size_t slot_of(traffic::BlockId id) const { return std::size_t((id * 0x9E3779B97F4A7C15ull) >> shift_); }
  void grow();

  std::int64_t total_, free_, evicted_ = 0;
  std::vector<Forgotten>* forgotten_ = nullptr;
  std::vector<Entry> entries_;  // [0]: the queue's ends
  Index spare_ = kNone;         // recycled entries, by `next`
  std::vector<Index> table_;    // open addressing, linear probing
  std::size_t stored_ = 0;
  int shift_ = 63;
};

}  // namespace jevons::serve
