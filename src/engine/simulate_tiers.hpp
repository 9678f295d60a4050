#pragma once
// What a simulation's settings say about adapters and about cache tiers beyond the accelerator.
#include "engine/scenario.hpp"
#include "report/document.hpp"
#include "serve/cache_blocks.hpp"
#include "serve/metrics.hpp"

namespace jevons::engine {

/// 0: not given. Errors: ranks have nothing to be uneven about (no experts, or ep 1), or more than one rank can get.
Result<double> expert_imbalance_of(const Settings& settings, const model::Model& model, const step::Placement& placement);
/// The adapters' slots are kept from the cache: `subject.reserve` grows by them. Without enable-lora: nothing.
Result<serve::LoraCost> adapters_of(const catalog::Catalog& catalog, step::Subject& subject, const step::Placement& placement,
                                    const serve::EnginePolicy& policy);
/// Host memory by the engine's own option or --max-local-cpu-size, SSD and remote store by --max-local-disk-size and --remote-size, links
/// by the catalogue unless given. blocks: of the accelerator's cache. Errors: two sizes for one tier, a rate without its tier.
Result<serve::TierSet> tiers_of(const catalog::Catalog& catalog, const Settings& settings, const step::Subject& subject,
                                const step::Placement& placement, const serve::EnginePolicy& policy, const serve::CacheBlocks& blocks);
std::span<const OptionSpec> tier_options();
void put_tiers(report::Document& document, const serve::Pool& pool, const serve::Metrics& metrics);
/// Their numbers, where there are any.
void put_adapters(report::Document& document, const serve::Pool& pool, const serve::Metrics& metrics);

}  // namespace jevons::engine
