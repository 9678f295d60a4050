// jevons validate CASES.csv: measured serving points against simulated ones.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "engine/replay_verb.hpp"
#include "evidence/validate.hpp"

namespace jevons::engine {
namespace {

nlohmann::ordered_json metrics_json(const evidence::Validation::Metrics& metrics) {
  nlohmann::ordered_json j = nlohmann::ordered_json::object();
  for (const auto& [name, s] : metrics) {
    j[name] = {{"n", s.n}, {"median_ape", s.median_ape}, {"p90_ape", s.p90_ape}, {"bias", s.bias}};
    j[name]["coverage90"] = s.coverage90 ? nlohmann::ordered_json(*s.coverage90) : nlohmann::ordered_json(nullptr);
  }
  return j;
}

report::Table case_table(const report::Origin& origin) {
  return {"cases",
          "Each case",
          {{"case_id", "case", "{}", {}},
           {"model", "model", "{}", {}},
           {"accelerator", "accelerator", "{}", {}},
           {"engine", "engine", "{}", {}},
           {"engine_version", "version", "{}", {}},
           {"weights", "weights", "{}", {}},
           {"placement", "placement", "{}", {}},
           {"isl", "isl", "{:.0f}", {}},
           {"osl", "osl", "{:.0f}", {}},
           {"concurrency", "concurrency", "{:.0f}", {}},
           {"tpot_ms", "TPOT ms", "{:.2f}", origin},
           {"tpot_ms_measured", "measured", "{:.2f}", {}},
           {"ttft_ms", "TTFT ms", "{:.0f}", origin},
           {"ttft_ms_measured", "measured", "{:.0f}", {}},
           {"ttft_usable", "TTFT usable", "{}", {}},
           {"sequences_fit", "sequences that fit", "{:.0f}", origin},
           {"preemptions", "preemptions", "{:.0f}", origin},
           {"mode", "mode", "{}", {}},
           {"regime", "regime", "{}", {}},
           {"layer", "who spoke", "{}", {}},
           {"tpot_low_ms", "TPOT low ms", "{:.2f}", origin},
           {"tpot_high_ms", "high", "{:.2f}", origin},
           {"ttft_low_ms", "TTFT low ms", "{:.0f}", origin},
           {"ttft_high_ms", "high", "{:.0f}", origin}},
          {},
          {},
          false};
}

std::vector<report::Cell> case_row(const evidence::Prediction& p, evidence::Regime regime, const evidence::MetricBands& band) {
  const evidence::Case& c = *p.of;
  const auto ms = [](const std::optional<double>& s) { return s ? report::Cell(*s * 1e3) : report::Cell(std::monostate{}); };
  return {c.id,
          c.model,
          c.accelerator,
          c.engine,
          c.engine_version,
          c.format(),
          step::name(c.disaggregated ? c.decode.placement : c.placement),
          c.nominal_isl,
          c.nominal_osl,
          c.concurrency,
          p.tpot_s * 1e3,
          ms(c.tpot_s),
          p.ttft_s * 1e3,
          ms(c.ttft_s),
          std::string(c.ttft_usable ? "yes" : "no"),
          p.fit,
          double(p.preemptions),
          std::string(c.disaggregated ? "disagg" : "agg"),
          std::string(evidence::name(regime)),
          std::string(p.corrected ? "physics and this deployment's correction" : "physics"),
          p.tpot_s * band.tpot.low * 1e3,
          p.tpot_s * band.tpot.high * 1e3,
          p.ttft_s * band.ttft.low * 1e3,
          p.ttft_s * band.ttft.high * 1e3};
}

std::string catalogue_head(std::string_view thing, std::string_view title, std::string_view source) {
  return fmt::format("name: {}\ntitle: \"{}\"\ndefaults: {{kind: measured, source: \"{}\", read: 2026-11-28, confidence: B}}\n", thing,
                     title, source);
}

// What a fit learned, as files of the catalogue.
std::vector<File> learned_files(const evidence::Learned& l) {
  const auto specs = step::served_constants();
  std::string served =
      catalogue_head("served", "Step-time constants that measured serving points decide",
                     "fit to published serving points of six models on H100, H200 and B200 under vLLM, SGLang and TensorRT-LLM, "
                     "with kernel tables as prior: jevons validate --refit; method: docs/step-time.md");
  served += "facts:\n";
  for (std::size_t i = 0; i < specs.size(); ++i) {
    served += fmt::format("  {}: {{value: {:.4g}{}, note: \"prior {:.4g}, spread {:.0f} %\"}}\n", specs[i].name, l.constants.value[i],
                          specs[i].seconds ? " s" : "", specs[i].prior, 100 * specs[i].sigma);
  }
  std::string blocks = catalogue_head("served-blocks", "Corrections of single deployments to the step-time form",
                                      "residuals of published serving points, shrunk: jevons validate --refit; method: docs/step-time.md");
  blocks +=
      "columns: {model: text, accelerator: text, engine: text, weights: text, version: text, decode: number, prompt: number, cases: "
      "number}\nseries:\n";
  for (const auto& [key, b] : l.blocks) {
    const auto parts = split(key, '/');
    blocks += fmt::format(
        "  - {{model: {}, accelerator: {}, engine: {}, weights: {}, version: \"{}\", decode: {:.3f}, prompt: {:.3f}, cases: {:.0f}}}\n",
        parts[0], parts[1], parts[2], parts[3], parts[4], b.decode, b.prompt, b.cases);
  }
  std::string bands = catalogue_head(
      "served-bands", "90 % intervals of served predictions, by how much is known",
      "measured over predicted, left-out residuals of published serving points: jevons validate --refit; method: docs/step-time.md");
  bands +=
      "columns: {regime: text, cases: number, tpot_low: number, tpot_high: number, ttft_low: number, ttft_high: number, output_low: "
      "number, output_high: number}\nseries:\n";
  for (std::size_t i = 0; i < evidence::kRegimes; ++i) {
    const auto& b = l.bands[i];
    bands += fmt::format(
        "  - {{regime: \"{}\", cases: {:.0f}, tpot_low: {:.3f}, tpot_high: {:.3f}, ttft_low: {:.3f}, ttft_high: {:.3f}, output_low: "
        "{:.3f}, output_high: {:.3f}}}\n",
        evidence::name(evidence::Regime(i)), b.cases, b.tpot.low, b.tpot.high, b.ttft.low, b.ttft.high, b.output_tok_s.low,
        b.output_tok_s.high);
  }
  return {{"served.yaml", served}, {"served-blocks.yaml", blocks}, {"served-bands.yaml", bands}};
}

// One case taken apart: its decode step at full batch and the step that pushes one of its prompts, operator by operator.
Result<Outcome> explain_case(Context& c, const evidence::Cases& cases, const std::string& id) {
  const auto found = std::find_if(cases.cases.begin(), cases.cases.end(), [&](const auto& x) { return x.id == id; });
  if (found == cases.cases.end())
    return fail(c.settings.error("explain_case", fmt::format("'{}' is no case of {}", id, c.words[0]), "a case_id"));
  JEVONS_TRY(const evidence::Prepared p, evidence::prepare(c.catalog, *found));
  JEVONS_TRY(const evidence::Prediction made, evidence::simulate(p, p.time->served()));
  const double batch = std::min(p.concurrency, made.fit), context = found->isl + found->osl / 2;
  const auto decode = p.time->terms({batch, context, 0, 0}), prompt = p.time->terms({0, 0, found->isl, 0});
  double all_decode = 0, all_prompt = 0;
  for (std::size_t i = 0; i < decode.size(); ++i) all_decode += decode[i].seconds, all_prompt += prompt[i].seconds;
  const report::Origin origin{"derived", "step::StepTime::terms in src/step/step_time.cpp", "docs/step-time.md"};
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{}: {} on {} as {}", id, found->model, found->accelerator, step::name(p.placement));
  report::Table t{"operators",
                  fmt::format("Where a step's time goes: {:.0f} sequences decoding at {:.0f} tokens; one prompt of {:.0f} tokens", batch,
                              context, found->isl),
                  {{"operator", "operator", "{}", {}},
                   {"decode_ms", "decode ms", "{:.3f}", origin},
                   {"decode_share", "%", "{:.1f}", origin},
                   {"prompt_ms", "prompt ms", "{:.3f}", origin},
                   {"prompt_share", "%", "{:.1f}", origin}},
                  {},
                  {},
                  true};
  for (std::size_t i = 0; i < decode.size(); ++i) {
    t.rows.push_back({decode[i].name, decode[i].seconds * 1e3, 100 * decode[i].seconds / all_decode, prompt[i].seconds * 1e3,
                      100 * prompt[i].seconds / all_prompt});
  }
  t.rows.push_back({std::string("sum"), all_decode * 1e3, 100.0, all_prompt * 1e3, 100.0});
  d.tables.push_back(std::move(t));
  report::Table result{
      "result",
      "Simulated against measured",
      {{"metric", "metric", "{}", {}}, {"predicted", "predicted ms", "{:.2f}", origin}, {"measured", "measured ms", "{:.2f}", {}}},
      {},
      {},
      true};
  const auto ms = [](const std::optional<double>& s) { return s ? report::Cell(*s * 1e3) : report::Cell(std::monostate{}); };
  result.rows.push_back({std::string("TPOT, mean"), made.tpot_s * 1e3, ms(found->tpot_s)});
  result.rows.push_back({std::string("TTFT, mean"), made.ttft_s * 1e3, ms(found->ttft_s)});
  result.notes = p.notes;
  result.notes.push_back(
      fmt::format("A step with prompt tokens takes at least {:.1f} ms. {:.0f} cache blocks of {} tokens a rank; {:.0f} whole requests fit.",
                  p.time->prefill_floor() * 1e3, made.blocks, p.policy.block_size, made.fit));
  d.tables.push_back(std::move(result));
  return o;
}

}  // namespace

Result<Outcome> run_validate(Context& c) {
  JEVONS_TRY(const bool recorded, is_recorded_run(c.words[0]));
  if (recorded) return run_replay(c);
  if (c.settings.has("profile"))
    return fail(c.settings.error("profile", "beside measured serving points", "a recorded run: RUN_requests.jsonl"));
  JEVONS_TRY(const std::string text, read_file(c.words[0], 256u << 20));
  JEVONS_TRY(const evidence::Cases cases, evidence::read_cases(text, c.words[0]));
  if (c.settings.has("explain_case")) return explain_case(c, cases, c.settings.text("explain_case"));
  evidence::ValidateOptions options;
  if (c.settings.has("leave_out")) {
    const std::string& by = c.settings.text("leave_out");
    options.leave_out = by == "model"           ? evidence::LeaveOut::model
                        : by == "accelerator"   ? evidence::LeaveOut::accelerator
                        : by == "engine"        ? evidence::LeaveOut::engine
                        : by == "configuration" ? evidence::LeaveOut::configuration
                                                : evidence::LeaveOut::block;
  }
  options.refit = c.settings.has("refit") && c.settings.boolean("refit");
  options.progress = [&](double done) {
    if (c.progress) c.progress(done, "cases");
  };
  JEVONS_TRY(const evidence::Validation v, evidence::validate(c.catalog, cases, options));
  Outcome o;
  auto& d = o.document;
  d.title = fmt::format("{}: {} cases predicted, {} refused", c.words[0], v.rows.size(), v.refused.size());
  d.version = std::string(version());
  const report::Origin origin{"derived", "predicted over measured, evidence::validate in src/evidence/validate.cpp", "docs/cases.md"};
  report::Table t{"errors",
                  "Predicted against measured",
                  {{"group", "group", "{}", {}},
                   {"name", "", "{}", {}},
                   {"metric", "metric", "{}", {}},
                   {"n", "n", "{:.0f}", origin},
                   {"median_ape", "median\n|error| %", "{:.1f}", origin},
                   {"p90_ape", "p90\n|error| %", "{:.1f}", origin},
                   {"bias", "bias %", "{:+.1f}", origin},
                   {"coverage90", "in the 90 %\nband, %", "{:.0f}", origin}},
                  {},
                  {},
                  true};
  const auto rows = [&](const std::string& group, const std::string& name, const evidence::Validation::Metrics& m) {
    for (const auto& [metric, s] : m) {
      t.rows.push_back({group, name, metric, double(s.n), s.median_ape * 100, s.p90_ape * 100, s.bias * 100,
                        s.coverage90 ? report::Cell(*s.coverage90 * 100) : report::Cell(std::monostate{})});
    }
  };
  rows("all", "", v.metrics);
  rows("physics alone", "", v.physics);
  for (const auto& [group, names] : v.by) {
    for (const auto& [name, m] : names) rows(group, name, m);
  }
  rows("disaggregated", "", v.disaggregated);
  t.notes = {
      "Every case is simulated: its closed loop from idle, all requests counted. Disaggregated cases stand apart, and in none of the other "
      "rows."};
  d.tables.push_back(std::move(t));
  report::Table each = case_table(origin);
  report::Chart chart{"tpot",
                      "Time per output token: predicted against measured",
                      "scatter",
                      "measured ms",
                      "predicted ms",
                      true,
                      true,
                      {},
                      {{"cases", {}, {}}}};
  for (std::size_t i = 0; i < v.rows.size(); ++i) {
    const auto& p = v.rows[i];
    each.rows.push_back(case_row(p, v.regimes[i], v.bands[i]));
    if (!p.of->tpot_s) continue;
    chart.series[0].x.push_back(*p.of->tpot_s * 1e3);
    chart.series[0].y.push_back(p.tpot_s * 1e3);
  }
  d.tables.push_back(std::move(each));
  d.charts.push_back(std::move(chart));
  for (std::size_t i = 0; i < std::min<std::size_t>(5, v.refused.size()); ++i) d.notes.push_back("refused: " + v.refused[i]);
  if (v.refused.size() > 5) d.notes.push_back(fmt::format("and {} more refused", v.refused.size() - 5));
  for (const auto& note : v.notes) d.notes.push_back(note);
  nlohmann::ordered_json j = {{"cases", v.rows.size()}, {"refused", v.refused.size()}, {"metrics", metrics_json(v.metrics)}};
  j["disaggregated"] = metrics_json(v.disaggregated);
  j["physics"] = metrics_json(v.physics);
  for (const auto& [group, names] : v.by) {
    for (const auto& [name, m] : names) j["by"][group][name] = metrics_json(m);
  }
  if (v.learned) o.files = learned_files(*v.learned);
  o.json = j.dump(1) + "\n";
  return o;
}

}  // namespace jevons::engine
