// jevons validate CASES.csv: measured serving points against simulated ones.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

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

}  // namespace

Result<Outcome> run_validate(Context& c) {
  JEVONS_TRY(const bool recorded, is_recorded_run(c.words[0]));
  if (recorded) return run_replay(c);
  if (c.settings.has("profile"))
    return fail(c.settings.error("profile", "beside measured serving points", "a recorded run: RUN_requests.jsonl"));
  JEVONS_TRY(const std::string text, read_file(c.words[0], 256u << 20));
  JEVONS_TRY(const evidence::Cases cases, evidence::read_cases(text, c.words[0]));
  const evidence::Validation v = evidence::validate(c.catalog, cases, [&](double done) {
    if (c.progress) c.progress(done, "cases");
  });
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
  for (const auto& [group, names] : v.by) {
    for (const auto& [name, m] : names) rows(group, name, m);
  }
  rows("disaggregated", "", v.disaggregated);
  t.notes = {
      "Every case is simulated: its closed loop from idle, all requests counted. Disaggregated cases stand apart, and in none of the other "
      "rows."};
  d.tables.push_back(std::move(t));
  report::Table each{"cases",
                     "Each case",
                     {{"case_id", "case", "{}", {}},
                      {"model", "model", "{}", {}},
                      {"tpot_ms", "TPOT ms", "{:.2f}", origin},
                      {"tpot_ms_measured", "measured", "{:.2f}", {}},
                      {"ttft_ms", "TTFT ms", "{:.0f}", origin},
                      {"ttft_ms_measured", "measured", "{:.0f}", {}},
                      {"memory_binds", "memory binds", "{}", {}}},
                     {},
                     {},
                     false};
  report::Chart chart{"tpot",
                      "Time per output token: predicted against measured",
                      "scatter",
                      "measured ms",
                      "predicted ms",
                      true,
                      true,
                      {},
                      {{"cases", {}, {}}}};
  const auto ms = [](const std::optional<double>& s) { return s ? report::Cell(*s * 1e3) : report::Cell(std::monostate{}); };
  for (const auto& p : v.rows) {
    each.rows.push_back({p.of->id, p.of->model, p.tpot_s * 1e3, ms(p.of->tpot_s), p.ttft_s * 1e3, ms(p.of->ttft_s),
                         std::string(p.memory_binds ? "yes" : "no")});
    if (!p.of->tpot_s) continue;
    chart.series[0].x.push_back(*p.of->tpot_s * 1e3);
    chart.series[0].y.push_back(p.tpot_s * 1e3);
  }
  d.tables.push_back(std::move(each));
  d.charts.push_back(std::move(chart));
  for (std::size_t i = 0; i < std::min<std::size_t>(5, v.refused.size()); ++i) d.notes.push_back("refused: " + v.refused[i]);
  if (v.refused.size() > 5) d.notes.push_back(fmt::format("and {} more refused", v.refused.size() - 5));
  nlohmann::ordered_json j = {{"cases", v.rows.size()}, {"refused", v.refused.size()}, {"metrics", metrics_json(v.metrics)}};
  j["disaggregated"] = metrics_json(v.disaggregated);
  for (const auto& [group, names] : v.by) {
    for (const auto& [name, m] : names) j["by"][group][name] = metrics_json(m);
  }
  o.json = j.dump(1) + "\n";
  return o;
}

}  // namespace jevons::engine
