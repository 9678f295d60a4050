#pragma once
// From history to futures: posterior draws, momentum and level at the anchor, and what a set of paths says.
#include <optional>

#include "market/calibrate.hpp"
#include "market/paths.hpp"

namespace jevons::market {

/// How the level of the market at the anchor is set: segment estimates and reports do not agree, and both are shown.
enum class Start : std::uint8_t { segments, reports, both };
struct StartLevel {
  double segments = 0;                           // sum of the segment values, tokens a day
  double reports = 0, reports_low = 0, reports_high = 0;  // median and 80 % range of what reports imply, services that do not overlap
  double used = 0;                               // median of what the paths start from
  std::vector<std::string> counted;              // the services
};

struct Drawn {
  std::vector<PathInput> inputs;
  std::vector<Scores> scores;  // of each input, for the variance shares
  StartLevel start;
};
/// `count` inputs: history parameters from the posterior, the others and segment shares from the lattice.
Drawn draw_inputs(const History& h, const Segments& segments, const Priors& priors, const Calibration& c, Start start, std::size_t count,
                  Seed seed);

/// First-order variance share of each parameter in each y: variance of the mean of y within 8 equal bins of the parameter over the
/// variance of y, less what noise alone gives. `distinct`: independent draws of the history's parameters among the rows of x.
/// Source: Plischke, Borgonovo, Smith, "Global sensitivity measures from given data", EJOR 226, 2013.
std::vector<std::vector<double>> variance_shares(const std::vector<Scores>& x, const std::vector<std::vector<double>>& ys, double distinct);

/// Exact split of the change of tokens, accelerator time or memory between two states over factors and the mix: LMDI-I, no residual.
/// rows: factors of each segment, all > 0. Source: Ang, Energy Policy 33(7), 2005. The terms of ln(sum after / sum before).
std::vector<double> log_split(std::span<const std::vector<double>> before, std::span<const std::vector<double>> after);

}  // namespace jevons::market
