// Cache tiers: what a tier keeps, times by hand, who waits, and that found tokens are those of one large cache.
#include "serve/tiers.hpp"

#include <gtest/gtest.h>

#include "serve/simulate.hpp"
#include "step/linear_step.hpp"
#include "traffic/generate.hpp"

namespace jevons::serve {
namespace {

constexpr SimTime kMs = 1'000'000;
constexpr step::Ticks kTick = kMs << step::kTickBits;

TEST(TierCache, KeepsTheLatestAndForgetsFromTheEnd) {
  TierCache c(10);
  std::vector<TierCache::Range> left;
  EXPECT_EQ(c.add({1, 0, 4}, 0, left), 4);
  EXPECT_EQ(c.add({2, 0, 4}, 0, left), 4);
  EXPECT_EQ(c.add({1, 0, 4}, 0, left), 0);  // used again: now 2 is the oldest
  EXPECT_EQ(c.add({3, 0, 5}, 0, left), 5);
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].id, 2u);
  EXPECT_EQ(left[0].low, 1);
  EXPECT_EQ(left[0].high, 4);
  EXPECT_EQ(c.readable(2, 0).high, 1);
  EXPECT_EQ(c.used(), 10);
  // From the end on, as an accelerator drops them: what is between is written too.
  TierCache d(100);
  EXPECT_EQ(d.add({7, 8, 9}, 0, left), 1);
  EXPECT_EQ(d.add({7, 7, 8}, 0, left), 1);
  EXPECT_EQ(d.add({7, 11, 12}, 0, left), 3);
  EXPECT_EQ(d.readable(7, 0).low, 7);
  EXPECT_EQ(d.readable(7, 0).high, 12);
  // On its way: readable from `ready` on, what was there before at once.
  d.settle(7, 50);
  EXPECT_EQ(d.readable(7, 49).high, 9);
  EXPECT_EQ(d.readable(7, 50).high, 12);
}

// Two prompts of 64 tokens with the same 4 blocks, and a third of its own between them that takes the whole accelerator: 5 blocks. 10 ms a
// step and 1 ms a prompt token; blocks cost 2 ms of link to read and 3 to write, latency 1 ms.
struct Three {
  EnginePolicy policy = defaults_of(Engine::vllm);
  step::StepForm form = step::form_of({10e-3, 0, 0, 1e-3, 0, 0}, 256, 2048);
  traffic::Workload w;
  TierSet tiers;
  Three() {
    policy.lag = 0;
    w.requests.arrival = {0, 200 * kMs, 400 * kMs};
    w.requests.input_tokens = {65, 65, 65};
    w.requests.output_tokens = {1, 1, 1};
    w.requests.prefix = {16, {0, 1, 2, 3}, {{1000, 4}, {2000, 4}, {1000, 4}}};
    tiers.tier[0] = {100, 2 * kTick, 3 * kTick, kTick};
  }
  Simulation run() const {
    Deployment d;
    d.pools = {{.policy = policy, .form = &form, .blocks = 6, .tiers = tiers}};
    const auto sim = simulate(d, w);
    EXPECT_TRUE(sim) << sim.error().message();
    return *sim;
  }
};

TEST(Tiers, AFetchByHand) {
  Three x;
  const auto sim = x.run();
  const auto& o = sim.outcomes;
  const Counters& c = sim.replicas[0];
  // 10 + 65 = 75 ms a prompt computed whole.
  EXPECT_EQ(o.first_token[0], 75 * kMs);
  EXPECT_EQ(o.first_token[1], 275 * kMs);
  // The third finds 4 blocks in host memory, 4 x 2 + 1 = 9 ms, sooner than computing them; then one token: 11 ms.
  EXPECT_EQ(o.scheduled[2], 409 * kMs);
  EXPECT_EQ(o.first_token[2], 420 * kMs);
  EXPECT_EQ(o.cached[2], 64);
  EXPECT_EQ(c.tier_tokens[0], 64);
  EXPECT_EQ(c.cached_tokens, 0);
  EXPECT_EQ(c.fetches, 1);
  EXPECT_EQ(c.fetch_ticks, Int128(9) * kTick);
  EXPECT_EQ(c.tier_written[0], 8);
  EXPECT_EQ(c.prefill_tokens, 65 + 65 + 1);
}

