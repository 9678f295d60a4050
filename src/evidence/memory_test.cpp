// Memory against start-up logs: weights, cache and its tokens.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "serve/cache_blocks.hpp"
#include "serve/engine_memory.hpp"
#include "serve/vllm_pages.hpp"
#include "step/step_time.hpp"

namespace jevons::evidence {
namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;

struct Boot {
  const char *model, *weights, *cache, *chip;  // of the catalogue
  serve::Engine engine;
  const char* version;
  step::Placement placement;
  double fraction;
  int seqs, tokens;               // of a step; 0: the engine's default
  std::int64_t longest;           // 0: the model's
  double weights_gib, cache_gib;  // as logged; 0: not in the log
  double tolerance;               // of the cache
};

struct Predicted {
  double weights, for_cache, tokens;
  step::Reserve reserve;
};

Predicted predict(const Boot& b) {
  static const catalog::Catalog facts = catalog::Catalog::builtin();
  const auto model = *model::parse_entry((*facts.find_model(b.model))->json, b.model);
  step::Subject s;
  s.model = &model;
  s.parameters = model::parameters(model);
  s.weights = *model::weight_scheme(model, b.weights);
  s.weight_bytes = model::weight_bytes(model, s.parameters, s.weights);
  s.weight_bytes.mtp = 0;
  s.cache_format = model::resolve(model, *model::parse_cache_format(b.cache));
  s.cache = model::cache_groups(model, s.cache_format);
  s.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, b.chip));
  s.engine = std::string(serve::name(b.engine));
  serve::EnginePolicy p = serve::defaults_of(b.engine, step::card_memory(s.chip));
  if (b.seqs > 0) p.max_num_seqs = b.seqs;
  if (b.tokens > 0) (b.engine == serve::Engine::sglang ? p.chunk : p.max_num_batched_tokens) = b.tokens;
  p.max_model_len = std::int32_t(b.longest);
  EXPECT_TRUE(serve::share_memory(facts, serve::of_one_rank(p, b.placement.dp), b.placement, b.fraction, s, b.version));
  const step::Memory m = step::memory(s, b.placement);
  const serve::CacheBlocks blocks = serve::cache_blocks(s, b.placement, 1);
  double tokens = double(blocks.blocks);
  if (const auto pages = serve::vllm_pages(model, s.cache_format); pages && b.engine == serve::Engine::vllm)
    tokens = pages->printed_tokens(m.for_cache / pages->block_bytes, b.longest > 0 ? b.longest : model.max_context, p.step_tokens());
  return {m.weights, m.for_cache, tokens, s.reserve};
}

constexpr auto kVllm = serve::Engine::vllm, kSglang = serve::Engine::sglang, kTrtllm = serve::Engine::trtllm;

// Start-up logs published on GitHub. Limits that a log does not print are the engine's defaults.
const Boot kBoots[] = {
    {"llama-3.1-8b", "bf16", "bf16", "rtx-4090", kVllm, "0.19.0", {1, 1, 1, 1}, 0.9, 256, 2048, 32768, 0, 5.05469, 0.02},
    {"llama-3.1-8b", "bf16", "bf16", "a100-80g-sxm", kVllm, "0.31", {1, 1, 1, 1}, 0.92, 0, 0, 131072, 15.0, 56.21, 0.02},
    {"minimax-m2.5", "nvfp4", "fp8", "gb300-nvl72", kVllm, "0.21", {4, 1, 1, 4}, 0.9, 256, 32768, 40960, 31.49, 210.36, 0.02},
    {"minimax-m2.5", "nvfp4", "fp8", "gb300-nvl72", kVllm, "0.21", {1, 1, 1, 1}, 0.9, 0, 8192, 196608, 125.29, 118.88, 0.02},
    {"glm-5.2", "nvfp4", "fp8", "gb200-nvl72", kVllm, "0.26", {4, 1, 1, 4}, 0.92, 0, 8192, 819200, 106.69, 50.62, 0.02},
    {"qwen3-next-80b-a3b", "bf16", "bf16", "h200-sxm", kVllm, "0.10.2", {2, 1, 1, 1}, 0.9, 0, 8192, 262144, 74.28, 44.59, 0.02},
    {"qwen3-235b-a22b", "fp8", "bf16", "rtx-pro-6000", kVllm, "0.30", {4, 1, 1, 1}, 0.9, 32, 0, 32768, 55.19, 27.85, 0.02},
    {"minimax-m2.5", "nvfp4", "fp8", "gb300-nvl72", kSglang, "", {1, 1, 1, 1}, 0.85, 0, 16384, 196608, 126.66, 107.74, 0.02},
    {"llama-3.1-8b", "bf16", "bf16", "h100-sxm", kSglang, "", {1, 1, 1, 1}, 0.88, 0, 8192, 0, 15.11, 54.04, 0.02},
    {"qwen3-235b-a22b", "fp8", "bf16", "h100-sxm", kSglang, "", {4, 1, 1, 1}, 0.93, 0, 8192, 0, 0, 16.46, 0.02},
    {"kimi-k2.5", "nvfp4", "fp8", "b300-sxm", kTrtllm, "", {8, 1, 1, 1}, 0.9, 0, 0, 262144, 0, 166.02, 0.02},
    // Graphs of up to 2,048 tokens and a vision tower, neither of which is modelled.
    {"kimi-k2.5", "nvfp4", "fp8", "gb300-nvl72", kVllm, "0.21", {4, 1, 1, 1}, 0.9, 16, 8192, 262144, 139.53, 101.53, 0.03},
    // 0.9 GiB of its weights are not in the published shapes; what hyper-connections hold at once is a guess.
    {"deepseek-v4-pro", "native", "native", "gb300-nvl72", kVllm, "0.21", {4, 1, 1, 1}, 0.92, 128, 8192, 1000000, 201.46, 39.26, 0.035},
    // The buffers of a group without NVLink are smaller than those of others: 0.21 GiB.
    {"qwen3-235b-a22b", "fp8", "bf16", "l40s", kVllm, "0.10.2", {8, 1, 1, 8}, 0.9, 0, 2048, 32768, 27.72, 10.65, 0.13},
    // An engine of another architecture, and few GiB left.
    {"qwen3-235b-a22b", "fp8", "bf16", "h100-sxm", kVllm, "0.9.2", {4, 1, 1, 1}, 0.9, 1024, 8192, 40960, 0, 8.11, 0.14},
};

