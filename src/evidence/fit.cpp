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

// Of a prior, for a user's own runs: servers differ more from each other than the mean of many is uncertain.
constexpr double kOwnSpread = 2;
constexpr double kTpotScale = 0.07, kTtftScale = 0.15;
constexpr double kFewest = 4;  // cases of a block that is corrected

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
  bool linear = false;  // outliers count linearly; else they lose all weight
  // One residual ln(predicted/measured) with its sensitivities.
  void add(const Vector& moves, double residual, double scale, double weight) {
    const double r = residual / scale, tail = linear ? std::sqrt(1 + r * r) : 1 + r * r / 2, w = weight / (scale * scale) / tail;
    for (std::size_t i = 0; i < kFits; ++i) {
      for (std::size_t j = 0; j <= i; ++j) a[i][j] += w * moves[i] * moves[j];
      b[i] -= w * moves[i] * residual;
    }
  }
};

}  // namespace

std::vector<Prediction> predict_all(std::span<const Prepared> cases, const Served& served, const step::ServedBlocks& blocks,
                                    std::span<const char> only) {
  std::vector<Prediction> out(cases.size());
  tbb::parallel_for(std::size_t{0}, cases.size(), [&](std::size_t i) {
    if (!only.empty() && !only[i]) return;
    const auto block = blocks.find(cases[i].of->block());
    const auto p = simulate(cases[i], served, block == blocks.end() ? nullptr : &block->second);
    JEVONS_ENSURE(p.has_value());
    out[i] = *p;
  });
  return out;
}

Sensitivities sensitivities(std::span<const Prepared> cases, const std::vector<char>& used, const Served& at,
                            const std::function<void(double)>& progress) {
  constexpr double kStep = 0.06;  // of a logarithm
  const auto base = predict_all(cases, at, {}, used);
  Sensitivities s{std::vector<Vector>(cases.size()), std::vector<Vector>(cases.size())};
  for (std::size_t f = 0; f < kFits; ++f) {
    Served moved = at;
    moved.value[f] *= std::exp(kStep);
    const auto to = predict_all(cases, moved, {}, used);
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
    const auto predicted = predict_all(cases, now, {}, used);
    System s;
    s.linear = centre != nullptr;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      if (!used[i]) continue;
      const Case& c = *cases[i].of;
      const double weight = centre != nullptr ? 1 : 1 / std::sqrt(block[c.block()]);
      if (c.tpot_s && *c.tpot_s > 0) s.add(moves.tpot[i], std::log(predicted[i].tpot_s / *c.tpot_s), kTpotScale, weight);
      if (c.ttft_s && *c.ttft_s > 0 && c.ttft_usable) s.add(moves.ttft[i], std::log(predicted[i].ttft_s / *c.ttft_s), kTtftScale, weight);
    }
    for (std::size_t f = 0; f < kFits; ++f) {
      const double sigma = specs[f].sigma * (centre != nullptr ? kOwnSpread : 1), precision = 1 / (sigma * sigma);
      s.a[f][f] += precision;
      s.b[f] -= precision * std::log(now.value[f] / (centre != nullptr ? centre->value[f] : specs[f].prior));
    }
    const Vector step = solve(s.a, s.b);
    for (std::size_t f = 0; f < kFits; ++f) now.value[f] *= std::exp(std::clamp(step[f], -0.5, 0.5));
  }
  return now;
}

namespace {

// Normal equations of the two factors of one block, in logarithms.
struct BlockSystem {
  double dd = 0, dp = 0, pp = 0, d = 0, p = 0;
  void add(double by_decode, double by_prompt, double residual, double scale, double weight) {
    const double r = residual / scale, w = weight / (scale * scale) / (1 + r * r / 2);
    dd += w * by_decode * by_decode;
    dp += w * by_decode * by_prompt;
    pp += w * by_prompt * by_prompt;
    d -= w * by_decode * residual;
    p -= w * by_prompt * residual;
  }
};

}  // namespace

step::ServedBlocks fit_blocks(std::span<const Prepared> cases, const std::vector<char>& used, const Served& served) {
  constexpr double kDecodeSigma = 0.10, kPromptSigma = 0.25, kStep = 0.05;
  constexpr int kRounds = 2;
  step::ServedBlocks blocks;
  for (std::size_t i = 0; i < cases.size(); ++i) blocks[cases[i].of->block()].cases += used[i] ? 1 : 0;
  std::erase_if(blocks, [](const auto& b) { return b.second.cases < kFewest; });
  for (int round = 0; round < kRounds; ++round) {
    step::ServedBlocks more_decode = blocks, more_prompt = blocks;
    for (auto& [key, b] : more_decode) b.decode *= std::exp(kStep);
    for (auto& [key, b] : more_prompt) b.prompt *= std::exp(kStep);
    const auto base = predict_all(cases, served, blocks, used), by_decode = predict_all(cases, served, more_decode, used),
               by_prompt = predict_all(cases, served, more_prompt, used);
    std::map<std::string, BlockSystem> systems;
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const Case& c = *cases[i].of;
      const auto block = blocks.find(c.block());
      if (!used[i] || block == blocks.end()) continue;
      const double weight = 1 / std::sqrt(block->second.cases);
      const auto add = [&](double Prediction::* metric, double measured, double scale) {
        const double at = base[i].*metric;
        systems[c.block()].add(std::log(by_decode[i].*metric / at) / kStep, std::log(by_prompt[i].*metric / at) / kStep,
                               std::log(at / measured), scale, weight);
      };
      if (c.tpot_s && *c.tpot_s > 0) add(&Prediction::tpot_s, *c.tpot_s, kTpotScale);
      if (c.ttft_s && *c.ttft_s > 0 && c.ttft_usable) add(&Prediction::ttft_s, *c.ttft_s, kTtftScale);
    }
    for (auto& [key, s] : systems) {
      step::BlockFactors& b = blocks[key];
      const double decode = 1 / (kDecodeSigma * kDecodeSigma), prompt = 1 / (kPromptSigma * kPromptSigma);
      const double dd = s.dd + decode, pp = s.pp + prompt, d = s.d - decode * std::log(b.decode), p = s.p - prompt * std::log(b.prompt);
      const double determinant = dd * pp - s.dp * s.dp;
      b.decode *= std::exp(std::clamp((pp * d - s.dp * p) / determinant, -0.4, 0.4));
      b.prompt *= std::exp(std::clamp((dd * p - s.dp * d) / determinant, -0.7, 0.7));
    }
  }
  return blocks;
}

}  // namespace jevons::evidence
