#include "traffic/prefix_count.hpp"

#include <unordered_map>

namespace jevons::traffic {
namespace {

/// Counts of marked positions with prefix sums in O(log n). Source: Fenwick, "A new data structure for cumulative frequency tables", 1994.
class Marks {
 public:
  explicit Marks(std::size_t n) : sum_(n + 1, 0) {}
  void add(std::size_t position, std::int32_t delta) {
    for (std::size_t i = position + 1; i < sum_.size(); i += i & (~i + 1)) sum_[i] += delta;
  }
  std::int64_t up_to(std::size_t position) const {  // marks at 0 … position
    std::int64_t total = 0;
    for (std::size_t i = position + 1; i > 0; i -= i & (~i + 1)) total += sum_[i];
    return total;
  }

 private:
  std::vector<std::int32_t> sum_;
};

std::int64_t prompt_blocks(const Requests& requests, std::size_t r) {
  const std::int64_t size = requests.prefix.block_tokens;
  return (std::int64_t(requests.input_tokens[r]) + size - 1) / size;
}

}  // namespace

HitCurve count_prefix_hits(const Requests& requests) {
  HitCurve curve;
  curve.hits_within.assign(1, 0);
  if (!requests.prefix.known()) return curve;
  for (std::size_t r = 0; r < requests.size(); ++r) {
    for_each_block(requests.prefix, RequestId(r), prompt_blocks(requests, r), [&](BlockId) { ++curve.blocks; });
  }
  Marks last_uses(curve.blocks);  // a mark where a block was last used
  std::unordered_map<BlockId, std::uint64_t> last_use;
  std::uint64_t now = 0;
  for (std::size_t r = 0; r < requests.size(); ++r) {
    for_each_block(requests.prefix, RequestId(r), prompt_blocks(requests, r), [&](BlockId id) {
      const auto [at, fresh] = last_use.try_emplace(id, now);
      if (!fresh) {
        const auto others = std::size_t(std::int64_t(last_use.size()) - last_uses.up_to(std::size_t(at->second)));
        if (others + 1 >= curve.hits_within.size()) curve.hits_within.resize(others + 2, 0);
        ++curve.hits_within[others + 1];
        last_uses.add(std::size_t(at->second), -1);
        at->second = now;
      }
      last_uses.add(std::size_t(now++), 1);
    });
  }
  curve.distinct = last_use.size();
  for (std::size_t c = 1; c < curve.hits_within.size(); ++c) curve.hits_within[c] += curve.hits_within[c - 1];
  return curve;
}

}  // namespace jevons::traffic
