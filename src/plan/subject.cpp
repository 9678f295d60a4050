#include "plan/subject.hpp"

namespace jevons::plan {

Result<step::Subject> subject_of(const model::Model& model, const catalog::Thing& chip, const Formats& formats) {
  step::Subject s;
  s.model = &model;
  s.parameters = model::parameters(model);
  JEVONS_TRY(s.weights, model::weight_scheme(model, formats.weights));
  s.weight_bytes = model::weight_bytes(model, s.parameters, s.weights);
  JEVONS_TRY(const model::CacheFormat cache, model::parse_cache_format(formats.cache));
  s.cache_format = model::resolve(model, cache);
  s.cache = model::cache_groups(model, s.cache_format);
  s.chip = catalog::accelerator(chip);
  return s;
}

}  // namespace jevons::plan
