// Attention ranks that step together: hand-worked times, and the envelope against single steps.
#include "serve/lockstep.hpp"

#include <gtest/gtest.h>

#include "serve/simulate.hpp"
#include "step/linear_step.hpp"

namespace jevons::serve {
namespace {

constexpr SimTime kMs = 1'000'000;

// A step of 10 ms, 1 ms a decoding sequence, 1 us a cached token; 20 us a prompt token on its rank and 5 us for the experts.
step::StepForm form(int max_batch, int max_tokens) {
  std::vector<step::Segment> decode;
  for (int b = 1; b <= max_batch; ++b) decode.push_back({0, step::ticks_of(10e-3 + 1e-3 * b), step::ticks_of(1e-6)});
  std::vector<step::Ticks> tokens(std::size_t(max_tokens) + 1), shared(2 * std::size_t(max_tokens) + 1);
  for (std::size_t n = 1; n < tokens.size(); ++n) tokens[n] = step::ticks_of(10e-3) + step::Ticks(n) * step::ticks_of(20e-6);
  for (std::size_t n = 1; n < shared.size(); ++n) shared[n] = step::Ticks(n) * step::ticks_of(5e-6);
  return {std::move(decode), 1, std::move(tokens), {{0, 0, 0, 0}}, 0, 1, std::move(shared)};
}

Deployment two_ranks(const step::StepForm& f, EnginePolicy p) {
  Deployment d;
  d.routing = Routing::round_robin;
  d.pools = {{.policy = p, .form = &f, .blocks = 10'000, .accelerators = 2, .ranks = 2}};
  return d;
}

TEST(Lockstep, TheSlowestRankSetsThePace) {
  EnginePolicy p = defaults_of(Engine::vllm);
  p.lag = 0;
  const auto f = form(256, 2048);
  traffic::Workload w;
  w.requests.arrival = {0, 0};
  w.requests.input_tokens = {100, 1000};
  w.requests.output_tokens = {3, 3};
  const auto sim = *simulate(two_ranks(f, p), w);
  // Both prompts in one step: 10 ms + 20 us x 1000, the longer one, + 5 us x 1100, both = 35.5 ms.
  EXPECT_NEAR(double(sim.outcomes.first_token[0]), 35.5 * kMs, 2);
  EXPECT_NEAR(double(sim.outcomes.first_token[1]), 35.5 * kMs, 2);
  // Two decode steps of one sequence each; the longer context sets their times: 11 ms + 1 us x 1000, then x 1001.
  EXPECT_NEAR(double(sim.outcomes.finished[0]), (35.5 + 12.0 + 12.001) * kMs, 2);
  EXPECT_EQ(sim.outcomes.finished[0], sim.outcomes.finished[1]);
}

TEST(Lockstep, ARankWithoutWorkWaitsForTheStep) {
  EnginePolicy p = defaults_of(Engine::vllm);
  p.lag = 0;
  const auto f = form(256, 2048);
  traffic::Workload w;
  w.requests.arrival = {0, 20 * kMs};
  w.requests.input_tokens = {1000, 100};
  w.requests.output_tokens = {1, 1};
  const auto sim = *simulate(two_ranks(f, p), w);
  // 10 ms + 25 us x 1000 = 35 ms; the second rank's prompt starts only then: 10 ms + 25 us x 100 = 12.5 ms.
  EXPECT_NEAR(double(sim.outcomes.first_token[0]), 35.0 * kMs, 2);
  EXPECT_NEAR(double(sim.outcomes.scheduled[1]), 35.0 * kMs, 2);
  EXPECT_NEAR(double(sim.outcomes.first_token[1]), 47.5 * kMs, 2);
}

// TensorRT-LLM's balance: a prompt beside decodes of every rank waits until every rank has one, at most timeout_iters passes.
TEST(Lockstep, BalanceHoldsPromptsBack) {
  EnginePolicy p = defaults_of(Engine::trtllm);
  p.lag = 0;
  p.enable_prefix_caching = false;
  p.adp_balance = true;
  p.adp_batching_wait_iters = 0;
  const auto f = form(2048, 8192);
  traffic::Workload w;
  w.requests.arrival = {0, 0, 100 * kMs};
  w.requests.input_tokens = {100, 100, 100};
  w.requests.output_tokens = {400, 400, 2};
  const auto waited = [&](std::int32_t passes) {
    p.adp_timeout_iters = passes;
    const auto sim = *simulate(two_ranks(f, p), w);
    return double(sim.outcomes.scheduled[2] - w.requests.arrival[2]) / kMs;
  };
  // Steps take 11.1 to 11.5 ms. The count of passes has been running since the first decode, so the wait ends somewhere within 50 of them.
  EXPECT_LT(waited(1), 12);
  EXPECT_GT(waited(50), 10 * 11.1);
  EXPECT_LT(waited(50), 50 * 11.6);
  p.adp_balance = false;
  EXPECT_LT(waited(50), 12);
}

// Runs of steps against single steps: the same integers, whatever meets in a step.
TEST(Lockstep, ManyStepsAtOnceEqualSingleSteps) {
#ifdef NDEBUG
  constexpr std::uint64_t kScenarios = 3000;
#else
  constexpr std::uint64_t kScenarios = 300;
#endif
  for (std::uint64_t i = 0; i < kScenarios && !HasFailure(); ++i) {
    SCOPED_TRACE(i);
    Stream s({11}, i, Draw::test, 0);
    const auto between = [&](std::int64_t low, std::int64_t high) { return low + std::int64_t(s.below(std::uint64_t(high - low + 1))); };
    EnginePolicy p = defaults_of(Engine(between(0, 2)));
    p.lag = std::int32_t(between(0, 1));
    p.block_size = std::int32_t(1 << between(0, 4));
    p.max_num_seqs = std::int32_t(between(1, 12));
    p.max_num_batched_tokens = std::int32_t(between(12, 200));
    p.chunked_prefill = true;
    if (p.engine == Engine::sglang) p.chunk = p.max_num_batched_tokens;
    if (p.engine == Engine::trtllm && between(0, 1) == 0) {
      p.adp_balance = true;
      p.adp_timeout_iters = std::int32_t(between(1, 30));
      p.adp_batching_wait_iters = std::int32_t(between(0, 10));
    }
    // Two segments, so that ranks bend at different steps.
    std::vector<step::Segment> decode;
    for (std::int64_t b = 1; b <= p.max_num_seqs; ++b) {
      const step::Ticks base = step::ticks_of(1e-3 + 1e-5 * double(b)), slope = step::ticks_of(double(between(0, 5)) * 1e-7);
      decode.push_back({0, base, slope});
      decode.push_back({60 * b, base + slope * 60 * b, slope * 3});
    }
    std::vector<step::Ticks> tokens(201), shared(801);
    for (std::size_t n = 1; n < tokens.size(); ++n) tokens[n] = step::ticks_of(1e-3 + 2e-5 * double(n));
    for (std::size_t n = 1; n < shared.size(); ++n) shared[n] = step::ticks_of(5e-6 * double(n));
    const step::StepForm f(std::move(decode), 2, std::move(tokens), {{0, 0, 1e6, 1e5}}, 0, 1, std::move(shared));
    Deployment d;
    d.routing = Routing(between(0, 3));  // those that do not look at the cache, whose use they see as of a replica's last event
    const int ranks = int(between(2, 4));
    d.pools = {{.policy = p,
                .form = &f,
                .blocks = between(120, 900) / p.block_size + 2,
                .replicas = int(between(1, 2)),
                .ranks = ranks,
                .capped = {{30, 0.1}}}};
    traffic::Workload w;
    SimTime t = 0;
    for (std::int64_t n = between(1, 80); n > 0; --n) {
      if (between(0, 2) > 0) t += between(0, 20 * kMs);
      w.requests.arrival.push_back(t);
      w.requests.input_tokens.push_back(std::int32_t(between(1, 60)));
      w.requests.output_tokens.push_back(std::int32_t(between(1, 120)));
    }
    if (!checked(p)) continue;
    const auto fast = *simulate(d, w), slow = *simulate(d, w, {.longest_run = 1});
    EXPECT_EQ(fast.outcomes.scheduled, slow.outcomes.scheduled);
    EXPECT_EQ(fast.outcomes.first_token, slow.outcomes.first_token);
    EXPECT_EQ(fast.outcomes.finished, slow.outcomes.finished);
    EXPECT_EQ(fast.outcomes.preemptions, slow.outcomes.preemptions);
    for (std::size_t k = 0; k < fast.replicas.size(); ++k) EXPECT_TRUE(fast.replicas[k] == slow.replicas[k]) << k;
    for (std::size_t r = 0; r < w.requests.size(); ++r) EXPECT_NE(fast.outcomes.status[r], Status::pending);
  }
}

}  // namespace
}  // namespace jevons::serve
