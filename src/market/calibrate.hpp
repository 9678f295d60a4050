#pragma once
// What the history says about the parameters: importance re-weighting of prior draws, then adaptive Metropolis from the best of them.
#include <functional>
#include <optional>

#include "market/growth.hpp"
#include "market/lattice.hpp"

namespace jevons::market {

/// Which reports may be used: dated up to the cut-off, or, strict, also published by then. Weak ones never.
struct Cutoff {
  double years = 1e9;
  bool strict = false;
};
std::vector<Observation> usable(const History& h, const Cutoff& cutoff);

struct CalibrationOptions {
  std::size_t draws = 4096;  // prior draws that are re-weighted
  std::size_t chains = 256, steps = 50;
  Seed seed{1};
};

struct Calibration {
  std::vector<Scores> prior;      // quasi-random draws
  std::vector<double> weights;    // their importance weights, sum 1
  double effective = 0;           // effective number of draws, 1 / sum of squares
  std::vector<Scores> posterior;  // equally weighted, from the second half of every chain
  double acceptance = 0;
  std::vector<Observation> used;
};
Calibration calibrate(const History& h, const Segments& segments, const Priors& priors, const Mechanisms& on, const Cutoff& cutoff,
                      const CalibrationOptions& options);

/// Samples of ln tokens a day at points (with report noise where their sd says so), one row per sample: joint draws.
/// `count` samples in all, spread over the posterior.
std::vector<std::vector<double>> sample(const History& h, const Segments& segments, const Priors& priors, const Mechanisms& on,
                                        const Calibration& c, std::span<const Point> points, std::size_t count, Seed seed);

}  // namespace jevons::market
