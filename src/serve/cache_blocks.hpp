#pragma once
// The memory of a placement in the engine's cache blocks.
#include <algorithm>
#include <cmath>
#include <vector>

#include "step/step_time.hpp"

namespace jevons::serve {

/// A cache that stops growing: a window or chunk (its tokens), or a recurrent state (one entry, `tokens` = 1).
struct CappedCache {
  std::int64_t tokens = 0;
  double blocks_per_token = 0;  // of the blocks below
};

/// Cache of one attention rank as the engine finds it: memory · utilization − weights − reserve. A block holds `block_size` tokens of every
/// layer group that grows with the sequence: full attention, latents, index keys, and compressed entries at their share of a token.
/// Groups that stop growing are held beside them, a fixed number of blocks a sequence. One pool for both: vLLM's hybrid KV cache manager
/// (docs.vllm.ai/en/latest/design/hybrid_kv_cache_manager), which gives every group pages of one size.
struct CacheBlocks {
  std::int64_t blocks = 0;  // 0: does not fit
  double block_bytes = 0;   // on one accelerator
  std::vector<CappedCache> capped;
};
CacheBlocks cache_blocks(const step::Subject& subject, const step::Placement& placement, std::int32_t block_size);

/// Blocks that a sequence of at most `tokens` cached tokens holds from its admission to its end, however long it is by then.
inline std::int64_t capped_blocks(const std::vector<CappedCache>& capped, std::int64_t tokens) {
  double sum = 0;
  for (const CappedCache& c : capped) sum += double(std::min(tokens, c.tokens)) * c.blocks_per_token;
  return std::int64_t(std::ceil(sum));
}

}  // namespace jevons::serve
