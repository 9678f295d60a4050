#pragma once
// A model on a chip in given formats.
#include <string_view>

#include "step/placement.hpp"

namespace jevons::plan {

struct Formats {
  std::string_view weights = "native", cache = "native";
};
/// `model` and `chip` must outlive the result. utilization: share of memory that the engine may use. Errors: unknown format.
Result<step::Subject> subject_of(const catalog::Catalog& catalog, const model::Model& model, const catalog::Thing& chip,
                                 const Formats& formats = {}, double utilization = 0.9);

}  // namespace jevons::plan
