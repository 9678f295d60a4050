#include "evidence/calibrate_runs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/text.hpp"
#include "evidence/fit.hpp"

namespace jevons::evidence {
namespace {

using step::Fit;
using step::Served;

// What a server's runs can tell apart: the rest stays as shipped.
constexpr std::array kFree{Fit::host_step,     Fit::host_sequence, Fit::short_kernel,      Fit::gemm_floor, Fit::gemm_fraction,
                           Fit::weight_stream, Fit::kv_stream,     Fit::prefill_attention, Fit::moe_floor,  Fit::allreduce_latency,
                           Fit::prefill_layer, Fit::host_vllm,     Fit::host_sglang,       Fit::host_trtllm};
constexpr std::size_t kFolds = 5;
constexpr int kRounds = 4;

bool is_free(std::size_t i) {
  return std::any_of(kFree.begin(), kFree.end(), [&](Fit f) { return std::size_t(f) == i; });
}

// Constants that are not free do not move the predictions.
void hold_others(Sensitivities& s) {
  for (auto* side : {&s.tpot, &s.ttft}) {
    for (auto& row : *side) {
      for (std::size_t i = 0; i < step::kFits; ++i) row[i] = is_free(i) ? row[i] : 0;
    }
  }
}

RunError error_of(const std::vector<RunRow>& rows, bool after) {
  RunError e;
  for (const auto& r : rows) {
    const auto add = [](double& sum, std::size_t& n, double predicted, const std::optional<double>& measured) {
      if (!measured || *measured <= 0) return;
      sum += std::abs(std::log(predicted / *measured));
      ++n;
    };
    add(e.tpot, e.n_tpot, after ? r.tpot_after_s : r.tpot_before_s, r.of->tpot_s);
    if (r.of->ttft_usable) add(e.ttft, e.n_ttft, after ? r.ttft_after_s : r.ttft_before_s, r.of->ttft_s);
  }
  if (e.n_tpot > 0) e.tpot /= double(e.n_tpot);
  if (e.n_ttft > 0) e.ttft /= double(e.n_ttft);
  return e;
}

File constants_file(const catalog::Thing& served, const RunCalibration& c, const RunOptions& o) {
  std::string out = "name: served\noverride: true\ntitle: \"Step-time constants of the user's own runs\"\n";
  out += fmt::format("defaults: {{kind: measured, source: \"fit to {}\", read: {}, confidence: A}}\nfacts:\n", o.source, o.date);
  // All of them, so that the folder stands alone when it is laid over one of operators.
  for (std::size_t i = 0; i < step::kFits; ++i) {
    const std::string_view key = step::served_constants()[i].name;
    const auto* fact = served.find(key);
    const bool time = fact != nullptr && fact->dim == Seconds::dim;
    out += fmt::format("  {}: {{value: {:.6g}{}}}\n", key, c.fitted.value[i], time ? " s" : "");
  }
  return {"efficiency/served.yaml", out};
}

std::string block_row(std::string_view block, double decode, double prompt, double cases) {
  const auto parts = split(block, '/');
  JEVONS_ENSURE(parts.size() == 5);
  return fmt::format(
      "  - {{model: {}, accelerator: {}, engine: {}, weights: {}, version: \"{}\", decode: {:.3f}, prompt: {:.3f}, cases: {}}}\n", parts[0],
      parts[1], parts[2], parts[3], parts[4], decode, prompt, cases);
}

// The user's deployments with their own factors, or none; those of others as they were.
File blocks_file(const RunCalibration& c, const step::ServedBlocks& shipped, const catalog::Thing& table, const RunOptions& o) {
  std::set<std::string, std::less<>> own;
  for (const auto& r : c.rows) own.insert(r.of->block());
  std::string out = fmt::format(
      "name: served-blocks\noverride: true\ndefaults: {{kind: measured, source: \"fit to {}; other rows: {}\", read: {}, confidence: A}}\n"
      "columns: {{model: text, accelerator: text, engine: text, weights: text, version: text, decode: number, prompt: number, cases: "
      "number}}\nseries:\n",
      o.source, table.attribute("source"), o.date);
  for (const auto& [block, f] : c.blocks) out += block_row(block, f.decode, f.prompt, f.cases);
  for (const auto& [block, f] : shipped) {
    if (!own.contains(block)) out += block_row(block, f.decode, f.prompt, f.cases);
  }
  return {"efficiency/served-blocks.yaml", out};
}

}  // namespace

Result<RunCalibration> calibrate_runs(const catalog::Catalog& catalog, const std::vector<Case>& runs, const RunOptions& o) {
  if (runs.size() < 2)
    return fail({ErrorCode::bad_input,
                 o.source,
                 0,
                 {},
                 fmt::format("{} run", runs.size()),
                 "at least two runs: one is held back from each fit",
                 "measure another length or concurrency"});
  std::vector<Prepared> ready;
  for (const Case& c : runs) {
    auto p = prepare(catalog, c);
    if (!p) return fail(std::move(p).error());
    ready.push_back(std::move(*p));
  }
  const auto say = [&](double share) {
    if (o.progress) o.progress(share);
  };
  RunCalibration out;
  JEVONS_TRY(out.start, Served::read(catalog));
  const std::vector<char> all(ready.size(), 1);
  Sensitivities moves = sensitivities(ready, all, out.start, [&](double done) { say(0.5 * done); });
  hold_others(moves);
  JEVONS_TRY(const step::ServedBlocks shipped, step::served_blocks(catalog));
  const auto before = predict_all(ready, out.start, shipped);
  const std::size_t folds = std::min(kFolds, ready.size());
  for (std::size_t i = 0; i < ready.size(); ++i) out.rows.push_back({ready[i].of, before[i].tpot_s, 0, before[i].ttft_s, 0});
  for (std::size_t fold = 0; fold < folds; ++fold) {
    std::vector<char> used(ready.size()), scored(ready.size());
    for (std::size_t i = 0; i < ready.size(); ++i) (i % folds == fold ? scored : used)[i] = 1;
    const Served constants = fit(ready, used, out.start, moves, kRounds, &out.start);
    const auto predicted = predict_all(ready, constants, fit_blocks(ready, used, constants), scored);
    for (std::size_t i = fold; i < ready.size(); i += folds) {
      out.rows[i].tpot_after_s = predicted[i].tpot_s;
      out.rows[i].ttft_after_s = predicted[i].ttft_s;
    }
    say(0.5 + 0.4 * double(fold + 1) / double(folds));
  }
  out.before = error_of(out.rows, false);
  out.after = error_of(out.rows, true);
  out.fitted = fit(ready, all, out.start, moves, kRounds, &out.start);
  std::vector<RunRow> within = out.rows;
  out.blocks = fit_blocks(ready, all, out.fitted);
  const auto fitted = predict_all(ready, out.fitted, out.blocks);
  for (std::size_t i = 0; i < within.size(); ++i) {
    within[i].tpot_after_s = fitted[i].tpot_s;
    within[i].ttft_after_s = fitted[i].ttft_s;
  }
  out.in_sample = error_of(within, true);
  for (const Fit f : kFree) {
    if (std::abs(std::log(out.fitted[f] / out.start[f])) > 1e-4) out.moved.push_back(f);
  }
  JEVONS_TRY(const catalog::Thing* served, catalog.find(catalog::Section::efficiency, "served"));
  JEVONS_TRY(const catalog::Thing* table, catalog.find(catalog::Section::efficiency, "served-blocks"));
  out.overlay = {constants_file(*served, out, o), blocks_file(out, shipped, *table, o)};
  return out;
}

}  // namespace jevons::evidence
