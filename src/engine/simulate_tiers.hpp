#pragma once
// What a simulation's settings say about adapters and about cache tiers beyond the accelerator.
#include "engine/scenario.hpp"
#include "report/document.hpp"
#include "serve/metrics.hpp"

namespace jevons::engine {

/// The adapters' slots are kept from the cache: `subject.reserve` grows by them. Without enable-lora: nothing.
Result<serve::LoraCost> adapters_of(const catalog::Catalog& catalog, step::Subject& subject, const step::Placement& placement,
                                    const serve::EnginePolicy& policy);
/// Their numbers, where there are any.
void put_adapters(report::Document& document, const serve::Pool& pool, const serve::Metrics& metrics);

}  // namespace jevons::engine
