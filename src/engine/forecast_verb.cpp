// jevons forecast: the main path. Read top to bottom: one named call a line.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/forecast.hpp"

namespace jevons::engine {
namespace {

// Memory's share of cost, from the tiers' own deployments: the range that their theta spans, weighed by nothing.
void take_theta(ForecastAnswers& a) {
  const Settings& s = a.scenario.settings;
  std::array<double, market::kTiers> sum{}, weight{};
  for (const auto& r : a.resources) {
    if (!r.theta) continue;
    for (std::size_t j = 0; j < market::kTiers; ++j) {
      if (r.tier != a.scenario.tiers[j].tier) continue;
      for (const auto& x : a.scenario.segments) {
        if (x.name != r.segment) continue;
        const double time = x.tokens_per_day * x.tiers[j] * r.h100e_seconds_per_mtok;
        sum[j] += time * std::fmax(0, *r.theta);
        weight[j] += time;
      }
    }
  }
  for (std::size_t j = 0; j < market::kTiers; ++j) {
    if (!(weight[j] > 0)) continue;
    const double theta = sum[j] / weight[j];
    a.theta_low = std::fmin(a.theta_low.value_or(theta), theta);
    a.theta_high = std::fmax(a.theta_high.value_or(theta), theta);
  }
  if (!a.theta_low || s.has("priors.theta.low") || s.has("priors.theta.high")) return;
  auto& prior = a.scenario.priors.of[std::size_t(market::Param::theta)];
  prior.low = *a.theta_low;
  prior.high = *a.theta_high;
  prior.source = "savings::elasticity of each tier's deployments, time-weighted";
}

// Serving time the world has over what these deployments would need: larger models, slack, low load, all that is not modelled.
double gap_of(const ForecastAnswers& a, const market::Resources& resources) {
  double need = 0, total = 0;
  for (std::size_t s = 0; s < market::kSegments; ++s) {
    const auto& x = a.scenario.segments[s];
    total += x.tokens_per_day;
    for (std::size_t j = 0; j < market::kTiers; ++j) need += x.tokens_per_day * x.tiers[j] * resources[s][j].h100e_seconds_per_token;
  }
  const double scale = a.drawn.start.used / total;
  const auto& p = a.scenario.priors;
  return (1 - p[market::Param::nontoken_share].at(0)) * a.scenario.fleet.stock * p[market::Param::utilisation].at(0) * 86400 /
         (need * scale);
}

std::vector<int> recorded_months(int last) {
  std::vector<int> months;
  for (int m = 0; m < last; m += 6) months.push_back(m);
  months.push_back(last);
  return months;
}

}  // namespace

Result<std::unique_ptr<ForecastAnswers>> forecast(const Context& context) {
  const auto tell = [&](double share, std::string_view what) {
    if (context.progress) context.progress(share, what);
  };
  JEVONS_TRY(ForecastScenario scenario, read_forecast(context));
  auto a = std::make_unique<ForecastAnswers>(ForecastAnswers{.scenario = std::move(scenario)});
  const ForecastScenario& sc = a->scenario;
  JEVONS_TRY(a->history, market::read_history(context.catalog));
  JEVONS_TRY(a->resources, plan_tiers(context.catalog, sc.tiers, sc.segments, true, [&](double x, auto what) { tell(0.2 * x, what); }));
  take_theta(*a);
  tell(0.2, "learning from history");
  market::CalibrationOptions options{.draws = std::size_t(sc.settings.integer("draws")), .seed = sc.seed};
  options.chains = std::max<std::size_t>(16, options.draws / 16);
  a->calibration = market::calibrate(a->history, sc.segments, sc.priors, {}, {}, options);
  tell(0.5, "drawing futures");
  a->drawn = market::draw_inputs(a->history, sc.segments, sc.priors, a->calibration, sc.start, sc.paths, sc.seed);
  const market::World world{sc.segments, resources_of(a->resources, sc.tiers, sc.segments), sc.fleet};
  a->gap = gap_of(*a, world.resources);
  const auto months = recorded_months(sc.last_month);
  a->paths = market::run_paths(world, a->drawn.inputs, {}, months, sc.seed);
  tell(0.8, "drawing futures without efficiency");
  a->frozen = market::run_paths(world, a->drawn.inputs, {.efficiency = false}, std::array{sc.last_month}, sc.seed);
  JEVONS_TRY(a->events, market::price_events(context.catalog, a->history));
  JEVONS_TRY(a->verticals, market::read_verticals(context.catalog));
  return a;
}

Result<Outcome> run_forecast(Context& c) {
  JEVONS_TRY(const auto answers, forecast(c));
  Outcome o;
  o.document = page_of(*answers);
  if (c.wants_files) {
    for (const auto& chart : o.document.charts) o.files.push_back({chart.name + ".svg", report::to_svg(chart)});
  }
  return o;
}

}  // namespace jevons::engine
