#pragma once
// The cases format: one measured serving point a row. Columns and units: docs/cases.md.
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "step/placement.hpp"
#include "step/served_blocks.hpp"

namespace jevons::evidence {

/// The workers of one kind of a disaggregated deployment.
struct Workers {
  int count = 0;
  step::Placement placement;  // of one worker
  std::string tp, dp, ep;     // as the row says it
};

/// One measured serving point.
struct Case {
  int row = 0;  // line in the file
  std::string file;
  std::string id, date, model, accelerator, weights, kv_cache, engine, engine_version;
  std::vector<std::pair<std::string, std::string>> engine_args;  // the engine's own flags
  bool disaggregated = false;
  step::Placement placement;  // of the aggregated replica
  Workers prefill, decode;    // of a disaggregated deployment
  double nominal_isl = 0, nominal_osl = 0;
  std::string lengths = "fixed";  // law of lengths around the nominal ones
  double isl = 0, osl = 0;        // mean tokens, drawn lengths taken into account
  double concurrency = 0, prefix_hit_rate = 0;
  std::size_t num_requests = 0;
  std::optional<double> ttft_s, tpot_s;
  bool ttft_usable = true;

  std::string format() const { return weights.empty() ? "native" : weights; }
  /// What the versioned corrections are keyed by.
  std::string block() const { return step::block_key(model, accelerator, engine, format(), engine_version); }
};

/// Reads the cases format. Rows under another load than a concurrency are listed in `passed_over` with the reason.
/// Errors: a column is missing, a cell is no number, a row measures nothing: file, line, column, value.
struct Cases {
  std::vector<Case> cases;
  std::vector<std::string> passed_over;
};
Result<Cases> read_cases(const std::string& csv, const std::string& file);

}  // namespace jevons::evidence
