#include "market/forecast.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/portable_math.hpp"
#include "base/stats.hpp"

namespace jevons::market {
namespace {

constexpr double kSegmentSd = 0.35;  // ln: estimates of the whole market at one date differ by a factor of 1.4 either way
constexpr double kReportSd = 0.35;   // ln: definitions of a token differ as much

// Services whose tokens do not overlap: together a floor of the market, with definitions of their own.
std::vector<std::size_t> apart(const History& h) {
  std::vector<std::size_t> out;
  for (const auto* name : {"google_all_monthly", "china_total_daily", "openai_api_per_min", "microsoft_foundry"}) {
    for (std::size_t i = 0; i < h.services.size(); ++i) {
      if (h.services[i].series == name) out.push_back(i);
    }
  }
  return out;
}

}  // namespace

Drawn draw_inputs(const History& h, const Segments& segments, const Priors& priors, const Calibration& c, Start start, std::size_t count,
                  Seed seed) {
  Drawn d;
  std::vector<Point> points{{0, kAnchor, 0, Quantity::common_rate}, {0, kAnchor, 0, Quantity::china_rate}, {0, kAnchor, 0, Quantity::rest_rate}};
  const auto counted = apart(h);
  for (const auto i : counted) {
    points.push_back({i, kAnchor, 0});
    d.start.counted.push_back(h.services[i].series);
  }
  // Paths that share a posterior draw share its momentum too; their chance differs.
  const std::size_t distinct = std::min<std::size_t>(count, 1024);
  const auto history = sample(h, segments, priors, {}, c, points, distinct, seed);
  for (const auto& s : segments) d.start.segments += s.tokens_per_day;
  const Lattice lattice(seed);
  std::vector<double> reports, used;
  d.inputs.resize(count);
  d.scores.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    Scores& z = d.scores[i];
    const std::size_t mine = i * distinct / count;
    for (std::size_t p = 0; p < kParams; ++p) z[p] = p < kHistoryParams ? c.posterior[mine * c.posterior.size() / distinct][p] : lattice.normal(i, p);
    PathInput& in = d.inputs[i];
    in.values = priors.values(z);
    in.momentum = {history[mine][0], history[mine][1], history[mine][2]};
    double sum = 0;
    for (std::size_t k = 0; k < counted.size(); ++k) sum += std::exp(history[mine][3 + k]);
    reports.push_back(sum);
    const double r = std::log(sum), s = std::log(d.start.segments);
    const double a = 1 / (kSegmentSd * kSegmentSd), b = 1 / (kReportSd * kReportSd);
    const double middle = start == Start::segments ? s : start == Start::reports ? r : (a * s + b * r) / (a + b);
    in.total_tokens = std::exp(middle + in.values[Param::level]);
    used.push_back(in.total_tokens);
    for (std::size_t k = 0; k < kSegments; ++k) in.level[k] = std::log(segments[k].spread) / 1.96 * lattice.normal(i, kParams + k);
  }
  std::sort(reports.begin(), reports.end());
  std::sort(used.begin(), used.end());
  d.start.reports = quantile_sorted(reports, 0.5);
  d.start.reports_low = quantile_sorted(reports, 0.1);
  d.start.reports_high = quantile_sorted(reports, 0.9);
  d.start.used = quantile_sorted(used, 0.5);
  return d;
}

std::vector<std::vector<double>> variance_shares(const std::vector<Scores>& x, const std::vector<std::vector<double>>& ys, double distinct) {
  constexpr std::size_t kBins = 8;
  const std::size_t n = x.size();
  std::vector<std::vector<double>> out(ys.size(), std::vector<double>(kParams, 0.0));
  std::vector<double> mean, total;
  for (const auto& y : ys) {
    mean.push_back(std::accumulate(y.begin(), y.end(), 0.0) / double(n));
    total.push_back(std::accumulate(y.begin(), y.end(), 0.0, [&](double sum, double v) { return sum + (v - mean.back()) * (v - mean.back()); }));
  }
  tbb::parallel_for(std::size_t{0}, kParams, [&](std::size_t p) {
    std::vector<std::pair<double, std::size_t>> order(n);
    for (std::size_t i = 0; i < n; ++i) order[i] = {x[i][p], i};
    std::sort(order.begin(), order.end());
    for (std::size_t k = 0; k < ys.size(); ++k) {
      if (!(total[k] > 0) || n < 4 * kBins) continue;
      double between = 0;
      for (std::size_t b = 0; b < kBins; ++b) {
        const std::size_t from = b * n / kBins, to = (b + 1) * n / kBins;
        double sum = 0;
        for (std::size_t i = from; i < to; ++i) sum += ys[k][order[i].second] - mean[k];
        between += sum * sum / double(to - from);
      }
      const double noise = double(kBins - 1) / ((p < kHistoryParams ? std::fmin(distinct, double(n)) : double(n)) - 1);
      out[k][p] = std::fmax(0, (between / total[k] - noise) / (1 - noise));
    }
  });
  return out;
}

std::vector<double> log_split(std::span<const std::vector<double>> before, std::span<const std::vector<double>> after) {
  JEVONS_ENSURE(before.size() == after.size() && !before.empty());
  const auto mean = [](double a, double b) { return a == b ? a : (a - b) / std::log(a / b); };
  const auto product = [](const std::vector<double>& f) { return std::accumulate(f.begin(), f.end(), 1.0, std::multiplies<>()); };
  double sum0 = 0, sum1 = 0;
  for (std::size_t r = 0; r < before.size(); ++r) {
    sum0 += product(before[r]);
    sum1 += product(after[r]);
  }
  std::vector<double> out(before[0].size(), 0.0);
  const double whole = mean(sum1, sum0);
  for (std::size_t r = 0; r < before.size(); ++r) {
    const double weight = mean(product(after[r]), product(before[r])) / whole;
    for (std::size_t f = 0; f < out.size(); ++f) out[f] += weight * std::log(after[r][f] / before[r][f]);
  }
  return out;
}

}  // namespace jevons::market
