#include "step/served.hpp"

#include <string>

namespace jevons::step {
namespace {

// Priors: operator tables and kernel times, docs/step-time.md.
constexpr std::array<FitSpec, kFits> kSpecs{{
    {"short_kernel", 3.5e-6, 0.15},
    {"short_kernel_bytes", 2, 0.3},
    {"attention_floor", 9e-6, 0.25},
    {"host_step", 1e-4, 0.7},
    {"host_sequence", 5e-6, 0.5},
    {"gemm_floor", 1, 0.15},
    {"gemm_fraction", 1, 0.1},
    {"weight_stream", 0.855, 0.05},
    {"kv_stream", 0.82, 0.1},
    {"decode_attention", 0.6, 0.3},
    {"prefill_attention", 0.4, 0.2},
    {"moe_floor", 1, 0.3},
    {"moe_stream", 1, 0.2},
    {"moe_fraction_hopper_fp8", 1, 0.4},
    {"moe_fraction_hopper_mxfp4", 1, 0.4},
    {"moe_fraction_blackwell_fp8", 1, 0.4},
    {"moe_fraction_blackwell_fp4", 1, 0.4},
    {"moe_fraction_blackwell_mxfp4", 1, 0.4},
    {"moe_tile", 16, 0.7},
    {"moe_token", 1, 0.7},
    {"moe_route", 0.03e-6, 0.8},
    {"expert_cost", 0.15e-6, 0.5},
    {"routing_exponent", 0.85, 0.05},
    {"imbalance", 1, 0.5},
    {"allreduce_latency", 1, 0.25},
    {"allreduce_size", 1, 0.25},
    {"dispatch_latency", 1, 0.5},
    {"dispatch_fraction", 1, 0.3},
    {"prefill_layer", 0.1e-3, 0.8},
    {"prefill_latent_layer", 1e-3, 0.8},
    {"host_vllm", 20e-3, 0.4},
    {"host_sglang", 30e-3, 0.4},
    {"host_trtllm", 20e-3, 0.4},
}};

}  // namespace

std::span<const FitSpec> served_constants() { return kSpecs; }

Served Served::priors() {
  Served s;
  for (std::size_t i = 0; i < kFits; ++i) s.value[i] = kSpecs[i].prior;
  return s;
}

Result<Served> Served::read(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::efficiency, "served"));
  Served s;
  for (std::size_t i = 0; i < kFits; ++i) {
    const auto* fact = t->find(kSpecs[i].name);
    if (fact == nullptr)
      return bad_input(std::string(t->file), "lacks " + std::string(kSpecs[i].name), "every constant of the step-time form");
    s.value[i] = fact->value;
  }
  return s;
}

}  // namespace jevons::step
