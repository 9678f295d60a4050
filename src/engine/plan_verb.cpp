// jevons plan: the search, and its answer as a page.
#include "engine/plan_verb.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"
#include "engine/plan_page.hpp"
#include "plan/launch.hpp"

namespace jevons::engine {

Result<Outcome> run_plan(Context& c) {
  if (c.settings.has("tenants")) return run_tenants(c, c.settings);
  JEVONS_TRY(PlanQuestion q, read_plan(c));
  const Settings& s = q.settings;
  const auto longest = std::int64_t(std::ceil(s.number("workload.isl"))) + std::int64_t(std::ceil(s.number("workload.osl"))) +
                       s.integer("workload.shared_system_prompt_length");
  std::int64_t context = longest;
  if (!q.ask.equal_requests) {  // the tables must hold the longest request that is drawn
    JEVONS_TRY(const traffic::Workload w, q.ask.workload(q.ask.closed ? 4096 : 0));
    for (std::size_t r = 0; r < w.requests.size(); ++r)
      context = std::max(context, std::int64_t(w.requests.input_tokens[r]) + w.requests.output_tokens[r]);
  }
  JEVONS_TRY(plan::Space space, plan::space_of(c.catalog, q.model, q.knobs, q.budget, q.ask.closed, context, q.ask.threads));
  q.ask.choices = std::move(space.choices);
  q.ask.shapes = std::move(space.shapes);
  Outcome o;
  if (q.ask.shapes.empty()) {
    o.answer = Answer::no;
    o.document = page_without_shape(q, space);
    return o;
  }
  JEVONS_TRY(const plan::Search found, plan::search(q.ask));
  if (!found.best) {
    o.answer = Answer::no;
    o.document = page_without_plan(q, space, found);
    return o;
  }
  std::vector<Margin> margins;
  if (s.boolean("shadow_prices")) {
    JEVONS_TRY(margins, margins_of(c, q, context));
  }
  o.document = page_of_plan(q, space, found, margins);
  const plan::Shape& best = q.ask.shapes[found.points[*found.best].shape];
  const auto engine = q.ask.choices[best.parts.front().choice].replica->design().policy.engine;
  const plan::LaunchOptions launch{s.text("model"), longest, q.knobs.memory_fraction};
  for (const auto& line : plan::launch_lines(q.ask, best, engine, launch))
    o.document.notes.push_back(fmt::format("{}: {}", line.role, line.command));
  if (c.wants_files) o.files = plan_files(q, found, longest);
  return o;
}

}  // namespace jevons::engine
