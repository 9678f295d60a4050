#pragma once
// Seconds of one engine step for a placement: kernels counted one by one, each with its floor, plus host time.
// The form and its constants are facts of catalog/efficiency; docs/step-time.md has the formulas and what each term is worth.
#include <array>
#include <string>
#include <vector>

#include "fabric/collectives.hpp"
#include "step/placement.hpp"
#include "step/served.hpp"

namespace jevons::step {

/// Constants of one kernel generation, read from catalog/efficiency/<name>.yaml.
struct KernelConstants {
  const catalog::Thing* thing = nullptr;
  bool borrowed = false;     // the chip has no measurements of its own
  double band = 0.2;         // 90 % of predictions lie within this relative error
  double weight_stream = 1;  // factor on the achieved share of memory bandwidth
  double dispatch_alpha, dispatch_fraction;
  std::array<double, 4> gemm_floor, gemm_fraction;                    // by operand, as model::WeightFormat counts them
  double moe_floor, moe_stream, moe_flop, moe_half_width, moe_token;  // for the formats used
  std::array<fabric::MeasuredCollective, 3> allreduce{};              // of the engine, 2, 4 and 8 ranks
  double allreduce_link;                                              // bytes/s on which they were measured
  Seconds network_latency{};                                          // of one message between scale-up domains
};

/// What one step does on one replica.
struct Step {
  double decode_sequences = 0;  // all attention ranks together
  double decode_context = 0;    // mean cached tokens of a decoding sequence
  double prefill_tokens = 0;    // new prompt tokens in this step
  double prefill_cached = 0;    // tokens of that prompt already in cache
};

/// One term of a step's time, for --explain.
struct Term {
  std::string name;
  double seconds;
};

class StepTime {
 public:
  /// Errors: the chip lacks a peak, bandwidth or memory in the catalogue, or the placement does not divide.
  static Result<StepTime> make(const catalog::Catalog& catalog, const Subject& subject, const Placement& placement);

  /// The same placement with other constants.
  StepTime with(const Served& served) const {
    StepTime t = *this;
    t.served_ = served;
    return t;
  }
  const Served& served() const { return served_; }

  double seconds(const Step& step) const;
  std::vector<Term> terms(const Step& step) const;
  /// A step of `tokens` prompt tokens without their attention: what products, experts, communication and launches take.
  double token_seconds(double tokens) const;
  /// Of these, the experts' products; tokens of all attention ranks.
  double expert_seconds(double tokens) const;
  /// The attention of `tokens` prompt tokens after `cached` ones, spread over the attention ranks.
  double prefill_attention_seconds(double tokens, double cached) const;
  /// What a step with prompt tokens takes at least: its kernels are launched one by one, outside CUDA graphs.
  double prefill_floor() const;
  /// FLOP-only lower bound of prefilling `tokens` after `cached`: no prediction may be below it.
  double prefill_bound(double tokens, double cached) const;
  /// Lower bound of a decode step on one rank: the weights that every token needs, half of the experts that skewed routing touches, and the
  /// cache, at the peak memory bandwidth. No step and no measurement may be below it.
  double decode_bound(double sequences, double context) const;
  const KernelConstants& constants() const { return constants_; }
  const Subject& subject() const { return *subject_; }
  const Placement& placement() const { return placement_; }
  std::string operand_note;  // set where the chip lacks units for a format and multiplies in bf16

 private:
  struct Product {  // matrix products of one layer that share an operand
    double bytes = 0, flops_per_token = 0, kernels = 0;
  };
  struct KindCost {  // one kind of layer, per rank
    double count = 0;
    std::array<Product, 4> products{};  // by operand: attention projections, dense and shared FFN, router
    bool has_attention = false, has_moe = false, latent = false;
    double small_reductions = 0;  // of a few bytes a token: norms over all heads
    double short_kernels = 0, reductions = 0;
    double moved_values = 0;               // by the short kernels, for each token
    double query_row = 0, output_row = 0;  // bytes of a token's queries and outputs, of the heads that a context-parallel group attends for
    double experts = 0, top_k = 0, expert_bytes = 0, expert_flops = 0, expert_width = 0;
  };
  struct Parts {
    double gemm = 0, moe = 0, attention = 0, prefill_attention = 0, communication = 0, exchange = 0, small = 0, host = 0;
    double total() const { return gemm + moe + attention + prefill_attention + communication + exchange + small + host; }
  };
  Parts parts(const Step& step) const;  // as the engine runs it: whole, or in two halves that overlap
  Parts parts_of(const Step& step) const;
  double product_seconds(double bytes, double flops, std::size_t operand) const;
  double moe_seconds(const KindCost& k, double tokens) const;
  double all_reduce_seconds(double bytes) const;
  double context_parallel_seconds(const KindCost& k, double sequences) const;

  const Subject* subject_ = nullptr;
  Placement placement_;
  KernelConstants constants_{};
  Served served_;
  Fit moe_fraction_ = Fit::moe_fraction_hopper_fp8;
  std::vector<KindCost> kinds_;
  double link_ = 0;                // of one accelerator, one direction
  int domain_ = 0;                 // ranks of one tensor-parallel group that share a scale-up domain
  BytesPerSecond network_{};       // of one accelerator, one direction; where the group spans domains
  double dispatch_bandwidth_ = 0;  // one direction, achieved
  double bandwidth_ = 0, moe_peak_ = 0, bf16_peak_ = 0;
  std::array<double, 4> gemm_peak_{};
  double head_bytes_ = 0, head_flops_per_token_ = 0;
};

}  // namespace jevons::step
