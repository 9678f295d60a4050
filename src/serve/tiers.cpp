#include "serve/tiers.hpp"

#include <algorithm>
#include <bit>

namespace jevons::serve {

Result<void> check_tiers(const TierSet& tiers, bool enable_prefix_caching, const traffic::Requests& requests, bool alone) {
  if (!tiers.any()) return {};
  if (!enable_prefix_caching)
    return bad_input("tiers", "cache tiers keep prefixes, and prefix caching is off", "prefix caching",
                     "switch it on, or leave the tiers out");
  if (!requests.prefix.known())
    return bad_input("tiers", "the requests share no prefixes that are known, so that a tier would never be read",
                     "conversations, a shared system prompt, or a trace with block identities");
  if (!alone)
    return bad_input("tiers", "cache tiers with attention data parallelism or separate prefill are not modelled",
                     "a dp of 1, and replicas that do all of a request");
  return {};
}

std::uint32_t IdTable::find(traffic::BlockId id) const {
  if (slots_.empty()) return kNone;
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = home(id);; ++at) {
    const Slot& s = slots_[at & mask];
    if (s.index == kNone || s.id == id) return s.index;
  }
}

void IdTable::insert(traffic::BlockId id, std::uint32_t index) {
  if (2 * (stored_ + 1) > slots_.size()) {
    std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
    old.swap(slots_);
    shift_ = 64 - int(std::bit_width(slots_.size() - 1));
    stored_ = 0;
    for (const Slot& s : old) {
      if (s.index != kNone) insert(s.id, s.index);
    }
  }
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = home(id) & mask;
  while (slots_[at].index != kNone) at = (at + 1) & mask;
  slots_[at] = {id, index};
  ++stored_;
}

// Backward shift. Knuth, "The Art of Computer Programming" 3, section 6.4, algorithm R.
void IdTable::erase(traffic::BlockId id) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t hole = home(id) & mask;
  while (slots_[hole].id != id) hole = (hole + 1) & mask;
  for (std::size_t at = (hole + 1) & mask; slots_[at].index != kNone; at = (at + 1) & mask) {
    if (((at - home(slots_[at].id)) & mask) >= ((at - hole) & mask)) {
      slots_[hole] = slots_[at];
      hole = at;
    }
  }
  slots_[hole] = {};
  --stored_;
}

TierCache::TierCache(std::int64_t capacity) : capacity_{capacity} { entries_.push_back({}); }

void TierCache::unlink(std::uint32_t i) {
  entries_[entries_[i].previous].next = entries_[i].next;
  entries_[entries_[i].next].previous = entries_[i].previous;
}
void TierCache::append(std::uint32_t i) {
  const std::uint32_t last = entries_[0].previous;
  entries_[i].previous = last;
  entries_[i].next = 0;
  entries_[last].next = i;
  entries_[0].previous = i;
}

TierCache::Range TierCache::readable(traffic::BlockId id, Instant now) const {
  const std::uint32_t i = table_.find(id);
  if (i == IdTable::kNone) return {id, 0, 0};
  const Entry& e = entries_[i];
  return e.ready <= now ? e.held : e.before;
}

void TierCache::touch(traffic::BlockId id) {
  const std::uint32_t i = table_.find(id);
  if (i == IdTable::kNone) return;
  unlink(i);
  append(i);
}

std::int64_t TierCache::add(const Range& blocks, Instant now, std::vector<Range>& left) {
  std::uint32_t i = table_.find(blocks.id);
  std::int64_t fresh = blocks.count();
  if (i == IdTable::kNone) {
    if (spare_.empty()) {
      i = std::uint32_t(entries_.size());
      entries_.push_back({});
    } else {
      i = spare_.back();
      spare_.pop_back();
    }
    entries_[i] = {blocks, {blocks.id, 0, 0}, 0, 0, 0};
    table_.insert(blocks.id, i);
  } else {
    Entry& e = entries_[i];
    const Range all{blocks.id, std::min(e.held.low, blocks.low), std::max(e.held.high, blocks.high)};
    fresh = all.count() - e.held.count();
    if (fresh > 0 && e.ready <= now) e.before = e.held;
    e.held = all;
    unlink(i);
  }
  append(i);
  used_ += fresh;
  if (used_ > capacity_) shrink(left);
  return fresh;
}

