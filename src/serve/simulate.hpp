#pragma once
// Discrete-event simulation of replicas behind a router: what each request experiences.
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "serve/failures.hpp"
#include "serve/router.hpp"

namespace jevons::serve {

/// How many replicas of a pool run, by the requests they have. Kubernetes' Horizontal Pod Autoscaler (kubernetes.io/docs, "Algorithm
/// details"): desired = ceil(metric / target), looked at every interval; fewer only if no look within the stabilization window wanted more.
struct Scaling {
  int least = 1;                 // replicas; Pool::replicas is the most
  double target = 0;             // requests outstanding per replica
  double interval_s = 15;        // --horizontal-pod-autoscaler-sync-period
  double stabilization_s = 300;  // --horizontal-pod-autoscaler-downscale-stabilization
};

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
  Role role = Role::both;
  double link_bytes_per_s = 0;  // network of one rank, each way; used by pools that hand over
  double start_up_s = 0;        // from an order, or a repair, until a replica serves: container, weights, CUDA graphs
  std::optional<Scaling> scaling = {};
  LoraCost lora = {};
  TierSet tiers = {};  // of one replica
};

/// The cache of a prompt on its way from a prefill to a decode replica.
struct Handover {
  double bytes_per_token = 0, bytes_fixed = 0;  // of a sequence's cache, all ranks that hold it together
  /// > 0: sent layer by layer while the prompt is computed, so that at its end one layer of this many is left, or what the link could not
  /// send by then (what other flows do in that time is left out). SGLang and vLLM's layer-wise connectors.
  int overlapped_layers = 0;
};

/// What a sequence's cache takes to a replica of this placement: every rank of a tensor-parallel group fetches what it holds, so that a
/// latent is read by each of them.
Handover handover_of(const step::Subject& receiver, const step::Placement& placement);

struct Deployment {
  std::vector<Pool> pools;
  Routing routing = Routing::least_outstanding;
  Handover handover = {};  // of deployments with prefill and decode pools
  std::vector<FailureLaw> failures = {};
  bool disaggregated() const;
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

/// What happened to the fleet itself.
struct FleetCounters {
  std::int64_t failures = 0, lost = 0;    // of parts; requests that a dying replica had, each sent on to another
  std::int64_t started = 0, stopped = 0;  // replicas, by the autoscaler
  std::int64_t handed_over = 0;           // requests
  double handed_over_bytes = 0;
  std::vector<double> accelerator_s;  // of each pool: accelerators · seconds ordered, start-up and drain included
  double accelerator_down_s = 0;      // of these under repair or starting after one
};

struct Simulation {
  Outcomes outcomes;
  FleetCounters fleet;
  std::vector<Counters> replicas;     // of each attention rank
  std::vector<double> block_seconds;  // likewise
  DurationHistogram itl;
  SimTime end = 0;       // last event
  bool partial = false;  // stopped early
};

/// Simulates a workload to its end. Deterministic: the same bytes for the same arguments. Events at one instant happen in this order:
/// arrivals (by row), events (by kind, then time of being scheduled), ends of transfers, replicas (by number). Requests of a replica that
/// dies go to another with the outputs made so far as part of their prompt (NVIDIA Dynamo, "request migration"); while no replica is up
/// they wait at the router. Errors: no replica, a policy that `checked` refuses, prefix blocks that are no multiple of the engine's blocks,
/// pools that prefill without ones that decode.
Result<Simulation> simulate(const Deployment& deployment, const traffic::Workload& workload, const RunOptions& options = {});

}  // namespace jevons::serve
