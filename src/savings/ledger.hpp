#pragma once
// What each efficiency technique of a deployment saves: switched off alone, and shared out exactly over all of them, with the placement
// chosen anew each time.
#include "plan/plan.hpp"
#include "savings/counterfactual.hpp"

namespace jevons::savings {

enum class Technique : std::uint8_t { attention, sparsity, windows, cache_format, weight_format, prefix_cache, speculation };
struct Switch {
  Technique technique{};
  std::string name;  // "latent attention (MLA) instead of GQA-8"
  std::string off;   // what stands in its place
};

/// The deployment with the techniques of `mask` on (bit i: switches[i]) and the others replaced.
struct Outcome {
  double cache_bytes_per_user = 0;              // one sequence at the workload's context
  std::optional<double> users_per_accelerator;  // sequences in flight over accelerators; nothing when infeasible
  std::optional<double> usd_per_output_mtok;    // whole cost over output tokens
  std::string why;                              // of infeasible
};
struct Row {
  Switch what;
  Outcome without;                    // this one off, all others on
  std::optional<double> shapley_usd;  // its share of (all off - all on), USD per output Mtok
  double shapley_log_bytes = 0;       // its share of ln(bytes per user, all off / all on)
};
/// A technique that this deployment does not use, judged with it; or another thing that stands in place of one it uses.
struct Aside {
  Switch what;
  Outcome with;
};
struct Ledger {
  Outcome all_on, all_off;
  std::vector<Row> rows;
  std::vector<Aside> unused;               // fp8 cache, fp8 weights, multi-token prediction where the model has it
  std::optional<Outcome> with_multi_head;  // plain multi-head attention in place of latent or compressed attention
  std::string note;                        // what had to be lifted so that every combination has an answer, or why one has none
  std::size_t plans = 0;
};

/// Techniques that are in use in this question; each can be switched off by itself.
std::vector<Switch> switches_of(const plan::Question& q);
/// All combinations are judged in the same space of deployments: the question's own, then, while a combination has no answer there,
/// with `stretch` times the accelerators a replica, then also without latency limits. `note` says which.
Result<Ledger> ledger(const plan::Question& q, int stretch = 8);

/// d ln(cost per output token) / d ln(bytes of cache) at the re-optimised deployment, by a central difference of +-20 %.
/// Nothing when one side is infeasible.
Result<std::optional<double>> theta_cache(const plan::Question& q);

}  // namespace jevons::savings
