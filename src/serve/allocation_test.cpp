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

// Allocations between the first report of progress and the last one.
std::size_t allocations_when_warm(const traffic::Requests& requests, int replicas, Routing routing) {
  EnginePolicy p = defaults_of(Engine::vllm);
  const auto form = step::form_of({8e-3, 5e-5, 1e-8, 2e-5, 1e-9, 0}, p.max_num_seqs, p.max_num_batched_tokens);
  Deployment d;
  d.routing = routing;
  d.pools = {{.policy = p, .form = &form, .blocks = 20'000, .replicas = replicas}};
  std::size_t first = 0, last = 0;
  RunOptions o;
  o.progress = [&](std::size_t, std::size_t) {
    last = allocations;
    if (first == 0) first = last;
  };
  EXPECT_TRUE(simulate(d, {requests, traffic::OpenLoad{}}, o));
  EXPECT_GT(last, 0u);
  return last - first;
}

TEST(Allocation, NoneInTheLoopOnceWarm) {
  traffic::GenerateSpec spec;
  spec.num_requests = 300'000;
  spec.classes.resize(1);
  spec.classes[0].input = traffic::Fixed{1000};
  spec.classes[0].output = traffic::Fixed{200};
  spec.classes[0].arrivals.rate_per_s = 4;
  EXPECT_EQ(allocations_when_warm(*traffic::generate(spec, {1}), 1, Routing::least_outstanding), 0u);
  spec.classes[0].arrivals.rate_per_s = 32;
  EXPECT_EQ(allocations_when_warm(*traffic::generate(spec, {1}), 8, Routing::least_outstanding), 0u);
}

}  // namespace
}  // namespace jevons::serve

#endif
