#include "model/weights.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/text.hpp"

namespace jevons::model {
namespace {

using F = WeightFormat;
using Op = F::Operand;

// Effective bits with scales. Sources: the vendors' quantization configs; OCP MX v1.0; NVIDIA ModelOpt; llama.cpp block layouts.
constexpr F kBf16{"bf16", 16, Op::bf16};
constexpr F kFp8{"fp8", 8 + 32.0 / 16384, Op::fp8};          // 128 x 128 block, fp32 scale
constexpr F kFp8E8m0{"fp8-e8m0", 8 + 8.0 / 16384, Op::fp8};  // 128 x 128 block, one-byte scale
constexpr F kFp8Tensor{"fp8-tensor", 8, Op::fp8};
constexpr F kMxfp8{"mxfp8", 8.25, Op::fp8};
constexpr F kInt8{"int8", 8, Op::int8};
constexpr F kNvfp4{"nvfp4", 4.5, Op::fp4};
constexpr F kMxfp4{"mxfp4", 4.25, Op::fp4};
constexpr F kInt4{"int4-g32", 4.5, Op::bf16};  // weight only: dequantized before the product
constexpr F kGptq{"gptq", 4 + 16.0 / 128, Op::bf16};
constexpr F kAwq{"awq", 4 + 20.0 / 128, Op::bf16};
constexpr F kQ8{"q8_0", 8.5, Op::bf16};
constexpr F kQ6{"q6_k", 6.5625, Op::bf16};
constexpr F kQ4{"q4_k", 4.5, Op::bf16};

constexpr F kUniform[] = {kBf16, kFp8, kFp8Tensor, kMxfp8, kInt8, kGptq, kAwq, kQ8, kQ6, kQ4};
constexpr F kExpertsOnly[] = {kNvfp4, kMxfp4, kInt4};

double bits_of(const WeightScheme& s, Group g) {
  const bool fp32 = s.fp32_extras && (g == Group::hc || g == Group::sink || g == Group::bias);
  return fp32 ? 32 : format_of(s, g).bits;
}

}  // namespace

bool has_experts(const Model& m) {
  return std::any_of(m.kinds.begin(), m.kinds.end(), [](const LayerKind& k) { return k.layer.moe.has_value(); });
}

Result<WeightScheme> weight_scheme(const Model& m, std::string_view wanted) {
  if (wanted == "native" && m.native_weights.starts_with(kUnknownQuantization)) {
    return fail({ErrorCode::unsupported,
                 {},
                 0,
                 "weights",
                 fmt::format("{}, which has no known size", m.native_weights),
                 "a weight format",
                 "say --weights FORMAT"});
  }
  const std::string name = lower(wanted == "native" ? std::string_view(m.native_weights) : wanted);
  for (const auto& f : kUniform) {
    if (name == f.name) return WeightScheme{f.name, f, f, f, f, kBf16};
  }
  for (const auto& f : kExpertsOnly) {
    if (name != f.name) continue;
    return has_experts(m) ? WeightScheme{f.name, kBf16, kBf16, f, kBf16, kBf16} : WeightScheme{f.name, f, f, f, f, kBf16};
  }
  if (name == "v4") return WeightScheme{"v4", kFp8E8m0, kFp8E8m0, kMxfp4, kFp8E8m0, kBf16, true};
  std::vector<std::string_view> names{"native", "v4"};
  for (const auto& f : kUniform) names.push_back(f.name);
  for (const auto& f : kExpertsOnly) names.push_back(f.name);
  return fail({ErrorCode::bad_input,
               {},
               0,
               "weights",
               fmt::format("'{}' is not a weight format", wanted.substr(0, 40)),
               fmt::format("one of {}", fmt::join(names, ", ")),
               did_you_mean(wanted, names)});
}

const WeightFormat& format_of(const WeightScheme& s, Group g) {
  switch (g) {
    case Group::attn:
    case Group::linear_attn:
    case Group::indexer:
    case Group::mtp_proj:
      return s.attention;
    case Group::dense_ffn:
      return s.dense;
    case Group::latent:
      return s.shared;
    case Group::routed:
      return s.routed;
    case Group::shared:
      return s.shared;
    default:
      return s.rest;
  }
}

double WeightBytes::main() const { return std::accumulate(of.begin(), of.end(), 0.0); }

WeightBytes weight_bytes(const Model&, const Parameters& p, const WeightScheme& s) {
  WeightBytes b;
  for (std::size_t i = 0; i < kGroups; ++i) {
    b.of[i] = double(p.main.of[i]) * bits_of(s, Group(i)) / 8;
    b.mtp += double(p.mtp.of[i]) * bits_of(s, Group(i)) / 8;
  }
  return b;
}

double step_weight_bytes(const Model& m, const WeightBytes& b, double tokens) {
  double experts_read = 0, experts_all = 0;  // weighted by parameters of a layer's experts
  for (const auto& k : m.kinds) {
    if (!k.layer.moe) continue;
    const Moe& e = *k.layer.moe;
    const double weight = double(k.count) * double(layer_parameters(k.layer, m.hidden)[Group::routed]);
    const double top_k = e.real_top_k > 0 ? e.real_top_k : e.top_k;
    experts_all += weight;
    experts_read += weight * distinct_experts(e.experts, top_k, tokens) / e.experts;
  }
  const double embedding = b[Group::embed], rows = embedding * std::min(1.0, tokens / double(m.vocab));
  const double experts = b[Group::routed] + b[Group::expert_bias];
  const double fixed = b.main() - experts - (m.tied ? 0 : embedding);
  return fixed + (m.tied ? 0 : rows) + (experts_all > 0 ? experts * experts_read / experts_all : 0);
}

}  // namespace jevons::model
