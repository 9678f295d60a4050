// Adapters: bytes of a slot by hand, the order of the two caches, who is skipped, what steps take.
#include "serve/lora.hpp"

#include <gtest/gtest.h>

#include "serve/simulate.hpp"
#include "step/linear_step.hpp"

namespace jevons::serve {
namespace {

constexpr SimTime kMs = 1'000'000;

TEST(Lora, SlotBytesOfLlama8B) {
  const auto facts = catalog::Catalog::builtin();
  const auto model = *model::parse_entry((*facts.find_model("llama-3.1-8b"))->json, "x");
  step::Subject s;
  s.model = &model;
  s.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, "h100-sxm"));
  // One layer at rank 16: A of q, k, v 3 x 4096, B 4096 + 1024 + 1024; out 4096 + 4096; A of gate and up 2 x 4096, B 2 x 14336;
  // down 14336 + 4096: 81,920 values a rank. x 16 x 32 layers x 2 bytes. The adapter itself, 41,943,040 parameters, is what PEFT counts for
  // all linear layers at rank 16.
  const auto one = *lora_model(facts, s, {1, 1, 1, 1}, 16);
  EXPECT_EQ(one.slot_bytes, 81920.0 * 16 * 32 * 2);
  EXPECT_EQ(one.slot_bytes / 2, 41'943'040);
  // Two ranks: A of q, k, v, gate and up and B of out and down stay whole: (3 + 1 + 2 + 1) x 4096; the other half of the values halves.
  const auto two = *lora_model(facts, s, {2, 1, 1, 1}, 16);
  EXPECT_EQ(two.slot_bytes, (28672 + (81920.0 - 28672) / 2) * 16 * 32 * 2);
  EXPECT_EQ(lora_model(facts, s, {1, 1, 1, 1}, 64)->slot_bytes, 4 * one.slot_bytes);
  // 83.9 MB over 64 GB/s x 0.83 = 1.58 ms; read at 0.8 of 3.35 TB/s: 31 us.
  EXPECT_NEAR(step::seconds_of(one.cost.load), 1.58e-3, 1e-5);
  EXPECT_NEAR(step::seconds_of(one.cost.each), 31.3e-6, 1e-6);
  const auto experts = *model::parse_entry((*facts.find_model("mixtral-8x7b"))->json, "x");
  s.model = &experts;
  EXPECT_FALSE(lora_model(facts, s, {1, 1, 1, 1}, 16));
}

TEST(Lora, SlotsAndHostMemoryForgetTheLeastRecentlyUsed) {
  AdapterSlots slots(6, 2, 3);
  const auto once = [&](std::int32_t a) {
    const auto f = slots.join(a);
    slots.leave(a);
    return std::pair(f.load, f.read);
  };
  EXPECT_EQ(once(0), std::pair(true, true));
  EXPECT_EQ(once(1), std::pair(true, true));
  EXPECT_EQ(once(0), std::pair(false, false));
  EXPECT_EQ(once(2), std::pair(true, true));  // takes the slot of 1, which stays in host memory
  EXPECT_EQ(once(0), std::pair(false, false));
  EXPECT_EQ(once(1), std::pair(true, false));  // from host memory into the slot of 2
  EXPECT_EQ(once(3), std::pair(true, true));   // host memory keeps 0, 1, 3
  EXPECT_EQ(once(2), std::pair(true, true));
  slots.join(4);
  slots.join(5);
  EXPECT_TRUE(slots.full());
}

// One slot: 10 ms a step, 2 ms more with an adapter, 5 ms to load one, prompts of one token, one output each unless said.
struct OneSlot {
  EnginePolicy policy = defaults_of(Engine::vllm);
  step::StepForm form = step::form_of({10e-3, 0, 0, 0, 0, 0}, 256, 2048);
  traffic::Workload w;
  OneSlot(std::vector<std::int32_t> adapters, std::vector<std::int32_t> outputs) {
    policy.enable_lora = true;
    policy.lag = 0;
    for (std::size_t i = 0; i < adapters.size(); ++i) {
      w.requests.arrival.push_back(0);
      w.requests.input_tokens.push_back(1);
      w.requests.output_tokens.push_back(outputs[i]);
    }
    w.requests.adapter = std::move(adapters);
  }
  Simulation run() const {
    Deployment d;
    d.pools = {{.policy = policy, .form = &form, .blocks = 1000, .lora = {2 * kTick, 0, 5 * kTick, 0}}};
    return *simulate(d, w);
  }
  static constexpr step::Ticks kTick = kMs << step::kTickBits;
};

TEST(Lora, ARequestWithoutASlotIsSkippedAndKeepsItsPlace) {
  // Adapter 0 runs two steps; adapter 1 waits for its slot, while no adapter and adapter 0 behind it go ahead.
  const auto sim = OneSlot({0, 1, -1, 0}, {2, 1, 1, 1}).run();
  const auto& o = sim.outcomes;
  // Loading 5, kernels 2, step 10: everything but adapter 1 ends its first token at 17 ms.
  EXPECT_EQ(o.first_token, (std::vector<SimTime>{17 * kMs, 46 * kMs, 17 * kMs, 17 * kMs}));
  // Then a step with adapter 0 alone, 12 ms, to 29; then adapter 1 with its load, 17 ms, to 46.
  EXPECT_EQ(o.finished[0], 29 * kMs);
  EXPECT_EQ(o.scheduled[1], 29 * kMs);
  EXPECT_EQ(o.finished[1], 46 * kMs);
  EXPECT_EQ(sim.replicas[0].adapter_loads, 2);
  EXPECT_EQ(sim.replicas[0].adapter_passed, 2);
  EXPECT_EQ(sim.replicas[0].adapter_ticks, Int128(2 * 5 + 3 * 2) * OneSlot::kTick);
}

TEST(Lora, EachOptionMovesTheResult) {
  OneSlot base({0, 1, 2, 0, 1, 2, 0, 1, 2}, {3, 3, 3, 3, 3, 3, 3, 3, 3});
  const auto makespan = [](const OneSlot& x) { return x.run().end; };
  OneSlot more = base;
  more.policy.max_loras = 3;
  EXPECT_LT(makespan(more), makespan(base));
  OneSlot none = base;
  none.w.requests.adapter.assign(9, traffic::kNoAdapter);
  EXPECT_LT(makespan(none), makespan(more));
  EXPECT_EQ(base.run().replicas[0].adapter_reads, 3);  // all three users of an adapter run together
}

TEST(Lora, WhatIsRefused) {
  OneSlot x({0}, {1});
  Deployment d;
  d.pools = {{.policy = x.policy, .form = &x.form, .blocks = 1000, .ranks = 2}};
  EXPECT_FALSE(simulate(d, x.w));
  d.pools[0].ranks = 1;
  d.pools[0].policy.enable_lora = false;
  EXPECT_FALSE(simulate(d, x.w));  // adapters that the engine does not load
  EnginePolicy p = defaults_of(Engine::vllm);
  p.max_loras = 2;
  EXPECT_FALSE(checked(p));
  p.enable_lora = true;
  EXPECT_TRUE(checked(p));
  p.max_cpu_loras = 1;
  EXPECT_FALSE(checked(p));
  p.max_cpu_loras = 2;
  p.max_lora_rank = 20;
  EXPECT_FALSE(checked(p));
  p.engine = Engine::sglang;
  EXPECT_FALSE(set_option(p, "enable-lora", "true"));
}

}  // namespace
}  // namespace jevons::serve
