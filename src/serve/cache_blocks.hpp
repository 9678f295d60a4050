#pragma once
// The memory of a placement in the engine's cache blocks.
#include "step/step_time.hpp"

namespace jevons::serve {

/// Cache blocks of one replica, all attention ranks together, as the engine finds them: memory · utilization − weights − reserve, over the
/// bytes of a block at sequences of `context` tokens (layers with windows or states take fewer bytes a token in longer sequences).
std::int64_t cache_blocks(const step::Subject& subject, const step::Placement& placement, std::int32_t block_size, std::int64_t context);

}  // namespace jevons::serve
