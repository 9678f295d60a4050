#include "evidence/operator_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/text.hpp"

namespace jevons::evidence {
namespace {

constexpr std::array<std::string_view, 4> kKinds{"gemm", "context-attention", "decode-attention", "all-reduce"};
constexpr std::array<std::string_view, 14> kColumns{"accelerator", "operator", "format", "kv_cache", "m",     "n",     "k",
                                                    "sequences",   "tokens",   "heads",  "kv_heads", "ranks", "bytes", "time_us"};
constexpr double kMicro = 1e-6;
constexpr double kTooSlow = 1000;  // times the data sheet's bound, beyond 10 ms: another unit, or another kernel
constexpr double kSlowFrom = 10e-3;

struct Sheet {
  std::vector<std::string> header;
  const std::string& file;
};

struct Row {
  const Sheet& sheet;
  const std::vector<std::string>& cells;
  int line;

  std::string text(std::string_view column) const {
    const auto it = std::find(sheet.header.begin(), sheet.header.end(), column);
    const auto i = std::size_t(it - sheet.header.begin());
    return i < cells.size() ? std::string(trim(cells[i])) : std::string();
  }
  tl::unexpected<Error> bad(std::string_view column, std::string what, std::string expected, std::string hint = {}) const {
    return fail({ErrorCode::bad_input, sheet.file, line, std::string(column), std::move(what), std::move(expected), std::move(hint)});
  }
  // A cell that this operator needs.
  Result<double> number(std::string_view column) const {
    const std::string t = text(column);
    double v = 0;
    const auto [end, status] = std::from_chars(t.data(), t.data() + t.size(), v);
    if (t.empty() || status != std::errc{} || end != t.data() + t.size() || !std::isfinite(v))
      return bad(column, t.empty() ? "is empty" : fmt::format("'{}' is not a number", t.substr(0, 40)), "a number above 0");
    if (v <= 0) return bad(column, fmt::format("{} is not above 0", t), column == "time_us" ? "microseconds above 0" : "a number above 0");
    return v;
  }
};

Result<Sheet> read_header(std::string_view line, const std::string& file) {
  Sheet s{{}, file};
  const auto bad = [&](std::string key, std::string what, std::string expected, std::string hint = {}) {
    return fail({ErrorCode::bad_input, file, 1, std::move(key), std::move(what), std::move(expected), std::move(hint)});
  };
  for (const auto& c : csv_cells(line)) {
    const std::string column(trim(c));
    if (column.starts_with("time_") && column != "time_us")
      return bad(column, fmt::format("unit '{}' of time", column.substr(5)), "time_us",
                 "multiply the column to microseconds and rename it");
    if (std::find(kColumns.begin(), kColumns.end(), column) == kColumns.end())
      return bad(column, fmt::format("unknown column '{}'", column.substr(0, 40)), fmt::format("{}", fmt::join(kColumns, ", ")),
                 did_you_mean(column, kColumns));
    s.header.push_back(column);
  }
  for (const std::string_view needed : {"accelerator", "operator", "time_us"}) {
    if (std::find(s.header.begin(), s.header.end(), needed) == s.header.end())
      return bad(std::string(needed), "no such column", fmt::format("{}", fmt::join(kColumns, ", ")));
  }
  return s;
}

struct Bound {
  double flops = 0, bytes = 0;
};
// What the operator must at least multiply and read.
Bound bound_of(const MeasuredOperator& o) {
  const auto width = [](std::string_view f) { return f == "bf16" ? 2.0 : f == "nvfp4" ? 0.5625 : 1.0; };
  switch (o.kind) {
    case OperatorKind::gemm:
      return {2 * o.m * o.n * o.k, o.n * o.k * width(o.format)};
    case OperatorKind::context_attention:
      return {2 * 128 * o.sequences * o.heads * o.tokens * (o.tokens + 1), 0};
    case OperatorKind::decode_attention:
      return {0, o.sequences * o.tokens * o.kv_heads * 256 * width(o.kv_cache)};
    case OperatorKind::all_reduce:
      break;
  }
  return {};
}

// Refuses rows that the chip cannot have produced.
Result<void> check_physics(const Row& r, const MeasuredOperator& o, const catalog::Accelerator& chip) {
  const Bound b = bound_of(o);
  const auto& peak = o.format.starts_with("fp8") ? chip.peak_fp8 : o.format == "nvfp4" ? chip.peak_fp4 : chip.peak_bf16;
  const std::string time = r.text("time_us");
  if (b.flops > 0 && !peak)
    return r.bad("format", fmt::format("{} has no rate for '{}' in the catalogue", o.accelerator, o.format),
                 "a format the chip multiplies in");
  if (b.flops > 0 && b.flops / o.seconds > peak->value.value())
    return r.bad(
        "time_us",
        fmt::format("{} us means {:.4g} TFLOPS, above the chip's {:.4g}", time, b.flops / o.seconds / 1e12, peak->value.value() / 1e12),
        "a time at or above the data sheet's bound", "was the kernel waited for, and is the time in microseconds?");
  if (b.bytes > 0 && chip.hbm_bandwidth && b.bytes / o.seconds > chip.hbm_bandwidth->value.value())
    return r.bad("time_us",
                 fmt::format("{} us means {:.4g} TB/s, above the chip's {:.4g}", time, b.bytes / o.seconds / 1e12,
                             chip.hbm_bandwidth->value.value() / 1e12),
                 "a time at or above the data sheet's bound",
                 "weights or cache smaller than the last-level cache: read others between repeats");
  double least = b.flops > 0 ? b.flops / peak->value.value() : 0;
  if (chip.hbm_bandwidth) least = std::max(least, b.bytes / chip.hbm_bandwidth->value.value());
  if (b.flops + b.bytes > 0 && o.seconds > kSlowFrom && o.seconds > kTooSlow * least)
    return r.bad("time_us", fmt::format("{} us is {:.0f} times the data sheet's bound", time, o.seconds / least),
                 "microseconds of one kernel", "is the time in nanoseconds?");
  return {};
}

Result<MeasuredOperator> read_row(const catalog::Catalog& catalog, const Row& r) {
  MeasuredOperator o;
  o.line = r.line;
  o.accelerator = r.text("accelerator");
  const auto thing = catalog.find(catalog::Section::accelerator, o.accelerator);
  if (!thing)
    return r.bad("accelerator", fmt::format("'{}' is not in the catalogue", o.accelerator.substr(0, 40)), "a name of jevons catalog list",
                 thing.error().hint);
  o.accelerator = (*thing)->name;
  const std::string kind = r.text("operator");
  const auto at = std::find(kKinds.begin(), kKinds.end(), kind);
  if (at == kKinds.end())
    return r.bad("operator", fmt::format("'{}' is no operator", kind.substr(0, 40)), fmt::format("one of {}", fmt::join(kKinds, ", ")),
                 did_you_mean(kind, kKinds));
  o.kind = OperatorKind(at - kKinds.begin());
  o.format = r.text("format").empty() ? "bf16" : r.text("format");
  o.kv_cache = r.text("kv_cache").empty() ? "bf16" : r.text("kv_cache");
  constexpr std::array<std::string_view, 4> kFormats{"bf16", "fp8", "fp8-block", "nvfp4"};
  constexpr std::array<std::string_view, 2> kAttentionFormats{"bf16", "fp8"};
  const bool attention = o.kind == OperatorKind::context_attention || o.kind == OperatorKind::decode_attention;
  const std::span<const std::string_view> formats =
      attention ? std::span<const std::string_view>(kAttentionFormats) : std::span<const std::string_view>(kFormats);
  if (std::find(formats.begin(), formats.end(), o.format) == formats.end())
    return r.bad("format", fmt::format("'{}'", o.format.substr(0, 40)), fmt::format("one of {}", fmt::join(formats, ", ")));
  if (std::find(kAttentionFormats.begin(), kAttentionFormats.end(), o.kv_cache) == kAttentionFormats.end())
    return r.bad("kv_cache", fmt::format("'{}'", o.kv_cache.substr(0, 40)), fmt::format("one of {}", fmt::join(kAttentionFormats, ", ")));
  if (o.kind == OperatorKind::gemm) {
    JEVONS_TRY(o.m, r.number("m"));
    JEVONS_TRY(o.n, r.number("n"));
    JEVONS_TRY(o.k, r.number("k"));
  } else if (attention) {
    JEVONS_TRY(o.sequences, r.number("sequences"));
    JEVONS_TRY(o.tokens, r.number("tokens"));
    JEVONS_TRY(o.heads, r.number("heads"));
    JEVONS_TRY(o.kv_heads, r.number("kv_heads"));
  } else {
    JEVONS_TRY(o.ranks, r.number("ranks"));
    JEVONS_TRY(o.bytes, r.number("bytes"));
  }
  JEVONS_TRY(const double us, r.number("time_us"));
  o.seconds = us * kMicro;
  JEVONS_CHECK(check_physics(r, o, catalog::accelerator(**thing)));
  return o;
}

}  // namespace

std::string_view name(OperatorKind k) { return kKinds[std::size_t(k)]; }

std::string MeasuredOperator::group() const {
  std::string g = fmt::format("{} {}", accelerator, name(kind));
  if (kind == OperatorKind::all_reduce) return g + fmt::format(" of {:g}", ranks);
  if (kind != OperatorKind::decode_attention) g += " " + format;
  if (kind != OperatorKind::gemm) g += " kv " + kv_cache;
  return g;
}

Result<std::vector<MeasuredOperator>> read_operator_table(const catalog::Catalog& catalog, std::string_view csv, const std::string& file) {
  const auto lines = split(csv, '\n');
  JEVONS_TRY(const Sheet sheet, read_header(trim(lines[0]), file));
  std::vector<MeasuredOperator> out;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (trim(lines[i]).empty()) continue;
    const auto cells = csv_cells(trim(lines[i]));
    const Row r{sheet, cells, int(i) + 1};
    if (cells.size() != sheet.header.size())
      return r.bad({}, fmt::format("{} cells", cells.size()), fmt::format("{}, as the header has", sheet.header.size()));
    JEVONS_TRY(MeasuredOperator o, read_row(catalog, r));
    out.push_back(std::move(o));
  }
  if (out.empty()) return fail({ErrorCode::bad_input, file, 1, {}, "no rows", "at least one measured operator", {}});
  return out;
}

}  // namespace jevons::evidence
