#pragma once
// The same work on one core or many: results land by index, so that the number of threads changes nothing but time.
#include <cstddef>
#include <functional>

namespace jevons::plan {

/// Calls f(i) for i = 0 … n − 1 on up to `threads` threads (0: all cores), in an unspecified order; f writes only what belongs to i.
/// An exception of f is rethrown here.
void for_each_index(std::size_t n, int threads, const std::function<void(std::size_t)>& f);

}  // namespace jevons::plan
