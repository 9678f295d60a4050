#pragma once
// Where cache blocks go beyond the accelerator: host memory, local SSD, a remote store, each behind a link of finite rate.
#include <array>
#include <vector>

#include "base/result.hpp"
#include "serve/outcomes.hpp"

namespace jevons::serve {

enum class WritePolicy : std::uint8_t {
  write_through,  // every full block goes to every tier as soon as it is computed (vLLM OffloadingConnector, LMCache)
  write_back,     // a block goes to the next tier when the one above needs its place (TensorRT-LLM host cache, SGLang HiCache write_back)
};
enum class FetchPolicy : std::uint8_t {
  fastest,  // what comes sooner: over the link, or computed again
  always,   // all that is found is fetched (vLLM, LMCache)
};

/// One tier of one replica. Rates are those of all its accelerators together, each of which moves its part of a block.
struct TierSpec {
  std::int64_t blocks = 0;  // capacity; 0: not there
  step::Ticks read = 0;     // link time of a block towards the accelerator
  step::Ticks write = 0;    // … and from it; both directions at once do not slow each other (PCIe, NVMe-oF and Ethernet are full duplex)
  step::Ticks latency = 0;  // of a transfer, beside its link time: the link is free meanwhile
  bool operator==(const TierSpec&) const = default;
};
struct TierSet {
  std::array<TierSpec, kTiers> tier{};
  WritePolicy write = WritePolicy::write_through;
  FetchPolicy fetch = FetchPolicy::fastest;
  bool any() const {
    for (const TierSpec& t : tier) {
      if (t.blocks > 0) return true;
    }
    return false;
  }
};

/// Refuses tiers that could not matter, or whose rules are not here. alone: one replica of one attention rank does all of a request.
Result<void> check_tiers(const TierSet& tiers, bool enable_prefix_caching, const traffic::Requests& requests, bool alone);

/// Identities of contents to indices: open addressing, linear probing, no tombstones.
class IdTable {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  std::uint32_t find(traffic::BlockId id) const;
  void insert(traffic::BlockId id, std::uint32_t index);  // requires that it is not there
  void erase(traffic::BlockId id);                        // requires that it is

 private:
  struct Slot {
    traffic::BlockId id = 0;
    std::uint32_t index = kNone;
  };
  std::size_t home(traffic::BlockId id) const { return std::size_t((id * 0x9E3779B97F4A7C15ull) >> shift_); }
  std::vector<Slot> slots_;
  std::size_t stored_ = 0;
  int shift_ = 63;
};

/// What one tier holds: of each content the blocks [low, high) from its start, least recently used contents leave first, from their end on.
class TierCache {
 public:
  struct Range {
    traffic::BlockId id = 0;
    std::int64_t low = 0, high = 0;
    std::int64_t count() const { return high - low; }
  };
  explicit TierCache(std::int64_t capacity = 0);
  /// The blocks of a content that can be read at `now`: a block on its way here cannot.
  Range readable(traffic::BlockId id, Instant now) const;
  void touch(traffic::BlockId id);
  /// Adds blocks, with those between them and what is here: whoever writes a content's end still holds what is before it. Returns how many
  /// are new; they can be read from `ready` on, to be given by settle(). What has to leave for them is appended to `left`.
  std::int64_t add(const Range& blocks, Instant now, std::vector<Range>& left);
  void settle(traffic::BlockId id, Instant ready);
  std::int64_t used() const { return used_; }

 private:
  struct Entry {
    Range held, before;  // before: what could be read when the blocks on their way were sent
    Instant ready = 0;
    std::uint32_t previous = 0, next = 0;
  };
  void unlink(std::uint32_t i);
  void append(std::uint32_t i);
  void shrink(std::vector<Range>& left);
  std::int64_t capacity_, used_ = 0;
  std::vector<Entry> entries_;  // [0]: the ends of the queue, oldest first
  std::vector<std::uint32_t> spare_;
  IdTable table_;
};

/// Tiers of one replica and their links, first come, first served.
class Tiers {
 public:
  explicit Tiers(const TierSet& set);
  /// The first `n` blocks of a content are in the accelerator's memory (write-through).
  void computed(traffic::BlockId id, std::int64_t n, Instant now, Counters& count);
  /// Blocks of a content left the accelerator's memory (write-back).
  void evicted(const TierCache::Range& blocks, Instant now, Counters& count);

  /// A part of a prompt that a tier holds.
  struct Piece {
    int tier = 0;
    traffic::BlockId id = 0;
    std::int64_t blocks = 0;
  };
  /// The fastest tier that holds block `at` of a content, with all blocks up to `end` that follow there; no blocks: none does.
  Piece find(traffic::BlockId id, std::int64_t at, std::int64_t end, Instant now) const;
  /// When the first n pieces would be here if they were asked for now.
  Instant arrival(const std::vector<Piece>& pieces, std::size_t n, Instant now) const;
  /// Asks for them; returns when they are here.
  Instant fetch(const std::vector<Piece>& pieces, std::size_t n, Instant now);
  bool write_back() const { return set_.write == WritePolicy::write_back; }
  FetchPolicy policy() const { return set_.fetch; }

 private:
  void put(int tier, const TierCache::Range& blocks, Instant now, Counters& count);
  TierSet set_;
  std::array<TierCache, kTiers> cache_;
  std::array<Instant, kTiers> read_free_{}, write_free_{};
  std::array<std::vector<TierCache::Range>, kTiers> left_;  // scratch
};

}  // namespace jevons::serve
