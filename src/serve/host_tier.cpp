#include "serve/host_tier.hpp"

#include "serve/lora.hpp"

namespace jevons::serve {
namespace {
constexpr double kGiB = 1 << 30;
}

double host_cache_bytes(const EnginePolicy& p, int accelerators, double cache_bytes) {
  switch (p.engine) {
    case Engine::vllm:
      return p.kv_offloading_size * kGiB;
    case Engine::sglang:
      if (!p.enable_hierarchical_cache) return 0;
      return p.hicache_size > 0 ? p.hicache_size * 1e9 * accelerators : p.hicache_ratio * cache_bytes;
    case Engine::trtllm:
      return p.host_cache_size * accelerators;
  }
  return 0;
}

void set_host_cache(EnginePolicy& p, int accelerators, double gib) {
  p.kv_offloading_size = p.engine == Engine::vllm ? gib : 0;
  p.enable_hierarchical_cache = p.engine == Engine::sglang && gib > 0;
  p.hicache_size = p.enable_hierarchical_cache ? gib * kGiB / 1e9 / accelerators : 0;
  p.host_cache_size = p.engine == Engine::trtllm ? gib * kGiB / accelerators : 0;
}

WritePolicy write_policy(const EnginePolicy& p) {
  return p.engine == Engine::trtllm || p.hicache_write_back ? WritePolicy::write_back : WritePolicy::write_through;
}

Result<TierSet> host_tier(const catalog::Catalog& catalog, const catalog::Accelerator& chip, const EnginePolicy& policy, int accelerators,
                          const CacheBlocks& cache) {
  TierSet tiers;
  const double block = cache.block_bytes * accelerators;  // what ranks hold more than once is stored more than once
  const double bytes = host_cache_bytes(policy, accelerators, block * double(cache.blocks));
  if (bytes < block) return tiers;
  JEVONS_TRY(const catalog::Thing* facts, catalog.find(catalog::Section::efficiency, "kv-tiers"));
  JEVONS_TRY(const double rate, host_link_rate(catalog, chip));
  const step::Ticks each = step::ticks_of(block / (rate * accelerators));
  tiers.tier[0] = {std::int64_t(bytes / block), each, each, step::ticks_of(facts->get<Seconds>("host_latency")->value.value())};
  tiers.write = write_policy(policy);
  return tiers;
}

}  // namespace jevons::serve
