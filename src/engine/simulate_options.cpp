// Every key of a simulation, declared once. The engines' options come from their own tables.
#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "engine/simulate_tiers.hpp"
#include "engine/simulate_verb.hpp"
#include "serve/engine.hpp"

namespace jevons::engine {
namespace {

using T = OptionType;

constexpr OptionSpec kOwn[] = {
    {.path = "model", .flag = "--model", .type = T::text, .help = "name in the catalogue, or path of a config.json"},
    {.path = "weights",
     .flag = "--weights",
     .type = T::text,
     .fallback = "native",
     .help = "weight format; native: as the vendor ships it"},
    {.path = "kv_cache_dtype",
     .flag = "--kv-cache-dtype",
     .type = T::text,
     .fallback = "native",
     .help = "cache format; native: the model's own layout"},
    {.path = "accelerator", .flag = "--accelerator", .type = T::text, .help = "name in the catalogue"},
    {.path = "placement.tp", .flag = "--tp", .type = T::integer, .fallback = "1", .low = 1, .high = 4096, .help = "tensor parallel size"},
    {.path = "placement.pp", .flag = "--pp", .type = T::integer, .fallback = "1", .low = 1, .high = 64, .help = "pipeline parallel size"},
    {.path = "placement.dp",
     .flag = "--dp",
     .type = T::integer,
     .fallback = "1",
     .low = 1,
     .high = 4096,
     .help = "attention data parallel size inside a replica"},
    {.path = "placement.ep", .flag = "--ep", .type = T::integer, .fallback = "1", .low = 1, .high = 4096, .help = "expert parallel size"},
    {.path = "replicas", .flag = "--replicas", .type = T::integer, .fallback = "1", .low = 1, .high = 65535, .help = "replicas"},
    {.path = "router",
     .flag = "--router",
     .type = T::choice,
     .fallback = "least-outstanding",
     .choices = "round-robin|random|least-outstanding|power-of-two|prefix-aware|kv-load-aware",
     .help = "which replica gets a request"},
    {.path = "limits.gpu_memory_utilization",
     .flag = "--gpu-memory-utilization",
     .type = T::number,
     .fallback = "0.9",
     .low = 0.05,
     .high = 1,
     .help = "share of memory the engine may use"},
    {.path = "engine",
     .flag = "--engine",
     .type = T::choice,
     .fallback = "vllm",
     .choices = "vllm|sglang|trtllm",
     .help = "whose scheduling rules; its own options are below"},

    {.path = "workload.input_file",
     .flag = "--input-file",
     .type = T::text,
     .help = "recorded requests to replay; with --num-requests, conversations drawn from it"},
    {.path = "workload.skip_bad_rows",
     .flag = "--skip-bad-rows",
     .type = T::boolean,
     .fallback = "false",
     .help = "leave unreadable rows of the file out and count them"},
    {.path = "workload.isl",
     .flag = "--isl",
     .type = T::integer,
     .unit = "tokens",
     .low = 1,
     .high = 1e8,
     .help = "input tokens of a request, nominal"},
    {.path = "workload.osl",
     .flag = "--osl",
     .type = T::integer,
     .unit = "tokens",
     .low = 1,
     .high = 1e7,
     .help = "output tokens of a request, nominal"},
    {.path = "workload.lengths",
     .flag = "--lengths",
     .type = T::text,
     .fallback = "fixed",
     .help = "law of both lengths: fixed, uniform:0.8:1.0, exponential, lognormal:CV"},
    {.path = "workload.num_requests",
     .flag = "--num-requests",
     .type = T::integer,
     .low = 1,
     .high = 4e9,
     .help = "requests (default: 1000, or 10 x concurrency, or the file's)"},
    {.path = "workload.shared_system_prompt_length",
     .flag = "--shared-system-prompt-length",
     .type = T::integer,
     .unit = "tokens",
     .fallback = "0",
     .low = 0,
     .high = 1e8,
     .help = "leading tokens that all requests share, on top of isl"},
    {.path = "workload.conversation_turns",
     .flag = "--conversation-turn-mean",
     .type = T::integer,
     .fallback = "1",
     .low = 1,
     .high = 1e5,
     .help = "calls of a conversation, each with the context so far and isl new tokens"},
    {.path = "workload.conversation_turn_delay",
     .flag = "--conversation-turn-delay-mean",
     .type = T::number,
     .unit = "ms",
     .fallback = "0",
     .low = 0,
     .high = 1e12,
     .help = "from the end of a call to the next; exponential"},

    {.path = "workload.adapters",
     .flag = "--adapters",
     .type = T::integer,
     .fallback = "0",
     .low = 0,
     .high = 1e6,
     .help = "different LoRA adapters that requests, or conversations, name; 0: none"},
    {.path = "workload.adapter_skew",
     .flag = "--adapter-skew",
     .type = T::number,
     .fallback = "0",
     .low = 0,
     .high = 10,
     .help = "Zipf exponent of their shares; 0: equally likely"},

    {.path = "load.request_rate",
     .flag = "--request-rate",
     .type = T::number,
     .unit = "req/s",
     .low = 1e-9,
     .high = 1e9,
     .help = "mean arrivals: of requests, or of conversations"},
    {.path = "load.concurrency",
     .flag = "--concurrency",
     .type = T::integer,
     .low = 1,
     .high = 1e7,
     .help = "closed loop instead: requests in flight, each finished one replaced"},
    {.path = "load.arrival",
     .flag = "--arrival",
     .type = T::choice,
     .fallback = "poisson",
     .choices = "poisson|constant|gamma|weibull",
     .help = "law of the gaps between arrivals"},
    {.path = "load.arrival_cv",
     .flag = "--arrival-cv",
     .type = T::number,
     .fallback = "1",
     .low = 0.02,
     .high = 50,
     .help = "coefficient of variation of gamma and weibull gaps"},
    {.path = "load.diurnal_amplitude",
     .type = T::number,
     .fallback = "0",
     .low = 0,
     .high = 1,
     .help = "rate over a day is mean x (1 + amplitude x cos)"},
    {.path = "load.burst_factor", .type = T::number, .fallback = "1", .low = 1, .high = 1e6, .help = "rate in a burst over the rest"},
    {.path = "load.burst_period",
     .type = T::number,
     .unit = "s",
     .fallback = "60",
     .low = 1e-3,
     .high = 1e9,
     .help = "from burst to burst"},
    {.path = "load.burst_length", .type = T::number, .unit = "s", .fallback = "6", .low = 1e-3, .high = 1e9, .help = "length of a burst"},

    {.path = "speculation.draft_tokens",
     .flag = "--num-speculative-tokens",
     .type = T::integer,
     .fallback = "0",
     .low = 0,
     .high = 16,
     .help = "draft tokens a step verifies; 0: no speculation"},
    {.path = "speculation.acceptance_length",
     .flag = "--acceptance-length",
     .type = T::number,
     .low = 1,
     .high = 17,
     .help = "tokens a verified step yields on average, the bonus token included"},

    {.path = "goodput", .flag = "--goodput", .type = T::list, .help = "limits a good request meets, ms: ttft:500 tpot:30 e2el:10000"},
    {.path = "cost.basis",
     .flag = "--cost-basis",
     .type = T::choice,
     .fallback = "owner",
     .choices = "owner|contract|on-demand",
     .help = "what an accelerator-hour costs"},
    {.path = "cost.usd_per_gpu_hour",
     .flag = "--usd-per-gpu-hour",
     .type = T::number,
     .unit = "USD",
     .low = 1e-6,
     .high = 1e4,
     .help = "price of your own instead of the catalogue's"},
    {.path = "trace", .flag = "--trace", .type = T::text, .help = "write every request's phases there, for Perfetto or chrome://tracing"},
    {.path = "seed",
     .flag = "--seed",
     .type = T::integer,
     .fallback = "1",
     .low = 0,
     .high = 9e15,
     .help = "seed of every random stream; kept in the result"},
};

}  // namespace

std::span<const OptionSpec> simulate_options() {
  static std::deque<std::string> words;  // what the table's views of generated options point into
  static const auto table = [] {
    std::vector<OptionSpec> all(std::begin(kOwn), std::end(kOwn));
    all.insert(all.end(), tier_options().begin(), tier_options().end());
    std::vector<std::string_view> seen;
    for (const auto engine : {serve::Engine::vllm, serve::Engine::sglang, serve::Engine::trtllm}) {
      for (const auto& o : serve::options_of(engine)) {
        if (std::find(seen.begin(), seen.end(), o.flag) != seen.end()) continue;
        seen.push_back(o.flag);
        std::string engines;
        for (const auto e : {serve::Engine::vllm, serve::Engine::sglang, serve::Engine::trtllm}) {
          const auto theirs = serve::options_of(e);
          if (std::any_of(theirs.begin(), theirs.end(), [&](const auto& x) { return x.flag == o.flag; }))
            engines += fmt::format("{}{}", engines.empty() ? "" : ", ", serve::name(e));
        }
        const auto keep = [](std::string s) -> std::string_view { return words.emplace_back(std::move(s)); };
        std::string key(o.flag);
        std::replace(key.begin(), key.end(), '-', '_');
        all.push_back({.path = keep("engine_args." + key),
                       .flag = keep(fmt::format("--{}", o.flag)),
                       .type = o.is_switch ? T::boolean : T::text,
                       .help = keep(fmt::format("option of {}", engines))});
      }
    }
    return all;
  }();
  return table;
}

}  // namespace jevons::engine
