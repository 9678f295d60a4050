#pragma once
// The constants that measured serving points decide (step/served.hpp), fitted through the simulator.
#include <functional>

#include "evidence/case_run.hpp"

namespace jevons::evidence {

/// Every prepared case under these constants, in parallel; the same values on any number of threads. A case of a block in `blocks` takes
/// its factors. only: where not empty, the cases that are wanted; the others stay empty.
std::vector<Prediction> predict_all(std::span<const Prepared> cases, const step::Served& served, const step::ServedBlocks& blocks = {},
                                    std::span<const char> only = {});

/// How the logarithm of each predicted latency moves with the logarithm of each constant, by simulation at `at`.
struct Sensitivities {
  std::vector<std::array<double, step::kFits>> tpot, ttft;  // one a case
};
Sensitivities sensitivities(std::span<const Prepared> cases, const std::vector<char>& used, const step::Served& at,
                            const std::function<void(double)>& progress = {});

/// Gauss-Newton on the logarithms of the constants: residuals by simulation, sensitivities given, a robust loss (TPOT 7 %, mean TTFT 15 %),
/// and the priors of `served_constants()`, around `centre` where given: a user's own runs, where
/// priors are twice as wide, every run counts in full, and what is far off counts linearly. Only cases with used[i] count; every block of
/// cases counts with the root of its size, so that the best covered configuration does not decide everything. `rounds`: simulations of all
/// used cases.
step::Served fit(std::span<const Prepared> cases, const std::vector<char>& used, const step::Served& start, const Sensitivities& moves,
                 int rounds, const step::Served* centre = nullptr);

/// The factors of every block with at least four used cases, beside these constants: shrunk towards 1 (10 % on decode steps, 25 % on
/// prompts), the cases of a block counting with the root of their number because what they miss by is shared.
step::ServedBlocks fit_blocks(std::span<const Prepared> cases, const std::vector<char>& used, const step::Served& served);

}  // namespace jevons::evidence
