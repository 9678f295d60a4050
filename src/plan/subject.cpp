#include "plan/subject.hpp"

#include "step/served.hpp"

namespace jevons::plan {

Result<step::Subject> subject_of(const catalog::Catalog& catalog, const model::Model& model, const catalog::Thing& chip,
                                 const Formats& formats, double utilization) {
  step::Subject s;
  s.model = &model;
  s.parameters = model::parameters(model);
  JEVONS_TRY(s.weights, model::weight_scheme(model, formats.weights));
  s.weight_bytes = model::weight_bytes(model, s.parameters, s.weights);
  JEVONS_TRY(const model::CacheFormat cache, model::parse_cache_format(formats.cache));
  s.cache_format = model::resolve(model, cache);
  s.cache = model::cache_groups(model, s.cache_format);
  s.chip = catalog::accelerator(chip);
  s.memory_utilization = utilization;
  JEVONS_TRY(const catalog::Thing* engine, catalog.find(catalog::Section::efficiency, "engine-memory"));
  s.reserve = engine->get<Bytes>("reserve")->value.value();
  return s;
}

Result<traffic::SimTime> host_constant(const catalog::Catalog& catalog, serve::Engine engine) {
  JEVONS_TRY(const step::Served served, step::Served::read(catalog));
  constexpr step::Fit kHost[] = {step::Fit::host_vllm, step::Fit::host_sglang, step::Fit::host_trtllm};
  return traffic::SimTime(served[kHost[std::size_t(engine)]] * double(traffic::kNsPerSecond));
}

}  // namespace jevons::plan
