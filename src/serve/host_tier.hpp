#pragma once
// Cache blocks in host memory, as an engine's own option asks for them.
#include "serve/cache_blocks.hpp"
#include "serve/engine.hpp"
#include "serve/tiers.hpp"

namespace jevons::serve {

/// Bytes of host memory that the engine's option gives, all accelerators of a replica together. cache_bytes: of its accelerators' own
/// cache, which SGLang's ratio refers to.
double host_cache_bytes(const EnginePolicy& policy, int accelerators, double cache_bytes);
/// Gives a replica `gib` of host memory for cache blocks, all its accelerators together, by the engine's own option; 0: none.
void set_host_cache(EnginePolicy& policy, int accelerators, double gib);
/// TensorRT-LLM offloads a block when its place is needed; SGLang as told; vLLM's connector stores what is computed.
WritePolicy write_policy(const EnginePolicy& policy);
/// A replica's tiers by the engine's own option alone; the link is the chip's to its host. Errors: a fact is missing.
Result<TierSet> host_tier(const catalog::Catalog& catalog, const catalog::Accelerator& chip, const EnginePolicy& policy, int accelerators,
                          const CacheBlocks& cache);

}  // namespace jevons::serve
