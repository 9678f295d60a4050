#pragma once
#include "engine/verb.hpp"

namespace jevons::engine {

std::span<const OptionSpec> fabric_options();
/// jevons fabric.
Result<Outcome> run_fabric(Context& c);

}  // namespace jevons::engine
