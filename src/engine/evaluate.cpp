// The main path. Read top to bottom: one named call a line.
#include "engine/evaluate.hpp"

#include "engine/links.hpp"

namespace jevons::engine {

Result<std::unique_ptr<Answers>> evaluate(const Context& context) {
  const catalog::Catalog& catalog = context.catalog;
  JEVONS_TRY(Scenario scenario, read_scenario(context));
  auto a = std::make_unique<Answers>(Answers{.scenario = std::move(scenario)});
  const Settings& settings = a->scenario.settings;

  JEVONS_TRY(a->model, load_model(catalog, settings.text("model")));
  JEVONS_TRY(a->subject, make_subject(catalog, a->model, a->scenario, settings.text("weights"), settings.text("kv_cache_dtype")));
  a->memory = memory_of_one_user(*a);
  JEVONS_TRY(a->hour, price_of_an_hour(catalog, *a));
  JEVONS_TRY(a->question, question_of(context, *a));
  JEVONS_CHECK(choose_deployment(*a));
  if (!a->feasible()) return a;
  JEVONS_CHECK(price_the_tokens(catalog, *a));
  JEVONS_CHECK(look_into_the_step(catalog, *a));
  JEVONS_TRY(a->comparison, compare(catalog, *a));
  JEVONS_CHECK(take_savings_apart(*a));
  a->fleet = fleet_of(catalog, *a);
  a->saving = saving_of(*a, a->saving_of);
  a->verdict = market::verdict(a->saving);
  a->levers = levers_of(*a);
  return a;
}

}  // namespace jevons::engine
