// jevons backtest: the demand model fitted at past dates, scored on what came after.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/verb.hpp"
#include "evidence/backtest.hpp"

namespace jevons::engine {
namespace {

using evidence::Backtest;
using evidence::BacktestScore;

const report::Origin kOrigin{"derived", "evidence::backtest in src/evidence/backtest.cpp", "catalog/demand/token-volume.yaml"};

constexpr OptionSpec kOptions[] = {
    {.path = "ablation",
     .flag = "--ablation",
     .type = OptionType::boolean,
     .fallback = "false",
     .help = "also switch each mechanism off in turn: what it earns"},
    {.path = "samples",
     .flag = "--samples",
     .type = OptionType::integer,
     .fallback = "4096",
     .low = 256,
     .high = 65536,
     .help = "forecast samples per target"},
    {.path = "draws",
     .flag = "--draws",
     .type = OptionType::integer,
     .fallback = "4096",
     .low = 256,
     .high = 65536,
     .help = "prior draws that are re-weighted"},
    {.path = "seed", .flag = "--seed", .type = OptionType::integer, .fallback = "1", .low = 0, .high = 1e15, .help = "of the draws"},
};

struct Off {
  const char* name;
  const char* what;
  void (*apply)(market::Mechanisms&);
};
constexpr Off kOff[] = {
    {"segments", "segments differ", [](market::Mechanisms& m) { m.segments = false; }},
    {"price", "response to price", [](market::Mechanisms& m) { m.price = false; }},
    {"saturation", "growth saturates", [](market::Mechanisms& m) { m.saturation = false; }},
    {"rollout", "opening surge of a service", [](market::Mechanisms& m) { m.rollout = false; }},
    {"common", "market growth wanders", [](market::Mechanisms& m) { m.common = false; }},
    {"region", "regions wander apart", [](market::Mechanisms& m) { m.region = false; }},
    {"service", "services wander apart", [](market::Mechanisms& m) { m.service = false; }},
};

const BacktestScore& best_baseline(const Backtest& b, std::string* which = nullptr) {
  const auto best =
      std::min_element(b.baselines.begin(), b.baselines.end(), [](const auto& x, const auto& y) { return x.score.crps < y.score.crps; });
  if (which != nullptr) *which = best->model;
  return best->score;
}

std::vector<report::Cell> score_row(std::string what, std::string who, const BacktestScore& s) {
  return {std::move(what), std::move(who), double(s.n),  s.crps,
          s.coverage50,    s.coverage80,   s.coverage95, s.width80 > 0 ? report::Cell(s.width80) : report::Cell(std::monostate{}),
          s.worst_factor,  s.worst_series};
}

report::Table score_table(std::string name, std::string title, const Backtest& b) {
  report::Table t{std::move(name),
                  std::move(title),
                  {{"cutoff", "known up to", "{}", {}},
                   {"model", "forecast", "{}", {}},
                   {"n", "n", "{:.0f}", kOrigin},
                   {"crps", "CRPS", "{:.3f}", kOrigin},
                   {"coverage50", "in\n50 %", "{:.2f}", kOrigin},
                   {"coverage80", "in\n80 %", "{:.2f}", kOrigin},
                   {"coverage95", "in\n95 %", "{:.2f}", kOrigin},
                   {"width80_ln", "80 %\nwidth", "{:.2f}", kOrigin},
                   {"worst_factor", "worst\nmedian, x", "{:.1f}", kOrigin},
                   {"worst_series", "in series", "{}", {}}},
                  {},
                  {},
                  true};
  t.rows.push_back(score_row("all", "Jevons", b.all));
  for (const auto& base : b.baselines) t.rows.push_back(score_row("all", base.model, base.score));
  for (const auto& [cutoff, s] : b.by_cutoff) {
    t.rows.push_back(score_row(cutoff, "Jevons", s));
    for (const auto& base : b.baselines_by_cutoff.at(cutoff)) t.rows.push_back(score_row(cutoff, base.model, base.score));
  }
  t.notes.push_back(fmt::format(
      "CRPS and widths in ln tokens a day; targets overlap in time, so {} is fewer independent tests. 90 % interval of the mean "
      "CRPS, resampling whole series: {:.2f} to {:.2f}.",
      b.all.n, b.interval[0], b.interval[1]));
  for (const auto& why : b.unscored) t.notes.push_back("Not scored: " + why + ".");
  return t;
}

report::Table target_table(const Backtest& b) {
  report::Table t{"targets",
                  "Every target",
                  {{"cutoff", "known up to", "{}", {}},
                   {"series", "series", "{}", {}},
                   {"date", "target", "{}", {}},
                   {"actual_ln", "actual\nln", "{:.2f}", kOrigin},
                   {"median_ln", "median\nln", "{:.2f}", kOrigin},
                   {"crps", "CRPS", "{:.3f}", kOrigin},
                   {"width80_ln", "80 %\nwidth", "{:.2f}", kOrigin},
                   {"pit", "PIT", "{:.2f}", kOrigin}},
                  {},
                  {},
                  true};
  for (const auto& x : b.targets) t.rows.push_back({x.cutoff, x.series, x.date, x.actual, x.median, x.crps, x.width80, x.pit});
  return t;
}

std::vector<double> pit_histogram(const Backtest& b) {
  std::vector<double> bins(5, 0.0);
  for (const auto& t : b.targets) bins[std::min<std::size_t>(4, std::size_t(t.pit * 5))] += 1;
  return bins;
}

// CRPS without a mechanism, and how far that depends on one series: the differences when each series' targets are left out in turn.
report::Table ablation_table(const Backtest& full, const std::vector<Backtest>& off) {
  report::Table t{"ablation",
                  "What each mechanism earns: CRPS without it, less CRPS with it",
                  {{"mechanism", "mechanism", "{}", {}},
                   {"what", "what it is", "{}", {}},
                   {"crps", "CRPS\nwithout", "{:.3f}", kOrigin},
                   {"earns", "earns", "{:+.3f}", kOrigin},
                   {"earns_least", "a series\nout: least", "{:+.3f}", kOrigin},
                   {"earns_most", "most", "{:+.3f}", kOrigin},
                   {"coverage80", "in 80 %\nwithout", "{:.2f}", kOrigin}},
                  {},
                  {},
                  true};
  std::vector<std::string> series;
  for (const auto& x : full.targets) {
    if (std::find(series.begin(), series.end(), x.series) == series.end()) series.push_back(x.series);
  }
  for (std::size_t m = 0; m < off.size(); ++m) {
    double least = 1e9, most = -1e9;
    for (const auto& out : series) {
      double sum = 0, n = 0;
      for (std::size_t i = 0; i < full.targets.size(); ++i) {
        if (full.targets[i].series == out) continue;
        sum += off[m].targets[i].crps - full.targets[i].crps;
        n += 1;
      }
      least = std::min(least, sum / n);
      most = std::max(most, sum / n);
    }
    t.rows.push_back({std::string(kOff[m].name), std::string(kOff[m].what), off[m].all.crps, off[m].all.crps - full.all.crps, least, most,
                      off[m].all.coverage80});
  }
  return t;
}

nlohmann::ordered_json score_json(const BacktestScore& s) {
  return {{"n", s.n},
          {"crps", s.crps},
          {"coverage50", s.coverage50},
          {"coverage80", s.coverage80},
          {"coverage95", s.coverage95},
          {"width80_ln", s.width80},
          {"worst_median_factor", s.worst_factor},
          {"worst_series", s.worst_series},
          {"energy_score", s.energy}};
}

nlohmann::ordered_json to_json(const Backtest& b) {
  const BacktestScore& best = best_baseline(b);
  nlohmann::ordered_json j = {{"n", b.all.n},
                              {"crps", b.all.crps},
                              {"baseline_best_crps", best.crps},
                              {"coverage50", b.all.coverage50},
                              {"coverage80", b.all.coverage80},
                              {"coverage95", b.all.coverage95},
                              {"skill", 1 - b.all.crps / best.crps},
                              {"width80_ln", b.all.width80},
                              {"energy_score", b.all.energy},
                              {"crps_interval90", b.interval},
                              {"pit_histogram", pit_histogram(b)}};
  for (const auto& base : b.baselines) j["baselines"][base.model] = score_json(base.score);
  for (const auto& [cutoff, s] : b.by_cutoff) j["by_cutoff"][cutoff] = score_json(s);
  j["targets"] = nlohmann::ordered_json::array();
  for (const auto& t : b.targets) {
    j["targets"].push_back({{"cutoff", t.cutoff},
                            {"series", t.series},
                            {"target", t.date},
                            {"horizon_years", t.horizon_years},
                            {"actual_ln", t.actual},
                            {"median_ln", t.median},
                            {"crps", t.crps},
                            {"in50", t.in50},
                            {"in80", t.in80},
                            {"in95", t.in95},
                            {"width80_ln", t.width80},
                            {"pit", t.pit}});
  }
  return j;
}

void charts(report::Document& d, const Backtest& b) {
  report::Chart pit{"pit",
                    "Where the outcome fell in the forecast (PIT); level when calibrated",
                    "bar",
                    "",
                    "targets",
                    false,
                    false,
                    {"0–0.2", "0.2–0.4", "0.4–0.6", "0.6–0.8", "0.8–1"},
                    {{"targets", {}, pit_histogram(b)}}};
  report::Chart seen{
      "median", "Median forecast against outcome, ln tokens a day", "scatter", "outcome", "median forecast", false, false, {}, {}};
  for (const auto& [cutoff, s] : b.by_cutoff) {
    report::Chart::Series one{cutoff, {}, {}};
    for (const auto& t : b.targets) {
      if (t.cutoff != cutoff) continue;
      one.x.push_back(t.actual);
      one.y.push_back(t.median);
    }
    seen.series.push_back(std::move(one));
  }
  d.charts = {std::move(pit), std::move(seen)};
}

}  // namespace

std::span<const OptionSpec> backtest_options() { return kOptions; }

Result<Outcome> run_backtest(Context& c) {
  evidence::BacktestOptions options;
  options.samples = std::size_t(c.settings.integer("samples"));
  options.calibration.draws = std::size_t(c.settings.integer("draws"));
  options.calibration.chains = std::max<std::size_t>(16, options.calibration.draws / 16);
  options.calibration.seed = Seed{std::uint64_t(c.settings.integer("seed"))};
  const bool ablation = c.settings.boolean("ablation");
  const double runs = ablation ? 2 + double(std::size(kOff)) : 2;
  double done = 0;
  const auto progress = [&](double share) {
    if (c.progress) c.progress((done + share) / runs, "fitting at past dates");
  };
  JEVONS_TRY(const Backtest full, evidence::backtest(c.catalog, options, progress));
  done = 1;
  auto strict_options = options;
  strict_options.strict = true;
  JEVONS_TRY(const Backtest strict, evidence::backtest(c.catalog, strict_options, progress));
  std::vector<Backtest> off;
  for (std::size_t m = 0; ablation && m < std::size(kOff); ++m) {
    ++done;
    auto one = options;
    kOff[m].apply(one.on);
    JEVONS_TRY(off.emplace_back(), evidence::backtest(c.catalog, one, progress));
  }
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = "Backtest of the demand model";
  std::string who;
  const double base = best_baseline(full, &who).crps;
  d.answer = {
      {"Score",
       fmt::format("CRPS {:.3f} over {} targets, best naive forecast {:.3f} ({}); the 80 % ranges held {:.0f} %, the 95 % ranges {:.0f} %",
                   full.all.crps, full.all.n, base, who, full.all.coverage80 * 100, full.all.coverage95 * 100)},
      {"Strict",
       fmt::format("only what had been published by then: CRPS {:.3f} over {} targets, best naive {:.3f}; 80 % ranges held {:.0f} %",
                   strict.all.crps, strict.all.n, best_baseline(strict).crps, strict.all.coverage80 * 100)}};
  d.tables = {score_table("scores", "History dated up to the cut-off", full),
              score_table("strict", "Strict: history published by the cut-off", strict)};
  if (ablation) d.tables.push_back(ablation_table(full, off));
  d.tables.push_back(target_table(full));
  charts(d, full);
  d.notes = {
      "Segment values, service mixes and priors were written late in 2026: they carry hindsight that no cut-off removes; the naive "
      "forecasts' priors do too.",
      "The naive forecasts of the strict table are those of the first one, on the same targets: they had seen the dated history.",
      "Levels of a series are free and learnt from its own reports; what is tested is growth."};
  auto j = to_json(full);
  j["strict"] = to_json(strict);
  for (std::size_t m = 0; m < off.size(); ++m)
    j["ablation"][kOff[m].name] = {{"crps", off[m].all.crps}, {"coverage80", off[m].all.coverage80}};
  o.json = j.dump(1) + "\n";
  return o;
}

}  // namespace jevons::engine
