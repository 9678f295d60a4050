#pragma once
// Options that several verbs take in the same sense, each declared once.
#include "base/options.hpp"

namespace jevons::engine::shared {

using T = OptionType;

inline constexpr OptionSpec kModel{
    .path = "model", .flag = "--model", .type = T::text, .help = "name in the catalogue, or path of a config.json"};
inline constexpr OptionSpec kWeights{
    .path = "weights", .flag = "--weights", .type = T::text, .fallback = "native", .help = "weight format; native: as the vendor ships it"};
inline constexpr OptionSpec kKvCacheDtype{.path = "kv_cache_dtype",
                                          .flag = "--kv-cache-dtype",
                                          .type = T::text,
                                          .fallback = "native",
                                          .help = "cache format; native: the model's own layout"};
inline constexpr OptionSpec kAccelerator{.path = "accelerator", .flag = "--accelerator", .type = T::text, .help = "name in the catalogue"};
inline constexpr OptionSpec kLimitsGpuMemoryUtilization{
    .path = "limits.gpu_memory_utilization",
    .flag = "--gpu-memory-utilization",
    .type = T::number,
    .low = 0.05,
    .high = 1,
    .help =
        "share of memory the engine may use (SGLang: --mem-fraction-static; TensorRT-LLM: free_gpu_memory_fraction); unset: its default"};
inline constexpr OptionSpec kWorkloadLengths{.path = "workload.lengths",
                                             .flag = "--lengths",
                                             .type = T::text,
                                             .fallback = "fixed",
                                             .help = "law of both lengths: fixed, uniform:0.8:1.0, exponential, lognormal:CV"};
inline constexpr OptionSpec kWorkloadSharedSystemPromptLength{.path = "workload.shared_system_prompt_length",
                                                              .flag = "--shared-system-prompt-length",
                                                              .type = T::integer,
                                                              .unit = "tokens",
                                                              .fallback = "0",
                                                              .low = 0,
                                                              .high = 1e8,
                                                              .help = "leading tokens that all requests share, on top of isl"};
inline constexpr OptionSpec kSpeculationDraftTokens{.path = "speculation.draft_tokens",
                                                    .flag = "--num-speculative-tokens",
                                                    .type = T::integer,
                                                    .fallback = "0",
                                                    .low = 0,
                                                    .high = 16,
                                                    .help = "draft tokens a step verifies; 0: no speculation"};
inline constexpr OptionSpec kSpeculationAcceptanceLength{.path = "speculation.acceptance_length",
                                                         .flag = "--acceptance-length",
                                                         .type = T::number,
                                                         .low = 1,
                                                         .high = 17,
                                                         .help = "tokens a verified step yields on average, the bonus token included"};
inline constexpr OptionSpec kCostBasis{.path = "cost.basis",
                                       .flag = "--cost-basis",
                                       .type = T::choice,
                                       .fallback = "owner",
                                       .choices = "owner|contract|on-demand",
                                       .help = "what an accelerator-hour costs"};
inline constexpr OptionSpec kCostUsdPerGpuHour{.path = "cost.usd_per_gpu_hour",
                                               .flag = "--usd-per-gpu-hour",
                                               .type = T::number,
                                               .unit = "USD",
                                               .low = 1e-6,
                                               .high = 1e4,
                                               .help = "price of your own instead of the catalogue's"};
inline constexpr OptionSpec kSiteRegion{
    .path = "site.region",
    .flag = "--region",
    .type = T::text,
    .fallback = "us",
    .help = "whose grid is behind the energy: carbon and water of a token; `jevons catalog list` shows region-…"};
inline constexpr OptionSpec kSiteClass{.path = "site.class",
                                       .flag = "--site-class",
                                       .type = T::text,
                                       .fallback = "ai-liquid",
                                       .help = "conventional, ai-liquid or modular: its PUE and water"};
inline constexpr OptionSpec kSeed{.path = "seed",
                                  .flag = "--seed",
                                  .type = T::integer,
                                  .fallback = "1",
                                  .low = 0,
                                  .high = 9e15,
                                  .help = "seed of every random stream; kept in the result"};

}  // namespace jevons::engine::shared
