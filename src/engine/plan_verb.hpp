#pragma once
// jevons plan: its options, and the function that answers it.
#include "engine/verb.hpp"

namespace jevons::engine {

/// jevons bench plan-160.
Result<Outcome> bench_plan(Context& context);

}  // namespace jevons::engine
