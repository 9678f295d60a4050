#include "serve/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <variant>

namespace jevons::serve {
namespace {

constexpr std::string_view kNames[] = {"vllm", "sglang", "trtllm"};

template <class T>
using Field = T EnginePolicy::*;
using Switch = void (*)(EnginePolicy&, bool);  // sets something other than a field of the same name and type
using Word = Result<void> (*)(EnginePolicy&, std::string_view);
struct Option {
  Engine engine;
  std::string_view flag;
  std::variant<Field<std::int32_t>, Field<double>, Field<bool>, Switch, Word> to;
  double low = 0, high = 1 << 30;
};

Result<void> set_queue(EnginePolicy& p, std::string_view v) {
  if (v != "fcfs" && v != "priority") return bad_input("scheduling-policy", fmt::format("\"{}\" is no policy", v), "fcfs or priority");
  p.queue = v == "priority" ? Queue::priority : Queue::fcfs;
  return {};
}
Result<bool> parse_bool(std::string_view v, std::string_view key) {
  if (v == "true" || v == "1" || v.empty()) return true;
  if (v == "false" || v == "0") return false;
  return bad_input(std::string(key), fmt::format("\"{}\" is neither true nor false", v), "true or false");
}
Result<void> set_hicache_write(EnginePolicy& p, std::string_view v) {
  if (v != "write_through" && v != "write_back")
    return bad_input("hicache-write-policy", fmt::format("\"{}\" is no policy known here", v), "write_through or write_back");
  p.hicache_write_back = v == "write_back";
  return {};
}
Result<void> set_capacity_policy(EnginePolicy& p, std::string_view v) {
  if (v == "GUARANTEED_NO_EVICT")
    p.admission = Admission::whole_request;
  else if (v == "MAX_UTILIZATION")
    p.admission = Admission::chunk;
  else
    return bad_input("capacity_scheduler_policy", fmt::format("\"{}\" is no policy", v), "GUARANTEED_NO_EVICT or MAX_UTILIZATION");
  return {};
}

const std::vector<Option>& table() {
  using P = EnginePolicy;
  static const std::vector<Option> options = {
      {Engine::vllm, "max-num-seqs", &P::max_num_seqs, 1},
      {Engine::vllm, "max-num-batched-tokens", &P::max_num_batched_tokens, 1},
      {Engine::vllm, "block-size", &P::block_size, 1, 4096},
      {Engine::vllm, "max-model-len", &P::max_model_len, 1},
      {Engine::vllm, "enable-prefix-caching", &P::enable_prefix_caching},
      {Engine::vllm, "no-enable-prefix-caching", [](P& p, bool on) { p.enable_prefix_caching = !on; }},
      {Engine::vllm, "enable-chunked-prefill", &P::chunked_prefill},
      {Engine::vllm, "no-enable-chunked-prefill", [](P& p, bool on) { p.chunked_prefill = !on; }},
      {Engine::vllm, "async-scheduling", [](P& p, bool on) { p.lag = on ? 1 : 0; }},
      {Engine::vllm, "no-async-scheduling", [](P& p, bool on) { p.lag = on ? 0 : 1; }},
      {Engine::vllm, "scheduler-reserve-full-isl", [](P& p, bool on) { p.admission = on ? Admission::prompt : Admission::chunk; }},
      {Engine::vllm, "scheduling-policy", set_queue},
      {Engine::vllm, "enable-dbo", &P::two_batch_overlap},
      // vllm/config/lora.py.
      {Engine::vllm, "enable-lora", &P::enable_lora},
      {Engine::vllm, "max-loras", &P::max_loras, 1, 4096},
      {Engine::vllm, "max-lora-rank", &P::max_lora_rank, 1, 512},
      {Engine::vllm, "max-cpu-loras", &P::max_cpu_loras, 1},
      {Engine::vllm, "kv-offloading-size", &P::kv_offloading_size, 0.001, 1e6},  // vllm/config/cache.py
      // server_args.py of SGLang 0.5.
      {Engine::sglang, "enable-hierarchical-cache", &P::enable_hierarchical_cache},
      {Engine::sglang, "hicache-size", &P::hicache_size, 0.001, 1e6},
      {Engine::sglang, "hicache-ratio", &P::hicache_ratio, 0.001, 1e3},
      {Engine::sglang, "hicache-write-policy", set_hicache_write},
      {Engine::sglang, "enable-two-batch-overlap", &P::two_batch_overlap},
      {Engine::sglang, "max-running-requests", &P::max_num_seqs, 1},
      {Engine::sglang, "max-prefill-tokens", &P::max_num_batched_tokens, 1},
      {Engine::sglang, "chunked-prefill-size", &P::chunk, 1},
      {Engine::sglang, "page-size", &P::block_size, 1, 4096},
      {Engine::sglang, "context-length", &P::max_model_len, 1},
      {Engine::sglang, "disable-radix-cache", [](P& p, bool on) { p.enable_prefix_caching = !on; }},
      {Engine::sglang, "disable-overlap-schedule", [](P& p, bool on) { p.lag = on ? 0 : 1; }},
      {Engine::sglang, "enable-mixed-chunk", [](P& p, bool on) { p.prefill_first = !on; }},
      {Engine::sglang, "scheduler-recv-interval", &P::recv_interval, 1, 1000},
      {Engine::sglang, "schedule-conservativeness", &P::schedule_conservativeness, 0.01, 10},
      {Engine::trtllm, "max-batch-size", &P::max_num_seqs, 1},
      {Engine::trtllm, "max-num-tokens", &P::max_num_batched_tokens, 1},
      {Engine::trtllm, "tokens-per-block", &P::block_size, 1, 4096},
      {Engine::trtllm, "max-seq-len", &P::max_model_len, 1},
      {Engine::trtllm, "enable-chunked-prefill", &P::chunked_prefill},
      {Engine::trtllm, "enable-block-reuse", &P::enable_prefix_caching},
      {Engine::trtllm, "disable-overlap-scheduler", [](P& p, bool on) { p.lag = on ? 0 : 1; }},
      {Engine::trtllm, "capacity-scheduler-policy", set_capacity_policy},
      {Engine::trtllm, "kv-cache-config.host-cache-size", &P::host_cache_size, 1, 1e15},  // llm_args.py KvCacheConfig
      {Engine::trtllm, "batch-wait-timeout-iters", &P::batch_wait_iters},
      {Engine::trtllm, "batch-wait-max-tokens-ratio", &P::batch_wait_ratio, 0, 1},
      {Engine::trtllm, "attention-dp-config.enable-balance", &P::adp_balance},
      {Engine::trtllm, "attention-dp-config.timeout-iters", &P::adp_timeout_iters, 1},
      {Engine::trtllm, "attention-dp-config.batching-wait-iters", &P::adp_batching_wait_iters},
  };
  return options;
}

template <class T>
Result<T> parse_number(const Option& o, std::string_view v) {
  T x{};
  const auto [end, ec] = std::from_chars(v.data(), v.data() + v.size(), x);
  if (ec != std::errc{} || end != v.data() + v.size() || double(x) < o.low || double(x) > o.high) {
    return bad_input(std::string(o.flag), fmt::format("\"{}\" is no valid value", v), fmt::format("a number from {} to {}", o.low, o.high));
  }
  return x;
}

}  // namespace

std::string_view name(Engine e) { return kNames[std::size_t(e)]; }

Result<Engine> parse_engine(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == text) return Engine(i);
  }
  return bad_input("engine", fmt::format("\"{}\" is not known", text), "vllm, sglang or trtllm");
}

