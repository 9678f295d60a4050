#pragma once
// Parts that the pages of a forecast share: quantities as shown, sorted once, and the verdict.
#include "base/stats.hpp"
#include "base/units.hpp"
#include "engine/forecast.hpp"

namespace jevons::engine::forecast_view {

struct Shown {
  market::Output output;
  const char *key, *label, *unit;
  double scale;
};
std::span<const Shown> shown();

/// Every shown quantity at every recorded month, ascending, in shown units.
struct Sorted {
  std::vector<std::vector<double>> of;  // [shown][record]
  std::size_t records = 0;
  explicit Sorted(const market::Paths& p);
  const std::vector<double>& at(market::Output o, std::size_t record) const;
};
std::vector<double> sorted(std::span<const float> x, double scale = 1);

/// "2027-01" of a record.
std::string month_at(const ForecastAnswers& a, std::size_t record);
std::size_t anchor_record(const ForecastAnswers& a);
/// The anchor, every January after it, and the end.
std::vector<std::size_t> page_records(const ForecastAnswers& a);
/// "median (10 %-90 %)" of an ascending sample.
std::string range(const std::vector<double>& x);

/// What the paths say about rising and falling.
struct Verdict {
  double rises_tokens = 0, rises_compute = 0, rises_hbm = 0;           // against July 2026
  double jevons_compute = 0, jevons_hbm = 0;                           // because of efficiency
  std::vector<double> compute_ratio, hbm_ratio;                        // ascending, with over without
  std::vector<double> break_even_compute, break_even_hbm, elasticity;  // ascending
  std::string decides_sign, decides_tokens;
  std::vector<double> share_tokens, share_needed, share_sign;  // of variance, by parameter
};
Verdict verdict_of(const ForecastAnswers& a);
report::Table verdict_table(const ForecastAnswers& a, const Verdict& v);
report::Table sobol_table(const ForecastAnswers& a, const Verdict& v);
/// Exact split of the change of serving compute between the anchor and the end.
report::Table split_table(const ForecastAnswers& a);

}  // namespace jevons::engine::forecast_view
