#pragma once
// jevons validate of a recorded run: its options, and the function that answers it.
#include "engine/verb.hpp"

namespace jevons::engine {

std::span<const OptionSpec> replay_options();
/// Is it the log of a run (JSON lines, by name or content) rather than a table of measured points? Errors: the file cannot be read.
Result<bool> is_recorded_run(const std::string& file);
/// Replays the run named first. Errors: bad input.
Result<Outcome> run_replay(Context& context);

}  // namespace jevons::engine
