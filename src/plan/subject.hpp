#pragma once
// A model on a chip in given formats.
#include <string_view>

#include "serve/engine.hpp"
#include "step/placement.hpp"

namespace jevons::plan {

struct Formats {
  std::string_view weights = "native", cache = "native";
};
/// `model` and `chip` must outlive the result. utilization: share of memory that the engine may use. Errors: unknown format.
Result<step::Subject> subject_of(const catalog::Catalog& catalog, const model::Model& model, const catalog::Thing& chip,
                                 const Formats& formats = {}, double utilization = 0.9);
/// From the client's send to the scheduler: HTTP and tokenisation. A fitted constant of catalog/efficiency/served.yaml.
Result<traffic::SimTime> host_constant(const catalog::Catalog& catalog, serve::Engine engine);

}  // namespace jevons::plan
