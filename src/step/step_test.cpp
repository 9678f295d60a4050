#include <gtest/gtest.h>

#include <cmath>

#include "step/step_time.hpp"

namespace jevons::step {
namespace {

const catalog::Catalog& facts() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}

struct World {
  model::Model model;
  Subject subject;
  World(std::string_view name, std::string_view chip, std::string_view weights = "native",
        model::CacheFormat cache = model::CacheFormat::bf16)
      : model{*model::parse_entry((*facts().find_model(name))->json, "x")} {
    subject.model = &model;
    subject.parameters = model::parameters(model);
    subject.weights = *model::weight_scheme(model, weights);
    subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
    subject.cache_format = cache;
    subject.cache = model::cache_groups(model, cache);
    subject.chip = catalog::accelerator(**facts().find(catalog::Section::accelerator, chip));
  }
  StepTime time(const Placement& p) const { return *StepTime::make(facts(), subject, p); }
};

TEST(Placement, RefusesWhatDoesNotDivide) {
  const World w("llama-3.1-8b", "h100-sxm"), moe("deepseek-v3", "h200-sxm");
  EXPECT_TRUE(check_placement(w.model, {8, 1, 1, 1}));
  EXPECT_FALSE(check_placement(w.model, {3, 1, 1, 1}));    // 32 heads
  EXPECT_FALSE(check_placement(w.model, {2, 1, 1, 2}));    // no experts
  EXPECT_FALSE(check_placement(w.model, {1, 64, 1, 1}));   // 32 layers
  EXPECT_FALSE(check_placement(moe.model, {8, 1, 1, 3}));  // 256 experts, 8 ranks
  EXPECT_FALSE(check_placement(moe.model, {0, 1, 1, 1}));
}

TEST(Memory, HandWorkedLlama70B) {
  // H200, bf16, TP2: (141.107 GB of weights - norms)/2 each; cache 327,680 B a token, eight KV heads over two ranks: 163,840.
  World w("llama-3.1-70b", "h200-sxm");
  w.subject.reserve.activations = 3e9, w.subject.reserve.runtime = 1e9;
  const Memory m = memory(w.subject, {2, 1, 1, 1});
  EXPECT_NEAR(m.weights, 2.0 * 70553706496 / 2, 3e6);
  EXPECT_NEAR(m.capacity, 0.9 * 150.12e9, 1);
  EXPECT_EQ(rank_cache(w.subject, {2, 1, 1, 1}, 1000), 163840e3);
  EXPECT_EQ(rank_cache(w.subject, {16, 1, 1, 1}, 1000), 327680e3 / 8);  // more ranks than KV heads share no further
  EXPECT_EQ(sequences_that_fit(w.subject, {2, 1, 1, 1}, 1000), std::floor((0.9 * 150.12e9 - m.weights - 4e9) / 163840e3));
  w.subject.of_rest = true;  // 0.9 of what weights and reserve leave
  EXPECT_NEAR(memory(w.subject, {2, 1, 1, 1}).for_cache, 0.9 * (150.12e9 - m.weights - 4e9), 1);
}

TEST(Memory, WhatTensorParallelismDoesNotSplit) {
  // DeepSeek-V3 attention: down-projections 7168 x (1536 + 512 + 64) stay whole; the rest of a layer's 187,107,328 is split.
  const World v3("deepseek-v3", "h200-sxm");
  const auto& layer = v3.model.kinds.front().layer;
  const double all = double(model::layer_parameters(layer, 7168)[model::Group::attn]), down = 7168.0 * 2112;
  EXPECT_EQ(rank_parameters(layer, 7168, model::Group::attn, all, 8), down + (all - down) / 8);
  // Llama-70B on 16 ranks: eight KV heads of 128, so each is held twice: 2 x 8192 x 128 a rank.
  const World llama("llama-3.1-70b", "h200-sxm");
  const auto& l = llama.model.kinds.front().layer;
  EXPECT_EQ(rank_parameters(l, 8192, model::Group::attn, 2.0 * 8192 * 8192 + 2.0 * 8192 * 1024, 16),
            2.0 * 8192 * 8192 / 16 + 2.0 * 8192 * 128);
  EXPECT_EQ(rank_parameters(l, 8192, model::Group::dense_ffn, 100, 4), 25);
  // One rank holds everything, however it is counted.
  for (const auto* m : facts().models()) {
    const World w(m->name, "b200-sxm");
    EXPECT_NEAR(rank_weights(w.subject, {1, 1, 1, 1}) / w.subject.weight_bytes.total(), 1, 1e-9) << m->name;
  }
}

// DeepSeek-V3, TP8: every rank holds the 70,272 B of a token's latents; split over 8 by position, an eighth. Eight times as many fit.
TEST(Memory, DecodeContextParallelismSplitsLatents) {
  const World w("deepseek-v3", "h200-sxm");
  EXPECT_EQ(rank_cache(w.subject, {.tp = 8}, 1000), 61.0 * 576 * 2 * 1000);
  EXPECT_EQ(rank_cache(w.subject, {.tp = 8, .dcp = 8}, 1000), 61.0 * 576 * 2 * 1000 / 8);
  EXPECT_NEAR(sequences_that_fit(w.subject, {.tp = 8, .dcp = 8}, 10000) / sequences_that_fit(w.subject, {.tp = 8}, 10000), 8, 0.1);
  EXPECT_EQ(name(Placement{.tp = 8, .dcp = 8}), "TP8 DCP8");
  EXPECT_FALSE(check_placement(w.model, {.tp = 8, .dcp = 3}));
  const World gqa("llama-3.1-70b", "h200-sxm");  // eight KV heads: on 8 ranks none is held twice, on 16 each is
  EXPECT_FALSE(check_placement(gqa.model, {.tp = 8, .dcp = 2}));
  EXPECT_TRUE(check_placement(gqa.model, {.tp = 16, .dcp = 2}));
}

// Of a decode step only cache reads and two halves of an all-reduce change: queries of 576 and outputs of 512 values for 128 heads.
TEST(StepTime, DecodeContextParallelismTradesReadsForTwoCollectives) {
  const World w("deepseek-v3", "h200-sxm");
  const StepTime plain = w.time({.tp = 8, .ep = 8}), split = w.time({.tp = 8, .ep = 8, .dcp = 8});
  const auto term = [](const StepTime& t, const Step& s, std::string_view name) {
    for (const auto& x : t.terms(s)) {
      if (x.name == name) return x.seconds;
    }
    return -1.0;
  };
  const Step longer{32, 100000, 0, 0}, shorter{32, 200, 0, 0};
  for (const auto* same : {"dense products", "experts", "short kernels", "host"})
    EXPECT_EQ(term(plain, longer, same), term(split, longer, same)) << same;
  EXPECT_LT(term(split, longer, "attention over the cache"), 0.6 * term(plain, longer, "attention over the cache"));
  EXPECT_GT(term(split, longer, "communication"), term(plain, longer, "communication"));
  EXPECT_EQ(term(split, longer, "communication"), term(split, shorter, "communication"));
  EXPECT_LT(split.seconds(longer), plain.seconds(longer));    // long contexts gain
  EXPECT_GT(split.seconds(shorter), plain.seconds(shorter));  // short ones pay for the exchange
  EXPECT_EQ(plain.seconds({0, 0, 4096, 0}), split.seconds({0, 0, 4096, 0}));
}

// DeepSeek-V3 on 32 H200 across the network: with halves that overlap a step is never longer, never shorter than what it computes, and
// prompts hide their whole exchange.
TEST(StepTime, TwoBatchesHideTheExchange) {
  const World w("deepseek-v3", "h200-sxm");
  World halves("deepseek-v3", "h200-sxm");
  halves.subject.two_batch_overlap = true;
  const Placement wide{.dp = 32, .ep = 32};
  const StepTime plain = w.time(wide), both = halves.time(wide);
  const auto sum_of = [](const StepTime& t, const Step& s, std::string_view but) {
    double sum = 0;
    for (const auto& x : t.terms(s)) sum += x.name == but ? 0 : x.seconds;
    return sum;
  };
  for (const double batch : {32.0, 512.0, 4096.0, 16384.0}) {
    const Step s{batch, 4000, 0, 0};
    EXPECT_LE(both.seconds(s), plain.seconds(s));
    EXPECT_GE(both.seconds(s), sum_of(plain, s, "communication"));
  }
  EXPECT_LT(both.token_seconds(32 * 8192), 0.95 * plain.token_seconds(32 * 8192));
  EXPECT_EQ(both.seconds({32, 4000, 0, 0}), plain.seconds({32, 4000, 0, 0}));  // one sequence a rank: reading weights twice costs more
}

TEST(Memory, LatentsAreHeldByEveryRank) {
  const World w("deepseek-v3", "h200-sxm");
  EXPECT_EQ(rank_cache(w.subject, {8, 1, 1, 1}, 1000), 70272e3);
  EXPECT_EQ(rank_cache(w.subject, {1, 1, 8, 8}, 1000), 70272e3);  // but each attention rank holds only its own sequences
  EXPECT_GT(sequences_that_fit(w.subject, {1, 1, 8, 8}, 10000), 5 * sequences_that_fit(w.subject, {8, 1, 1, 1}, 10000));
}

TEST(StepTime, NeverBelowTheWeightsOverTheBandwidth) {
  for (const auto* name : {"llama-3.1-8b", "llama-3.1-70b", "qwen3-32b"}) {
    const World w(name, "h100-sxm");
    const StepTime t = w.time({4, 1, 1, 1});
    const double bound = (w.subject.weight_bytes.total() - w.subject.weight_bytes[model::Group::embed]) / 4 / 3.35e12;
    EXPECT_GT(t.seconds({1, 100, 0, 0}), bound);
    EXPECT_LT(t.seconds({1, 100, 0, 0}), 6 * bound);
  }
}

TEST(StepTime, PublishedPoints) {
  // Published serving benchmarks at low concurrency, TPOT in ms: the step alone is most of it. Within the band of 20 %.
  const World llama("llama-3.1-70b", "h200-sxm", "fp8");
  EXPECT_NEAR(llama.time({1, 1, 1, 1}).seconds({4, 1400, 0, 0}) * 1e3, 20.0,
              4.0);  // 73 % of the weight-streaming bound (70.6 GB / 4.8 TB/s = 14.7 ms)
}

TEST(StepTime, MonotoneInEverything) {
  const World w("deepseek-v3.2", "b200-sxm");
  const StepTime t = w.time({4, 1, 2, 8});
  double last = 0;
  for (const double b : {1.0, 4.0, 16.0, 64.0, 256.0}) {
    const double s = t.seconds({b, 4000, 0, 0});
    EXPECT_GT(s, last);
    EXPECT_GT(t.seconds({b, 40000, 0, 0}), s);
    EXPECT_GT(t.seconds({b, 4000, 1000, 0}), s);
    EXPECT_GE(t.seconds({b, 4000, 1000, 50000}), t.seconds({b, 4000, 1000, 0}));
    last = s;
  }
}

TEST(StepTime, TermsSumToTheStep) {
  const World w("kimi-k2.5", "b200-sxm");
  const StepTime t = w.time({8, 1, 1, 8});
  const Step x{32, 8000, 512, 0};
  double sum = 0;
  for (const auto& term : t.terms(x)) sum += term.seconds;
  EXPECT_NEAR(sum, t.seconds(x), 1e-12);
}

TEST(StepTime, PrefillNeverBeatsThePeak) {
  for (const auto* name : {"llama-3.1-8b", "deepseek-v3", "deepseek-v4-pro", "qwen3.5-397b-a17b", "minimax-m3"}) {
    const World w(name, "b200-sxm");
    const StepTime t = w.time({8, 1, 1, 1});
    EXPECT_GT(t.seconds({0, 0, 8192, 0}), t.prefill_bound(8192, 0)) << name;
  }
}

TEST(StepTime, EveryModelOnEveryUsableChip) {
  for (const auto* chip : facts().things(catalog::Section::accelerator)) {
    for (const auto* m : facts().models()) {
      const World w(m->name, chip->name);
      const auto t = StepTime::make(facts(), w.subject, {1, 1, 1, 1});
      if (!t) {
        EXPECT_NE(t.error().hint.find("--catalog"), std::string::npos);  // a fact is missing, and the message says which
        break;
      }
      const double s = t->seconds({8, 1000, 100, 0});
      EXPECT_TRUE(std::isfinite(s) && s > 0) << chip->name << m->name;
    }
  }
}

TEST(StepTime, MissingFactsAreNamed) {
  const World w("llama-3.1-8b", "kunlun-p800");
  EXPECT_EQ(StepTime::make(facts(), w.subject, {1, 1, 1, 1}).error().key, "peak_bf16");
}

// 16 H100 in two servers of eight: each all-reduce of one token's 16,384 bf16 values adds a ring of two over the network, 2 messages of 10
// us and 2 x 1/2 x 32,768 / 8 bytes at 400 Gbit/s; a domain of sixteen would pay a third more latency instead. 126 layers, two reductions
// each.
TEST(StepTime, TensorParallelismBeyondTheDomainCrossesTheNetwork) {
  World w("llama-3.1-405b", "h100-sxm", "fp8");
  const Step decode{1, 1000, 0, 0};
  const double two_servers = w.time({16, 1, 1, 1}).seconds(decode);
  w.subject.chip.scaleup_domain = 16;
  const StepTime one = w.time({16, 1, 1, 1});
  const double across = 2 * 10e-6 + 32768 / 8 / 50e9,
               latency = one.constants().allreduce[2].floor / 3 * one.served()[Fit::allreduce_latency];
  EXPECT_NEAR(two_servers - one.seconds(decode), 252 * (across - latency), 1e-9);
  w.subject.chip.scaleup_domain = 8;
  w.subject.chip.scaleout_bandwidth.reset();
  EXPECT_FALSE(StepTime::make(facts(), w.subject, {16, 1, 1, 1}));
  EXPECT_TRUE(StepTime::make(facts(), w.subject, {8, 1, 1, 1}));
}

}  // namespace
}  // namespace jevons::step
