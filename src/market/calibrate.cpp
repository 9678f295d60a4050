#include "market/calibrate.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

#include "base/portable_math.hpp"

namespace jevons::market {
namespace {

constexpr std::size_t kDim = kHistoryParams;
constexpr std::size_t kRound = 25;  // steps between adaptations of the proposal

// Log posterior up to a constant: standard normal prior in scores.
struct Target {
  const History& h;
  const Segments& segments;
  const Priors& priors;
  const Mechanisms& on;
  std::vector<Point> points;
  std::vector<double> observed;

  double likelihood(const Scores& z) const { return condition(field(h, segments, priors.values(z), on, points), observed, 0).log_density; }
  double operator()(const Scores& z) const {
    double prior = 0;
    for (std::size_t i = 0; i < kDim; ++i) prior -= z[i] * z[i] / 2;
    return prior + likelihood(z);
  }
};

// Lower Cholesky factor of 2.38^2/d (covariance + 0.05 I) of the points so far. Source: Haario, Saksman, Tamminen, "An adaptive
// Metropolis algorithm", Bernoulli 7(2), 2001.
std::vector<double> proposal(const std::vector<Scores>& points, const std::vector<double>& weights) {
  std::array<double, kDim> mean{};
  double total = 0;
  for (std::size_t p = 0; p < points.size(); ++p) {
    total += weights[p];
    for (std::size_t i = 0; i < kDim; ++i) mean[i] += weights[p] * points[p][i];
  }
  for (auto& m : mean) m /= total;
  std::vector<double> c(kDim * kDim, 0.0);
  for (std::size_t p = 0; p < points.size(); ++p) {
    for (std::size_t i = 0; i < kDim; ++i) {
      for (std::size_t j = 0; j <= i; ++j) c[i * kDim + j] += weights[p] * (points[p][i] - mean[i]) * (points[p][j] - mean[j]) / total;
    }
  }
  const double scale = 2.38 * 2.38 / double(kDim);
  for (std::size_t j = 0; j < kDim; ++j) {
    for (std::size_t i = j; i < kDim; ++i) {
      double sum = scale * (c[i * kDim + j] + (i == j ? 0.05 : 0));
      for (std::size_t k = 0; k < j; ++k) sum -= c[i * kDim + k] * c[j * kDim + k];
      c[i * kDim + j] = i == j ? std::sqrt(sum) : sum / c[j * kDim + j];
    }
  }
  return c;
}

double open_normal(Stream& stream) { return normal_quantile(stream.uniform() + 0x1p-54); }

struct Chain {
  Scores at{};
  double density = 0;
  std::size_t accepted = 0;
  std::vector<Scores> path;
  void walk(const Target& target, const std::vector<double>& root, Stream& stream, std::size_t steps) {
    for (std::size_t s = 0; s < steps; ++s) {
      std::array<double, kDim> n;
      for (auto& x : n) x = open_normal(stream);
      Scores next = at;
      for (std::size_t i = 0; i < kDim; ++i) {
        for (std::size_t j = 0; j <= i; ++j) next[i] += root[i * kDim + j] * n[j];
      }
      const double density_next = target(next);
      if (std::log(stream.uniform() + 0x1p-54) < density_next - density) {
        at = next;
        density = density_next;
        ++accepted;
      }
      path.push_back(at);
    }
  }
};

// Systematic resampling: `count` indices in proportion to weights that sum to 1.
std::vector<std::size_t> resample(const std::vector<double>& weights, std::size_t count, double offset) {
  std::vector<std::size_t> out;
  double sum = 0;
  std::size_t i = 0;
  for (std::size_t k = 0; k < count; ++k) {
    const double u = (double(k) + offset) / double(count);
    while (i + 1 < weights.size() && sum + weights[i] <= u) sum += weights[i++];
    out.push_back(i);
  }
  return out;
}

void metropolis(const Target& target, const CalibrationOptions& options, Calibration& c) {
  const auto starts = resample(c.weights, options.chains, 0.5);
  std::vector<Chain> chains(options.chains);
  std::vector<Stream> streams;
  for (std::size_t k = 0; k < chains.size(); ++k) {
    chains[k].at = c.prior[starts[k]];
    streams.emplace_back(options.seed, 1, Draw::market, k);
  }
  std::vector<double> root = proposal(c.prior, c.weights);
  for (std::size_t done = 0; done < options.steps; done += kRound) {
    const std::size_t steps = std::min(kRound, options.steps - done);
    tbb::parallel_for(std::size_t{0}, chains.size(), [&](std::size_t k) {
      if (done == 0) chains[k].density = target(chains[k].at);
      chains[k].walk(target, root, streams[k], steps);
    });
    std::vector<Scores> all;
    for (const auto& chain : chains) all.insert(all.end(), chain.path.begin() + long(chain.path.size() / 2), chain.path.end());
    root = proposal(all, std::vector<double>(all.size(), 1.0));
  }
  std::size_t accepted = 0, steps = 0;
  for (const auto& chain : chains) {
    accepted += chain.accepted;
    steps += chain.path.size();
    c.posterior.insert(c.posterior.end(), chain.path.begin() + long(chain.path.size() / 2), chain.path.end());
  }
  c.acceptance = steps > 0 ? double(accepted) / double(steps) : 0;
}

}  // namespace

std::vector<Observation> usable(const History& h, const Cutoff& cutoff) {
  std::vector<Observation> out;
  for (const auto& o : h.observations) {
    if (!o.weak && o.at <= cutoff.years && (!cutoff.strict || o.published <= cutoff.years)) out.push_back(o);
  }
  return out;
}

Calibration calibrate(const History& h, const Segments& segments, const Priors& priors, const Mechanisms& on, const Cutoff& cutoff,
                      const CalibrationOptions& options) {
  Calibration c;
  c.used = usable(h, cutoff);
  Target target{h, segments, priors, on, {}, {}};
  for (const auto& o : c.used) {
    target.points.push_back({o.service, o.at, o.sd});
    target.observed.push_back(o.ln_tokens);
  }
  const Lattice lattice(options.seed);
  c.prior.resize(options.draws);
  c.weights.resize(options.draws);
  tbb::parallel_for(std::size_t{0}, options.draws, [&](std::size_t i) {
    for (std::size_t d = 0; d < kParams; ++d) c.prior[i][d] = lattice.normal(i, d);
    c.weights[i] = target.likelihood(c.prior[i]);
  });
  const double best = *std::max_element(c.weights.begin(), c.weights.end());
  double sum = 0, squares = 0;
  for (auto& w : c.weights) sum += w = std::exp(w - best);
  for (auto& w : c.weights) {
    w /= sum;
    squares += w * w;
  }
  c.effective = 1 / squares;
  metropolis(target, options, c);
  return c;
}

std::vector<std::vector<double>> sample(const History& h, const Segments& segments, const Priors& priors, const Mechanisms& on,
                                        const Calibration& c, std::span<const Point> points, std::size_t count, Seed seed) {
  std::vector<Point> all;
  std::vector<double> observed;
  for (const auto& o : c.used) {
    all.push_back({o.service, o.at, o.sd});
    observed.push_back(o.ln_tokens);
  }
  all.insert(all.end(), points.begin(), points.end());
  std::vector<std::vector<double>> out(count);
  tbb::parallel_for(std::size_t{0}, count, [&](std::size_t i) {
    const Scores& z = c.posterior[(i * c.posterior.size()) / count];
    const Conditional given = condition(field(h, segments, priors.values(z), on, all), observed, points.size());
    Stream stream(seed, 2, Draw::market, i);
    std::vector<double> n(points.size());
    for (auto& x : n) x = open_normal(stream);
    out[i].resize(points.size());
    for (std::size_t p = 0; p < points.size(); ++p) {
      double sum = given.mean[p];
      for (std::size_t k = 0; k <= p; ++k) sum += given.root[p * points.size() + k] * n[k];
      out[i][p] = sum;
    }
  });
  return out;
}

}  // namespace jevons::market
