#pragma once
// jevons simulate: its options, and the function that answers it.
#include "engine/verb.hpp"

namespace jevons::engine {

/// Keys of a simulation; the engines' own options are among them under engine_args.
std::span<const OptionSpec> simulate_options();
/// Errors: bad input. A model that does not fit its placement is answered "no", with what binds.
Result<Outcome> run_simulate(Context& context);

/// jevons bench: how long the reference workloads take here.
Result<Outcome> run_bench(Context& context);
/// The word `market` of it: the paths of a forecast. In bench_market.cpp.
Result<Outcome> bench_market(Context& context);

}  // namespace jevons::engine
