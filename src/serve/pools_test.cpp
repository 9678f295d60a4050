// Prefill and decode pools, failures, autoscaling: hand-worked times, and the closed form against single steps.
#include <gtest/gtest.h>

#include <cmath>

#include "serve/links.hpp"
#include "serve/simulate.hpp"
#include "step/linear_step.hpp"

namespace jevons::serve {
namespace {

constexpr SimTime kMs = 1'000'000;

EnginePolicy no_lag() {
  EnginePolicy p = defaults_of(Engine::vllm);
  p.lag = 0;
  return p;
}
traffic::Workload requests(std::vector<SimTime> arrival, std::vector<std::int32_t> input, std::vector<std::int32_t> output) {
  traffic::Workload w;
  w.requests.arrival = std::move(arrival);
  w.requests.input_tokens = std::move(input);
  w.requests.output_tokens = std::move(output);
  return w;
}

// A decode step takes 10 ms, a prompt token 0.1 ms more.
const step::StepForm kForm = step::form_of({.fixed = 10e-3, .per_prefill_token = 0.1e-3}, 256, 8192);

Deployment one_to_one(double bytes_per_token, double link) {
  Deployment d;
  d.pools = {{.policy = no_lag(), .form = &kForm, .blocks = 1000, .role = Role::prefill, .link_bytes_per_s = link},
             {.policy = no_lag(), .form = &kForm, .blocks = 1000, .role = Role::decode, .link_bytes_per_s = link}};
  d.handover.bytes_per_token = bytes_per_token;
  return d;
}

TEST(Disaggregation, OneRequestByHand) {
  const auto w = requests({0}, {100}, {3});
  const Deployment d = one_to_one(1e6, 1e9);
  const auto sim = *simulate(d, w);
  // Prompt 10 + 100 x 0.1 = 20 ms; 1 ns to be seen; 100 MB over 1 GB/s = 100 ms; then two steps of 10 ms.
  EXPECT_EQ(sim.outcomes.prefilled[0], 20 * kMs);
  EXPECT_EQ(sim.outcomes.first_token[0], 120 * kMs + 1);
  EXPECT_EQ(sim.outcomes.finished[0], 140 * kMs + 1);
  EXPECT_EQ(sim.fleet.handed_over, 1);
  EXPECT_DOUBLE_EQ(sim.fleet.handed_over_bytes, 100e6);
  EXPECT_EQ(sim.replicas[0].prefill_tokens, 100);
  EXPECT_EQ(sim.replicas[1].prefill_tokens, 0);
  EXPECT_EQ(sim.replicas[1].decodes, 2);
}

TEST(Disaggregation, LayerByLayerLeavesOneLayerOrWhatTheLinkCouldNotSend) {
  const auto w = requests({0}, {100}, {3});
  Deployment d = one_to_one(1e6, 1e9);
  d.handover.overlapped_layers = 10;
  // 20 ms of prompt at 1 GB/s send 20 of 100 MB: 80 ms are left.
  EXPECT_EQ((*simulate(d, w)).outcomes.first_token[0], 100 * kMs + 1);
  d.pools[0].link_bytes_per_s = d.pools[1].link_bytes_per_s = 100e9;
  // 100 GB/s: one of ten layers is left, 10 MB in 0.1 ms.
  EXPECT_EQ((*simulate(d, w)).outcomes.first_token[0], 20 * kMs + kMs / 10 + 1);
}

TEST(Disaggregation, AOneTokenRequestNeedsNoDecodePool) {
  const auto sim = *simulate(one_to_one(1e6, 1e9), requests({0}, {100}, {1}));
  EXPECT_EQ(sim.outcomes.finished[0], 20 * kMs);
  EXPECT_EQ(sim.fleet.handed_over, 0);
}

TEST(Disaggregation, ThePrefillSideKeepsBlocksUntilTheyAreRead) {
  // 32 blocks, one of them the null block, hold 496 tokens: the second prompt of 400 must wait until the first has been read.
  Deployment d = one_to_one(1e6, 1e9);
  d.pools[0].blocks = 32;
  const auto sim = *simulate(d, requests({0, 0}, {400, 400}, {2, 2}));
  EXPECT_EQ(sim.outcomes.prefilled[0], 50 * kMs);
  EXPECT_EQ(sim.outcomes.first_token[0], 450 * kMs + 1);
  EXPECT_EQ(sim.outcomes.scheduled[1], 450 * kMs + 1);
  EXPECT_EQ(sim.outcomes.prefilled[1], 500 * kMs + 1);
}

TEST(Disaggregation, TheDecodeSideReservesBeforeItAsks) {
  // 14 blocks (13 usable) hold 208 tokens: the second request's cache sets out when the first has finished.
  Deployment d = one_to_one(1e6, 1e9);
  d.pools[1].blocks = 14;
  const auto sim = *simulate(d, requests({0, 0}, {150, 150}, {3, 3}));
  EXPECT_EQ(sim.outcomes.finished[0], 40 * kMs + 1 + 150 * kMs + 20 * kMs);  // both prompts in one step of 40 ms
  EXPECT_EQ(sim.outcomes.first_token[1], sim.outcomes.finished[0] + 150 * kMs);
}

TEST(Disaggregation, WhatCannotFitTheDecodeSideIsRejected) {
  Deployment d = one_to_one(1e6, 1e9);
  d.pools[1].blocks = 5;
  const auto sim = *simulate(d, requests({0, 0}, {150, 10}, {3, 3}));
  EXPECT_EQ(sim.outcomes.status[0], Status::rejected);
  EXPECT_EQ(sim.outcomes.status[1], Status::finished);
}

TEST(Disaggregation, RefusesHalfADeployment) {
  Deployment d = one_to_one(1e6, 1e9);
  d.pools.pop_back();
  EXPECT_FALSE(simulate(d, requests({0}, {10}, {2})));
  d = one_to_one(1e6, 0);
  EXPECT_FALSE(simulate(d, requests({0}, {10}, {2})));
}

TEST(Links, FlowsShareMaxMinFairly) {
  // Ranks 0 and 1 send, 2 and 3 receive; 1 GB/s each. A: 0->2, B: 0->3, C: 1->3. A and B share 0's link out (0.5 each), C shares 3's link
  // in with B. All three get 0.5: links out 0 and in 3 are full.
  Links l({1e9, 1e9, 1e9, 1e9});
  l.start(1, 0, 2, 0.5e9, 0);
  l.start(2, 0, 3, 1.0e9, 0);
  l.start(3, 1, 3, 1.0e9, 0);
  EXPECT_EQ(l.next(), 1000 * kMs);
  EXPECT_EQ(l.pop(), 1u);  // after 1 s A is through; B and C have 0.5 GB left and share the link in: 1 s more
  EXPECT_EQ(l.next(), 2000 * kMs);
  l.cancel(3, 1500 * kMs);  // B has 0.25 GB left, alone at 1 GB/s
  EXPECT_EQ(l.next(), 1750 * kMs);
  EXPECT_EQ(l.pop(), 2u);
  EXPECT_EQ(l.next(), kNever);
}

TEST(Links, AFastLinkIsNotHeldBackByASlowOne) {
  // 0 has 3 GB/s out, 1 takes 1 GB/s, 2 takes 10: the flow to 1 stops at 1, the other gets the 2 that are left.
  Links l({3e9, 1e9, 10e9});
  l.start(1, 0, 1, 1e9, 0);
  l.start(2, 0, 2, 1e9, 0);
  EXPECT_EQ(l.next(), 500 * kMs);
  EXPECT_EQ(l.pop(), 2u);
}

TEST(Failures, ALostRequestGoesOnElsewhereWithItsOutputs) {
  Deployment d;
  d.pools = {{.policy = no_lag(), .form = &kForm, .blocks = 1000, .replicas = 2}};
  d.failures = {{"accelerator", 5, 1e6, 1}};
  // A seed whose first replica dies while it serves and whose second outlives the request.
  SimTime first = 0, second = 0;
  Seed seed{0};
  for (; !(first > 100 * kMs && first < 3000 * kMs && second > 20'000 * kMs); ++seed.value) {
    Failures f(d.failures, 2, Seed{seed.value + 1}, 0);
    first = f.lifetime(0), second = f.lifetime(1);
  }
  const auto sim = *simulate(d, requests({0}, {100}, {400}), {.seed = seed});
  // The prompt took 20 ms, each further token 10 ms; what is made by the failure is pushed with the prompt elsewhere.
  const std::int64_t made = 1 + (first - 1 - 20 * kMs) / (10 * kMs);
  EXPECT_EQ(sim.outcomes.first_token[0], 20 * kMs);
  EXPECT_EQ(sim.outcomes.made[0], made);
  EXPECT_EQ(sim.outcomes.replica[0], 1);
  EXPECT_EQ(sim.outcomes.finished[0], first + 1 + 10 * kMs + (100 + made) * kMs / 10 + (400 - made - 1) * 10 * kMs);
  EXPECT_EQ(sim.fleet.lost, 1);
}

TEST(Failures, AvailabilityOfIndependentReplicasIsBinomial) {
  // MTBF 900, repair 100: up 0.9 of the time each; all three up 0.729, at least two 0.972.
  const auto a = availability({{"accelerator", 900, 100, 1}}, 3, 1, 0, 300'000, {1});
  EXPECT_NEAR(a[3], 0.729, 0.01);
  EXPECT_NEAR(a[2], 0.972, 0.005);
  EXPECT_NEAR(a[0], 1, 1e-9);
}

TEST(Failures, ASharedPartTakesItsReplicasDownTogether) {
  // One rack under all three: up or down together, 0.9 for any number.
  const auto a = availability({{"rack", 900, 100, 8}}, 3, 1, 0, 300'000, {1});
  EXPECT_NEAR(a[3], 0.9, 0.01);
  EXPECT_DOUBLE_EQ(a[1], a[3]);
}

TEST(Autoscaler, StartsWithDelayAndStopsWhenDrained) {
  Deployment d;
  d.pools = {{.policy = no_lag(), .form = &kForm, .blocks = 10'000, .replicas = 3, .start_up_s = 0.05}};
  d.pools[0].policy.max_num_seqs = 1;
  d.pools[0].scaling = Scaling{.least = 1, .target = 1, .interval_s = 0.1, .stabilization_s = 0.3};
  // Three at once, 100 steps (1 s) each after a prompt step of 11 ms. At 0.1 s the scaler sees 3 outstanding and orders two more, which are
  // up at 0.15 s; the queue of the first is not moved, so a fourth request at 0.2 s finds an empty replica.
  const auto sim = *simulate(d, requests({0, 0, 0, 200 * kMs}, {10, 10, 10, 10}, {101, 101, 101, 101}));
  EXPECT_EQ(sim.fleet.started, 2);
  EXPECT_EQ(sim.outcomes.scheduled[3], 200 * kMs);
  EXPECT_EQ(sim.outcomes.scheduled[1], 1011 * kMs);
  EXPECT_EQ(sim.outcomes.finished[2], 3 * 1011 * kMs);
  // Replica 0 is paid throughout (3.033 s). From 1.3 s on two are outstanding and one replica is one too many (three were wanted until
  // then: window 0.3 s); at the latest when request 3 has ended (1.211 s) replica 2, empty, goes at once, replica 1 follows.
  EXPECT_EQ(sim.fleet.stopped, 2);
  EXPECT_GT(sim.fleet.accelerator_s[0], 3.033 + 2 * 1.1);
  EXPECT_LT(sim.fleet.accelerator_s[0], 3.033 + 2 * 2.5);
}

// Random fleets under pressure with everything on: taking many steps at once changes no integer.
Deployment draw_fleet(Stream& s, const step::StepForm& f) {
  const auto between = [&](std::int64_t low, std::int64_t high) { return low + std::int64_t(s.below(std::uint64_t(high - low + 1))); };
  Deployment d;
  d.routing = Routing(between(0, 3));
  const bool split = between(0, 2) > 0;
  const int ranks = between(0, 3) == 0 ? 2 : 1;
  for (int k = 0; k < (split ? 2 : int(between(1, 2))); ++k) {
    Pool p{.policy = defaults_of(between(0, 2) == 0 ? Engine::sglang : Engine::vllm), .form = &f};
    p.policy.lag = std::int32_t(between(0, 1));
    p.policy.max_num_seqs = std::int32_t(between(1, 8));
    p.policy.max_num_batched_tokens = std::int32_t(between(20, 200));
    if (p.policy.engine == Engine::sglang) p.policy.chunk = std::int32_t(between(20, 100));
    p.blocks = between(200, 700) / p.policy.block_size + 1;
    p.replicas = int(between(1, 3));
    p.role = split ? (k == 0 ? Role::prefill : Role::decode) : Role::both;
    p.link_bytes_per_s = 1e9;
    p.accelerators = p.ranks = ranks;
    p.start_up_s = 0.05;
    if (between(0, 3) == 0) p.scaling = Scaling{1, double(between(1, 4)), 0.1, 0.3};
    d.pools.push_back(p);
  }
  d.handover = {double(between(1, 300)) * 1e4, 0, int(between(0, 1) * 8)};
  if (between(0, 1) == 0) d.failures = {{"accelerator", 0.5, 0.1, 1}, {"rack", 2, 0.2, 3}};
  return d;
}

TEST(Pools, ManyStepsAtOnceEqualSingleSteps) {
#ifdef NDEBUG
  constexpr std::uint64_t kScenarios = 3000;
#else
  constexpr std::uint64_t kScenarios = 300;
#endif
  const auto f = step::form_of({1e-3, 1e-5, 3e-6, 2e-5, 1e-8, 0}, 8, 200);
  std::int64_t handed = 0, lost = 0, started = 0;
  for (std::uint64_t i = 0; i < kScenarios && !HasFailure(); ++i) {
    SCOPED_TRACE("scenario " + std::to_string(i));
    Stream s({11}, i, Draw::test, 0);
    const Deployment d = draw_fleet(s, f);
    traffic::Workload w;
    SimTime t = 0;
    for (int k = 0; k < 40; ++k) {
      t += SimTime(s.exponential() * 20 * kMs);
      w.requests.arrival.push_back(t);
      w.requests.input_tokens.push_back(1 + std::int32_t(s.below(80)));
      w.requests.output_tokens.push_back(1 + std::int32_t(s.below(100)));
    }
    const auto fast = simulate(d, w), slow = simulate(d, w, {.longest_run = 1});
    ASSERT_TRUE(fast && slow);
    for (RequestId r = 0; r < w.requests.size(); ++r) {
      SCOPED_TRACE("request " + std::to_string(r));
      ASSERT_NE(fast->outcomes.status[r], Status::pending);
      ASSERT_EQ(fast->outcomes.status[r], slow->outcomes.status[r]);
      ASSERT_EQ(fast->outcomes.first_token[r], slow->outcomes.first_token[r]);
      ASSERT_EQ(fast->outcomes.finished[r], slow->outcomes.finished[r]);
      if (fast->outcomes.status[r] == Status::finished) {
        ASSERT_LE(fast->outcomes.scheduled[r], fast->outcomes.first_token[r]);
        ASSERT_LE(fast->outcomes.first_token[r], fast->outcomes.finished[r]);
      }
    }
    for (std::size_t k = 0; k < fast->replicas.size(); ++k) {
      EXPECT_EQ(fast->replicas[k].prefill_tokens, slow->replicas[k].prefill_tokens);
      EXPECT_EQ(fast->replicas[k].decodes, slow->replicas[k].decodes);
      EXPECT_TRUE(fast->replicas[k].busy == slow->replicas[k].busy);
      EXPECT_EQ(fast->replicas[k].peak_blocks, slow->replicas[k].peak_blocks);
    }
    EXPECT_EQ(fast->fleet.accelerator_s, slow->fleet.accelerator_s);
    EXPECT_EQ(fast->fleet.handed_over_bytes, slow->fleet.handed_over_bytes);
    handed += fast->fleet.handed_over, lost += fast->fleet.lost, started += fast->fleet.started;
  }
  EXPECT_GT(handed, 1000);  // the scenarios are not empty
  EXPECT_GT(lost, 100);
  EXPECT_GT(started, 20);
}

}  // namespace
}  // namespace jevons::serve
