#include "plan/parallel.hpp"

#include <tbb/info.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>

namespace jevons::plan {

void for_each_index(std::size_t n, int threads, const std::function<void(std::size_t)>& f) {
  if (threads == 1 || n < 2) {
    for (std::size_t i = 0; i < n; ++i) f(i);
    return;
  }
  const int cores = tbb::info::default_concurrency();
  tbb::task_arena arena(threads > 0 ? std::min(threads, cores) : cores);
  arena.execute([&] {
    tbb::parallel_for(
        tbb::blocked_range<std::size_t>(0, n, 1),
        [&](const auto& range) {
          for (std::size_t i = range.begin(); i < range.end(); ++i) f(i);
        },
        tbb::simple_partitioner{});
  });
}

}  // namespace jevons::plan
