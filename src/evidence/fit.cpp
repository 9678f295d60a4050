#include "evidence/fit.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace jevons::evidence {
namespace {

using step::kFits;
using step::Served;
using Vector = std::array<double, kFits>;
using Matrix = std::array<Vector, kFits>;

constexpr double kTpotScale = 0.07, kTtftScale = 0.15;

// Solves a symmetric positive definite system by Cholesky's decomposition.
Vector solve(Matrix a, Vector b) {
  for (std::size_t j = 0; j < kFits; ++j) {
    for (std::size_t k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
    a[j][j] = std::sqrt(a[j][j]);
    for (std::size_t i = j + 1; i < kFits; ++i) {
      for (std::size_t k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
      a[i][j] /= a[j][j];
    }
  }
  for (std::size_t i = 0; i < kFits; ++i) {
    for (std::size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (std::size_t i = kFits; i-- > 0;) {
    for (std::size_t k = i + 1; k < kFits; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

struct System {
  Matrix a{};
  Vector b{};
  // One residual ln(predicted/measured) with its sensitivities.
  void add(const Vector& moves, double residual, double scale, double weight) {
    const double r = residual / scale, w = weight / (scale * scale) / std::sqrt(1 + r * r);
    for (std::size_t i = 0; i < kFits; ++i) {
      for (std::size_t j = 0; j <= i; ++j) a[i][j] += w * moves[i] * moves[j];
      b[i] -= w * moves[i] * residual;
    }
  }
};

}  // namespace

std::vector<Prediction> predict_all(std::span<const Prepared> cases, const Served& served, std::span<const char> only) {
  std::vector<Prediction> out(cases.size());
  tbb::parallel_for(std::size_t{0}, cases.size(), [&](std::size_t i) {
    if (!only.empty() && !only[i]) return;
    const auto p = simulate(cases[i], served);
    JEVONS_ENSURE(p.has_value());
    out[i] = *p;
  });
  return out;
}

Sensitivities sensitivities(std::span<const Prepared> cases, const std::vector<char>& used, const Served& at,
                            const std::function<void(double)>& progress) {
  constexpr double kStep = 0.06;  // of a logarithm
  const auto base = predict_all(cases, at, used);
  Sensitivities s{std::vector<Vector>(cases.size()), std::vector<Vector>(cases.size())};
  for (std::size_t f = 0; f < kFits; ++f) {
    Served moved = at;
    moved.value[f] *= std::exp(kStep);
    const auto to = predict_all(cases, moved, used);
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (!used[i]) continue;
      s.tpot[i][f] = std::log(to[i].tpot_s / base[i].tpot_s) / kStep;
      s.ttft[i][f] = std::log(to[i].ttft_s / base[i].ttft_s) / kStep;
    }
    if (progress) progress(double(f + 1) / double(kFits));
  }
  return s;
}

Served fit(std::span<const Prepared> cases, const std::vector<char>& used, const Served& start, const Sensitivities& moves, int rounds,
           const Served* centre) {
  std::map<std::string, double> block;
  for (std::size_t i = 0; i < cases.size(); ++i) block[cases[i].of->block()] += used[i] ? 1 : 0;
  const auto specs = step::served_constants();
  Served now = start;
  for (int round = 0; round < rounds; ++round) {
    const auto predicted = predict_all(cases, now, used);
    System s;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (!used[i]) continue;
      const Case& c = *cases[i].of;
      const double weight = 1 / std::sqrt(block[c.block()]);
      if (c.tpot_s && *c.tpot_s > 0) s.add(moves.tpot[i], std::log(predicted[i].tpot_s / *c.tpot_s), kTpotScale, weight);
      if (c.ttft_s && *c.ttft_s > 0 && c.ttft_usable) s.add(moves.ttft[i], std::log(predicted[i].ttft_s / *c.ttft_s), kTtftScale, weight);
    }
    for (std::size_t f = 0; f < kFits; ++f) {
      const double precision = 1 / (specs[f].sigma * specs[f].sigma);
      s.a[f][f] += precision;
      s.b[f] -= precision * std::log(now.value[f] / (centre != nullptr ? centre->value[f] : specs[f].prior));
    }
    const Vector step = solve(s.a, s.b);
    for (std::size_t f = 0; f < kFits; ++f) now.value[f] *= std::exp(std::clamp(step[f], -0.5, 0.5));
  }
  return now;
}

}  // namespace jevons::evidence