TEST(Tiers, FetchOrComputeWhicheverIsFaster) {
  Three x;
  x.tiers.tier[0].read = 20 * kTick;  // 81 ms, more than the 64 that computing takes
  const auto slow = x.run();
  EXPECT_EQ(slow.outcomes.first_token[2], 475 * kMs);
  EXPECT_EQ(slow.replicas[0].tier_recomputed, 64);
  x.tiers.fetch = FetchPolicy::always;
  EXPECT_EQ(x.run().outcomes.first_token[2], (400 + 81 + 11) * kMs);
  // The start of the prompt on a fast tier, the rest on a slow one: the fast part is fetched, the rest computed. Host memory has room for 6
  // blocks: the second content's 4 leave 2 of the first. 2 x 2 + 1 ms, then a step of 10 + 33.
  Three y;
  y.tiers.tier = {TierSpec{6, 2 * kTick, 0, kTick}, TierSpec{100, 20 * kTick, 0, kTick}, TierSpec{}};
  const auto both = y.run();
  EXPECT_EQ(both.replicas[0].tier_tokens[0], 32);
  EXPECT_EQ(both.replicas[0].tier_tokens[1], 0);
  EXPECT_EQ(both.replicas[0].tier_recomputed, 32);
  EXPECT_EQ(both.outcomes.first_token[2], (400 + 5 + 43) * kMs);
}

TEST(Tiers, OthersGoOnWhileARequestWaits) {
  Three x;
  x.w.requests.arrival = {0, 200 * kMs, 400 * kMs, 401 * kMs};
  x.w.requests.input_tokens.push_back(10);
  x.w.requests.output_tokens.push_back(1);
  x.w.requests.prefix.offset.push_back(3);
  x.tiers.tier[0].read = 10 * kTick;
  Deployment d;
  d.pools = {{.policy = x.policy, .form = &x.form, .blocks = 8, .tiers = x.tiers}};
  const auto sim = *simulate(d, x.w);
  // The second prompt took three empty blocks and two of the first content's: two are left, two are fetched in 2 x 10 + 1 ms. The fourth,
  // 10 + 10 ms, runs meanwhile.
  EXPECT_EQ(sim.outcomes.cached[2], 64);
  EXPECT_EQ(sim.replicas[0].tier_tokens[0], 32);
  EXPECT_EQ(sim.outcomes.scheduled[3], 401 * kMs);
  EXPECT_EQ(sim.outcomes.first_token[3], 421 * kMs);
  EXPECT_EQ(sim.outcomes.scheduled[2], 421 * kMs);
}

TEST(Tiers, TheLinkIsShared) {
  Three x;  // two contents, a prompt that takes all 11 blocks, then both contents again at once
  x.w.requests.arrival = {0, 200 * kMs, 400 * kMs, 800 * kMs, 800 * kMs};
  x.w.requests.input_tokens = {65, 65, 161, 65, 65};
  x.w.requests.output_tokens.assign(5, 1);
  x.w.requests.prefix = {16, {0, 1, 2, 3, 4, 5}, {{1000, 4}, {2000, 4}, {3000, 10}, {1000, 4}, {2000, 4}}};
  Deployment d;
  d.pools = {{.policy = x.policy, .form = &x.form, .blocks = 12, .tiers = x.tiers}};
  const auto sim = *simulate(d, x.w);
  // 4 x 2 + 1 ms; the other one's transfer follows on the link: 8 x 2 + 1 ms, and it starts when the first one's step of 11 ms has ended.
  EXPECT_EQ(sim.outcomes.scheduled[3], 809 * kMs);
  EXPECT_EQ(sim.outcomes.scheduled[4], 820 * kMs);
  EXPECT_EQ(sim.replicas[0].fetch_ticks, Int128(9 + 17) * kTick);
}

