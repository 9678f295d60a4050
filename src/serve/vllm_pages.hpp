#pragma once
// vLLM's cache pool of a model with compressed attention (DeepSeek-V4): pages of several sizes in one pool.
#include <cstdint>
#include <optional>
#include <vector>

#include "model/account.hpp"

namespace jevons::serve {

/// All layers together on one rank. Blocks of one pool are as large as what any group of layers puts into one: compressed entries and index
/// keys of 256 tokens, windows of 64, states of the compressors of 4 and 8. Every group takes whole blocks.
struct VllmPages {
  double block_bytes = 0;  // one block of the pool, `tokens` of compressed cache
  std::int64_t tokens = 256;
  struct Sliding {
    std::int64_t window = 0;  // tokens
    std::int64_t block = 0;   // tokens of a block
    double layers_bytes = 0;  // a page of every layer, all groups together
    int groups = 0;           // blocks that one page of every layer takes
  };
  std::vector<Sliding> sliding;
  double full_bytes = 0;  // a page of every layer that grows with the sequence

  /// Blocks that a decoding sequence holds for what stops growing.
  double held(const Sliding& s) const { return double((s.window + s.block - 1) / s.block + 1) * s.groups; }
  /// The pool's size in tokens as vLLM prints it: requests of the longest context that fit, times that context, where a prompt has
  /// `in_flight` tokens of every window at once.
  double printed_tokens(double blocks, std::int64_t longest, std::int64_t in_flight) const;
};
/// Nothing for models without compressed attention, and for caches that are not in the packed format.
/// Source: vLLM 0.25, v1/core/kv_cache_utils.py (group_and_unify_kv_cache_specs, bytes per block of page buckets),
/// v1/kv_cache_interface.py (page sizes in multiples of 576 bytes), models/deepseek_v4/compressor.py (states).
std::optional<VllmPages> vllm_pages(const model::Model& model, model::CacheFormat format);

}  // namespace jevons::serve
