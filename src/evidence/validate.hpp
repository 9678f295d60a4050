#pragma once
// How far off are the predictions? Published serving points, each run through the same step model and steady state as a user's scenario.
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "serve/steady_state.hpp"

namespace jevons::evidence {

/// One measured serving point; columns and units in docs/cases.md.
struct Case {
  int row = 0;  // line in the file
  std::string id, model, accelerator, weights, kv_cache, engine;
  step::Placement placement;
  double isl = 0, osl = 0;  // mean tokens, drawn lengths taken into account
  double concurrency = 0, prefix_hit_rate = 0;
  std::optional<double> ttft_s, tpot_s;
  bool ttft_usable = true;
};
/// Reads the cases format. Rows that are no aggregated closed-loop point are listed in `passed_over` with the reason.
/// Errors: a column is missing, a cell is no number: file, line, column, value.
struct Cases {
  std::vector<Case> cases;
  std::vector<std::string> passed_over;
};
Result<Cases> read_cases(const std::string& csv, const std::string& file);

struct Prediction {
  const Case* of = nullptr;
  double tpot_s = 0, ttft_s = 0, output_tok_s = 0;
  double band = 0;
  bool memory_binds = false;  // fewer sequences fit than are in flight
};
/// Errors of this one case, with row, column and value: unknown names, a placement that does not divide, no room for one sequence.
Result<Prediction> predict(const catalog::Catalog& catalog, const Case& c);

struct Score {
  std::size_t n = 0;
  double median_ape = 0, p90_ape = 0, bias = 0;  // fractions of the measured value; bias: median signed error
  std::optional<double> coverage90;              // share of measured values inside the band; only where a band is predicted
};
struct Validation {
  std::vector<Prediction> rows;
  std::vector<std::string> refused;
  using Metrics = std::map<std::string, Score>;  // tpot_ms_mean, output_tok_s, ttft_ms_mean
  Metrics metrics;
  std::map<std::string, std::map<std::string, Metrics>> by;  // "model", "accelerator", "engine"
};
Validation validate(const catalog::Catalog& catalog, const Cases& cases);

}  // namespace jevons::evidence