TEST(Tiers, WriteBackWritesWhatIsDropped) {
  Three x;
  x.tiers.write = WritePolicy::write_back;
  const auto sim = x.run();
  // The second prompt drops the first one's 4 blocks, the third the second's.
  EXPECT_EQ(sim.replicas[0].tier_written[0], sim.replicas[0].evicted_blocks);
  EXPECT_EQ(sim.outcomes.first_token[2], 420 * kMs);
  // A tier one block large passes them on.
  x.tiers.tier = {TierSpec{1, kTick, kTick, 0}, TierSpec{100, kTick, kTick, 0}, TierSpec{}};
  const auto two = x.run();
  EXPECT_GT(two.replicas[0].tier_tokens[1], 0);
}

// Requests far apart, tiers without limit, everything fetched: what is found is what one cache without limit would have.
TEST(Tiers, TogetherTheyAreOneLargeCache) {
  traffic::GenerateSpec spec;
  spec.num_requests = 600;
  spec.block_tokens = 32;
  spec.release = traffic::Release::recorded;
  spec.classes.resize(1);
  auto& c = spec.classes[0];
  c.input = traffic::LogNormal{200, 1};
  c.output = traffic::LogNormal{60, 1};
  c.shared_prompt_tokens = 100;
  c.shared_prompts = 5;
  c.arrivals.rate_per_s = 0.02;
  c.session = traffic::SessionLaw{traffic::Uniform{1, 8}, traffic::LogNormal{60, 1}, traffic::Exponential{500}, {}};
  traffic::Workload w;
  w.requests = *traffic::generate(spec, {3});
  EnginePolicy p = defaults_of(Engine::vllm);
  const auto form = step::form_of({1e-3, 0, 0, 1e-5, 0, 0}, p.max_num_seqs, p.max_num_batched_tokens);
  Deployment d;
  d.pools = {{.policy = p, .form = &form, .blocks = 10'000'000}};
  const auto large = *simulate(d, w);
  EXPECT_GT(large.replicas[0].cached_tokens, 50'000);
  for (const auto write : {WritePolicy::write_through, WritePolicy::write_back}) {
    d.pools[0].blocks = 400;
    d.pools[0].tiers = {
        {TierSpec{1200, 1000, 1000, 0}, TierSpec{2500, 2000, 1000, 0}, TierSpec{10'000'000, 3000, 1000, 0}}, write, FetchPolicy::always};
    const auto tiered = *simulate(d, w);
    const Counters& n = tiered.replicas[0];
    EXPECT_GT(n.evicted_blocks, 1000);
    for (const auto t : n.tier_tokens) EXPECT_GT(t, 100);
    EXPECT_EQ(tiered.outcomes.cached, large.outcomes.cached) << int(write);
  }
}

TEST(Tiers, WhatIsRefused) {
  Three x;
  Deployment d;
  d.pools = {{.policy = x.policy, .form = &x.form, .blocks = 6, .tiers = x.tiers}};
  EXPECT_TRUE(simulate(d, x.w));
  auto w = x.w;
  w.requests.prefix = {};
  EXPECT_FALSE(simulate(d, w));
  d.pools[0].policy.enable_prefix_caching = false;
  EXPECT_FALSE(simulate(d, x.w));
  d.pools[0].policy.enable_prefix_caching = true;
  d.pools[0].ranks = 2;
  EXPECT_FALSE(simulate(d, x.w));
  EnginePolicy p = defaults_of(Engine::sglang);
  EXPECT_FALSE(set_option(p, "kv-offloading-size", "3"));
  EXPECT_TRUE(set_option(p, "hicache-size", "3"));
  EXPECT_FALSE(checked(p));
  p.enable_hierarchical_cache = true;
  EXPECT_TRUE(checked(p));
  p.hicache_ratio = 3;
  EXPECT_FALSE(checked(p));
}

}  // namespace
}  // namespace jevons::serve
