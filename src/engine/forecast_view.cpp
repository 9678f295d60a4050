// What the pages of a forecast share, and its verdict.
#include "engine/forecast_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace jevons::engine::forecast_view {
namespace {

using market::Output;
using market::Param;
using report::Cell;
using report::Document;
using report::Origin;
using report::Table;

const Origin kPaths{"simulated", "market::run_paths in src/market/paths.cpp", "docs/demand.md"};
const Origin kFit{"derived", "market::calibrate in src/market/calibrate.cpp", "catalog/demand/token-volume.yaml"};

constexpr Shown kShown[] = {
    {Output::tokens, "tokens_T_per_day", "tokens", "T/day", 1e-12},
    {Output::unmet, "unmet_T_per_day", "unmet", "T/day", 1e-12},
    {Output::price, "usd_per_mtok", "price paid", "$/Mtok", 1},
    {Output::spend, "spend_bn_usd_per_year", "spend", "bn USD/yr", 1e-9},
    {Output::accelerators, "stock_M_h100e", "in service", "M H100e", 1e-6},
    {Output::needed, "demand_M_h100e", "wanted", "M H100e", 1e-6},
    {Output::serving_share, "serving_share", "serving", "share", 1},
    {Output::hbm, "hbm_EB", "HBM in use", "EB", 1e-18},
    {Output::power, "power_GW", "power", "GW", 1e-9},
    {Output::capex, "capex_bn_usd_per_year", "capex", "bn USD/yr", 1e-9},
    {Output::rent, "rent", "rent", "x", 1},
    {Output::china, "china_share", "China", "share", 1},
};

}  // namespace

std::vector<double> sorted(std::span<const float> x, double scale) {
  std::vector<double> out(x.begin(), x.end());
  for (auto& v : out) v *= scale;
  std::sort(out.begin(), out.end());
  return out;
}

std::span<const Shown> shown() { return kShown; }

Sorted::Sorted(const market::Paths& p) : records(p.months.size()) {
  for (const auto& s : kShown) {
    for (std::size_t r = 0; r < records; ++r) of.push_back(sorted(p.all(s.output, r), s.scale));
  }
}

const std::vector<double>& Sorted::at(Output o, std::size_t record) const {
  const auto found = std::find_if(std::begin(kShown), std::end(kShown), [&](const auto& s) { return s.output == o; });
  return of[std::size_t(found - std::begin(kShown)) * records + record];
}

std::string month_at(const ForecastAnswers& a, std::size_t r) { return market::month_name(a.paths.months[r] / 12.0 + 1e-6); }
std::size_t anchor_record(const ForecastAnswers& a) {
  return std::size_t(std::find(a.paths.months.begin(), a.paths.months.end(), market::kAnchorMonth) - a.paths.months.begin());
}
std::vector<std::size_t> page_records(const ForecastAnswers& a) {
  std::vector<std::size_t> out;
  for (std::size_t r = anchor_record(a); r < a.paths.months.size(); ++r) {
    const int m = a.paths.months[r];
    if (m == market::kAnchorMonth || m % 12 == 0 || r + 1 == a.paths.months.size()) out.push_back(r);
  }
  return out;
}

std::string range(const std::vector<double>& x) {
  // Two significant digits; from one thousand on in thousands, millions, billions.
  const auto brief = [](double v) {
    const double size = std::abs(v);
    if (size < 1e3) return size < 1e-6 ? std::string("0") : format_number(v, 2);
    const double unit = size < 1e6 ? 1e3 : size < 1e9 ? 1e6 : 1e9;
    return fmt::format("{:.{}f}{}", v / unit, v / unit < 9.95 ? 1 : 0, unit == 1e3 ? "k" : unit == 1e6 ? "M" : "G");
  };
  return fmt::format("{} ({}–{})", brief(quantile_sorted(x, 0.5)), brief(quantile_sorted(x, 0.1)), brief(quantile_sorted(x, 0.9)));
}

