#include "engine/memory_table.hpp"

#include <fmt/format.h>

#include <cmath>

#include "base/units.hpp"

namespace jevons::engine {

report::Table memory_table(const PoolPlan& plan, const serve::Pool& pool) {
  const step::Memory& m = plan.memory;
  const step::Reserve& r = plan.subject.reserve;
  report::Table t{"memory", fmt::format("Memory of one {}", plan.subject.chip.thing->name), {}, {}, {}, true};
  t.columns = {{"part", "part", "{}", {}},
               {"gib", "GiB", "{:.2f}", {"derived", "step::memory in src/step/placement.cpp, serve::share_memory", "docs/memory.md"}}};
  const auto row = [&](const char* what, double bytes) {
    if (bytes > 0) t.rows.push_back({what, bytes / std::exp2(30)});
  };
  row("reported by the driver", step::card_memory(plan.subject.chip));
  row("weights", m.weights);
  row("activations, at their peak", r.activations);
  row("attention workspaces", r.workspaces);
  row("CUDA graphs", r.graphs);
  row("runtime and communication buffers", r.runtime);
  row("adapters", r.adapters);
  row("cache", m.for_cache);
  t.notes = {fmt::format("The engine may use {:.3g} of {}; the cache of an attention rank holds {} tokens.", plan.subject.memory_utilization,
                         plan.subject.of_rest ? "what the other parts leave" : "the memory",
                         format_number(double(pool.blocks) * pool.policy.block_size))};
  return t;
}

}  // namespace jevons::engine
