#pragma once
// Weight bytes by format. What a recipe leaves unquantized is part of the recipe: docs/model-accounting.md section 6.
#include <string_view>

#include "model/account.hpp"

namespace jevons::model {

/// A storage format of one matrix: bits of a weight, scales included, and which peak its products run at.
struct WeightFormat {
  std::string_view name;
  double bits = 16;
  enum class Operand : std::uint8_t { bf16, fp8, fp4, int8 } operand = Operand::bf16;  // arithmetic of the matrix product
};

/// Which format each part of a model has.
struct WeightScheme {
  std::string_view name;
  WeightFormat attention, dense, routed, shared, rest;  // rest: embedding, head, router, norms, biases
  bool fp32_extras = false;                             // V4: hyper-connections, sinks and biases in fp32
};

/// bf16, fp8 (128x128 blocks, fp32 scales), fp8-tensor, mxfp8, int8, nvfp4, mxfp4, int4-g32, gptq, awq, v4, and the GGUF types
/// q8_0, q6_k, q4_k. `native` is what the vendor ships. Dense models quantize every linear layer; with nvfp4, mxfp4 and int4-g32 a
/// model with experts keeps attention and shared experts in bf16, as the published checkpoints do.
Result<WeightScheme> weight_scheme(const Model& model, std::string_view name);

/// Format of a parameter group under a scheme.
const WeightFormat& format_of(const WeightScheme& scheme, Group group);

struct WeightBytes {
  std::array<double, kGroups> of{};  // main model by group
  double mtp = 0;
  double operator[](Group g) const { return of[std::size_t(g)]; }
  double main() const;
  double total() const { return main() + mtp; }
};
WeightBytes weight_bytes(const Model& model, const Parameters& parameters, const WeightScheme& scheme);

/// Bytes of weights one step of `tokens` tokens reads, whole model: everything but the input embedding once, its rows, and the
/// distinct routed experts of each layer.
double step_weight_bytes(const Model& model, const WeightBytes& bytes, double tokens);

}  // namespace jevons::model
