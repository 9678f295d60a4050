#pragma once
#include "engine/verb.hpp"

namespace jevons::engine {

/// jevons calibrate: a user's operator tables and serving runs, fitted and written as a catalogue overlay.
std::span<const OptionSpec> calibrate_options();
Result<Outcome> run_calibrate(Context& c);

}  // namespace jevons::engine
