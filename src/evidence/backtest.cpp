#include "evidence/backtest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/stats.hpp"

namespace jevons::evidence {
namespace {

void add(BacktestScore& s, const Target& t) {
  const double n = double(s.n++), m = n + 1;
  const auto mean = [&](double& x, double v) { x = (x * n + v) / m; };
  mean(s.crps, t.crps);
  mean(s.coverage50, t.in50);
  mean(s.coverage80, t.in80);
  mean(s.coverage95, t.in95);
  mean(s.width80, t.width80);
  const double factor = std::exp(std::abs(t.median - t.actual));
  if (factor > s.worst_factor) {
    s.worst_factor = factor;
    s.worst_series = t.series;
  }
}

Target score(std::vector<double> sample, Target t) {
  t.crps = crps_of_sample(sample, t.actual);
  const auto q = [&](double p) { return quantile_sorted(sample, p); };
  t.median = q(0.5);
  t.width80 = q(0.9) - q(0.1);
  const auto within = [&](double p) { return q(p) <= t.actual && t.actual <= q(1 - p); };
  t.in50 = within(0.25);
  t.in80 = within(0.1);
  t.in95 = within(0.025);
  t.pit = double(std::lower_bound(sample.begin(), sample.end(), t.actual) - sample.begin()) / double(sample.size());
  return t;
}

// Energy score of a joint sample: mean |X - y| - mean |X - X'| / 2 over neighbouring pairs. Source: Gneiting and Raftery, JASA 102, 2007.
double energy_score(const std::vector<std::vector<double>>& samples, const std::vector<double>& actual) {
  const auto distance = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return std::sqrt(sum);
  };
  const std::size_t n = samples.size();
  double to_actual = 0, between = 0;
  for (std::size_t i = 0; i < n; ++i) {
    to_actual += distance(samples[i], actual);
    between += distance(samples[i], samples[(i + n / 2) % n]);
  }
  return (to_actual - between / 2) / double(n);
}

// Every target and baseline row of the catalogue, in its order.
struct Plan {
  std::vector<Target> targets;
  std::map<std::string, std::vector<Target>> baselines;  // by model, beside targets
};
Result<Plan> read_plan(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::demand, "backtest-baselines"));
  const auto& rows = thing->series;
  Plan plan;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    Target t{std::string(rows.text(r, "cutoff")), std::string(rows.text(r, "series")), std::string(rows.text(r, "target"))};
    t.horizon_years = rows.number(r, "horizon_y").value_or(0);
    t.actual = rows.number(r, "actual_ln").value_or(0);
    t.median = rows.number(r, "median_ln").value_or(0);
    t.crps = rows.number(r, "crps_ln").value_or(0);
    t.pit = rows.number(r, "pit").value_or(0);
    t.in50 = rows.number(r, "in50").value_or(0) != 0;
    t.in80 = rows.number(r, "in80").value_or(0) != 0;
    t.in95 = rows.number(r, "in95").value_or(0) != 0;
    const std::string model(rows.text(r, "model"));
    if (model == rows.text(0, "model")) plan.targets.push_back(t);
    plan.baselines[model].push_back(std::move(t));
  }
  return plan;
}

std::array<double, 2> bootstrap(const std::vector<Target>& targets, Seed seed) {
  std::map<std::string, std::pair<double, double>> by;  // sum and count
  for (const auto& t : targets) {
    by[t.series].first += t.crps;
    by[t.series].second += 1;
  }
  std::vector<std::pair<double, double>> blocks;
  for (const auto& [name, b] : by) blocks.push_back(b);
  if (blocks.empty()) return {};
  std::vector<double> means;
  for (std::uint64_t k = 0; k < 2000; ++k) {
    Stream stream(seed, k, Draw::sample, 0);
    double sum = 0, n = 0;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      const auto& b = blocks[stream.below(blocks.size())];
      sum += b.first;
      n += b.second;
    }
    means.push_back(sum / n);
  }
  std::sort(means.begin(), means.end());
  return {quantile_sorted(means, 0.05), quantile_sorted(means, 0.95)};
}

}  // namespace

