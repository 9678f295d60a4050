#pragma once
// A scenario as typed values: what is asked. How it is answered is evaluate.cpp.
#include <memory>
#include <optional>
#include <string>

#include "cost/gpu_hour.hpp"
#include "engine/verb.hpp"
#include "step/placement.hpp"

namespace jevons::engine {

std::span<const OptionSpec> scenario_options();

struct Scenario {
  Settings settings;
  std::string title, file;
  std::int64_t context = 0;        // tokens for the memory figures
  std::uint64_t skipped_rows = 0;  // of the trace
  double request_rate = 0;         // 0: not given
  std::string compare_with;        // "" when none
  cost::Basis basis = cost::Basis::owner;
  double isl = 0, osl = 0;  // tokens of a request
};
/// Reads the scenario file (words[0], if any), lays flags over it and checks what belongs together.
Result<Scenario> read_scenario(const Context& context);

/// A model of the catalogue by name, or a config.json by path (anything with a '/' or ending in .json).
Result<model::Model> load_model(const catalog::Catalog& catalog, const std::string& name_or_path);

/// A model as its maker ships it on an accelerator of the catalogue, with default limits of memory.
Result<step::Subject> make_subject(const catalog::Catalog& catalog, const model::Model& model, const std::string& accelerator);
/// A model on the scenario's accelerator in the given formats. `model` must outlive the result.
Result<step::Subject> make_subject(const catalog::Catalog& catalog, const model::Model& model, const Scenario& s,
                                   const std::string& weights, const std::string& cache);

}  // namespace jevons::engine
