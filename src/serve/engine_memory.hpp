#pragma once
// What an engine takes of an accelerator's memory beside weights and cache, by the engine's own rule.
#include <optional>
#include <string_view>

#include "serve/engine.hpp"
#include "step/placement.hpp"

namespace jevons::serve {

/// How an engine shares out a rank's memory, written into the subject: `memory_utilization`, `of_rest` and `reserve`.
///  vLLM          cache = fraction x memory - weights - activations at their peak - runtime [- CUDA graphs, since 0.21]
///  SGLang        cache = fraction x (memory - runtime) - weights; activations and graphs live in the rest
///  TensorRT-LLM  cache = fraction x (memory - weights - activations at their peak - runtime - CUDA graphs)
/// fraction: --gpu-memory-utilization, --mem-fraction-static, free_gpu_memory_fraction; unset: the engine's default, of SGLang by its
/// formula over chunk, batch and ranks. policy: of one rank. version: as the engine prints it; empty: the current one.
/// Sources and values: catalog/efficiency/engine-memory.yaml; formulas: docs/memory.md. Errors: a fact is missing.
Result<void> share_memory(const catalog::Catalog& catalog, const EnginePolicy& policy, const step::Placement& placement,
                          std::optional<double> fraction, step::Subject& subject, std::string_view version = {});

}  // namespace jevons::serve
