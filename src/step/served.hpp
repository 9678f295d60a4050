#pragma once
// Constants of the step-time form that measured serving points decide: few, physical, none of them of a model, an engine version or a chip.
#include <array>
#include <span>
#include <string_view>

#include "catalog/catalog.hpp"

namespace jevons::step {

/// Names one constant; the order is that of `served_constants()`.
enum class Fit : std::uint8_t {
  short_kernel,             // s, one norm, rotary embedding, cache write or activation in a CUDA graph
  short_kernel_bytes,       // hidden-wide rows that such a kernel moves for each token
  attention_floor,          // s, one decode-attention call
  host_step,                // s, host work a step
  host_sequence,            // s, host work a step for each sequence
  gemm_floor,               // factor on the floor of a dense product
  gemm_fraction,            // factor on the achieved share of peak FLOPS
  weight_stream,            // share of memory bandwidth, weights
  kv_stream,                // share of memory bandwidth, cache
  decode_attention,         // share of bf16 peak
  prefill_attention,        // share of bf16 peak
  moe_floor,                // factor
  moe_stream,               // factor
  moe_fraction_hopper_fp8,  // factors on the achieved share of peak FLOPS
  moe_fraction_hopper_mxfp4,
  moe_fraction_blackwell_fp8,
  moe_fraction_blackwell_fp4,
  moe_fraction_blackwell_mxfp4,
  moe_tile,              // rows to which the tokens of an expert are padded
  moe_token,             // factor on sorting, scattering and gathering the tokens
  moe_route,             // s, choosing and sorting the experts of a token
  expert_cost,           // s, each distinct expert
  routing_exponent,      // tokens^x in the distinct-expert count
  imbalance,             // factor on the spread of tokens over expert-parallel ranks
  expert_skew,           // lasting spread of tokens over expert-parallel ranks, for each doubling of them
  allreduce_latency,     // factor
  allreduce_size,        // factor
  dispatch_latency,      // factor
  dispatch_fraction,     // factor
  prefill_layer,         // s, a layer of a step with prompt tokens takes at least
  prefill_latent_layer,  // s, the same of a layer with latent attention
  host_vllm,             // s, HTTP and tokenisation of a request
  host_sglang,
  host_trtllm,
  count
};
inline constexpr std::size_t kFits = std::size_t(Fit::count);

/// What is known about a constant before any case is seen.
struct FitSpec {
  std::string_view name;
  double prior = 1;  // value
  double sigma = 0;  // standard deviation of its logarithm
  bool seconds = false;
};
std::span<const FitSpec> served_constants();

/// Values of all constants.
struct Served {
  std::array<double, kFits> value{};
  double operator[](Fit f) const { return value[std::size_t(f)]; }
  /// s from a client's send to the scheduler of an engine: vllm, sglang or trtllm.
  double host_request(std::string_view engine) const {
    return (*this)[engine == "sglang" ? Fit::host_sglang : engine == "trtllm" ? Fit::host_trtllm : Fit::host_vllm];
  }
  static Served priors();
  /// From catalog/efficiency/served.yaml. Errors: one is missing.
  static Result<Served> read(const catalog::Catalog& catalog);
};

}  // namespace jevons::step
