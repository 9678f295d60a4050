// Every key of a scenario, declared once: scenario files, flags, --set, JSON Schema and help come from this table.
#include <limits>

#include "engine/scenario.hpp"

namespace jevons::engine {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
using T = OptionType;

constexpr OptionSpec kScenario[] = {
    {.path = "title", .type = T::text, .help = "a line for the top of the page"},
    {.path = "model", .flag = "--model", .type = T::text, .help = "name in the catalogue, or path of a config.json"},
    {.path = "weights", .flag = "--weights", .type = T::text, .fallback = "native", .help = "weight format; native: as the vendor ships it"},
    {.path = "kv_cache_dtype", .flag = "--kv-cache-dtype", .type = T::text, .fallback = "native", .help = "cache format; native: the model's own layout"},
    {.path = "accelerator", .flag = "--accelerator", .type = T::text, .help = "name in the catalogue"},

    {.path = "workload.trace", .flag = "--trace", .type = T::text, .help = "recorded requests that lengths, hit rate and request rate are taken from, where not given"},
    {.path = "workload.isl", .flag = "--isl", .type = T::integer, .unit = "tokens", .low = 1, .high = 1e8, .help = "mean input tokens of a request, cached ones included"},
    {.path = "workload.osl", .flag = "--osl", .type = T::integer, .unit = "tokens", .low = 1, .high = 1e7, .help = "mean output tokens of a request"},
    {.path = "workload.prefix_hit_rate", .flag = "--prefix-hit-rate", .type = T::number, .fallback = "0", .low = 0, .high = 1, .help = "share of input tokens found in the prefix cache"},
    {.path = "workload.request_rate", .flag = "--request-rate", .type = T::number, .unit = "req/s", .low = 1e-9, .high = 1e9, .help = "requests of the whole service; sizes the fleet"},
    {.path = "workload.context", .flag = "--context", .type = T::integer, .unit = "tokens", .low = 1, .high = 1e8, .help = "context for the memory figures (default: isl + osl)"},

    {.path = "slo.ttft", .flag = "--ttft", .type = T::number, .unit = "ms", .low = 1e-6, .high = kInf, .help = "limit of the mean time to first token"},
    {.path = "slo.tpot", .flag = "--tpot", .type = T::number, .unit = "ms", .low = 1e-6, .high = kInf, .help = "limit of the mean time per output token"},

    {.path = "placement.tp", .flag = "--tp", .type = T::integer, .low = 1, .high = 4096, .help = "tensor parallel size (default: the planner's choice)"},
    {.path = "placement.pp", .flag = "--pp", .type = T::integer, .low = 1, .high = 64, .help = "pipeline parallel size (default: the planner's choice)"},
    {.path = "placement.dp", .flag = "--dp", .type = T::integer, .low = 1, .high = 4096, .help = "attention data parallel size (default: the planner's choice)"},
    {.path = "placement.ep", .flag = "--ep", .type = T::integer, .low = 1, .high = 4096, .help = "expert parallel size (default: the planner's choice)"},
    {.path = "limits.max_accelerators", .flag = "--max-gpus", .type = T::integer, .low = 1, .high = 1e5, .help = "accelerators of one replica (default: the scale-up domain)"},
    {.path = "limits.gpu_memory_utilization", .flag = "--gpu-memory-utilization", .type = T::number, .fallback = "0.9", .low = 0.05, .high = 1, .help = "share of memory the engine may use"},
    {.path = "limits.max_num_seqs", .flag = "--max-num-seqs", .type = T::integer, .fallback = "1024", .low = 1, .high = 65536, .help = "sequences one replica decodes at once, at most"},
    {.path = "limits.max_num_batched_tokens", .flag = "--max-num-batched-tokens", .type = T::integer, .unit = "", .fallback = "8192", .low = 1, .high = 1e6, .help = "token budget of one step"},

    {.path = "speculation.draft_tokens", .flag = "--num-speculative-tokens", .type = T::integer, .fallback = "0", .low = 0, .high = 16, .help = "draft tokens a step verifies; 0: no speculation"},
    {.path = "speculation.acceptance_length", .flag = "--acceptance-length", .type = T::number, .low = 1, .high = 17, .help = "tokens a verified step yields on average, the bonus token included"},

    {.path = "cost.basis", .flag = "--cost-basis", .type = T::choice, .fallback = "owner", .choices = "owner|contract|on-demand", .help = "what an accelerator-hour costs"},
    {.path = "cost.usd_per_gpu_hour", .flag = "--usd-per-gpu-hour", .type = T::number, .unit = "USD", .low = 1e-6, .high = 1e4, .help = "price of your own instead of the catalogue's"},
    {.path = "cost.utilization", .type = T::number, .fallback = "0.6", .low = 0.01, .high = 1, .help = "share of paid hours at which the fleet serves at the planned load"},

    {.path = "savings.compare_with", .type = T::text, .help = "model whose cache and work the first lines compare with"},

    {.path = "market.elasticity_low", .type = T::number, .fallback = "0.8", .low = 0, .high = 10, .help = "one-year price elasticity of token demand, 2.5 % quantile"},
    {.path = "market.elasticity_high", .type = T::number, .fallback = "1.8", .low = 0, .high = 10, .help = "the same, 97.5 % quantile"},
    {.path = "market.pass_through", .type = T::number, .fallback = "1", .low = 0, .high = 2, .help = "share of a cost saving that reaches prices, in logarithms"},
    {.path = "market.supply_feedback", .type = T::number, .fallback = "0", .low = 0, .high = 10, .help = "elasticity of the resource's rent to its use"},

    {.path = "seed", .flag = "--seed", .type = T::integer, .fallback = "1", .low = 0, .high = 9e15, .help = "seed of every random stream; kept in the result"},
};

}  // namespace

std::span<const OptionSpec> scenario_options() { return kScenario; }

}  // namespace jevons::engine
