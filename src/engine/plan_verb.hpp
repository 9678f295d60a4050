#pragma once
// jevons plan: its options, and the function that answers it.
#include "engine/verb.hpp"
#include "plan/question.hpp"

namespace jevons::engine {

std::span<const OptionSpec> plan_options();
/// Errors: bad input. A question without a feasible answer is answered "no", with what binds and the nearest change.
Result<Outcome> run_plan(Context& context);

/// A plan of several tenants. Errors: bad input.
Result<Outcome> run_tenants(Context& context, const Settings& settings);

/// A plan's question, and what it points to.
struct PlanQuestion : plan::Question {
  explicit PlanQuestion(std::span<const OptionSpec> options) : settings(options) {}
  Settings settings;
  plan::Load load;  // that terms.workload draws
  std::shared_ptr<const model::Model> owned_model;
  std::vector<std::string> unpriced;  // why a chip has no price, power or capital
  std::shared_ptr<void> chip_files;   // keeps what was read from chip files
};
/// Errors: bad input, by key. unknown_chip: takes the error of an accelerator that the catalogue does not have, instead of failing with it;
/// the question then lacks that one.
Result<PlanQuestion> read_plan(const Context& context, std::optional<Error>* unknown_chip = nullptr);

/// An accelerator by name, or from a YAML file of the form of catalog/accelerators (anything that ends in .yaml). `keep` owns what was
/// read.
Result<const catalog::Thing*> find_chip(const catalog::Catalog& catalog, const std::string& name_or_file, std::shared_ptr<void>& keep);

/// jevons savings: options of a plan and its own.
std::span<const OptionSpec> savings_options();
/// Errors: bad input.
Result<Outcome> run_savings(Context& context);

/// jevons edge: options of a plan, for the cloud, and its own.
std::span<const OptionSpec> edge_options();
/// Errors: bad input.
Result<Outcome> run_edge(Context& context);

/// jevons bench plan-160.
Result<Outcome> bench_plan(Context& context);

}  // namespace jevons::engine
