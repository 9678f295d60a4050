#pragma once
// Would the model have seen it coming? Fitted on what was dated up to a cut-off, scored on what came after, against naive forecasts.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "market/calibrate.hpp"

namespace jevons::evidence {

/// Fair-ensemble CRPS of a sample: mean |x - y| - sum |x - x'| / (2 n (n - 1)). Sorts its argument.
/// Source: Ferro, "Fair scores for ensemble forecasts", QJRMS 140, 2014.
double crps_of_sample(std::vector<double>& sample, double observed);

/// One forecast of ln tokens a day and what came.
struct Target {
  std::string cutoff, series, date;
  double horizon_years = 0, actual = 0;
  double median = 0, crps = 0, pit = 0, width80 = 0;
  bool in50 = false, in80 = false, in95 = false;
};

struct BacktestScore {
  std::size_t n = 0;
  double crps = 0, coverage50 = 0, coverage80 = 0, coverage95 = 0, width80 = 0;
  double worst_factor = 1;  // exp of the largest |median error|
  std::string worst_series;
  double energy = 0;  // energy score over each cut-off's vector of targets, averaged over cut-offs; 0 for a baseline
};

struct Baseline {
  std::string model;
  BacktestScore score;
};

struct Backtest {
  std::vector<Target> targets;
  BacktestScore all;
  std::map<std::string, BacktestScore> by_cutoff;
  std::vector<Baseline> baselines;  // on the same targets
  std::map<std::string, std::vector<Baseline>> baselines_by_cutoff;
  std::vector<std::string> unscored;  // targets without any usable report of their series
  std::array<double, 2> interval{};   // 90 % block bootstrap by series, of the mean CRPS
};

struct BacktestOptions {
  bool strict = false;
  market::Mechanisms on;
  std::size_t samples = 4096;
  market::CalibrationOptions calibration;
};
/// The targets are those of backtest-baselines. Errors: a baseline without its report.
Result<Backtest> backtest(const catalog::Catalog& catalog, const BacktestOptions& options,
                          const std::function<void(double)>& progress = {});

}  // namespace jevons::evidence
