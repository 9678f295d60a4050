// The event loop allocates nothing once it is warm: every container has found its size.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "serve/simulate.hpp"
#include "step/linear_step.hpp"
#include "traffic/generate.hpp"

#ifndef __SANITIZE_ADDRESS__  // which brings its own operators

namespace {
std::atomic<std::size_t> allocations{0};
void* counted(std::size_t n) {
  ++allocations;
  if (void* p = std::malloc(n == 0 ? 1 : n)) return p;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t n) { return counted(n); }
void* operator new[](std::size_t n) { return counted(n); }
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }

namespace jevons::serve {
namespace {

// Allocations from the first report of progress on (that of request 65,536), or from a later one, to the last.
std::size_t allocations_when_warm(const traffic::Requests& requests, Pool pool, Routing routing, std::size_t warm_up = 1) {
  const auto form = step::form_of({8e-3, 5e-5, 1e-8, 2e-5, 1e-9, 0}, pool.policy.max_num_seqs, pool.policy.max_num_batched_tokens);
  pool.form = &form;
  Deployment d;
  d.routing = routing;
  d.pools = {pool};
  std::size_t first = 0, last = 0, reports = 0;
  RunOptions o;
  o.progress = [&](std::size_t, std::size_t) {
    last = allocations;
    if (++reports == warm_up) first = last;
  };
  EXPECT_TRUE(simulate(d, {requests, traffic::OpenLoad{}}, o));
  EXPECT_GT(reports, warm_up);
  return last - first;
}

TEST(Allocation, NoneInTheLoopOnceWarm) {
  traffic::GenerateSpec spec;
  spec.num_requests = 300'000;
  spec.classes.resize(1);
  spec.classes[0].input = traffic::Fixed{1000};
  spec.classes[0].output = traffic::Fixed{200};
  spec.classes[0].arrivals.rate_per_s = 4;
  const Pool pool{.policy = defaults_of(Engine::vllm), .blocks = 20'000};
  EXPECT_EQ(allocations_when_warm(*traffic::generate(spec, {1}), pool, Routing::least_outstanding), 0u);
  spec.classes[0].arrivals.rate_per_s = 32;
  Pool eight = pool;
  eight.replicas = 8;
  EXPECT_EQ(allocations_when_warm(*traffic::generate(spec, {1}), eight, Routing::least_outstanding), 0u);
  spec.classes[0].arrivals.rate_per_s = 2;
  spec.classes[0].adapters = 50;
  spec.classes[0].adapter_skew = 1;
  Pool adapters = pool;
  adapters.policy.enable_lora = true;
  adapters.policy.max_loras = 8;
  adapters.lora = {1'000'000, 1'000'000, 1'000'000'000, 0};
  EXPECT_EQ(allocations_when_warm(*traffic::generate(spec, {1}), adapters, Routing::least_outstanding), 0u);
}

// Caches and tables find their size later: they hold ever more contents until they are full.
TEST(Allocation, NoneWithPrefixesAndTiersOnceWarm) {
  constexpr std::size_t kWarm = 5;
  traffic::GenerateSpec spec;
  spec.num_requests = 600'000;
  spec.block_tokens = 16;
  spec.classes.resize(1);
  auto& c = spec.classes[0];
  c.input = traffic::Uniform{300, 500};
  c.output = traffic::Uniform{100, 200};
  c.shared_prompt_tokens = 200;
  c.shared_prompts = 10;
  c.arrivals.rate_per_s = 1;
  c.session = traffic::SessionLaw{traffic::Uniform{1, 7}, traffic::Uniform{50, 100}, traffic::Uniform{10, 30}, {}};
  const auto requests = *traffic::generate(spec, {1});
  Pool pool{.policy = defaults_of(Engine::vllm), .blocks = 8'000};
  EXPECT_EQ(allocations_when_warm(requests, pool, Routing::least_outstanding, kWarm), 0u);
  for (const auto write : {WritePolicy::write_through, WritePolicy::write_back}) {
    pool.tiers = {{TierSpec{5'000, 100, 100, 100}, TierSpec{20'000, 1000, 1000, 1000}, TierSpec{}}, write, FetchPolicy::fastest};
    EXPECT_EQ(allocations_when_warm(requests, pool, Routing::least_outstanding, kWarm), 0u) << int(write);
  }
  pool.tiers = {};
  pool.replicas = 4;
  pool.blocks = 3'000;
  // Four small caches: a table may double once more when one of them holds more short contents at once than ever before.
  EXPECT_LE(allocations_when_warm(requests, pool, Routing::kv_load_aware, kWarm), 4u);
  // The router's own index remembers every content that it saw: it doubles now and then.
  EXPECT_LE(allocations_when_warm(requests, pool, Routing::prefix_aware, kWarm), 2u);
}

}  // namespace
}  // namespace jevons::serve

#endif