EnginePolicy defaults_of(Engine engine, double memory, bool a100) {
  constexpr double kGiB = double(1 << 30), kGB = 1e9;
  EnginePolicy p;
  p.engine = engine;
  if (engine == Engine::vllm && memory >= 70 * kGiB && !a100) {
    // vllm/engine/arg_utils.py, get_batch_defaults: the API server's.
    p.max_num_seqs = 1024;
    p.max_num_batched_tokens = 8192;
  }
  if (engine == Engine::sglang) {
    // server_args.py and schedule_policy.py of SGLang 0.5: token-sized pages, prompts first, chunks by memory.
    p.max_num_seqs = 1024;
    p.max_num_batched_tokens = 16384;
    p.chunk = memory >= 160 * kGB ? 16384 : memory == 0 || memory >= 35 * kGB ? 8192 : 2048;
    p.block_size = 1;
    p.prefill_first = true;
    p.admission = Admission::estimate;
  } else if (engine == Engine::trtllm) {
    // tensorrt_llm/llmapi/llm_args.py of 1.x: 8192 tokens, whole prompts, GUARANTEED_NO_EVICT, 32-token blocks, overlap scheduler on.
    p.max_num_seqs = 2048;
    p.max_num_batched_tokens = 8192;
    p.block_size = 32;
    p.chunked_prefill = false;
    p.admission = Admission::whole_request;
  }
  return p;
}

