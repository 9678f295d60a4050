#pragma once
// LoRA adapters of one replica: which are in the batch, which still lie in slots or host memory, what they cost.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "serve/engine.hpp"
#include "step/step_form.hpp"
#include "step/step_time.hpp"
#include "traffic/requests.hpp"

namespace jevons::serve {

/// What adapters add to the steps of a replica, ticks.
struct LoraCost {
  step::Ticks any = 0;   // a step with an adapter in it: the kernels that are launched for whatever adapter
  step::Ticks each = 0;  // more for each different adapter in it: its matrices are read
  step::Ticks load = 0;  // an adapter from host memory into a slot; the step waits
  step::Ticks read = 0;  // before that, from storage into host memory
};

/// Bytes that one adapter's slot takes on one accelerator, and what steps cost, for the attention and dense projections of a model. A slot
/// has room for `rank` on every one of them, whatever the adapter uses; of a projection split by columns the first matrix is on every rank,
/// of one split by rows the second (vLLM lora/layers/column_parallel_linear.py, row_parallel_linear.py without fully_sharded_loras).
/// Costs from catalog/efficiency/lora.yaml. Errors: layers whose adapters are not known here, no memory bandwidth.
struct LoraModel {
  double slot_bytes = 0;  // on one accelerator
  LoraCost cost;
};
Result<LoraModel> lora_model(const catalog::Catalog& catalog, const step::Subject& subject, const step::Placement& placement, int rank);
/// Bytes per second between an accelerator and host memory, as large copies reach it: catalog/efficiency/kv-tiers.yaml.
Result<double> host_link_rate(const catalog::Catalog& catalog, const catalog::Accelerator& chip);

/// Refuses requests with adapters where the engine has none. alone: one replica of one attention rank does all of a request.
Result<void> check_adapters(const EnginePolicy& policy, const traffic::Requests& requests, bool alone);

/// vLLM lora/model_manager.py (LRUCacheLoRAModelManager): a batch holds at most `max_loras` different adapters; those that left it stay in
/// their slots, and beyond these in host memory, until others need the place, the least recently used first. Both caches see the same uses,
/// so that a slot holds an adapter exactly if fewer than max_loras others were used since, host memory if fewer than max_cpu_loras.
class AdapterSlots {
 public:
  AdapterSlots(std::int32_t adapters, std::int32_t max_loras, std::int32_t max_cpu_loras)
      : users_(std::size_t(adapters)), max_loras_{max_loras}, max_cpu_loras_{std::max(max_loras, max_cpu_loras)} {
    active_.reserve(std::size_t(max_loras_));
    idle_.reserve(std::size_t(max_cpu_loras_) + 1);
  }
  /// Adapters with a request in the batch.
  const std::vector<std::int32_t>& active() const { return active_; }
  bool full() const { return active_.size() >= std::size_t(max_loras_); }
  struct Fetch {
    bool load = false, read = false;
  };
  /// A request joins the batch. Requires that its adapter is active or the slots are not full.
  Fetch join(std::int32_t adapter) {
    if (users_[std::size_t(adapter)]++ > 0) return {};
    const auto at = std::find(idle_.begin(), idle_.end(), adapter);
    const auto since = std::int64_t(active_.size()) + (idle_.end() - at) - 1;
    const bool known = at != idle_.end();
    if (known) idle_.erase(at);
    active_.push_back(adapter);
    forget();
    return {!known || since >= max_loras_, !known || since >= max_cpu_loras_};
  }
  void leave(std::int32_t adapter) {
    if (--users_[std::size_t(adapter)] > 0) return;
    active_.erase(std::find(active_.begin(), active_.end(), adapter));
    idle_.push_back(adapter);
    forget();
  }

 private:
  void forget() {
    while (!idle_.empty() && std::int64_t(active_.size() + idle_.size()) > max_cpu_loras_) idle_.erase(idle_.begin());
  }
  std::vector<std::int32_t> users_, active_, idle_;  // idle_: oldest first
  std::int32_t max_loras_, max_cpu_loras_;
};

}  // namespace jevons::serve
