#pragma once
// The links of the chain that join two rooms; each takes what the ones before it found.
#include "engine/evaluate.hpp"

namespace jevons::engine {

MemoryOfOneUser memory_of_one_user(const Answers& a);
Result<cost::GpuHour> price_of_an_hour(const catalog::Catalog& catalog, const Answers& a);
plan::Question question_of(const catalog::Catalog& catalog, Answers& a);
/// Fills band, operand_note, borrowed and step_terms for the chosen placement.
Result<void> look_into_the_step(const catalog::Catalog& catalog, Answers& a);
/// Latency of the chosen placement by simulation: closed loop of the plan's concurrency, each user coming back with a prefix of its own that
/// makes the scenario's hit rate, vLLM's rules. simulated_plan.cpp.
Result<std::optional<serve::Metrics>> simulate_the_plan(const catalog::Catalog& catalog, const Answers& a);
Result<std::optional<Comparison>> compare(const catalog::Catalog& catalog, const Answers& a, const plan::Question& question);
std::optional<Fleet> fleet_of(const catalog::Catalog& catalog, const Answers& a);
market::Saving saving_of(const Answers& a, std::string& what);
std::vector<Lever> levers_of(const Answers& a);

}  // namespace jevons::engine
