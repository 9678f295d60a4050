#include "serve/cache_blocks.hpp"

#include "serve/vllm_pages.hpp"

namespace jevons::serve {

CacheBlocks cache_blocks(const step::Subject& subject, const step::Placement& placement, std::int32_t block_size) {
  CacheBlocks out;
  const step::Memory memory = step::memory(subject, placement);
  if (!memory.fits()) return out;
  if (const auto pages = subject.engine == "vllm" ? vllm_pages(*subject.model, subject.cache_format) : std::nullopt) {
    const double block = pages->block_bytes / placement.pp / placement.dcp;
    out.block_bytes = block * block_size / double(pages->tokens);
    out.blocks = std::int64_t(memory.for_cache / block) * pages->tokens / block_size;
    for (const auto& s : pages->sliding) out.capped.push_back({s.window, pages->held(s) * block / out.block_bytes / double(s.window)});
    return out;
  }
  double per_token = 0;
  for (const auto& g : subject.cache) {
    const double share = step::rank_share(g, placement) / placement.pp;
    if (g.stored_cap == 0) per_token += share * model::cache_slope(std::span(&g, 1));
  }
  // A model of nothing but states has no block; its states are counted in bytes.
  out.block_bytes = std::max(1.0, per_token * block_size);
  out.blocks = std::int64_t(memory.for_cache / out.block_bytes);
  for (const auto& g : subject.cache) {
    if (g.stored_cap == 0) continue;
    const double bytes = step::rank_share(g, placement) / placement.pp * model::cache_fixed(std::span(&g, 1));
    out.capped.push_back({g.stored_cap * g.tokens_per_entry, bytes / double(g.stored_cap * g.tokens_per_entry) / out.block_bytes});
  }
  return out;
}

}  // namespace jevons::serve
