#pragma once
// A user's measured operators: one kernel at one shape a row. Columns and units: docs/operators.md; tools/profile_gpu.py writes it.
#include <string>
#include <string_view>
#include <vector>

#include "catalog/accelerator.hpp"

namespace jevons::evidence {

enum class OperatorKind : std::uint8_t { gemm, context_attention, decode_attention, all_reduce };
std::string_view name(OperatorKind);

struct MeasuredOperator {
  int line = 0;
  OperatorKind kind{};
  std::string accelerator, format, kv_cache;                  // catalogue name; format of the operands
  double m = 0, n = 0, k = 0;                                 // gemm
  double sequences = 0, tokens = 0, heads = 0, kv_heads = 0;  // attention: tokens are new ones (context) or cached ones (decode)
  double ranks = 0, bytes = 0;                                // all-reduce
  double seconds = 0;
  /// Rows of one kernel family on one chip are fitted together.
  std::string group() const;
};

/// Errors: a column is missing or unknown, a cell is no number or negative, a time is 0, an unknown accelerator, operator or format, a row
/// that beats the chip's data sheet or is a thousand times slower than it: row, column, value, reason.
Result<std::vector<MeasuredOperator>> read_operator_table(const catalog::Catalog& catalog, std::string_view csv, const std::string& file);

}  // namespace jevons::evidence
