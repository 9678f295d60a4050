#include "serve/cache_blocks.hpp"

namespace jevons::serve {

std::int64_t cache_blocks(const step::Subject& subject, const step::Placement& placement, std::int32_t block_size, std::int64_t context) {
  if (!step::memory(subject, placement).fits()) return 0;
  return std::int64_t(step::sequences_that_fit(subject, placement, context) * double(context) / block_size);
}

}  // namespace jevons::serve
