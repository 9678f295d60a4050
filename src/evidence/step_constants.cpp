#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "catalog/accelerator.hpp"
#include "evidence/calibrate.hpp"
#include "step/served.hpp"

namespace jevons::evidence {
namespace {

using Facts = std::map<std::string, std::string>;  // key and its value with unit

std::string seconds(double s) { return fmt::format("{:.5g} s", s); }
std::string share(double x) { return fmt::format("{:.5g}", std::min(1.0, x)); }

std::string_view operand_of(std::string_view format) { return format == "bf16" ? "bf16" : format == "nvfp4" ? "fp4" : "fp8"; }

double peak_of(const catalog::Accelerator& c, std::string_view operand) {
  const auto& p = operand == "fp8" ? c.peak_fp8 : operand == "fp4" ? c.peak_fp4 : c.peak_bf16;
  return p ? p->value.value() : c.peak_bf16->value.value();
}

std::string facts_file(std::string_view name, const Facts& facts, const CalibrateOptions& o) {
  std::string out = fmt::format("name: {}\noverride: true\ndefaults: {{kind: measured, source: \"{}\", read: {}, confidence: A}}\nfacts:\n",
                                name, o.source, o.date);
  for (const auto& [key, value] : facts) out += fmt::format("  {}: {{value: {}}}\n", key, value);
  return out;
}

// What the curves of one chip say about the constants of its generation, and about those that all chips share.
struct Constants {
  const catalog::Accelerator& chip;
  const step::Served& served;
  Facts generation, all, own;

  double bandwidth() const { return chip.hbm_bandwidth->value.value(); }
  // The smallest product is the floor; a product of 8,192 cubed reaches the share of peak. Both are divided by the factors that served
  // cases put on them.
  void add(const MeasuredOperator& of, const step::GemmCurve& c) {
    const std::string operand(operand_of(of.format));
    constexpr double kSmall = 512, kLarge = 8192;
    const double reached = 2 * kLarge * kLarge * kLarge / gemm_time(c, kLarge, kLarge, kLarge).value() / peak_of(chip, operand);
    generation["gemm_floor_" + operand] = seconds(gemm_time(c, 1, kSmall, kSmall).value() / served[step::Fit::gemm_floor]);
    generation["gemm_fraction_" + operand] = share(reached / served[step::Fit::gemm_fraction]);
    own["gemm_" + operand + "_fraction"] = share(reached);
    all["weight_stream"] = share(1 / (c.per_byte * bandwidth()));
  }
  void add(const MeasuredOperator&, const step::ContextCurve& c) {
    constexpr double kSequences = 8, kTokens = 4096, kHeads = 32;
    const double flops = kSequences * kHeads * kTokens * kTokens * (c.qk_dim + c.v_dim);
    const Seconds t = context_attention_time(c, {.sequences = kSequences, .tokens = kTokens, .heads = kHeads, .kv_heads = kHeads / 4});
    all["prefill_attention"] = share(flops / t.value() / chip.peak_bf16->value.value());
  }
  void add(const MeasuredOperator&, const step::DecodeCurve& c) {
    all["attention_floor"] = seconds(decode_attention_time(c, {.sequences = 1, .keys = 1}).value());
    all["kv_stream"] = share(1 / (c.per_byte * bandwidth()));
  }
  void add(const MeasuredOperator&, const step::CollectiveCurve&) {}  // rows of a table: reduce_file
};

using Reductions = std::map<int, step::CollectiveCurve>;  // by ranks

// The engines' all-reduce table with the measured rows in place of those of the chip's generation.
Result<File> reduce_file(const catalog::Catalog& catalog, std::string_view kernels, const Reductions& measured, const CalibrateOptions& o) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::efficiency, "all-reduce"));
  const auto& s = t->series;
  std::string out = fmt::format(
      "name: all-reduce\noverride: true\ndefaults: {{kind: measured, source: \"{}; other rows: {}\", read: {}, confidence: A}}\n"
      "columns: {{kernels: text, engine: text, ranks: number, floor_us: number, kink_us: number, kink_mb: number, us_per_mb: "
      "number}}\nseries:\n",
      o.source, t->attribute("source"), o.date);
  for (std::size_t r = 0; r < s.rows(); ++r) {
    const auto ranks = int(s.number(r, "ranks").value_or(0));
    const auto m = measured.find(ranks);
    if (s.text(r, "kernels") == kernels && m != measured.end()) {
      const auto& c = m->second;
      out +=
          fmt::format("  - {{kernels: {}, engine: {}, ranks: {}, floor_us: {:.5g}, kink_us: {:.5g}, kink_mb: {:.5g}, us_per_mb: {:.5g}}}\n",
                      kernels, s.text(r, "engine"), ranks, c.floor * 1e6, c.kink * 1e6, c.kink_bytes / 1e6, c.per_byte * 1e12);
    } else {
      out += fmt::format("  - {{kernels: {}, engine: {}, ranks: {}, floor_us: {}, kink_us: {}, kink_mb: {}, us_per_mb: {}}}\n",
                         s.text(r, "kernels"), s.text(r, "engine"), ranks, s.text(r, "floor_us"), s.text(r, "kink_us"),
                         s.text(r, "kink_mb"), s.text(r, "us_per_mb"));
    }
  }
  return File{"efficiency/all-reduce.yaml", out};
}

}  // namespace

Result<std::vector<File>> step_constants(const catalog::Catalog& catalog, const std::vector<CalibratedCurve>& curves,
                                         const CalibrateOptions& o) {
  std::vector<File> files;
  if (curves.empty()) return files;
  for (const auto& c : curves) {
    if (c.first.accelerator != curves.front().first.accelerator)
      return fail({ErrorCode::bad_input, o.source, c.first.line, "accelerator",
                   fmt::format("{} beside {}", c.first.accelerator, curves.front().first.accelerator), "one chip at a time",
                   "the constants of a step are of one chip: calibrate each into a folder of its own"});
  }
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::accelerator, curves.front().first.accelerator));
  const catalog::Accelerator chip = catalog::accelerator(*thing);
  JEVONS_TRY(const step::Served served, step::Served::read(catalog));
  const bool borrows = thing->attribute("kernel_constants").empty();
  const std::string generation(borrows ? "hopper" : thing->attribute("kernel_constants"));
  Constants k{chip, served, {}, {}, {}};
  Reductions reductions;
  for (const auto& c : curves) {
    std::visit([&](const auto& curve) { k.add(c.first, curve); }, c.curve);
    if (const auto* r = std::get_if<step::CollectiveCurve>(&c.curve)) reductions[int(c.first.ranks)] = *r;
  }
  if (!k.generation.empty()) files.push_back({fmt::format("efficiency/{}.yaml", generation), facts_file(generation, k.generation, o)});
  if (!k.all.empty()) files.push_back({"efficiency/served.yaml", facts_file("served", k.all, o)});
  if (borrows && !k.own.empty()) files.push_back({fmt::format("accelerators/{}.yaml", thing->name), facts_file(thing->name, k.own, o)});
  if (!reductions.empty()) {
    JEVONS_TRY(File f, reduce_file(catalog, generation, reductions, o));
    files.push_back(std::move(f));
  }
  return files;
}

}  // namespace jevons::evidence
