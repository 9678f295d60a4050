#pragma once
// Attention data parallelism: ranks with a queue, a cache and a batch of their own that take every step together.
#include <span>

#include "serve/replica.hpp"

namespace jevons::serve {

/// The ranks of one replica. The experts of a layer want the tokens of all ranks, so nobody starts a layer before everybody has come to it:
///   step = base(largest batch) + max over ranks of (attention over the cache + prompt attention)
///        + products(largest batch + largest number of prompt tokens) − products(largest batch)
///        + experts(all tokens) − experts(all decodes),  at least the floor of a prefill step.
/// Decodes are padded to the largest batch (vLLM v1/worker/dp_utils.py coordinate_batch_across_dp; SGLang DpPaddingMode MAX_LEN), prompt
/// tokens are not. A rank without work takes the step as well (vLLM execute_dummy_batch). While all ranks decode on, the step time is the
/// largest of several lines in the number of steps: their upper envelope has few pieces, each summed in closed form.
class Lockstep {
 public:
  Lockstep(std::vector<Replica*> ranks, const step::StepForm& form, const EnginePolicy& policy);

  /// As Replica's, for one of the ranks.
  void arrive(std::uint32_t rank, RequestId r, SimTime now);
  void landed(std::uint32_t rank, RequestId r, SimTime now);
  void release(std::uint32_t rank, RequestId r, SimTime now);
  void come_no_more(std::uint32_t rank, RequestId r, SimTime now);
  void fail(SimTime now, std::vector<RequestId>& lost);
  SimTime next() const { return steps_ == 0 && !woken_ ? kNever : ns_of(end_); }
  void advance(std::vector<RequestId>& finished);
  void sleep_until(SimTime t) { end_ = instant_of(t); }
  std::uint32_t size() const { return std::uint32_t(ranks_.size()); }
  std::uint32_t first() const { return ranks_.front()->model_.index; }

 private:
  struct Load {  // of one rank in the planned steps
    int batch = 0;
    std::int64_t sum = 0, growth = 0;  // cached tokens of its decoding sequences in the first step, and more a step
  };
  void interrupt(SimTime now);
  void wake(SimTime now, const Replica& rank);
  bool holds();
  bool all_decode() const;
  bool any_active() const;
  void read_loads();
  step::Ticks first_step() const;
  step::Ticks decode_step(std::int64_t k) const;
  step::StepForm::Run run(std::int64_t steps, Instant limit) const;
  void go(std::int64_t steps, Instant ticks);

  std::vector<Replica*> ranks_;
  const step::StepForm& form_;
  const EnginePolicy policy_;
  std::vector<Load> loads_;
  int largest_ = 0;  // batch
  Instant start_ = 0, end_ = 0;
  std::int64_t steps_ = 0;
  bool woken_ = false;
  std::int32_t waited_ = 0, batching_waited_ = 0;  // passes that context was held back
};

}  // namespace jevons::serve
