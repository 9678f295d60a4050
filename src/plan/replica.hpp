#pragma once
// One replica as the simulator takes it: a model on a chip, spread in a given way, under an engine's rules.
#include <memory>
#include <optional>

#include "serve/cache_blocks.hpp"
#include "serve/engine_memory.hpp"
#include "serve/simulate.hpp"
#include "step/form_of.hpp"

namespace jevons::plan {

/// What a replica is made of. The subject's share of memory and reserve are replaced by those that the policy and the placement ask for.
struct Design {
  const step::Subject* subject = nullptr;  // model, formats, chip
  step::Placement placement;
  serve::EnginePolicy policy;    // of one attention rank
  std::optional<double> memory_fraction;  // that the engine may use; unset: its default
  int draft_tokens = 0;          // verified beside the next token in each decode step
  double acceptance_length = 1;  // tokens such a step yields, the next one included
  std::int64_t max_context = 1;  // tokens of the longest request
};

/// A design with its step times and cache blocks. Immutable once built: any number of simulations may share it.
class Replica {
 public:
  /// Errors: the chip lacks a fact that step times need, or the placement does not divide the model.
  static Result<std::unique_ptr<Replica>> build(const catalog::Catalog& catalog, const Design& design);

  const Design& design() const { return design_; }
  const step::StepTime& time() const { return *time_; }
  const step::Memory& memory() const { return memory_; }
  /// Cache blocks hold at least one of the longest requests.
  bool fits() const { return sequences_ >= 1; }
  /// Sequences of `max_context` tokens that one attention rank's cache holds.
  std::int64_t sequences() const { return sequences_; }
  int accelerators() const { return design_.placement.accelerators(); }
  /// Requires fits().
  const step::StepForm& form() const { return *form_; }
  serve::Pool pool(int replicas, serve::Role role = serve::Role::both) const;
  /// Tokens that a decode step yields, as the simulator counts them.
  double yield() const { return double(step_tokens_) / unit_; }

 private:
  Design design_;
  step::Subject subject_;
  std::optional<step::StepTime> time_;
  step::Memory memory_;
  serve::CacheBlocks blocks_;
  std::int64_t sequences_ = 0;
  std::optional<step::StepForm> form_;
  std::int32_t unit_ = 1, step_tokens_ = 1;
};

}  // namespace jevons::plan