Verdict verdict_of(const ForecastAnswers& a) {
  Verdict v;
  const auto& p = a.paths;
  const std::size_t last = p.months.size() - 1, first = anchor_record(a), n = p.count;
  const auto above = [&](Output o, std::size_t r0, const market::Paths& y) {
    double count = 0;
    for (std::size_t i = 0; i < n; ++i) count += p.at(o, last, i) > y.at(o, r0, i);
    return count / double(n);
  };
  v.rises_tokens = above(Output::tokens, first, p);
  v.rises_compute = above(Output::needed, first, p);
  v.rises_hbm = above(Output::serving_hbm, first, p);
  v.jevons_compute = above(Output::needed, 0, a.frozen);
  v.jevons_hbm = above(Output::serving_hbm, 0, a.frozen);
  std::vector<double> ln_tokens(n), ln_needed(n), ln_ratio(n);
  double tokens = 0;
  for (const auto& s : a.scenario.segments) tokens += s.tokens_per_day;
  for (std::size_t i = 0; i < n; ++i) {
    ln_tokens[i] = std::log(std::fmax(1e-30, p.at(Output::tokens, last, i)));
    ln_needed[i] = std::log(std::fmax(1e-30, p.at(Output::needed, last, i)));
    ln_ratio[i] = ln_needed[i] - std::log(std::fmax(1e-30, a.frozen.at(Output::needed, 0, i)));
    v.compute_ratio.push_back(std::exp(ln_ratio[i]));
    v.hbm_ratio.push_back(p.at(Output::serving_hbm, last, i) / std::fmax(1e-30, a.frozen.at(Output::serving_hbm, 0, i)));
    if (i % 8 != 0) continue;
    const auto& x = a.drawn.inputs[i].values;
    const double theta = x[Param::theta], price = x[Param::pass_through] * market::cost_decline(x);
    const double time = (1 - theta) * x[Param::compute_gain] + theta * x[Param::memory_gain];
    if (price > 0) {
      v.break_even_compute.push_back(time / price);
      v.break_even_hbm.push_back(x[Param::memory_gain] / price);
    }
    double eps = 0;
    for (std::size_t s = 0; s < market::kSegments; ++s)
      eps += a.scenario.segments[s].tokens_per_day / tokens *
             market::elasticity(market::law_of(a.scenario.segments[s], a.scenario.segments, x, {}));
    v.elasticity.push_back(eps);
  }
  for (auto* x : {&v.compute_ratio, &v.hbm_ratio, &v.break_even_compute, &v.break_even_hbm, &v.elasticity}) std::sort(x->begin(), x->end());
  // Chains are the independent draws of the history's parameters.
  auto shares = market::variance_shares(a.drawn.scores, {ln_tokens, ln_needed, ln_ratio}, double(a.calibration.chains));
  v.share_tokens = std::move(shares[0]), v.share_needed = std::move(shares[1]), v.share_sign = std::move(shares[2]);
  const auto top = [](const std::vector<double>& x) {
    return std::string(market::name(Param(std::max_element(x.begin(), x.end()) - x.begin())));
  };
  v.decides_sign = top(v.share_sign);
  v.decides_tokens = top(v.share_tokens);
  return v;
}

Table verdict_table(const ForecastAnswers& a, const Verdict& v) {
  const std::string end = month_at(a, a.paths.months.size() - 1);
  Table t{
      "verdict",
      fmt::format("Does it rise? {} against July 2026, and against the same future without efficiency gains", end),
      {{"question", "question", "{}", {}}, {"probability", "P", "{:.2f}", kPaths}, {"ratio", "ratio, median (80 % range)", "{}", kPaths}},
      {},
      {},
      true};
  const std::size_t last = a.paths.months.size() - 1, first = anchor_record(a);
  const auto growth = [&](Output o) {
    std::vector<double> x;
    for (std::size_t i = 0; i < a.paths.count; ++i) x.push_back(a.paths.at(o, last, i) / std::fmax(1e-30, a.paths.at(o, first, i)));
    std::sort(x.begin(), x.end());
    return range(x);
  };
  t.rows.push_back({std::string("tokens served rise"), v.rises_tokens, growth(Output::tokens)});
  t.rows.push_back({std::string("compute wanted rises"), v.rises_compute, growth(Output::needed)});
  t.rows.push_back({std::string("HBM wanted for serving rises"), v.rises_hbm, growth(Output::serving_hbm)});
  t.rows.push_back({std::string("efficiency raises compute wanted (Jevons)"), v.jevons_compute, range(v.compute_ratio)});
  t.rows.push_back({std::string("efficiency raises HBM wanted (Jevons)"), v.jevons_hbm, range(v.hbm_ratio)});
  t.rows.push_back({std::string("break-even elasticity, compute"), std::monostate{}, range(v.break_even_compute)});
  t.rows.push_back({std::string("break-even elasticity, HBM"), std::monostate{}, range(v.break_even_hbm)});
  t.rows.push_back({std::string("elasticity of the market in July 2026, long run"), std::monostate{}, range(v.elasticity)});
  t.notes.push_back(
      "Break-even: decline of accelerator time (memory) per token over decline of price, in ln. The elasticity falls as tasks worth "
      "running run out and spending nears its ceiling.");
  return t;
}

