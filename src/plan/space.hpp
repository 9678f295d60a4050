#pragma once
// The space of deployments that a question spans: every combination of its knobs that can be built and is within its budget.
#include <deque>
#include <string>

#include "plan/search.hpp"

namespace jevons::plan {

/// An accelerator that may be used. Money and watts are of one, at the meter.
struct Chip {
  const catalog::Thing* thing = nullptr;
  std::optional<double> usd_per_s, watts, capital;
  int stock = 1 << 20;
  std::vector<serve::EnginePolicy> policies;  // to try on it, of a whole replica
};

enum class Split : std::uint8_t { none, allowed, only };  // prefill and decode in pools of their own

/// A chip or a cache other than the catalogue's: what one more of something is worth.
struct Change {
  double memory = 1, bandwidth = 1, flops = 1, links = 1, cache_bytes = 1;  // factors, of every chip
};

/// What may vary. A list of one value fixes a knob; an empty list of sizes means every power of two.
struct Knobs {
  std::vector<Chip> chips;
  std::vector<std::string> weights{"native"}, caches{"native"};
  std::vector<int> tp, dp, ep, pp{1}, dcp{1}, drafts{0};
  std::vector<double> host_gib{0};  // of host memory for cache blocks, all accelerators of a replica together; placements with one
                                    // attention rank that do all of a request
  std::vector<serve::Routing> routings{serve::Routing::least_outstanding};
  std::optional<int> replicas;
  Split split = Split::none;
  std::optional<double> memory_fraction;    // that the engine may use; unset: its default
  double first_acceptance = 0.85;           // probability that a draft token is accepted given those before it were
  std::optional<double> acceptance_length;  // tokens that a step with drafts yields, as measured: in place of that probability
  Change change;
  int overlapped_layers = 0;  // caches are sent layer by layer while the prompt is computed
};
struct Budget {
  int accelerators = 8;
  double watts = 1e300, capital = 1e300, kg_per_h = 1e300;
  double kg_per_joule = 0;  // of electricity
};

/// Owns what the choices point to.
struct Space {
  std::deque<step::Subject> subjects;
  std::vector<Choice> choices;
  std::vector<Shape> shapes;
  std::size_t do_not_divide = 0, do_not_fit = 0, over_budget = 0;
  std::string no_fit;  // of the replica that lacks least: how much
  /// Of the deployment that is least over the budget: by which factor, the limit in question, and what it takes of it.
  double over_by = 1e300;
  std::string over;
};

/// Tokens that a step with `drafts` draft tokens yields when each is accepted with probability p after the one before: (1 − p^(d+1))/(1 −
/// p). Leviathan, Kalman, Matias, "Fast inference from transformers via speculative decoding", ICML 2023, equation 1.
double expected_tokens(int drafts, double p);

/// Placements worth trying on at most `accelerators`: the sizes given, else powers of two; attention ranks
/// only with experts, and these over all ranks or none. Tensor parallelism stays inside the scale-up domain unless its size is given;
/// experts may cross it over the network.
std::vector<step::Placement> placements(const model::Model& model, const catalog::Accelerator& chip, const Knobs& knobs, int accelerators);

/// closed: replicas serve a closed load, where one of a kind stands for any number. max_context: tokens of the longest request.
/// Errors: bad input only; a space without a shape is an answer.
Result<Space> space_of(const catalog::Catalog& catalog, const model::Model& model, const Knobs& knobs, const Budget& budget, bool closed,
                       std::int64_t max_context, int threads);

}  // namespace jevons::plan
