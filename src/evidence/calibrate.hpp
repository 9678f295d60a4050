#pragma once
// A user's own measurements override the built-in curves and constants: fitted here, written as a catalogue overlay.
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/files.hpp"
#include "evidence/operator_table.hpp"
#include "step/operators.hpp"

namespace jevons::evidence {

/// How one group of measurements is met, as fractions: median and 90th percentile of |predicted / measured - 1|.
struct FitScore {
  std::string group;
  std::size_t fitted = 0, held_out = 0;
  double before_median = 0, before_p90 = 0, after_median = 0, after_p90 = 0;  // of the rows held out
  double floor = 1, stream = 1, compute = 1;                                  // factors on the curve's times
  std::string base;                                                           // whose curve it started from
  bool kept = false;                                                          // in the overlay
};

using OperatorCurve = std::variant<step::GemmCurve, step::ContextCurve, step::DecodeCurve, step::CollectiveCurve>;

/// One group's curve after the fit, as a step runs it.
struct CalibratedCurve {
  MeasuredOperator first;  // says chip, operator and format
  OperatorCurve curve;
};

struct CalibrateOptions {
  std::string source;  // named in the overlay
  std::string date;    // of the measurement, as text
  bool force = false;  // write fits that meet the rows held out no better than before
};

/// Every fifth shape by a hash of its whole numbers (FNV-1a), as tools/fit_operators.py holds out.
bool held_out(std::span<const double> shape);

struct OperatorCalibration {
  std::vector<FitScore> groups;
  std::vector<std::string> notes;       // groups that stay as they were, and why
  std::vector<CalibratedCurve> curves;  // of the groups in the overlay
  std::vector<File> overlay;            // fits/*.yaml: whole tables with the user's rows in place of ours; step constants that follow
};

/// Fits three factors of the nearest curve (floor, memory, multiplication) to each group of at least ten shapes; a fifth of the shapes is
/// held out and scored. A group that is met no better is left as it was. Errors: no curve to start from.
Result<OperatorCalibration> calibrate_operators(const catalog::Catalog& catalog, const std::vector<MeasuredOperator>& rows,
                                                const CalibrateOptions& options);

/// The constants of the step-time form that such curves decide (docs/step-time.md): floors and achieved shares, as overlay files of
/// efficiency/ and accelerators/. Errors: curves of two chips that share their constants.
Result<std::vector<File>> step_constants(const catalog::Catalog& catalog, const std::vector<CalibratedCurve>& curves,
                                         const CalibrateOptions& options);

}  // namespace jevons::evidence