Table sobol_table(const ForecastAnswers& a, const Verdict& v) {
  Table t{"variance",
          fmt::format("Which assumption decides {}: first-order shares of variance", month_at(a, a.paths.months.size() - 1)),
          {{"parameter", "parameter", "{}", {}},
           {"tokens", "ln tokens", "{:.3f}", {"derived", "market::variance_shares: Sobol index from given data", ""}},
           {"compute", "ln compute\nwanted", "{:.3f}", {"derived", "market::variance_shares", ""}},
           {"jevons", "ln Jevons ratio\nof compute", "{:.3f}", {"derived", "market::variance_shares", ""}}},
          {},
          {},
          true};
  std::vector<std::size_t> order(market::kParams);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t x, std::size_t y) {
    return v.share_needed[x] + v.share_sign[x] + v.share_tokens[x] > v.share_needed[y] + v.share_sign[y] + v.share_tokens[y];
  });
  double tokens = 0, compute = 0, sign = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const auto p = order[k];
    tokens += v.share_tokens[p];
    compute += v.share_needed[p];
    sign += v.share_sign[p];
    if (k < 12) t.rows.push_back({std::string(market::name(Param(p))), v.share_tokens[p], v.share_needed[p], v.share_sign[p]});
  }
  t.notes.push_back(
      fmt::format("Sums over all parameters: {:.2f}, {:.2f}, {:.2f}; what is left is chance and interaction. Parameters that history ties "
                  "together share their part.",
                  tokens, compute, sign));
  return t;
}

// Exact split of ln(compute wanted for serving) between July 2026 and the end, mean over paths.
Table split_table(const ForecastAnswers& a) {
  const std::size_t first = anchor_record(a), last = a.paths.months.size() - 1;
  const double years = a.paths.months[last] / 12.0;
  std::array<double, 5> mean{};
  double total = 0, n = 0;
  for (std::size_t i = 0; i < a.paths.count; i += 16) {
    const auto& v = a.drawn.inputs[i].values;
    std::vector<std::vector<double>> before, after;
    for (std::size_t s = 0; s < market::kSegments; ++s) {
      const double t0 = a.paths.segment(s, first)[i], t1 = a.paths.segment(s, last)[i];
      if (!(t0 > 0 && t1 > 0)) continue;
      market::SegmentLaw law = market::law_of(a.scenario.segments[s], a.scenario.segments, v, {});
      const double all = market::log_growth(law, years);
      const auto without = [&](auto change) {
        market::SegmentLaw other = law;
        change(other);
        return all - market::log_growth(other, years);
      };
      const double adopted = without([](auto& l) { l.adoption_speed = 0; }), deeper = without([](auto& l) { l.intensity = 0; });
      const double worth = all - adopted - deeper;
      const double time = (1 - v[Param::theta]) * v[Param::compute_gain] + v[Param::theta] * v[Param::memory_gain];
      before.push_back({t0, 1, 1, 1, 1});
      after.push_back({t0 * std::exp(adopted), std::exp(worth), std::exp(deeper), t1 / (t0 * std::exp(all)),
                       std::exp(-time * (years - market::kAnchor))});
    }
    if (before.empty()) continue;
    const auto terms = market::log_split(before, after);
    for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += terms[k];
    total += std::accumulate(terms.begin(), terms.end(), 0.0);
    n += 1;
  }
  Table t{"split",
          fmt::format("What moves serving compute between July 2026 and {} (LMDI, mean of paths)", month_at(a, last)),
          {{"factor", "factor", "{}", {}},
           {"ln", "ln", "{:+.2f}", {"derived", "market::log_split: LMDI-I, no residual", "Ang 2005"}},
           {"factor_x", "x", "{:.3g}", {"derived", "exp of it", ""}}},
          {},
          {},
          true};
  const char* names[] = {"users and workloads", "tasks worth running: price and capability", "tokens per task",
                         "wandering growth, tiers' prices, budgets, scarcity", "accelerator time per token"};
  for (std::size_t k = 0; k < mean.size(); ++k) t.rows.push_back({std::string(names[k]), mean[k] / n, std::exp(mean[k] / n)});
  t.rows.push_back({std::string("serving compute"), total / n, std::exp(total / n)});
  return t;
}

}  // namespace jevons::engine::forecast_view
