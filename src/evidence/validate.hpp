#pragma once
// How far off are the predictions? Published serving points, each run through the simulator as a user's run is.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "evidence/case_run.hpp"

namespace jevons::evidence {

struct Score {
  std::size_t n = 0;
  double median_ape = 0, p90_ape = 0, bias = 0;  // fractions of the measured value; bias: median signed error
  std::optional<double> coverage90;              // share of measured values inside the band; only where a band is predicted
};
struct Validation {
  std::vector<Prediction> rows;
  std::vector<std::string> refused;
  using Metrics = std::map<std::string, Score>;              // tpot_ms_mean, output_tok_s, ttft_ms_mean
  std::optional<step::Served> fitted;                        // on all cases, with `refit`
  Metrics metrics;                                           // aggregated cases
  Metrics disaggregated;                                     // the others, apart
  std::map<std::string, std::map<std::string, Metrics>> by;  // "model", "accelerator", "engine"
};
/// Leaves what out of the fit of the constants before it is scored.
enum class LeaveOut : std::uint8_t { nothing, model, accelerator, engine };
struct ValidateOptions {
  LeaveOut leave_out = LeaveOut::nothing;
  bool refit = false;                         // fit the constants on all cases first
  std::function<void(double)> progress = {};  // called now and then with the share done
};
/// Every case, in parallel; the same bytes on any number of threads.
Result<Validation> validate(const catalog::Catalog& catalog, const Cases& cases, const ValidateOptions& options = {});

}  // namespace jevons::evidence
