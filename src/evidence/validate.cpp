#include "evidence/validate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/stats.hpp"

namespace jevons::evidence {
namespace {

// Cache format of a run that does not state it: fp8 where weights are quantized and the engine is TensorRT-LLM or the chip Blackwell,
// bf16 otherwise. Of the rules tried it agrees best with measured times and capacities, better than the launch flags themselves.
model::CacheFormat cache_of(const Case& c, const catalog::Accelerator& chip) {
  if (!c.kv_cache.empty()) {
    if (const auto f = model::parse_cache_format(c.kv_cache)) return *f;
  }
  const bool quantized = c.weights != "bf16" && c.weights != "fp16" && !c.weights.empty();
  const bool blackwell = chip.thing->attribute("kernel_constants") == "blackwell";
  return quantized && (blackwell || c.engine.find("trt") != std::string::npos) ? model::CacheFormat::fp8 : model::CacheFormat::bf16;
}

Error at(const Case& c, std::string_view column, Error e) {
  e.line = c.row;
  e.key = std::string(column);
  return e;
}

struct Sample {
  std::vector<double> error;
  std::size_t inside = 0;
  bool banded = false;
};

Score score(const Sample& s) {
  Score out;
  out.n = s.error.size();
  if (out.n == 0) return out;
  std::vector<double> signed_error = s.error, size;
  for (const double e : s.error) size.push_back(std::abs(e));
  std::sort(signed_error.begin(), signed_error.end());
  std::sort(size.begin(), size.end());
  out.median_ape = quantile_sorted(size, 0.5);
  out.p90_ape = quantile_sorted(size, 0.9);
  out.bias = quantile_sorted(signed_error, 0.5);
  if (s.banded) out.coverage90 = double(s.inside) / double(out.n);
  return out;
}

using Samples = std::map<std::string, Sample>;
void add(Samples& s, const Prediction& p) {
  const Case& c = *p.of;
  const auto put = [&](const char* metric, double predicted, double measured, bool banded) {
    Sample& x = s[metric];
    x.error.push_back(predicted / measured - 1);
    x.banded = x.banded || banded;
    if (banded && measured >= predicted * (1 - p.band) && measured <= predicted / (1 - std::min(0.9, p.band))) ++x.inside;
  };
  if (c.tpot_s && *c.tpot_s > 0) put("tpot_ms_mean", p.tpot_s, *c.tpot_s, true);
  if (c.ttft_s && *c.ttft_s > 0 && c.ttft_usable) put("ttft_ms_mean", p.ttft_s, *c.ttft_s, false);
  // Throughput follows from concurrency and both latencies by Little's law.
  if (c.ttft_s && c.tpot_s) put("output_tok_s", p.output_tok_s, c.concurrency * c.osl / (*c.ttft_s + (c.osl - 1) * *c.tpot_s), false);
}
Validation::Metrics scores(const Samples& s) {
  Validation::Metrics m;
  for (const auto& [name, sample] : s) m[name] = score(sample);
  return m;
}

}  // namespace

Result<Prediction> predict(const catalog::Catalog& catalog, const Case& c) {
  const auto entry = catalog.find_model(c.model);
  if (!entry) return fail(at(c, "model", entry.error()));
  JEVONS_TRY(const model::Model m, model::parse_entry((*entry)->json, (*entry)->file));
  const auto chip = catalog.find(catalog::Section::accelerator, c.accelerator);
  if (!chip) return fail(at(c, "accelerator", chip.error()));
  step::Subject s;
  s.model = &m;
  s.parameters = model::parameters(m);
  const auto weights = model::weight_scheme(m, c.weights.empty() ? "native" : c.weights);
  if (!weights) return fail(at(c, "weights", weights.error()));
  s.weights = *weights;
  s.weight_bytes = model::weight_bytes(m, s.parameters, s.weights);
  s.chip = catalog::accelerator(**chip);
  s.cache_format = cache_of(c, s.chip);
  s.cache = model::cache_groups(m, s.cache_format);
  const auto time = step::StepTime::make(catalog, s, c.placement);
  if (!time) return fail(at(c, time.error().key, time.error()));
  Prediction p{&c};
  serve::Workload w{.isl = c.isl, .osl = c.osl, .prefix_hit_rate = c.prefix_hit_rate};
  const double fit = step::sequences_that_fit(s, c.placement, std::int64_t(c.isl + 0.75 * c.osl));
  if (fit < 1)
    return fail(at(c, "n_accelerators",
                   {ErrorCode::bad_input, {}, 0, {}, "one sequence does not fit in memory", "room for weights and one sequence", {}}));
  p.memory_binds = fit < c.concurrency;
  const auto state = serve::steady_state(*time, w, std::min(c.concurrency, fit));
  p.tpot_s = state.tpot_s;
  // Requests beyond what fits wait for the others to end.
  p.ttft_s = state.ttft_s + (p.memory_binds ? (c.concurrency - fit) / state.requests_per_s : 0);
  p.output_tok_s = state.output_tok_s;
  p.band = time->constants().band;
  return p;
}

Validation validate(const catalog::Catalog& catalog, const Cases& cases) {
  Validation v;
  v.refused = cases.passed_over;
  Samples all;
  std::map<std::string, std::map<std::string, Samples>> groups;
  for (const auto& c : cases.cases) {
    const auto p = predict(catalog, c);
    if (!p) {
      v.refused.push_back(fmt::format("{}: {}", c.id, p.error().message()));
      continue;
    }
    v.rows.push_back(*p);
    add(all, *p);
    add(groups["model"][c.model], *p);
    add(groups["accelerator"][c.accelerator], *p);
    add(groups["engine"][c.engine], *p);
  }
  v.metrics = scores(all);
  for (const auto& [by, values] : groups) {
    for (const auto& [value, sample] : values) v.by[by][value] = scores(sample);
  }
  return v;
}

}  // namespace jevons::evidence
