#pragma once
// The links of the chain that join two rooms; each takes what the ones before it found.
#include "engine/evaluate.hpp"

namespace jevons::engine {

MemoryOfOneUser memory_of_one_user(const Answers& a);
Result<cost::GpuHour> price_of_an_hour(const catalog::Catalog& catalog, const Answers& a);
/// The scenario as a question: one accelerator, one format of weights and cache, vLLM, users who come back.
Result<plan::Question> question_of(const Context& context, const Answers& a);
/// Fills plan, or why_not. Pipeline stages only where nothing else holds the weights.
Result<void> choose_deployment(Answers& a);
/// Fills cost: the best deployment's dollars by the engine time of each class of tokens.
Result<void> price_the_tokens(const catalog::Catalog& catalog, Answers& a);
/// Fills band, operand_note, borrowed and step_terms for the chosen placement.
Result<void> look_into_the_step(const catalog::Catalog& catalog, Answers& a);
Result<std::optional<Comparison>> compare(const catalog::Catalog& catalog, const Answers& a);
/// Fills ledger, unused, with_multi_head and theta.
Result<void> take_savings_apart(Answers& a);
std::optional<Fleet> fleet_of(const catalog::Catalog& catalog, const Answers& a);
market::Saving saving_of(const Answers& a, std::string& what);
std::vector<Lever> levers_of(const Answers& a);

}  // namespace jevons::engine
