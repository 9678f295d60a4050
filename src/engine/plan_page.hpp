#pragma once
// A plan as a page: winner, runners-up, what binds, and the way there.
#include "engine/plan_verb.hpp"

namespace jevons::engine {

/// "8 x h200-sxm: 2 x prefill TP4 + 1 x decode DP8 EP8".
std::string shape_name(const plan::Ask& ask, const plan::Shape& shape);
/// Requires a search with a best point.
report::Document page_of_plan(const PlanQuestion& q, const plan::Space& space, const plan::Search& found);
/// No shape can be built: what binds, and the nearest change.
report::Document page_without_shape(const PlanQuestion& q, const plan::Space& space);
/// No shape meets the limits.
report::Document page_without_plan(const PlanQuestion& q, const plan::Space& space, const plan::Search& found);

/// Best points of different shapes, best first.
std::vector<std::size_t> finalists(const plan::Search& found, std::size_t most);
/// What keeps the best point from being better.
std::string binding_of(const PlanQuestion& q, const plan::Search& found);

}  // namespace jevons::engine
