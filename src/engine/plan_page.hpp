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
/// "8 x h200-sxm: 2 x prefill TP4 + 1 x decode DP8 EP8".
std::string shape_name(const plan::Ask& ask, const plan::Shape& shape);
/// Requires a search with a best point.
report::Document page_of_plan(const PlanQuestion& q, const plan::Space& space, const plan::Search& found,
                              const std::vector<Margin>& margins);
/// No shape can be built: what binds, and the nearest change.
report::Document page_without_shape(const PlanQuestion& q, const plan::Space& space);
/// No shape meets the limits.
report::Document page_without_plan(const PlanQuestion& q, const plan::Space& space, const plan::Search& found);

/// Plans anew on a fine grid of concurrencies: first as it is, then with more of each thing. Errors: as plan::search.
Result<std::vector<Margin>> margins_of(const Context& context, const PlanQuestion& q, std::int64_t max_context);

/// Launch lines, manifest and tables for -o.
std::vector<File> plan_files(const PlanQuestion& q, const plan::Search& found, std::int64_t max_context);

/// Best points of different shapes, best first.
std::vector<std::size_t> finalists(const plan::Search& found, std::size_t most);
/// What keeps the best point from being better.
std::string binding_of(const PlanQuestion& q, const plan::Search& found);

}  // namespace jevons::engine
