#pragma once
// How far off are the predictions? Published serving points, each run through the simulator as a user's run is.
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "evidence/bands.hpp"

namespace jevons::evidence {

struct Score {
  std::size_t n = 0;
  double median_ape = 0, p90_ape = 0, bias = 0;  // fractions of the measured value; bias: median signed error
  std::optional<double> coverage90;              // share of measured values inside the band; only where a band is predicted
};
/// What fits left behind, to be written into the catalogue.
struct Learned {
  step::Served constants;
  step::ServedBlocks blocks;
  Bands bands{};
};
struct Validation {
  std::vector<Prediction> rows;
  std::vector<Regime> regimes;     // one a row
  std::vector<MetricBands> bands;  // one a row
  std::vector<std::string> refused;
  std::vector<std::string> notes;                            // flags that are not modelled, rows that break physics
  std::optional<Learned> learned;                            // with `refit`
  using Metrics = std::map<std::string, Score>;              // tpot_ms_mean, output_tok_s, ttft_ms_mean
  Metrics metrics;                                           // aggregated cases
  Metrics physics;                                           // the same without corrections of single deployments
  Metrics disaggregated;                                     // the others, apart
  std::map<std::string, std::map<std::string, Metrics>> by;  // "model", "accelerator", "engine", "regime"
};

/// What is left out of every fit before it is scored. configuration: a fifth of all (block, placement, lengths) at a time, so that other
/// configurations of the same deployment are seen.
enum class LeaveOut : std::uint8_t { nothing, configuration, block, model, accelerator, engine };
struct ValidateOptions {
  LeaveOut leave_out = LeaveOut::nothing;
  bool refit = false;                         // fit constants, corrections and bands on the cases first
  std::function<void(double)> progress = {};  // called now and then with the share done
};
/// Every case, in parallel; the same bytes on any number of threads.
Result<Validation> validate(const catalog::Catalog& catalog, const Cases& cases, const ValidateOptions& options = {});

}  // namespace jevons::evidence
