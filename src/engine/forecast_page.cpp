// What a forecast says, first the answer, then the tables, then what data cannot separate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/forecast_view.hpp"

namespace jevons::engine {
namespace {

using market::Output;
using market::Param;
using report::Cell;
using report::Document;
using report::Origin;
using report::Table;
using namespace forecast_view;

const Origin kPaths{"simulated", "market::run_paths in src/market/paths.cpp", "docs/demand.md"};
const Origin kFit{"derived", "market::calibrate in src/market/calibrate.cpp", "catalog/demand/token-volume.yaml"};

constexpr double kLevels[] = {0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975};

// What a page holds of them; table fan has all.
std::vector<std::size_t> few_records(const ForecastAnswers& a) {
  const auto at = page_records(a);
  if (at.size() <= 5) return at;
  return {at[0], at[2], at[4], at.back()};
}

Table futures_table(const ForecastAnswers& a, const Sorted& all) {
  Table t{"futures", "Futures: median (80 % range)", {{"quantity", "quantity", "{}", {}}, {"unit", "unit", "{}", {}}}, {}, {}, true};
  const auto at = few_records(a);
  for (const auto r : at) t.columns.push_back({fmt::format("m{}", month_at(a, r)), month_at(a, r), "{}", kPaths});
  for (const auto& s : shown()) {
    std::vector<Cell> row{std::string(s.label), std::string(s.unit)};
    for (const auto r : at) row.emplace_back(range(all.at(s.output, r)));
    t.rows.push_back(std::move(row));
  }
  t.notes.push_back(
      "Tokens are served ones, unmet what the fleet could not serve; wanted: accelerators that demand would fill; rent: price of an "
      "accelerator-hour over July 2026's. Table fan.csv has every half year and seven quantiles.");
  return t;
}

Table fan_table(const ForecastAnswers& a, const Sorted& all) {
  Table t{"fan", "Every recorded month", {{"month", "month", "{}", {}}, {"quantity", "quantity", "{}", {}}}, {}, {}, false};
  for (const double q : kLevels) t.columns.push_back({fmt::format("p{:g}", q * 100), fmt::format("{:g} %", q * 100), "{:.4g}", kPaths});
  for (std::size_t r = 0; r < a.paths.months.size(); ++r) {
    for (const auto& s : shown()) {
      // The fleet before the anchor is not modelled: no row rather than a zero.
      const bool fleet = s.output == Output::accelerators || s.output == Output::needed || s.output == Output::hbm ||
                         s.output == Output::power || s.output == Output::capex || s.output == Output::unmet;
      if (fleet && a.paths.months[r] < market::kAnchorMonth) continue;
      const auto& x = all.at(s.output, r);
      std::vector<Cell> row{month_at(a, r), std::string(s.key)};
      for (const double q : kLevels) row.emplace_back(quantile_sorted(x, q));
      t.rows.push_back(std::move(row));
    }
  }
  return t;
}

Table segment_table(const ForecastAnswers& a) {
  Table t{"segments", "Tokens by segment, T a day, median", {{"segment", "segment", "{}", {}}}, {}, {}, true};
  const auto at = few_records(a);
  for (const auto r : at) t.columns.push_back({fmt::format("m{}", month_at(a, r)), month_at(a, r), "{:.4g}", kPaths});
  t.columns.push_back({"elasticity", "long-run\nelasticity", "{:.2f}", kFit});
  for (std::size_t s = 0; s < market::kSegments; ++s) {
    std::vector<Cell> row{std::string(market::kSegmentNames[s])};
    for (const auto r : at) row.emplace_back(quantile_sorted(sorted(a.paths.segment(s, r), 1e-12), 0.5));
    std::vector<double> eps;
    for (std::size_t i = 0; i < a.drawn.inputs.size(); i += 8)
      eps.push_back(market::elasticity(market::law_of(a.scenario.segments[s], a.scenario.segments, a.drawn.inputs[i].values, {})));
    std::sort(eps.begin(), eps.end());
    row.emplace_back(quantile_sorted(eps, 0.5));
    t.rows.push_back(std::move(row));
  }
  return t;
}

Table prior_table(const ForecastAnswers& a) {
  Table t{"posterior",
          "Before and after the history: median (95 % range)",
          {{"parameter", "parameter", "{}", {}},
           {"unit", "unit", "{}", {}},
           {"prior", "prior", "{}", {"assumed", "forecast-priors", "catalog/demand/forecast-priors.yaml"}},
           {"posterior", "posterior", "{}", kFit},
           {"reweighted", "re-weighted\nmedian", "{:.3g}", kFit},
           {"learnt", "learnt", "{:.2f}", {"derived", "1 - posterior variance / prior variance of the normal score", ""}}},
          {},
          {},
          true};
  for (std::size_t p = 0; p < market::kHistoryParams; ++p) {
    const auto& prior = a.scenario.priors.of[p];
    std::vector<double> after;
    double sum = 0, squares = 0;
    for (const auto& z : a.calibration.posterior) {
      after.push_back(z[p]);
      sum += z[p];
      squares += z[p] * z[p];
    }
    std::sort(after.begin(), after.end());
    const double n = double(after.size()), mean = sum / n, variance = squares / n - mean * mean;
    std::vector<std::pair<double, double>> weighted;
    for (std::size_t i = 0; i < a.calibration.prior.size(); ++i) weighted.emplace_back(a.calibration.prior[i][p], a.calibration.weights[i]);
    std::sort(weighted.begin(), weighted.end());
    double cumulative = 0, median = 0;
    for (const auto& [z, w] : weighted) {
      if ((cumulative += w) >= 0.5) {
        median = z;
        break;
      }
    }
    const auto text = [&](double low, double mid, double high) {
      return fmt::format("{:.3g} ({:.3g}–{:.3g})", prior.at(mid), prior.at(low), prior.at(high));
    };
    t.rows.push_back({std::string(market::name(Param(p))), prior.unit, text(-1.96, 0, 1.96),
                      text(quantile_sorted(after, 0.025), quantile_sorted(after, 0.5), quantile_sorted(after, 0.975)), prior.at(median),
                      std::fmax(0, 1 - variance)});
  }
  t.notes.push_back(fmt::format("{} reports of {} services; {:.0f} of {} re-weighted draws count; Metropolis accepted {:.0f} %.",
                                a.calibration.used.size(), a.history.services.size(), a.calibration.effective, a.calibration.prior.size(),
                                a.calibration.acceptance * 100));
  return t;
}

Table event_table(const ForecastAnswers& a) {
  Table t{"events",
          "Price changes as natural experiments",
          {{"date", "date", "{}", {}},
           {"vendor", "vendor", "{}", {}},
           {"change", "price of", "{}", {}},
           {"price", "price, x", "{:.3f}", {"derived", "market::price_events", "catalog/demand/list-prices.yaml"}},
           {"growth_before", "growth\nbefore", "{:.1f}", {"derived", "ln/yr of the vendor's series", "catalog/demand/token-volume.yaml"}},
           {"growth_after", "after", "{:.1f}", {"derived", "ln/yr of the vendor's series", ""}},
           {"arc", "arc\nelast.", "{:.2f}", {"derived", "-ln(use)/ln(price), all growth laid on price", ""}}},
          {},
          {},
          true};
  const auto maybe = [](const std::optional<double>& x) { return x ? Cell(*x) : Cell(std::monostate{}); };
  for (const auto& e : a.events)
    t.rows.push_back(
        {e.date, e.vendor, e.change, maybe(e.price_ratio), maybe(e.growth_before), maybe(e.growth_after), maybe(e.arc_elasticity)});
  t.notes.push_back(
      "Growth in ln a year of the vendor's own series, of the router's for vendors without one; the arc elasticity lays all growth on the "
      "price, so it bounds from above for a cut and means nothing for a rise while use grows. No event has a control.");
  return t;
}

Table vertical_table(const ForecastAnswers& a, const Sorted& all) {
  Table t{
      "verticals",
      "Professions: share of tasks worth more than tokens and checking, median price of tokens",
      {{"vertical", "vertical", "{}", {}},
       {"price", "tokens, USD a\ntask 2026-07", "{:.2f}", {"derived", "tokens per task x price paid", "catalog/demand/verticals.yaml"}}},
      {},
      {},
      true};
  const auto at = few_records(a);
  for (const auto r : at)
    t.columns.push_back({fmt::format("m{}", month_at(a, r)),
                         month_at(a, r),
                         "{:.2f}",
                         {"derived", "market::Vertical::share", "catalog/demand/verticals.yaml"}});
  t.columns.push_back({"free", "tokens\nfree", "{:.2f}", {"derived", "the same at price zero in July 2026", ""}});
  for (const auto& v : a.verticals) {
    std::vector<Cell> row{v.name};
    for (std::size_t k = 0; k < at.size(); ++k) {
      const double price = quantile_sorted(all.at(Output::price, at[k]), 0.5) * 1e-6;
      if (k == 0) row.emplace_back(price * v.tokens_per_task);
      row.emplace_back(v.share(price, a.paths.months[at[k]] / 12.0 - market::kAnchor));
    }
    row.emplace_back(v.share(0, 0));
    t.rows.push_back(std::move(row));
  }
  t.notes.push_back(
      "A read-out beside the model, not part of its volumes. Where `tokens free` is near the first column, checking and integration hold "
      "adoption back, not price.");
  return t;
}

Table resource_table(const ForecastAnswers& a) {
  const Origin origin{"derived", "plan::search and savings::elasticity, by engine::plan_tiers", "docs/step-time.md"};
  Table t{"resources",
          "What a token takes, from the cheapest deployment of each tier's model",
          {{"segment", "segment", "{}", {}},
           {"tier", "tier", "{}", {}},
           {"model", "model", "{}", {}},
           {"accelerator", "accelerator", "{}", {}},
           {"usd_per_mtok", "cost\nUSD/Mtok", "{:.4g}", origin},
           {"h100e_s_per_mtok", "H100e s\n/Mtok", "{:.4g}", origin},
           {"hbm_byte_s_per_token", "HBM byte s\n/token", "{:.3g}", origin},
           {"flop_per_token", "FLOP\n/token", "{:.3g}", origin},
           {"theta", "theta", "{:.3f}", origin}},
          {},
          {},
          false};
  for (const auto& r : a.resources)
    t.rows.push_back({r.segment, r.tier, r.model, r.accelerator, r.usd_per_mtok, r.h100e_seconds_per_mtok, r.hbm_byte_seconds_per_token,
                      r.flops_per_token, r.theta ? Cell(*r.theta) : Cell(std::monostate{})});
  return t;
}

// What the history moved in the two parameters it cannot tell apart.
std::string not_separable(const ForecastAnswers& a) {
  const auto e = std::size_t(Param::elasticity_scale), g = std::size_t(Param::growth_scale);
  double n = 0, me = 0, mg = 0, see = 0, sgg = 0, seg = 0;
  for (const auto& z : a.calibration.posterior) {
    n += 1;
    me += z[e];
    mg += z[g];
  }
  me /= n, mg /= n;
  for (const auto& z : a.calibration.posterior) {
    see += (z[e] - me) * (z[e] - me);
    sgg += (z[g] - mg) * (z[g] - mg);
    seg += (z[e] - me) * (z[g] - mg);
  }
  return fmt::format(
      "Data cannot separate the response to price from growing capability: both raise tokens while prices fall, and no series has a "
      "control. "
      "After {} reports the elasticity keeps {:.0f} % of its prior variance and growth at constant price {:.0f} %; their correlation is "
      "{:+.2f}. "
      "The elasticity is an assumption with a range, not a finding.",
      a.calibration.used.size(), 100 * see / n, 100 * sgg / n, seg / std::sqrt(see * sgg));
}

std::string start_note(const ForecastAnswers& a) {
  const auto& s = a.drawn.start;
  return fmt::format(
      "Level in July 2026: segment estimates sum to {} T a day; reports of {} carried forward imply {} (80 % {}–{}), with other "
      "definitions of a token and without "
      "what those services leave out. Paths start from {} in the median (start: {}); the segments are scaled to it.",
      format_number(s.segments * 1e-12), fmt::join(s.counted, ", "), format_number(s.reports * 1e-12), format_number(s.reports_low * 1e-12),
      format_number(s.reports_high * 1e-12), format_number(s.used * 1e-12), a.scenario.settings.text("start"));
}

void add_values(Document& d, const ForecastAnswers& a, const Sorted& all, const Verdict& v) {
  const auto put = [&](std::string path, std::string label, std::string unit, double x, const Origin& o) {
    d.values.push_back({std::move(path), std::move(label), std::move(unit), std::isfinite(x) ? std::optional(x) : std::nullopt, o});
  };
  put("run.seed", "seed", "", double(a.scenario.seed.value), {"input", "given or default", ""});
  put("run.paths", "futures", "paths", double(a.paths.count), {"input", "given or default", ""});
  for (const auto r : page_records(a)) {
    for (const auto& s : shown()) {
      const auto& x = all.at(s.output, r);
      for (const double q : {0.1, 0.5, 0.9})
        put(fmt::format("futures.{}.{}.p{:g}", month_at(a, r), s.key, q * 100), fmt::format("{} at {}", s.label, month_at(a, r)), s.unit,
            quantile_sorted(x, q), kPaths);
    }
  }
  put("verdict.p_tokens_rise", "P(tokens rise)", "", v.rises_tokens, kPaths);
  put("verdict.p_compute_rises", "P(total compute rises)", "", v.rises_compute, kPaths);
  put("verdict.p_hbm_rises", "P(HBM demand rises)", "", v.rises_hbm, kPaths);
  put("verdict.p_efficiency_raises_compute", "P(efficiency raises compute)", "", v.jevons_compute, kPaths);
  put("verdict.p_efficiency_raises_hbm", "P(efficiency raises HBM)", "", v.jevons_hbm, kPaths);
  put("verdict.break_even_elasticity_compute", "break-even elasticity of compute", "", quantile_sorted(v.break_even_compute, 0.5), kFit);
  put("verdict.break_even_elasticity_hbm", "break-even elasticity of HBM", "", quantile_sorted(v.break_even_hbm, 0.5), kFit);
  put("verdict.elasticity", "long-run elasticity in July 2026", "", quantile_sorted(v.elasticity, 0.5), kFit);
  put("start.segments_T_per_day", "segment estimates", "T/day", a.drawn.start.segments * 1e-12,
      {"assumed", "sum of segments", "catalog/demand/segments.yaml"});
  put("start.reports_T_per_day", "reports carried forward", "T/day", a.drawn.start.reports * 1e-12, kFit);
  put("start.used_T_per_day", "start of the paths", "T/day", a.drawn.start.used * 1e-12, kFit);
  put("chain.gap", "serving time of the world over what the tiers' deployments need", "x", a.gap, {"derived", "engine::gap_of", ""});
  if (a.theta_low) {
    put("chain.theta_low", "theta, lowest tier", "", *a.theta_low, {"derived", "savings::theta_cache", ""});
    put("chain.theta_high", "theta, highest tier", "", *a.theta_high, {"derived", "savings::theta_cache", ""});
  }
}

void add_charts(Document& d, const ForecastAnswers& a, const Sorted& all) {
  for (const auto& s : shown()) {
    const bool fan = s.output == Output::tokens || s.output == Output::spend || s.output == Output::accelerators ||
                     s.output == Output::hbm || s.output == Output::power || s.output == Output::capex;
    if (!fan) continue;
    const bool past = s.output == Output::tokens || s.output == Output::spend;
    report::Chart c{
        std::string(s.key), fmt::format("{}, {}", s.label, s.unit), "fan", "year", s.unit, false, s.output != Output::capex, {}, {}};
    for (const double q : {0.5, 0.025, 0.975, 0.1, 0.9, 0.25, 0.75}) c.series.push_back({fmt::format("{:g} %", q * 100), {}, {}});
    for (std::size_t r = past ? 0 : anchor_record(a); r < a.paths.months.size(); ++r) {
      const auto& x = all.at(s.output, r);
      std::size_t k = 0;
      for (const double q : {0.5, 0.025, 0.975, 0.1, 0.9, 0.25, 0.75}) {
        c.series[k].x.push_back(2024 + a.paths.months[r] / 12.0);
        c.series[k++].y.push_back(quantile_sorted(x, q));
      }
    }
    d.charts.push_back(std::move(c));
  }
}

}  // namespace

Document page_of(const ForecastAnswers& a) {
  const Verdict v = verdict_of(a);
  const Sorted all(a.paths);
  Document d;
  d.title = a.scenario.title;
  d.origin_file = a.scenario.file.ends_with(".yaml") ? a.scenario.file.substr(0, a.scenario.file.size() - 5) : a.scenario.file;
  d.version = std::string(version());
  const std::size_t last = a.paths.months.size() - 1, first = anchor_record(a);
  const auto at = [&](Output o, std::size_t r) { return range(all.at(o, r)); };
  d.answer = {
      {"Tokens", fmt::format("{} T a day in July 2026, {} in {}; spending {} bn USD a year", at(Output::tokens, first),
                             at(Output::tokens, last), month_at(a, last), at(Output::spend, last))},
      {"Fleet", fmt::format("{} M H100-equivalents in service by {}, {} GW, {} EB of HBM in use", at(Output::accelerators, last),
                            month_at(a, last), at(Output::power, last), at(Output::hbm, last))},
      {"Jevons",
       fmt::format(
           "P(compute wanted rises) {:.0f} %, P(HBM for serving rises) {:.0f} %. Because of efficiency: compute {:.0f} %, HBM {:.0f} %. "
           "Break-even elasticity {:.2f} for compute, {:.2f} for HBM, against {:.2f} assumed; {} decides",
           v.rises_compute * 100, v.rises_hbm * 100, v.jevons_compute * 100, v.jevons_hbm * 100, quantile_sorted(v.break_even_compute, 0.5),
           quantile_sorted(v.break_even_hbm, 0.5), quantile_sorted(v.elasticity, 0.5), v.decides_sign)},
      {"Unknown", not_separable(a)}};
  d.tables = {futures_table(a, all), verdict_table(a, v), sobol_table(a, v),      split_table(a),    segment_table(a),
              prior_table(a),        event_table(a),      vertical_table(a, all), fan_table(a, all), resource_table(a)};
  add_values(d, a, all, v);
  add_charts(d, a, all);
  for (const auto* f : a.scenario.facts)
    d.facts.push_back({std::string(f->thing), std::string(f->key), std::string(f->text), std::string(catalog::name(f->kind)),
                       std::string(catalog::name(f->confidence)), std::string(f->source.empty() ? f->why : f->source),
                       std::string(f->date)});
  d.notes = {start_note(a), fmt::format("Serving: the world spends {:.0f} times the accelerator time that the cheapest deployments of the "
                                        "four tiers need (table resources): larger "
                                        "closed models, peaks, slack. The forecast carries this factor forward unchanged.",
                                        a.gap)};
  if (a.theta_low)
    d.notes.push_back(fmt::format(
        "theta, the share of cache memory in a token's cost, is {:.3f} to {:.3f} between the tiers' deployments (table resources): "
        "the less it is, the less a memory saving lowers prices and the more elastic demand must be for HBM to gain from it.",
        *a.theta_low, *a.theta_high));
  d.notes.push_back(
      "Training and research are a share of the fleet that declines slowly; they follow serving and not the price of compute.");
  d.notes.push_back(
      fmt::format("Out of range if: growth at constant price stays above 3 ln a year for a year, or one source needs a bias above 0.7 ln. "
                  "Momentum in July 2026, common: {:+.2f} ln a year in the median.",
                  [&] {
                    std::vector<double> x;
                    for (const auto& in : a.drawn.inputs) x.push_back(in.momentum.common);
                    std::sort(x.begin(), x.end());
                    return quantile_sorted(x, 0.5);
                  }()));
  return d;
}

}  // namespace jevons::engine
