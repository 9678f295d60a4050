#include "serve/cache_blocks.hpp"

namespace jevons::serve {

Result<double> engine_reserve(const catalog::Catalog& catalog, std::int32_t step_tokens) {
  constexpr double kTokens = 8192;
  JEVONS_TRY(const catalog::Thing* engine, catalog.find(catalog::Section::efficiency, "engine-memory"));
  const double fixed = engine->get<Bytes>("reserve_fixed")->value.value(), whole = engine->get<Bytes>("reserve")->value.value();
  return fixed + (whole - fixed) * step_tokens / kTokens;
}

CacheBlocks cache_blocks(const step::Subject& subject, const step::Placement& placement, std::int32_t block_size) {
  CacheBlocks out;
  const step::Memory memory = step::memory(subject, placement);
  if (!memory.fits()) return out;
  double per_token = 0;
  for (const auto& g : subject.cache) {
    const double share = step::rank_share(g, placement.tp) / placement.pp;
    if (g.stored_cap == 0) per_token += share * model::cache_slope(std::span(&g, 1));
  }
  // A model of nothing but states has no block; its states are counted in bytes.
  out.block_bytes = std::max(1.0, per_token * block_size);
  out.blocks = std::int64_t(memory.for_cache / out.block_bytes);
  for (const auto& g : subject.cache) {
    if (g.stored_cap == 0) continue;
    const double bytes = step::rank_share(g, placement.tp) / placement.pp * model::cache_fixed(std::span(&g, 1));
    out.capped.push_back({g.stored_cap * g.tokens_per_entry, bytes / double(g.stored_cap * g.tokens_per_entry) / out.block_bytes});
  }
  return out;
}

}  // namespace jevons::serve