std::vector<EngineOption> options_of(Engine engine) {
  std::vector<EngineOption> options;
  for (const Option& o : table()) {
    if (o.engine == engine) options.push_back({o.flag, std::holds_alternative<Field<bool>>(o.to) || std::holds_alternative<Switch>(o.to)});
  }
  return options;
}

Result<void> set_option(EnginePolicy& policy, std::string_view flag, std::string_view value) {
  std::string wanted(flag.substr(std::min(flag.size(), flag.find_first_not_of('-'))));
  for (char& ch : wanted) ch = ch == '_' ? '-' : ch;
  for (const Option& o : table()) {
    if (o.engine != policy.engine || o.flag != wanted) continue;
    if (const auto* f = std::get_if<Field<std::int32_t>>(&o.to)) {
      JEVONS_TRY(policy.**f, parse_number<std::int32_t>(o, value));
    } else if (const auto* d = std::get_if<Field<double>>(&o.to)) {
      JEVONS_TRY(policy.**d, parse_number<double>(o, value));
    } else if (const auto* b = std::get_if<Field<bool>>(&o.to)) {
      JEVONS_TRY(policy.**b, parse_bool(value, o.flag));
    } else if (const auto* apply = std::get_if<Switch>(&o.to)) {
      JEVONS_TRY(const bool on, parse_bool(value, o.flag));
      (*apply)(policy, on);
    } else {
      JEVONS_CHECK(std::get<Word>(o.to)(policy, value));
    }
    return {};
  }
  std::vector<std::string_view> known;
  for (const auto& o : options_of(policy.engine)) known.push_back(o.flag);
  return bad_input(std::string(flag), fmt::format("{} has no such option", name(policy.engine)), fmt::format("{}", fmt::join(known, ", ")));
}

EnginePolicy of_one_rank(EnginePolicy p, int ranks) {
  if (ranks == 1 || p.engine != Engine::sglang) return p;
  p.max_num_seqs = std::max(1, p.max_num_seqs / ranks);
  p.chunk = std::max(1, p.chunk / ranks);
  p.schedule_conservativeness *= 0.3;
  return p;
}

Result<EnginePolicy> checked(EnginePolicy p) {
  // vLLM config/scheduler.py verifies the same at start-up.
  if (p.max_num_batched_tokens < p.max_num_seqs && !p.prefill_first) {
    return bad_input("max-num-batched-tokens", fmt::format("{} is below max-num-seqs {}", p.max_num_batched_tokens, p.max_num_seqs),
                     "at least one token for each sequence", "raise it, or lower max-num-seqs");
  }
  if (p.batch_wait_ratio > 0 && p.batch_wait_iters == 0) {
    return bad_input("batch-wait-max-tokens-ratio", "has no effect without batch-wait-timeout-iters", "both, or neither");
  }
  const EnginePolicy plain;
  const std::pair<std::string_view, bool> lora[] = {{"max-loras", p.max_loras != plain.max_loras},
                                                    {"max-lora-rank", p.max_lora_rank != plain.max_lora_rank},
                                                    {"max-cpu-loras", p.max_cpu_loras != plain.max_cpu_loras}};
  for (const auto& [flag, given] : lora) {
    if (given && !p.enable_lora) return bad_input(std::string(flag), "has no effect without enable-lora", "both, or neither");
  }
  if (!p.enable_hierarchical_cache &&
      (p.hicache_size != plain.hicache_size || p.hicache_ratio != plain.hicache_ratio || p.hicache_write_back))
    return bad_input("hicache-size", "has no effect without enable-hierarchical-cache", "both, or neither",
                     "the same holds for hicache-ratio and hicache-write-policy");
  if (p.hicache_size > 0 && p.hicache_ratio != plain.hicache_ratio)
    return bad_input("hicache-ratio", "beside hicache-size", "one of the two");
  if (p.max_cpu_loras > 0 && p.max_cpu_loras < p.max_loras)
    return bad_input("max-cpu-loras", fmt::format("{} is below max-loras {}", p.max_cpu_loras, p.max_loras), "at least max-loras");
  constexpr std::int32_t kRanks[] = {1, 8, 16, 32, 64, 128, 256, 320, 512};
  if (std::find(std::begin(kRanks), std::end(kRanks), p.max_lora_rank) == std::end(kRanks))
    return bad_input("max-lora-rank", fmt::format("{}", p.max_lora_rank), fmt::format("one of {}", fmt::join(kRanks, ", ")));
  return p;
}

}  // namespace jevons::serve
