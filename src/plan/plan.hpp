#pragma once
// Which placement of one accelerator type serves a workload most cheaply within its limits. Exhaustive over the placements it lists,
// each judged by the steady-state closed form.
#include <optional>
#include <string>
#include <vector>

#include "cost/gpu_hour.hpp"
#include "cost/token_cost.hpp"
#include "serve/steady_state.hpp"

namespace jevons::plan {

struct Limits {
  std::optional<double> ttft_s, tpot_s;  // of the means
  int max_accelerators = 8;              // of one replica
  double max_num_seqs = 1024;            // decoding at once, per attention rank
  std::optional<int> tp, pp, dp, ep;     // given by the user
};

struct Question {
  const catalog::Catalog* catalog = nullptr;
  const step::Subject* subject = nullptr;
  serve::Workload workload;
  Limits limits;
  UsdPerSecond accelerator_cost{};
  double utilization = 1;  // share of paid hours at the planned load
};

/// What keeps a candidate from being better, or from being possible at all.
enum class Binding : std::uint8_t { none, memory_for_weights, cache_capacity, tpot, ttft, max_num_seqs };
std::string_view name(Binding b);

struct Candidate {
  step::Placement placement;
  bool feasible = false;
  Binding binding = Binding::none;
  step::Memory memory;
  double sequences_fit = 0;        // sequences of full length that the cache holds
  serve::SteadyState state;        // at the chosen concurrency; at one request when infeasible
  cost::TokenCost cost;            // only when feasible
  double usd_per_output_mtok = 0;  // whole cost of a request over its output tokens
};

enum class Status : std::uint8_t { optimal, infeasible };
struct Plan {
  Status status = Status::infeasible;
  std::vector<Candidate> candidates;  // cheapest first, infeasible ones last
  std::size_t screened = 0;
  std::string explanation;  // of "infeasible": what binds and the nearest feasible change
  const Candidate& best() const { return candidates.front(); }
};

/// Placements worth trying: powers of two within the limits, experts over all ranks or none, pipeline stages only where asked for or
/// where nothing else can hold the weights. Tensor parallelism stays inside the scale-up domain; experts may cross it over the network.
std::vector<step::Placement> placements(const model::Model& m, const catalog::Accelerator& chip, const Limits& limits, bool with_pipeline);

/// One placement at the largest concurrency its limits allow (throughput grows with concurrency, latency too).
Candidate evaluate(const Question& q, const step::StepTime& time);

/// Errors: bad input only (a chip without the facts needed, a given placement that does not divide). "No" is a status.
Result<Plan> cheapest(const Question& q);

}  // namespace jevons::plan
