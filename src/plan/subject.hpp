#pragma once
// A model on a chip in given formats.
#include <string_view>

#include "step/placement.hpp"

namespace jevons::plan {

struct Formats {
  std::string_view weights = "native", cache = "native";
};
/// `model` and `chip` must outlive the result. Its share of memory and the reserve are those of an engine: serve::share_memory. Errors:
/// unknown format.
Result<step::Subject> subject_of(const model::Model& model, const catalog::Thing& chip, const Formats& formats = {});

}  // namespace jevons::plan
