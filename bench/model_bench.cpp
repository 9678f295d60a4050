// What the hot paths cost: ./dev bench
#include <benchmark/benchmark.h>

#include "model/describe.hpp"
#include "step/step_time.hpp"

namespace {

using namespace jevons;

// Parse and account every model of the catalogue: parameters, caches, FLOPs at all contexts.
void account_all_models(benchmark::State& state) {
  const auto catalog = catalog::Catalog::builtin();
  for (auto _ : state) {
    double sum = 0;
    for (const auto* e : catalog.models()) {
      const auto m = *model::parse_entry(e->json, e->file);
      const auto p = model::parameters(m);
      for (const auto format : {model::CacheFormat::bf16, model::CacheFormat::fp8}) {
        const auto groups = model::cache_groups(m, format);
        for (const std::int64_t n : {1024, 8192, 131072, 1048576}) sum += model::cache_stored(groups, n) + model::cache_read(groups, n);
      }
      for (const std::int64_t n : {1024, 8192, 131072, 1048576}) sum += model::decode_attention_flops(m, n).total();
      sum += model::prefill_flops(m, p, 8192).total() + double(p.total);
    }
    benchmark::DoNotOptimize(sum);
  }
}
BENCHMARK(account_all_models)->Unit(benchmark::kMillisecond);

struct World {
  catalog::Catalog facts = catalog::Catalog::builtin();
  model::Model model;
  step::Subject subject;
  explicit World(const char* name) : model{*model::parse_entry((*facts.find_model(name))->json, "bench")} {
    subject.model = &model;
    subject.parameters = model::parameters(model);
    subject.weights = *model::weight_scheme(model, "native");
    subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
    subject.cache = model::cache_groups(model, model::CacheFormat::fp8);
    subject.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, "h200-sxm"));
  }
};

void decode_step(benchmark::State& state, const char* name, step::Placement p) {
  const World w(name);
  const auto time = *step::StepTime::make(w.facts, w.subject, p);
  double batch = 1;
  for (auto _ : state) benchmark::DoNotOptimize(time.seconds({batch = batch < 256 ? batch + 1 : 1, 4000, 0, 0}));
}
BENCHMARK_CAPTURE(decode_step, dense_llama_70b, "llama-3.1-70b", step::Placement{4, 1, 1, 1});
BENCHMARK_CAPTURE(decode_step, moe_deepseek_v3, "deepseek-v3", step::Placement{8, 1, 1, 1});

}  // namespace