double crps_of_sample(std::vector<double>& sample, double observed) {
  std::sort(sample.begin(), sample.end());
  const double n = double(sample.size());
  double near = 0, spread = 0;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    near += std::abs(sample[i] - observed);
    spread += (2 * double(i) + 1 - n) * sample[i];
  }
  return near / n - spread / (n * (n - 1));
}

Result<Backtest> backtest(const catalog::Catalog& catalog, const BacktestOptions& options, const std::function<void(double)>& progress) {
  JEVONS_TRY(const market::History h, market::read_history(catalog));
  JEVONS_TRY(const market::Segments segments, market::read_segments(catalog));
  JEVONS_TRY(const market::Priors priors, market::read_priors(catalog));
  JEVONS_TRY(const Plan plan, read_plan(catalog));
  std::vector<std::string> cutoffs;
  for (const auto& t : plan.targets) {
    if (std::find(cutoffs.begin(), cutoffs.end(), t.cutoff) == cutoffs.end()) cutoffs.push_back(t.cutoff);
  }
  Backtest b;
  std::set<std::string> scored;
  for (std::size_t c = 0; c < cutoffs.size(); ++c) {
    if (progress) progress(double(c) / double(cutoffs.size()));
    JEVONS_TRY(const double at, market::years_of(cutoffs[c]));
    const auto calibration = market::calibrate(h, segments, priors, options.on, {at, options.strict}, options.calibration);
    std::vector<market::Point> points;
    std::vector<Target> todo;
    std::vector<double> actual;
    for (const auto& t : plan.targets) {
      if (t.cutoff != cutoffs[c]) continue;
      const auto known = std::any_of(calibration.used.begin(), calibration.used.end(),
                                     [&](const auto& o) { return h.services[o.service].series == t.series; });
      if (!known) {
        const auto why = fmt::format("{} at {}: no report of it was usable", t.series, t.cutoff);
        if (b.unscored.empty() || b.unscored.back() != why) b.unscored.push_back(why);
        continue;
      }
      const auto o = std::find_if(h.observations.begin(), h.observations.end(),
                                  [&](const auto& x) { return h.services[x.service].series == t.series && x.date == t.date; });
      if (o == h.observations.end()) return bad_input("backtest-baselines", fmt::format("{} has no report of {}", t.series, t.date));
      points.push_back({o->service, o->at, o->sd});
      todo.push_back(t);
      actual.push_back(t.actual);
      scored.insert(t.cutoff + t.series + t.date);
    }
    const auto samples = market::sample(h, segments, priors, options.on, calibration, points, options.samples, options.calibration.seed);
    for (std::size_t p = 0; p < points.size(); ++p) {
      std::vector<double> one;
      for (const auto& s : samples) one.push_back(s[p]);
      b.targets.push_back(score(std::move(one), todo[p]));
      add(b.all, b.targets.back());
      add(b.by_cutoff[cutoffs[c]], b.targets.back());
    }
    if (!points.empty()) {
      b.by_cutoff[cutoffs[c]].energy = energy_score(samples, actual);
      b.all.energy += b.by_cutoff[cutoffs[c]].energy / double(cutoffs.size());
    }
  }
  for (const auto& [model, rows] : plan.baselines) {
    Baseline all{model, {}};
    std::map<std::string, Baseline> by;
    for (const auto& t : rows) {
      if (!scored.contains(t.cutoff + t.series + t.date)) continue;
      add(all.score, t);
      by[t.cutoff].model = model;
      add(by[t.cutoff].score, t);
    }
    b.baselines.push_back(std::move(all));
    for (auto& [cutoff, one] : by) b.baselines_by_cutoff[cutoff].push_back(std::move(one));
  }
  b.interval = bootstrap(b.targets, options.calibration.seed);
  return b;
}

}  // namespace jevons::evidence