void TierCache::settle(traffic::BlockId id, Instant ready) {
  const std::uint32_t i = table_.find(id);
  if (i != IdTable::kNone) entries_[i].ready = ready;  // else it was larger than the tier
}

void TierCache::shrink(std::vector<Range>& left) {
  while (used_ > capacity_) {
    const std::uint32_t i = entries_[0].next;
    Entry& e = entries_[i];
    const std::int64_t k = std::min(used_ - capacity_, e.held.count());
    left.push_back({e.held.id, e.held.high - k, e.held.high});
    used_ -= k;
    e.held.high -= k;
    e.before.high = std::max(e.before.low, std::min(e.before.high, e.held.high));
    if (e.held.count() > 0) continue;
    unlink(i);
    table_.erase(e.held.id);
    spare_.push_back(i);
  }
}

Tiers::Tiers(const TierSet& set) : set_{set} {
  for (std::size_t t = 0; t < kTiers; ++t) cache_[t] = TierCache(set.tier[t].blocks);
}

void Tiers::put(int tier, const TierCache::Range& blocks, Instant now, Counters& count) {
  const auto t = std::size_t(tier);
  auto& left = left_[t];
  left.clear();
  const std::int64_t fresh = cache_[t].add(blocks, now, left);
  if (fresh > 0) {
    write_free_[t] = std::max(write_free_[t], now) + Instant(fresh) * set_.tier[t].write;
    cache_[t].settle(blocks.id, write_free_[t] + set_.tier[t].latency);
    count.tier_written[t] += fresh;
  }
  for (const auto& gone : left) {
    count.tier_evicted[t] += gone.count();
    if (!write_back()) continue;
    int next = tier + 1;
    while (next < kTiers && set_.tier[std::size_t(next)].blocks == 0) ++next;
    if (next == kTiers) continue;
    for (std::int64_t b = gone.high; b > gone.low; --b) put(next, {gone.id, b - 1, b}, now, count);
  }
}

void Tiers::computed(traffic::BlockId id, std::int64_t n, Instant now, Counters& count) {
  if (write_back()) return;
  for (int t = 0; t < kTiers; ++t) {
    if (set_.tier[std::size_t(t)].blocks > 0) put(t, {id, 0, n}, now, count);
  }
}

void Tiers::evicted(const TierCache::Range& blocks, Instant now, Counters& count) {
  int t = 0;
  while (set_.tier[std::size_t(t)].blocks == 0) ++t;
  for (std::int64_t b = blocks.high; b > blocks.low; --b) put(t, {blocks.id, b - 1, b}, now, count);
}

Tiers::Piece Tiers::find(traffic::BlockId id, std::int64_t at, std::int64_t end, Instant now) const {
  for (int t = 0; t < kTiers; ++t) {
    if (set_.tier[std::size_t(t)].blocks == 0) continue;
    const auto r = cache_[std::size_t(t)].readable(id, now);
    if (r.low <= at && at < r.high) return {t, id, std::min(r.high, end) - at};
  }
  return {};
}

Instant Tiers::arrival(const std::vector<Piece>& pieces, std::size_t n, Instant now) const {
  std::array<std::int64_t, kTiers> blocks{};
  for (std::size_t i = 0; i < n; ++i) blocks[std::size_t(pieces[i].tier)] += pieces[i].blocks;
  Instant last = now;
  for (std::size_t t = 0; t < kTiers; ++t) {
    if (blocks[t] == 0) continue;
    last = std::max(last, std::max(read_free_[t], now) + Instant(blocks[t]) * set_.tier[t].read + set_.tier[t].latency);
  }
  return last;
}

Instant Tiers::fetch(const std::vector<Piece>& pieces, std::size_t n, Instant now) {
  const Instant last = arrival(pieces, n, now);
  for (std::size_t i = 0; i < n; ++i) {
    const auto t = std::size_t(pieces[i].tier);
    read_free_[t] = std::max(read_free_[t], now) + Instant(pieces[i].blocks) * set_.tier[t].read;
    cache_[t].touch(pieces[i].id);
  }
  return last;
}

}  // namespace jevons::serve
