// jevons plan: the search, and its answer as a page.
#include "engine/plan_verb.hpp"

#include <fmt/format.h>

#include "engine/plan_page.hpp"
#include "plan/launch.hpp"

namespace jevons::engine {
namespace {

// Nothing can be built of an accelerator that nobody knows: an answer, with the nearest names.
Outcome without_chip(const model::Model& model, const Error& e) {
  Outcome o;
  o.answer = Answer::no;
  o.document.version = std::string(version());
  o.document.title = fmt::format("{} on an accelerator that the catalogue does not have", model.name);
  o.document.answer = {{"Infeasible", e.what}};
  o.document.notes = {fmt::format("{}{}, or give a chip of your own as FILE.yaml.", e.hint.empty() ? "" : e.hint + " ", e.expected)};
  return o;
}

}  // namespace

Result<Outcome> run_plan(Context& c) {
  if (c.settings.has("tenants")) return run_tenants(c, c.settings);
  std::optional<Error> unknown_chip;
  JEVONS_TRY(PlanQuestion q, read_plan(c, &unknown_chip));
  if (unknown_chip) return without_chip(*q.model, *unknown_chip);
  const Settings& s = q.settings;
  JEVONS_TRY(const plan::Answer a, plan::answer(q));
  Outcome o;
  if (a.best() == nullptr) {
    o.answer = Answer::no;
    o.document = page_without_plan(q, a);
    return o;
  }
  std::vector<Margin> margins;
  if (s.boolean("shadow_prices")) {
    JEVONS_TRY(margins, margins_of(q));
  }
  o.document = page_of_plan(q, a, margins);
  const plan::Shape& best = a.shape(*a.best());
  const auto engine = a.ask.choices[best.parts.front().choice].replica->design().policy.engine;
  const plan::LaunchOptions launch{s.text("model"), q.max_context, q.knobs.memory_fraction};
  for (const auto& line : plan::launch_lines(a.ask, best, engine, launch))
    o.document.notes.push_back(fmt::format("{}: {}", line.role, line.command));
  if (c.wants_files) o.files = plan_files(q, a);
  return o;
}

}  // namespace jevons::engine
