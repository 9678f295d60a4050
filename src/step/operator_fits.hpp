#pragma once
// Finds the curve of an operator in catalog/fits for a chip: its own, or a relative's with a wider error.
#include <string_view>

#include "base/result.hpp"
#include "catalog/accelerator.hpp"
#include "step/operators.hpp"

namespace jevons::step {

/// Whose kernels: "trtllm", "vllm", "sglang"; where a chip has no table of that engine, the first one it has. Empty: the first one.
/// Formats of GEMM: bf16, fp8, fp8-block, nvfp4, int8, int8-weight-only, int4-weight-only; of experts: bf16, fp8, fp8-block, nvfp4,
/// mxfp4-w4a16, mxfp4-w4a8. Errors of all: not_found when neither the chip nor a relative has such a table; bad_input when the chip's
/// peak or bandwidth is not in the catalogue.
struct CurveRequest {
  const catalog::Catalog* catalog = nullptr;
  const catalog::Accelerator* chip = nullptr;
  std::string_view engine;
};
Result<GemmCurve> gemm_curve(const CurveRequest&, std::string_view format);
enum class AttentionFamily : std::uint8_t { gqa, naive_mla };
/// operand: bf16 or fp8; kv_cache: bf16 or fp8.
Result<ContextCurve> context_curve(const CurveRequest&, AttentionFamily, std::string_view operand, std::string_view kv_cache);
Result<DecodeCurve> decode_curve(const CurveRequest&, std::string_view kv_cache);
Result<MlaDecodeCurve> mla_decode_curve(const CurveRequest&, std::string_view kv_cache);
Result<MoeCurve> moe_curve(const CurveRequest&, std::string_view format);
/// library: nccl, or an engine for its own all-reduce inside CUDA graphs. op: all-reduce, all-gather, reduce-scatter, all-to-all.
/// Ranks between or beyond the measured ones follow a straight line in log2(ranks); a borrowed curve moves its bytes over the chip's own
/// links.
Result<CollectiveCurve> collective_curve(const CurveRequest&, std::string_view library, std::string_view op, double ranks);
/// library: deepep (mode normal or low-latency) or trtllm (two-sided, one-sided; with a format:
/// bf16, fp8, nvfp4). op: dispatch, combine, prepare, combine-low-precision. Nearest measured rank count.
Result<ExchangeCurve> exchange_curve(const CurveRequest&, std::string_view library, std::string_view mode, std::string_view op,
                                     double ranks, std::string_view format = {});

/// op: norm (of 4 values a number with its residual, else 2), rotary, activation (3 values a number of the inner width), embedding.
Result<ShortKernelCurve> short_kernel_curve(const CurveRequest&, std::string_view op);

}  // namespace jevons::step
