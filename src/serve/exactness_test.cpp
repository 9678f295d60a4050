// The simulator against stepping one by one: identical integers over thousands of random scenarios.
#include <gtest/gtest.h>

#include "serve/reference_test.hpp"
#include "serve/simulate.hpp"
#include "step/linear_step.hpp"

namespace jevons::serve {
namespace {

struct Scenario {
  EnginePolicy policy;
  std::int64_t blocks = 0;
  std::int32_t unit = 1, step_tokens = 1;
  std::vector<CappedCache> capped;
  LoraCost lora;
  TierSet tiers;
  step::LinearStep speed;
  traffic::Requests requests;
};

// Small enough to be under pressure everywhere: few blocks, few slots, short budgets, bursts, long and short requests.
Scenario draw_scenario(std::uint64_t number, Engine engine) {
  Stream s({7}, number, Draw::test, 0);
  const auto between = [&](std::int64_t low, std::int64_t high) { return low + std::int64_t(s.below(std::uint64_t(high - low + 1))); };
  Scenario x;
  x.policy = defaults_of(engine);
  EnginePolicy& p = x.policy;
  p.lag = std::int32_t(between(0, 1));
  p.block_size = engine == Engine::sglang ? 1 : std::int32_t(1 << between(0, 4));
  p.max_num_seqs = std::int32_t(between(1, 12));
  p.max_num_batched_tokens = std::int32_t(between(12, 200));
  p.enable_prefix_caching = between(0, 2) > 0;
  if (engine == Engine::vllm) {
    p.admission = between(0, 1) == 0 ? Admission::chunk : Admission::prompt;
    p.chunked_prefill = between(0, 3) > 0;
    p.queue = between(0, 3) == 0 ? Queue::priority : Queue::fcfs;
    if (between(0, 2) == 0) {
      p.enable_lora = true;
      p.max_loras = std::int32_t(between(1, 4));
      p.max_cpu_loras = std::int32_t(between(0, 1) == 0 ? 0 : between(p.max_loras, 8));
      x.lora = {step::ticks_of(double(between(0, 3)) * 1e-4), step::ticks_of(double(between(0, 3)) * 3e-5), step::ticks_of(2e-3),
                step::ticks_of(7e-3)};
    }
  } else if (engine == Engine::trtllm) {
    p.admission = between(0, 1) == 0 ? Admission::chunk : Admission::whole_request;
    p.chunked_prefill = between(0, 1) > 0;
    if (between(0, 1) == 0) {
      p.batch_wait_iters = std::int32_t(between(1, 25));
      p.batch_wait_ratio = double(between(0, 10)) / 10;
      p.enable_prefix_caching = false;
    }
  }
  if (engine == Engine::sglang) {
    p.chunk = std::int32_t(between(12, 100));
    p.recv_interval = between(0, 1) == 0 ? 1 : std::int32_t(between(2, 30));
    p.schedule_conservativeness = double(between(1, 12)) / 10;
  }
  if (between(0, 3) == 0) p.max_model_len = 250;
  x.blocks = between(120, 900) / p.block_size + 2;
  if (between(0, 3) == 0) x.capped = {{between(1, 60), 0.02 * double(between(0, 9))}, {1, double(between(0, 3))}};
  if (between(0, 3) == 0) x.unit = 10, x.step_tokens = std::int32_t(between(10, 35));
  x.speed = {1e-3, 1e-5, double(between(0, 5)) * 1e-6, 2e-5, double(between(0, 3)) * 1e-8, between(0, 4) == 0 ? 4e-3 : 0.0};
  auto& q = x.requests;
  const std::int64_t n = between(1, 60);
  const std::int64_t gap = between(1, 40) * 1'000'000;
  SimTime t = between(0, 5'000'000);
  q.tenants = {{"urgent", 0, {}}, {"usual", 5, {}}, {"batch", 9, {}}};
  const bool known = between(0, 1) == 1;
  q.prefix.block_tokens = known ? p.block_size * std::int32_t(between(1, 4)) : 0;
  if (known) q.prefix.offset.push_back(0);
  if (known && p.enable_prefix_caching && between(0, 2) > 0) {
    const std::int64_t size = between(0, 1) == 0 ? x.blocks / 3 : x.blocks * 2;
    for (TierSpec& tier : x.tiers.tier) {
      if (between(0, 2) == 0) continue;
      const auto us = [&](std::int64_t most) { return step::ticks_of(double(between(0, most)) * 1e-6); };
      tier = {between(1, size + 1), us(400), us(300), us(4000)};
    }
    x.tiers.write = between(0, 1) == 0 ? WritePolicy::write_through : WritePolicy::write_back;
    x.tiers.fetch = between(0, 1) == 0 ? FetchPolicy::fastest : FetchPolicy::always;
  }
  for (std::int64_t i = 0; i < n; ++i) {
    if (between(0, 2) > 0) t += between(0, 2 * gap);
    q.arrival.push_back(t);
    q.input_tokens.push_back(std::int32_t(between(0, 4) == 0 ? between(1, 200) : between(1, 60)));
    q.output_tokens.push_back(std::int32_t(between(0, 4) == 0 ? between(1, 3) : between(1, 120)));
    q.tenant.push_back(std::uint16_t(between(0, 2)));
    if (p.enable_lora) q.adapter.push_back(std::int32_t(between(0, 1) == 0 ? between(-1, 1) : between(-1, 7)));
    if (!known) continue;
    // One of three system prompts, then one of several conversations: chains whose runs start where the previous id breaks off.
    const auto per = q.prefix.block_tokens;
    const std::int64_t system = between(0, 2), talk = between(0, 5);
    const std::int64_t all = (q.input_tokens.back() + (between(0, 1) ? q.output_tokens.back() : 0) + per - 1) / per;
    const std::int64_t shared = std::min<std::int64_t>(all, 2 + system);
    q.prefix.run.push_back({traffic::BlockId(1000 * (system + 1)), std::uint32_t(shared)});
    if (all > shared) q.prefix.run.push_back({traffic::BlockId(100'000 * (system + 1) + 1000 * talk), std::uint32_t(all - shared)});
    q.prefix.offset.push_back(q.prefix.run.size());
  }
  return x;
}

// Returns what happened.
Counters expect_same(const Scenario& x, std::uint64_t number) {
  auto form = step::form_of(x.speed, x.policy.max_num_seqs, x.policy.max_num_batched_tokens, x.unit);
  if (number % 3 == 0) {  // decodes beside prompts take half as long again
    std::vector<step::Segment> beside;
    for (int b = 1; b <= form.max_batch(); ++b) {
      for (const auto& s : form.decode(b)) beside.push_back({s.from, s.base * 3 / 2, s.slope * 3 / 2});
    }
    form = std::move(form).beside_prompts(std::move(beside));
  }
  Deployment d;
  d.pools = {{x.policy, &form, x.blocks, x.step_tokens, 1, 1, 1, x.capped}};
  d.pools[0].lora = x.lora;
  d.pools[0].tiers = x.tiers;
  traffic::Workload w{x.requests, traffic::OpenLoad{}};
  const auto fast = simulate(d, w), stepped = simulate(d, w, {.longest_run = 1});
  if (!fast || !stepped) {
    ADD_FAILURE() << fast.error().message();
    return {};
  }
  reference::Stepper slow(x.policy, {&form, x.blocks, x.step_tokens, 0, 1, x.capped, Role::both, x.lora, x.tiers}, x.requests);
  slow.run();
  const Counters &a = fast->replicas[0], &b = slow.counters;
  SCOPED_TRACE("scenario " + std::to_string(number));
  for (RequestId r = 0; r < x.requests.size(); ++r) {
    SCOPED_TRACE("request " + std::to_string(r));
    // Also where a prompt pushed whole, preempted, is wider than the budget with its outputs: then it is rejected.
    EXPECT_NE(fast->outcomes.status[r], Status::pending);
    EXPECT_EQ(fast->outcomes.status[r], slow.out.status[r]);
    EXPECT_EQ(fast->outcomes.scheduled[r], slow.out.scheduled[r]);
    EXPECT_EQ(fast->outcomes.first_token[r], slow.out.first_token[r]);
    if (slow.out.status[r] == Status::finished) {
      EXPECT_EQ(fast->outcomes.finished[r], slow.out.finished[r]);
    }
    EXPECT_EQ(fast->outcomes.preemptions[r], slow.out.preemptions[r]);
    EXPECT_EQ(fast->outcomes.cached[r], slow.out.cached[r]);
  }
  EXPECT_EQ(a.steps, b.steps);
  EXPECT_EQ(a.prefill_steps, b.prefill_steps);
  EXPECT_EQ(a.decodes, b.decodes);
  EXPECT_EQ(a.prefill_tokens, b.prefill_tokens);
  EXPECT_EQ(a.cached_tokens, b.cached_tokens);
  EXPECT_EQ(a.preemptions, b.preemptions);
  EXPECT_EQ(a.evicted_blocks, b.evicted_blocks);
  EXPECT_EQ(a.admitted, b.admitted);
  EXPECT_EQ(a.peak_blocks, b.peak_blocks);
  EXPECT_EQ(a.fetches, b.fetches);
  EXPECT_EQ(a.tier_tokens, b.tier_tokens);
  EXPECT_EQ(a.tier_recomputed, b.tier_recomputed);
  EXPECT_EQ(a.tier_written, b.tier_written);
  EXPECT_EQ(a.tier_evicted, b.tier_evicted);
  EXPECT_TRUE(a.fetch_ticks == b.fetch_ticks);
  EXPECT_EQ(a.adapter_loads, b.adapter_loads);
  EXPECT_EQ(a.adapter_reads, b.adapter_reads);
  EXPECT_EQ(a.adapter_passed, b.adapter_passed);
  EXPECT_TRUE(a == b);
  EXPECT_TRUE(a == stepped->replicas[0]);
  EXPECT_EQ(fast->outcomes.finished, stepped->outcomes.finished);
  return a;
}

class Exactness : public testing::TestWithParam<Engine> {};
TEST_P(Exactness, SameIntegersAsSteppingOneByOne) {
#ifdef NDEBUG
  constexpr std::uint64_t kScenarios = 5000;
#else
  constexpr std::uint64_t kScenarios = 500;
#endif
  Counters seen;
  for (std::uint64_t i = 0; i < kScenarios && !HasFatalFailure() && !HasNonfatalFailure(); ++i) {
    const Scenario x = draw_scenario(i, GetParam());
    if (!checked(x.policy)) continue;
    const Counters c = expect_same(x, i);
    seen.preemptions += c.preemptions;
    seen.cached_tokens += c.cached_tokens;
    seen.fetches += c.fetches;
    seen.tier_recomputed += c.tier_recomputed;
    for (std::size_t t = 0; t < kTiers; ++t) seen.tier_tokens[t] += c.tier_tokens[t], seen.tier_evicted[t] += c.tier_evicted[t];
    seen.adapter_passed += c.adapter_passed;
    seen.adapter_reads += c.adapter_reads;
  }
  // The scenarios meet what they are there for.
  constexpr auto n = std::int64_t(kScenarios);
  EXPECT_GT(seen.preemptions, n / 20);
  EXPECT_GT(seen.cached_tokens, n);
  EXPECT_GT(seen.fetches, n / 10);
  EXPECT_GT(seen.tier_recomputed, n);
  for (std::size_t t = 0; t < kTiers; ++t) {
    EXPECT_GT(seen.tier_tokens[t], n / 2);
    EXPECT_GT(seen.tier_evicted[t], n);
  }
  if (GetParam() != Engine::vllm) return;
  EXPECT_GT(seen.adapter_passed, n / 10);
  EXPECT_GT(seen.adapter_reads, n / 10);
}
INSTANTIATE_TEST_SUITE_P(Engines, Exactness, testing::Values(Engine::vllm, Engine::sglang, Engine::trtllm),
                         [](const auto& i) { return std::string(name(i.param)); });

}  // namespace
}  // namespace jevons::serve
