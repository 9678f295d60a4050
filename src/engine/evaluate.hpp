#pragma once
// The chain: one struct a link, filled in order by evaluate().
#include "cost/token_cost.hpp"
#include "engine/run_energy.hpp"
#include "engine/scenario.hpp"
#include "evidence/bands.hpp"
#include "fabric/topology.hpp"
#include "market/jevons.hpp"
#include "savings/ledger.hpp"
#include "serve/metrics.hpp"

namespace jevons::engine {

struct MemoryOfOneUser {
  double bytes = 0, bytes_bf16 = 0;  // at the scenario's context, in its format and in bf16
  double growth = 0, fixed = 0;      // per token, and however long
  double gqa_bytes = 0,
         mha_bytes = 0;  // bf16 GQA with 8 KV heads, and plain multi-head attention, of the same width; 0: not a latent model
  double transient = 0;  // compressor state published sizes leave out
};
struct Comparison {
  std::string name;
  double bytes_of_one_user = 0;
  double decode_flops = 0;                    // per token at the scenario's context
  std::optional<double> usd_per_output_mtok;  // at its own cheapest deployment; nothing when infeasible
};
struct Fleet {
  double replicas = 0, accelerators = 0;
  std::optional<fabric::Bill> scaleup;
  Watts power{};
  Usd per_year{};
  double output_tokens_per_day = 0;
};
/// An input that was assumed or measured with a spread, and the headline cost at its ends.
struct Lever {
  std::string name;
  double usd_low = 0, usd_high = 0;
};

struct Answers {
  Scenario scenario;
  model::Model model;
  step::Subject subject;
  MemoryOfOneUser memory;
  cost::GpuHour hour;
  plan::Question question;
  plan::Answer plan;
  std::string why_not, nearest_change;  // without a feasible deployment
  cost::TokenCost cost;                 // of the best deployment
  double usd_per_output_mtok = 0;       // whole cost of a request over its output tokens
  evidence::Interval band;              // factors on costs that hold nine of ten, of throughputs left out of every fit
  std::string known;                    // what is known of the deployment, that the band is of
  std::string operand_note;
  bool borrowed = false;
  std::vector<const catalog::Thing*> constants;  // facts behind step times and memory: kernel constants, engine reserve
  std::vector<step::Term> step_terms;            // of the decode step at the plan's batch
  std::optional<Comparison> comparison;
  savings::Ledger ledger;
  std::vector<savings::Aside> unused;             // techniques
  std::optional<savings::World> with_multi_head;  // in place of latent or compressed attention
  std::optional<double> theta;
  std::optional<Fleet> fleet;
  RunEnergy energy;  // of an output token, at the share of paid hours in use
  market::Saving saving;
  std::string saving_of;  // what the saving compares
  market::Verdict verdict;
  std::vector<Lever> levers;  // widest first

  bool feasible() const { return plan.best() != nullptr; }
  /// Of the best deployment. Require feasible().
  const plan::Point& best() const { return *plan.best(); }
  const plan::Replica& replica() const { return *plan.ask.choices[plan.shape(best()).parts.front().choice].replica; }
  const step::Placement& placement() const { return replica().design().placement; }
};

/// Walks the chain. Errors: bad input. Without a feasible deployment plan.best() is null, why_not says why, and the links after it are
/// empty.
Result<std::unique_ptr<Answers>> evaluate(const Context& context);

/// The page of a run.
report::Document page_of(const Answers& a);

}  // namespace jevons::engine
