#pragma once
// What moves an answer: an option, values of which one does at least, and what must be set beside it. Rows that plan, savings and edge
// share.
#include <map>
#include <string>
#include <vector>

namespace jevons::engine {

using Given = std::map<std::string, std::string>;
struct Knob {
  const char* path;
  std::vector<const char*> values;  // one of them moves the answer at least
  Given with;                       // on top of the base, on both sides
};

inline std::vector<Knob> knobs_of_a_deployment() {
  return {
      {"model", {"qwen3-8b"}, {}},
      {"limits.max_accelerators", {"1"}, {{"placement.tp", "2"}}},
      {"limits.max_power", {"0.1"}, {}},
      {"limits.max_capital", {"10"}, {}},
      {"limits.max_carbon", {"0.01"}, {{"limits.carbon_intensity", "400"}, {"limits.max_carbon", "9"}}},
      {"limits.carbon_intensity", {"5000"}, {{"limits.carbon_intensity", "100"}, {"limits.max_carbon", "1"}}},
      {"limits.gpu_memory_utilization", {"0.05"}, {}},
      {"workload.isl", {"400"}, {}},
      {"workload.osl", {"15"}, {}},
      {"workload.shared_system_prompt_length", {"512"}, {}},
      {"workload.prefix_hit_rate", {"0.6"}, {}},
      {"load.warmup_rounds", {"2"}, {}},
      {"load.request_rate", {"6"}, {{"load.max_concurrency", ""}, {"load.request_rate", "4"}}},
      {"load.seconds", {"90"}, {{"load.max_concurrency", ""}, {"load.request_rate", "3"}}},
      {"load.max_concurrency", {"3"}, {}},
      {"weights", {"fp8"}, {}},
      {"kv_cache_dtype", {"fp8"}, {{"workload.isl", "3000"}, {"slo.tpot", ""}}},
      {"placement.tp", {"2"}, {}},
      {"placement.pp", {"2"}, {}},
      {"placement.dp", {"2"}, {}},
      {"placement.dcp", {"2"}, {{"model", "qwen3-30b-a3b"}, {"placement.tp", "8"}, {"limits.max_accelerators", "8"}, {"slo.tpot", ""}}},
      {"placement.ep", {"1", "2"}, {{"model", "qwen3-30b-a3b"}, {"placement.tp", "2"}, {"slo.tpot", "30"}}},
      {"replicas", {"2"}, {}},
      {"disaggregation", {"only"}, {}},
      {"handover.overlapped", {"true"}, {{"disaggregation", "only"}}},
      {"engine", {"sglang"}, {}},
      {"max_num_seqs", {"2"}, {{"slo.tpot", ""}}},
      {"max_num_batched_tokens", {"128"}, {}},
      {"chunked_prefill_size", {"128"}, {{"engine", "sglang"}}},
      {"host_cache_size",
       {"8"},
       {{"workload.prefix_hit_rate", "0.9"},
        {"workload.isl", "4000"},
        {"slo.tpot", ""},
        {"placement.tp", "1"},
        {"limits.gpu_memory_utilization", "0.26"}}},
      {"block_size", {"512"}, {{"workload.shared_system_prompt_length", "700"}, {"slo.tpot", ""}}},
      {"router", {"random"}, {{"replicas", "2"}}},
      {"speculation.draft_tokens", {"1"}, {}},
      {"speculation.acceptance_rate", {"0.4"}, {{"speculation.draft_tokens", "1"}, {"speculation.acceptance_rate", "0.9"}}},
      {"cost.basis", {"on-demand"}, {}},
      {"cost.usd_per_gpu_hour", {"9"}, {}},
  };
}

}  // namespace jevons::engine
