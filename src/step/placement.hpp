#pragma once
// How one replica of a model is spread over accelerators, and what memory it takes there.
#include <string>

#include "catalog/accelerator.hpp"
#include "model/weights.hpp"

namespace jevons::step {

/// One replica: tp x dp x pp accelerators. Attention is split over tp and repeated over dp (each dp rank has its own cache and
/// sequences); experts are split over ep of the tp x dp ranks, and inside an expert over the rest. Decode context parallelism splits what
/// several tensor-parallel ranks would each hold, latents and shared KV heads, over dcp of them by position.
struct Placement {
  int tp = 1, pp = 1, dp = 1, ep = 1, dcp = 1;
  int accelerators() const { return tp * pp * dp; }
  int expert_tp() const { return tp * dp / ep; }
  bool operator==(const Placement&) const = default;
};
/// "TP8", "TP4 DP2 EP8", "TP8 DCP8".
std::string name(const Placement& p);
/// Checks that heads, experts and layers divide. Errors name the placement key.
Result<void> check_placement(const model::Model& m, const Placement& p);

struct Subject;
/// Whose kernels run: vllm, sglang or trtllm. TensorRT-LLM has no packed rows: what is fp8_ds_mla elsewhere is fp8_plain there.
void set_engine(Subject& subject, std::string_view engine);

/// Bytes an engine takes on one rank beside weights and cache.
struct Reserve {
  double activations = 0;  // at their peak: the widest layer of the largest step, or sampling from all its sequences
  double workspaces = 0;   // buffers that attention keeps
  double graphs = 0;       // captured CUDA graphs
  double runtime = 0;      // CUDA modules, communication buffers
  double adapters = 0;     // LoRA slots
  double total() const { return activations + workspaces + graphs + runtime + adapters; }
};

/// A model on an accelerator: everything that does not depend on the placement.
struct Subject {
  const model::Model* model = nullptr;
  model::Parameters parameters;
  model::WeightScheme weights;
  model::WeightBytes weight_bytes;
  model::CacheFormat cache_format = model::CacheFormat::bf16;  // resolved: never native
  std::vector<model::CacheGroup> cache;
  catalog::Accelerator chip;
  std::string engine = "vllm";  // whose kernels run: vllm, sglang or trtllm
  double memory_utilization = 0.9;
  bool of_rest = false;  // the share is of what weights and reserve leave (TensorRT-LLM), not of the whole memory
  Reserve reserve;
  bool two_batch_overlap = false;  // steps in two halves, so that experts' tokens travel while the other half computes
  double expert_imbalance = 0;  // of expert-parallel ranks, as measured: tokens of the fullest over the mean; 0: as the step model expects
};

/// Memory of one accelerator as its driver reports it, else as its data sheet has it.
double card_memory(const catalog::Accelerator& chip);

/// Bytes on the fullest rank.
struct Memory {
  double capacity = 0;  // what weights, reserve and cache may take together
  double weights = 0, reserve = 0;
  double for_cache = 0;  // capacity - weights - reserve; negative: does not fit
  bool fits() const { return for_cache > 0; }
};
Memory memory(const Subject& s, const Placement& p);

/// Parameters of a group that one rank of one layer holds, of `all` in the layer. Tensor parallelism splits by heads: down-projections to
/// a latent, indexers and compressors are held by every rank, and KV heads by every rank that needs one.
/// Source: the layers of vLLM and SGLang (ReplicatedLinear, QKVParallelLinear).
double rank_parameters(const model::Layer& layer, std::int64_t hidden, model::Group group, double all, int tp);
/// Weight bytes on one rank, MTP included.
double rank_weights(const Subject& s, const Placement& p);
/// Share of a cache group that one rank of the tensor-parallel group holds: latents and index keys are held by every rank, unless decode
/// context parallelism splits them; states never are.
double rank_share(const model::CacheGroup& g, const Placement& p);
/// Bytes of one sequence with `context` tokens on one rank of its attention group, one pipeline stage.
double rank_cache(const Subject& s, const Placement& p, std::int64_t context);
/// Sequences of `context` tokens that fit one replica at once, all attention ranks together.
double sequences_that_fit(const Subject& s, const Placement& p, std::int64_t context);

}  // namespace jevons::step
