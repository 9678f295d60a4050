#pragma once
#include "engine/deployment.hpp"
#include "report/document.hpp"

namespace jevons::engine {

/// Where the memory of one accelerator of a pool goes: weights, what the engine keeps, cache and its tokens.
report::Table memory_table(const PoolPlan& plan, const serve::Pool& pool);

}  // namespace jevons::engine
