#pragma once
// The savings ledger at re-optimised deployments: for every combination of techniques the planner chooses, and simulates, the deployment
// anew; differences are then shared out exactly.
#include <string>
#include <vector>

#include "plan/question.hpp"

namespace jevons::savings {

/// The question whose answer is taken apart; its objective is replaced by $/Mtok. Copied for each combination.
struct Frame {
  plan::Question question;
  double isl = 0, osl = 0;
};

enum class Lever : std::uint8_t {
  attention,
  sparsity,
  windows,
  cache_format,
  weight_format,
  prefix_cache,
  cache_tiers,
  speculation,
  split,
  wide_ep,
  batching
};
struct LeverInUse {
  Lever lever{};
  std::string name, off;  // "latent attention (MLA)", "GQA-8, heads of 128"
};
/// Techniques that this question can use, as reports of the field name them.
std::vector<LeverInUse> levers_in_use(const Frame& f);

/// One combination at its best deployment. Nothing where none is feasible.
struct Best {
  std::string deployment;
  double usd_per_mtok = 0;         // output tokens
  double hbm_bytes_per_token = 0;  // cache and weights that decode steps read for one output token
  double flops_per_token = 0;      // decode and prompt, for one output token
  double accelerator_s_per_token = 0, joules_per_token = 0;
  double usd_per_accelerator_s = 0, bandwidth = 0, peak = 0;  // of one accelerator; bf16
  double users_per_accelerator = 0;
};
struct World {
  std::optional<Best> best;
  std::string why_not;
  std::size_t simulated = 0;  // points of the search, and what its best may fall short of the optimum by
  double gap = 0;
  double bytes_per_user = 0;  // cache of one sequence at isl + osl; does not depend on the deployment
};

struct Share {
  LeverInUse what;
  World without;              // this one off, all others on
  std::optional<double> usd;  // Shapley share of (all off − all on) in USD per output Mtok
  double log_bytes = 0;       // Shapley share of ln(cache bytes per user, all off / all on)
};
struct Factor {
  std::string name;
  double before = 0, after = 0, usd = 0;  // contribution to the change of USD per Mtok
};
struct Ledger {
  World all_on, all_off;
  std::vector<Share> shares;
  std::string note;                        // what had to be lifted so that every combination has an answer
  std::vector<Factor> by_bytes, by_flops;  // LMDI from all off to all on: price x bytes x 1/bandwidth x 1/MBU, and with FLOPs and MFU
  std::size_t plans = 0, infeasible = 0;
  std::size_t simulated = 0;  // of all plans together
  double gap = 0;             // the widest of any plan that has an answer
};
/// Plans 2^n combinations of the n levers, all in one space of deployments: the question's own, or, where nothing is feasible there with
/// all levers off, with `stretch` times its accelerators, or then without limits on latency too (stretch 1: its own in any case). Errors:
/// as the planner's.
Result<Ledger> ledger(const Frame& frame, const std::vector<LeverInUse>& levers, int stretch = 1);

/// A technique that the question leaves unused, or another thing in place of one it uses: one more plan, all else as it is.
struct Aside {
  LeverInUse what;
  World with;
};
/// fp8 cache, fp8 weights, one draft token where the model has a head for it; and plain multi-head attention in place of what is latent.
Result<std::vector<Aside>> unused(const Frame& frame);
Result<std::optional<World>> with_multi_head(const Frame& frame);

/// What an optimum may be sensitive to: bytes of the cache; memory, its bandwidth, peak rates and links of every chip.
enum class Input : std::uint8_t { cache_bytes, memory, bandwidth, flops, links };
inline constexpr int kInputs = 5;
std::string_view name(Input input);
/// d ln(optimal $/Mtok) / d ln(x) by planning anew at x·(1 ± 0.1) on a fine grid of concurrencies. Nothing where one side has no answer.
Result<std::optional<double>> elasticity(const Frame& frame, Input input);
/// The price elasticity of demand above which saving a part of x raises the demand for x: halving it raises demand when
/// elasticity > ln 2 / −ln(1 − theta/2). Nothing for theta <= 0.
std::optional<double> rebound_threshold(double theta);

}  // namespace jevons::savings
