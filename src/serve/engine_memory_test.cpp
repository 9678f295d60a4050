// Rules of each engine by hand; start-up logs: evidence/memory_test.cpp.
#include "serve/engine_memory.hpp"

#include <gtest/gtest.h>

namespace jevons::serve {
namespace {

const catalog::Catalog& facts() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}

struct World {
  model::Model model;
  step::Subject subject;
  World(std::string_view name, std::string_view chip) : model{*model::parse_entry((*facts().find_model(name))->json, "x")} {
    subject.model = &model;
    subject.parameters = model::parameters(model);
    subject.weights = *model::weight_scheme(model, "native");
    subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
    subject.cache = model::cache_groups(model, model::CacheFormat::bf16);
    subject.chip = catalog::accelerator(**facts().find(catalog::Section::accelerator, chip));
  }
};

EnginePolicy policy(Engine e, int seqs, int tokens) {
  EnginePolicy p = defaults_of(e, 85e9);
  p.max_num_seqs = seqs;
  (e == Engine::sglang ? p.chunk : p.max_num_batched_tokens) = tokens;
  return p;
}

TEST(EngineMemory, VllmActivationsAreTheLargerOfTwoMoments) {
  World w("llama-3.1-8b", "h100-sxm");
  // Few sequences: a layer of 8,192 tokens, hidden 4,096: residual and input, gate, up and their product of 14,336 each, in bf16.
  ASSERT_TRUE(share_memory(facts(), policy(Engine::vllm, 8, 8192), {}, 0.9, w.subject, "0.19.0"));
  EXPECT_DOUBLE_EQ(w.subject.reserve.activations, 8192.0 * 2 * (2 * 4096 + 3 * 14336));
  EXPECT_EQ(w.subject.reserve.graphs, 0);  // outside the budget before 0.21
  // Many: 1,024 sequences sample from 128,256 words, 36 bytes each while the sampler sorts and 12 since, beside 8,192 hidden states.
  ASSERT_TRUE(share_memory(facts(), policy(Engine::vllm, 1024, 8192), {}, 0.9, w.subject, "0.19.0"));
  EXPECT_DOUBLE_EQ(w.subject.reserve.activations, 1024.0 * 128256 * 36 + 8192.0 * 2 * 4096);
  ASSERT_TRUE(share_memory(facts(), policy(Engine::vllm, 1024, 8192), {}, 0.9, w.subject));
  EXPECT_DOUBLE_EQ(w.subject.reserve.activations, 1024.0 * 128256 * 12 + 8192.0 * 2 * 4096);
  // 51 sizes up to 512, in pieces and whole, 32 layers.
  EXPECT_NEAR(w.subject.reserve.graphs, 51 * 32 * (0.4e6 + 0.16e6), 1);
  ASSERT_TRUE(share_memory(facts(), policy(Engine::vllm, 1024, 8192), {.pp = 2}, 0.9, w.subject));
  EXPECT_NEAR(w.subject.reserve.graphs, 51 * 16 * (0.4e6 + 0.16e6), 1);
}

TEST(EngineMemory, DefaultsOfEachEngine) {
  World w("llama-3.1-8b", "h100-sxm");
  ASSERT_TRUE(share_memory(facts(), policy(Engine::vllm, 256, 8192), {}, {}, w.subject));
  EXPECT_EQ(w.subject.memory_utilization, 0.92);
  ASSERT_TRUE(share_memory(facts(), policy(Engine::vllm, 256, 8192), {}, {}, w.subject, "0.20.2"));
  EXPECT_EQ(w.subject.memory_utilization, 0.9);
  ASSERT_TRUE(share_memory(facts(), policy(Engine::trtllm, 256, 8192), {}, {}, w.subject));
  EXPECT_EQ(w.subject.memory_utilization, 0.9);
  EXPECT_TRUE(w.subject.of_rest);
  // SGLang on 81,083 MiB: 512 + 1.5 x 8,192 + 1,024/8 + 2 x 256 = 13,440 MiB are left free: 0.834.
  ASSERT_TRUE(share_memory(facts(), policy(Engine::sglang, 256, 8192), {}, {}, w.subject));
  EXPECT_NEAR(w.subject.memory_utilization, 0.834, 0.0011);
  EXPECT_EQ(w.subject.reserve.activations, 0);  // they live in what is left
}

// The cache of SGLang is fraction x (memory - what runs before loading) - weights.
TEST(EngineMemory, SglangTakesItsShareOfWhatIsFreeBeforeLoading) {
  World w("llama-3.1-8b", "h100-sxm");
  ASSERT_TRUE(share_memory(facts(), policy(Engine::sglang, 256, 8192), {}, 0.88, w.subject));
  const step::Memory m = step::memory(w.subject, {});
  EXPECT_NEAR(m.for_cache, 0.88 * (step::card_memory(w.subject.chip) - 0.8e9) - m.weights, 1);
}

}  // namespace
}  // namespace jevons::serve
