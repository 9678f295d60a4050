#pragma once
// The few engine constants that a user's own serving runs decide, fitted through the simulator around the built-in values.
#include <functional>
#include <optional>

#include "base/files.hpp"
#include "evidence/cases.hpp"
#include "step/served.hpp"
#include "step/served_blocks.hpp"

namespace jevons::evidence {

/// Mean errors over runs, as fractions: mean of |ln(predicted / measured)| of TPOT and TTFT.
struct RunError {
  double tpot = 0, ttft = 0;
  std::size_t n_tpot = 0, n_ttft = 0;
  double both() const { return (tpot * double(n_tpot) + ttft * double(n_ttft)) / double(std::max<std::size_t>(1, n_tpot + n_ttft)); }
};
struct RunRow {
  const Case* of = nullptr;
  double tpot_before_s = 0, tpot_after_s = 0, ttft_before_s = 0, ttft_after_s = 0;  // after: fitted without this run's fold
};
struct RunCalibration {
  std::vector<RunRow> rows;
  RunError before, after;             // after: each run predicted by constants fitted on the others
  std::optional<RunError> in_sample;  // by constants fitted on all
  step::Served start, fitted;
  std::vector<step::Fit> moved;  // the constants that were free
  step::ServedBlocks blocks;     // corrections of single deployments, where there are at least four runs of one
  std::vector<File> overlay;     // efficiency/served.yaml, efficiency/served-blocks.yaml
  bool improves() const { return after.both() < before.both(); }
};
struct RunOptions {
  std::string source, date;
  std::function<void(double)> progress = {};
};

/// Fits host time of a step, of a sequence and of a request, short kernels, floors, and the achieved shares of peak, each with the built-in
/// value as its prior, then corrections of single deployments in place of the built-in ones; validated by leaving out one run at a time
/// (five folds beyond five runs). Errors: a run that cannot be prepared, with its place; fewer than two runs: nothing could be held back.
Result<RunCalibration> calibrate_runs(const catalog::Catalog& catalog, const std::vector<Case>& runs, const RunOptions& options);

}  // namespace jevons::evidence
