#include "step/served.hpp"

#include <string>

namespace jevons::step {
namespace {

// Priors: operator tables and kernel times, docs/step-time.md.
constexpr std::array<FitSpec, kFits> kSpecs{{
    {"short_kernel", 3.5e-6, 0.09, true},
    {"short_kernel_bytes", 1.25, 0.18},
    {"attention_floor", 9e-6, 0.15, true},
    {"host_step", 1e-4, 0.42, true},
    {"host_sequence", 5e-6, 0.3, true},
    {"gemm_floor", 1, 0.09},
    {"gemm_fraction", 1, 0.06},
    {"weight_stream", 0.855, 0.03},
    {"kv_stream", 0.82, 0.06},
    {"decode_attention", 0.6, 0.18},
    {"prefill_attention", 0.4, 0.12},
    {"moe_floor", 1, 0.18},
    {"moe_stream", 1, 0.12},
    {"moe_fraction_hopper_fp8", 1, 0.24},
    {"moe_fraction_hopper_mxfp4", 1, 0.24},
    {"moe_fraction_blackwell_fp8", 1, 0.24},
    {"moe_fraction_blackwell_fp4", 1, 0.24},
    {"moe_fraction_blackwell_mxfp4", 1, 0.24},
    {"moe_tile", 16, 0.42},
    {"moe_token", 1, 0.42},
    {"moe_route", 0.03e-6, 0.48, true},
    {"expert_cost", 0.15e-6, 0.3, true},
    {"routing_exponent", 0.85, 0.03},
    {"imbalance", 1, 0.3},
    {"expert_skew", 0.08, 0.48},
    {"allreduce_latency", 1, 0.15},
    {"allreduce_size", 1, 0.15},
    {"dispatch_latency", 1, 0.3},
    {"dispatch_fraction", 1, 0.18},
    {"prefill_layer", 0.1e-3, 0.48, true},
    {"prefill_latent_layer", 1e-3, 0.48, true},
    {"host_vllm", 20e-3, 0.24, true},
    {"host_sglang", 30e-3, 0.24, true},
    {"host_trtllm", 20e-3, 0.24, true},
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
