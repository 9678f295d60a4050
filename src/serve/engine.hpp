#pragma once
// How an engine composes its steps: the rules of vLLM, SGLang and TensorRT-LLM as data, each under the engine's own flag name.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "traffic/requests.hpp"

namespace jevons::serve {

enum class Engine : std::uint8_t { vllm, sglang, trtllm };
std::string_view name(Engine e);
Result<Engine> parse_engine(std::string_view text);

/// Order of the waiting queue.
enum class Queue : std::uint8_t { fcfs, priority };

/// What must be free before a waiting request is admitted.
enum class Admission : std::uint8_t {
  chunk,          // blocks of the tokens pushed in this step (vLLM without scheduler_reserve_full_isl; TensorRT-LLM MAX_UTILIZATION)
  prompt,         // blocks of the whole sequence so far (vLLM scheduler_reserve_full_isl, default since 0.19)
  whole_request,  // blocks of prompt and output, held from the start: nothing is ever evicted (TensorRT-LLM GUARANTEED_NO_EVICT)
  estimate,       // prompt, and the estimated rest of all running outputs (SGLang new_token_ratio)
};

/// One engine's rules. Defaults are those of vLLM's server on a GPU below 70 GiB; `defaults_of` gives each engine's.
struct EnginePolicy {
  Engine engine = Engine::vllm;
  std::int32_t max_num_seqs = 256;             // sequences in a step
  std::int32_t max_num_batched_tokens = 2048;  // tokens in a step (SGLang: max_prefill_tokens, of a prefill step)
  std::int32_t chunk = 0;                      // > 0: prompt tokens of one step at most (SGLang chunked_prefill_size)
  std::int32_t block_size = 16;                // tokens of a cache block
  std::int32_t max_model_len = 0;              // > 0: longer requests are rejected
  bool chunked_prefill = true;                 // false: a prompt is pushed whole or not at all
  bool prefill_first = false;                  // true: steps push prompts or decode, prompts first (SGLang); false: both in one step
  bool enable_prefix_caching = true;
  Admission admission = Admission::prompt;
  Queue queue = Queue::fcfs;
  std::int32_t lag = 1;                 // 1: the next step is fixed before this one ends (async scheduling, overlap scheduler); 0: not
  std::int32_t recv_interval = 1;       // SGLang scheduler_recv_interval: passes between looks for new requests
  std::int32_t batch_wait_iters = 0;    // TensorRT-LLM batch_wait_timeout_iters: passes that context waits for more of it
  double batch_wait_ratio = 0;          // TensorRT-LLM batch_wait_max_tokens_ratio: … unless this share of the token budget is used
  bool adp_balance = false;             // TensorRT-LLM attention_dp_config.enable_balance: context waits until every rank has some
  std::int32_t adp_timeout_iters = 50;  // … for at most so many passes
  std::int32_t adp_batching_wait_iters = 10;  // passes that context waits for more of it once every rank has some
  double new_token_ratio = 0.7;               // SGLang: share of the longest possible output expected of running requests (start value)
  double schedule_conservativeness = 1;       // SGLang: factor on it
  bool two_batch_overlap = false;  // vLLM --enable-dbo, SGLang: experts' tokens of one half of a step travel while the other computes
  bool enable_lora = false;
  std::int32_t max_loras = 1;       // different adapters in a batch, each with a slot of the accelerator's memory
  std::int32_t max_lora_rank = 16;  // what a slot has room for
  std::int32_t max_cpu_loras = 0;   // adapters kept in host memory; 0: as many as slots
  // Cache beyond the accelerator, under each engine's name for it (serve/tiers.hpp)
  double kv_offloading_size = 0;           // vLLM: GiB of host memory, all ranks together
  bool enable_hierarchical_cache = false;  // SGLang
  double hicache_size = 0;                 // SGLang: GB of host memory, each rank; 0: by hicache_ratio
  double hicache_ratio = 2;                // SGLang: host cache over the accelerator's
  bool hicache_write_back = false;
  double host_cache_size = 0;          // TensorRT-LLM: bytes of host memory, each rank
  traffic::SimTime host_constant = 0;  // ns from the client's send to the scheduler: HTTP and tokenisation; blocks nothing

  /// Tokens of a step at most: SGLang's chunk bounds what its prefill budget allows.
  std::int32_t step_tokens() const { return chunk > 0 ? std::min(chunk, max_num_batched_tokens) : max_num_batched_tokens; }
};

/// The defaults of an engine's server, sources at each in engine.cpp. Some depend on the accelerator: its memory in bytes, and whether it
/// is of a kind the engine singles out (vLLM: A100). Without a memory: those of a small GPU.
EnginePolicy defaults_of(Engine engine, double memory_bytes = 0, bool a100 = false);

/// Sets one option by the engine's own flag name (dashes or underscores, with or without leading dashes). Errors: the engine has no such
/// option, or the value is no number in range; the message lists the engine's options.
Result<void> set_option(EnginePolicy& policy, std::string_view flag, std::string_view value);
struct EngineOption {
  std::string_view flag;   // without dashes
  bool is_switch = false;  // takes no value
};
std::vector<EngineOption> options_of(Engine engine);

/// The rules of one of `ranks` attention ranks: SGLang divides its limits among them, the other engines give them to each. SGLang
/// server_args.py _handle_data_parallelism (chunked_prefill_size // dp_size, schedule_conservativeness x 0.3), scheduler.py
/// (max_running_requests // dp_size).
EnginePolicy of_one_rank(EnginePolicy policy, int ranks);

/// Refuses contradictions, as the engine's own start-up check does. Errors name the flag.
Result<EnginePolicy> checked(EnginePolicy policy);

}  // namespace jevons::serve
