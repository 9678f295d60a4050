#pragma once
// Discrete-event simulation of replicas behind a router: what each request experiences.
#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "serve/outcomes.hpp"
#include "serve/router.hpp"

namespace jevons::serve {

/// One kind of replica and how many there are of it.
struct Pool {
  EnginePolicy policy;
  const step::StepForm* form = nullptr;
  std::int64_t blocks = 0;       // cache blocks of one replica
  std::int32_t step_tokens = 1;  // yield of a decode step per sequence, in 1/form->unit() tokens
  int replicas = 1;
  int accelerators = 1;  // of one replica
  int ranks = 1;         // attention ranks of one replica; blocks, form and the policy's limits are of one of them
  std::vector<CappedCache> capped = {};
  LoraCost lora = {};
};

struct Deployment {
  std::vector<Pool> pools;
  Routing routing = Routing::least_outstanding;
  int replicas() const;
  int ranks() const;  // of all replicas: what the router chooses from and `Outcomes::replica` counts
  int accelerators() const;
};

struct RunOptions {
  Seed seed;
  std::uint64_t replication = 0;
  const std::atomic<bool>* stop = nullptr;                          // set by another thread: end with the results so far
  std::function<void(std::size_t done, std::size_t all)> progress;  // every kProgressEvery finished requests
  static constexpr std::size_t kProgressEvery = 65536;
  std::int64_t longest_run = INT64_MAX;  // steps of a replica taken at once; only how fresh a router sees cache use depends on it
};

struct Simulation {
  Outcomes outcomes;
  std::vector<Counters> replicas;     // of each attention rank
  std::vector<double> block_seconds;  // likewise
  DurationHistogram itl;
  SimTime end = 0;       // last event
  bool partial = false;  // stopped early
};

/// Simulates a workload to its end. Deterministic: the same bytes for the same arguments. Events at one instant happen in this order:
/// arrivals (by row), releases (by time of being scheduled), replicas (by number). Errors: no replica, a policy that `checked` refuses,
/// prefix blocks that are no multiple of the engine's blocks.
Result<Simulation> simulate(const Deployment& deployment, const traffic::Workload& workload, const RunOptions& options = {});

}  // namespace jevons::serve
