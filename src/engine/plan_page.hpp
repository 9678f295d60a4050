#pragma once
// A plan as a page: winner, runners-up, what binds, and the way there.
#include "engine/plan_verb.hpp"

namespace jevons::engine {

/// What one more of something is worth: the plan made anew with it.
struct Margin {
  std::string what, unit;
  double step = 0;                     // how much more was given
  std::optional<double> gain;          // relative, of the objective; nothing where the changed question has no answer
  std::optional<double> usd_per_year;  // of one unit, an accelerator or the deployment: gain x what it costs a year / step
};
/// Why nothing can be built or nothing meets the limits, and the nearest change that would do.
struct WhyNot {
  std::string binds;
  std::vector<std::string> change;
};
/// Requires an answer without best.
WhyNot why_not(const plan::Question& q, const plan::Answer& answer);
/// "8 x h200-sxm: 2 x prefill TP4 + 1 x decode DP8 EP8".
std::string shape_name(const plan::Ask& ask, const plan::Shape& shape);
/// Requires a search with a best point.
report::Document page_of_plan(const PlanQuestion& q, const plan::Answer& answer, const std::vector<Margin>& margins);
/// Requires an answer without best.
report::Document page_without_plan(const PlanQuestion& q, const plan::Answer& answer);

/// Plans anew on a fine grid of concurrencies: first as it is, then with more of each thing. Errors: as plan::search.
Result<std::vector<Margin>> margins_of(const PlanQuestion& q);

/// Launch lines, manifest and tables for -o.
std::vector<File> plan_files(const PlanQuestion& q, const plan::Answer& answer);

/// What was screened, ruled out and simulated, and what is proved of the rest.
std::string search_note(const plan::Answer& answer);
/// Best points of different shapes, best first.
std::vector<std::size_t> finalists(const plan::Search& found, std::size_t most);
/// What keeps a point from being better, as far as its shape was looked into.
std::string binding_of(const plan::Answer& answer, const plan::Point& point);

}  // namespace jevons::engine