TEST(Memory, StartUpLogs) {
  for (const Boot& b : kBoots) {
    const Predicted p = predict(b);
    SCOPED_TRACE(fmt::format("{} on {} {}: reserve {:.2f} = {:.2f} activations + {:.2f} workspaces + {:.2f} graphs + {:.2f} runtime GiB",
                             b.model, b.chip, serve::name(b.engine), p.reserve.total() / kGiB, p.reserve.activations / kGiB,
                             p.reserve.workspaces / kGiB, p.reserve.graphs / kGiB, p.reserve.runtime / kGiB));
    EXPECT_NEAR(p.for_cache / kGiB / b.cache_gib, 1, b.tolerance);
    if (b.weights_gib > 0) {
      EXPECT_NEAR(p.weights / kGiB / b.weights_gib, 1, 0.013);
    }
  }
}

// Llama-70B FP8 on one H200 with vLLM: 355k and 367k tokens, solved backwards from queueing times.
TEST(Memory, CapacityFromQueueingTimes) {
  const Boot b{"llama-3.1-70b", "fp8", "fp8", "h200-sxm", kVllm, "0.11", {1, 1, 1, 1}, 0.9, 512, 8192, 0, 0, 0, 0};
  EXPECT_NEAR(predict(b).tokens, 361e3, 0.03 * 361e3);
}

// The published table states no limits of a step: those are defaults.
TEST(Memory, PublishedCacheTokens) {
  const Boot kimi{"kimi-k2.5", "nvfp4", "fp8", "gb300-nvl72", kVllm, "0.21", {4, 1, 1, 1}, 0.9, 0, 0, 0, 0, 0, 0};
  const Boot rtx{"llama-3.1-8b", "bf16", "bf16", "rtx-4090", kVllm, "0.19.0", {1, 1, 1, 1}, 0.9, 0, 0, 0, 0, 0, 0};
  EXPECT_NEAR(predict(kimi).tokens / 3098848, 1, 0.02);
  EXPECT_NEAR(predict(rtx).tokens / 41408, 1, 0.02);  // 2,588 blocks of 16
}

// Bytes of a token's cache: engines print the pool and its tokens.
TEST(Memory, BytesOfAToken) {
  static const catalog::Catalog facts = catalog::Catalog::builtin();
  const auto slope = [](std::string_view name, model::CacheFormat format) {
    const auto model = *model::parse_entry((*facts.find_model(name))->json, name);
    return model::cache_slope(model::cache_groups(model, format));
  };
  EXPECT_NEAR(slope("deepseek-v3", model::CacheFormat::fp8) / (23.21e9 / 660491), 1, 0.02);      // R1, TensorRT-LLM 1.3.0rc8: 61 x 576
  EXPECT_NEAR(slope("kimi-k2.5", model::CacheFormat::fp8) / (101.4 * kGiB / 3098848), 1, 0.02);  // vLLM 0.21
  // V3.2 keeps plain fp8 rows there (576 B and 132 B of index); elsewhere 656 B, with scales and a 16-bit rope part.
  EXPECT_NEAR(slope("deepseek-v3.2", model::CacheFormat::fp8_plain) / (28.32e9 / 655758), 1, 0.02);
}

// vLLM's pool of DeepSeek-V4, by hand. Pages in multiples of 576 bytes: 64 entries of 584 bytes are 37,440, 2 are 1,728, 64 index keys of
// 132 are 8,640; states 32,832, padded to 37,440, and 8,640. Pro has 30 layers of ratio 4 and 31 of ratio 128, Flash 21 and 20 of 43.
TEST(VllmPages, DeepSeekV4) {
  static const catalog::Catalog facts = catalog::Catalog::builtin();
  const auto pages = [](std::string_view name) {
    return *serve::vllm_pages(*model::parse_entry((*facts.find_model(name))->json, name), model::CacheFormat::fp8);
  };
  const auto pro = pages("deepseek-v4-pro"), flash = pages("deepseek-v4-flash");
  EXPECT_EQ(pro.block_bytes, 31 * 37440 + 30 * 8640 + 31 * 1728);
  EXPECT_EQ(flash.block_bytes, 22 * 37440 + 21 * 8640 + 20 * 1728);
  EXPECT_EQ(pro.full_bytes, 30 * (37440 + 8640) + 31 * 1728);
  // A million tokens take 3,907 blocks, and with 8,192 in flight 131 + 2,051 + 1,041 pages of what slides: 6,932 by their bytes. vLLM 0.21
  // printed this size for 28,446 blocks, a fork of 0.26 that of Flash.
  EXPECT_EQ(pro.printed_tokens(28446, 1000000, 8192), 4103577);
  EXPECT_EQ(flash.printed_tokens(51287, 600000, 8192), 5791869);
  EXPECT_FALSE(serve::vllm_pages(*model::parse_entry((*facts.find_model("deepseek-v3"))->json, "x"), model::CacheFormat::fp8));
}

}  // namespace
}  // namespace jevons::evidence
