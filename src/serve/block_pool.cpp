#include "serve/block_pool.hpp"

#include <bit>

namespace jevons::serve {

BlockPool::Index BlockPool::make(traffic::BlockId id) {
  Index i = spare_;
  if (i != kNone) {
    spare_ = entries_[i].next;
  } else {
    i = Index(entries_.size());
    entries_.push_back({});
  }
  entries_[i] = {};
  entries_[i].id = id;
  return i;
}

void BlockPool::drop(Index i) {
  if (entries_[i].id != kNoContent) erase(entries_[i].id);
  entries_[i].next = spare_;
  spare_ = i;
}

BlockPool::Index BlockPool::find(traffic::BlockId id) const {
  if (table_.empty()) return kNone;
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = slot_of(id);; ++at) {
    const Index i = table_[at & mask];
    if (i == kNone || entries_[i].id == id) return i;
  }
}

BlockPool::Index BlockPool::create(traffic::BlockId id, std::int64_t n) {
  if (2 * (stored_ + 1) > table_.size()) grow();
  const Index i = make(id);
  entries_[i].valid = entries_[i].used = n;
  entries_[i].holders = 1;
  const std::size_t mask = table_.size() - 1;
  std::size_t at = slot_of(id);
  while (table_[at & mask] != kNone) ++at;
  table_[at & mask] = i;
  ++stored_;
  return i;
}

void BlockPool::grow() {
  std::vector<Index> old(table_.empty() ? 64 : table_.size() * 2, kNone);
  old.swap(table_);
  shift_ = 64 - int(std::bit_width(table_.size() - 1));
  const std::size_t mask = table_.size() - 1;
  for (const Index i : old) {
    if (i == kNone) continue;
    std::size_t at = slot_of(entries_[i].id);
    while (table_[at & mask] != kNone) ++at;
    table_[at & mask] = i;
  }
}

// Backward shift, so that probing needs no tombstones. Knuth, "The Art of Computer Programming" 3, section 6.4, algorithm R.
void BlockPool::erase(traffic::BlockId id) {
  const std::size_t mask = table_.size() - 1;
  std::size_t hole = slot_of(id) & mask;
  while (entries_[table_[hole]].id != id) hole = (hole + 1) & mask;
  for (std::size_t at = (hole + 1) & mask; table_[at] != kNone; at = (at + 1) & mask) {
    const std::size_t home = slot_of(entries_[table_[at]].id) & mask;
    if (((at - home) & mask) >= ((at - hole) & mask)) {
      table_[hole] = table_[at];
      hole = at;
    }
  }
  table_[hole] = kNone;
  --stored_;
}

}  // namespace jevons::serve
