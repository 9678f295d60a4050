#pragma once
#include "engine/verb.hpp"

namespace jevons::engine {

std::span<const OptionSpec> datacenter_options();
/// jevons datacenter.
Result<Outcome> run_datacenter(Context& c);

}  // namespace jevons::engine
