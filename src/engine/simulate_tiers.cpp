#include "engine/simulate_tiers.hpp"

#include <fmt/format.h>

namespace jevons::engine {
namespace {

const report::Origin kCounted{"simulated", "serve::Counters in src/serve/outcomes.hpp", "docs/glossary.md"};

}  // namespace

Result<serve::LoraCost> adapters_of(const catalog::Catalog& catalog, step::Subject& subject, const step::Placement& placement,
                                    const serve::EnginePolicy& policy) {
  if (!policy.enable_lora) return serve::LoraCost{};
  JEVONS_TRY(const serve::LoraModel lora, serve::lora_model(catalog, subject, placement, policy.max_lora_rank));
  subject.reserve += policy.max_loras * lora.slot_bytes;
  return lora.cost;
}

void put_adapters(report::Document& d, const serve::Pool& pool, const serve::Metrics& m) {
  if (!pool.policy.enable_lora) return;
  d.values.push_back({"lora.loads", "adapters loaded into a slot", "", double(m.adapter_loads), kCounted});
  d.values.push_back({"lora.storage_reads", "of these read from storage first", "", double(m.adapter_reads), kCounted});
  d.values.push_back({"lora.passed", "admissions past a request waiting for a slot", "", double(m.adapter_passed), kCounted});
  d.values.push_back({"lora.time_share", "busy time that adapters add, loads included", "", m.adapter_time, kCounted});
  d.notes.push_back(
      fmt::format("Adapters: {} slots of rank {}; a step with adapters takes {:.3g} ms more, {:.3g} ms for each; loading one "
                  "{:.3g} ms (facts of catalog/efficiency/lora.yaml).",
                  pool.policy.max_loras, pool.policy.max_lora_rank, step::seconds_of(pool.lora.any) * 1e3,
                  step::seconds_of(pool.lora.each) * 1e3, step::seconds_of(pool.lora.load) * 1e3));
}

}  // namespace jevons::engine
