#include "serve/lora.hpp"

#include <fmt/format.h>

namespace jevons::serve {
namespace {

struct Projections {
  double bytes = 0;  // of one adapter on one rank
  int kernels = 0;   // pairs of shrink and expand: packed projections (q, k, v; gate, up) share one
};

// A holds rank x in, B out x rank, two bytes a value (lora_dtype auto: the model's bf16).
constexpr double kBytes = 2;

Result<Projections> projections(const model::Model& m, const model::Layer& layer, int tp, int rank) {
  const auto* g = std::get_if<model::Gqa>(&layer.attention);
  if (g == nullptr || g->q_rank > 0 || g->gate != model::Gate::none || !layer.dense || layer.moe)
    return bad_input("enable-lora", fmt::format("{} has layers whose adapters are not known here", m.name),
                     "a model of plain grouped-query attention and dense layers");
  const double hidden = double(m.hidden), width = double(layer.dense->width) / tp, heads = double(g->heads) / tp,
               kv = std::max(1.0, double(g->kv_heads) / tp);
  Projections p;
  const double qkv = 3 * hidden + heads * g->k_dim + kv * (g->k_dim + g->v_dim);
  const double out = heads * g->v_dim + hidden;
  const double up = (layer.dense->matrices - 1) * (hidden + width), down = width + hidden;
  p.bytes = kBytes * rank * (qkv + out + up + down);
  p.kernels = 4;
  return p;
}

}  // namespace

Result<LoraModel> lora_model(const catalog::Catalog& catalog, const step::Subject& subject, const step::Placement& placement, int rank) {
  JEVONS_TRY(const catalog::Thing* facts, catalog.find(catalog::Section::efficiency, "lora"));
  const model::Model& m = *subject.model;
  double bytes = 0, kernels = 0;
  for (const model::LayerKind& kind : m.kinds) {
    JEVONS_TRY(const Projections p, projections(m, kind.layer, placement.tp, rank));
    bytes += p.bytes * kind.count;
    kernels += p.kernels * kind.count;
  }
  if (!subject.chip.hbm_bandwidth)
    return bad_input("accelerator", fmt::format("{} has no memory bandwidth in the catalogue", subject.chip.thing->name), "one that has");
  const double memory_rate = subject.chip.hbm_bandwidth->value.value() * facts->number("stream_fraction").value();
  LoraModel out;
  out.slot_bytes = bytes / placement.pp;
  out.cost.any = step::ticks_of(kernels * facts->get<Seconds>("kernel_pair")->value.value());
  out.cost.each = step::ticks_of(bytes / memory_rate);  // stages follow one another
  JEVONS_TRY(const double host_rate, host_link_rate(catalog, subject.chip));
  out.cost.load = step::ticks_of(out.slot_bytes / host_rate);
  // One copy of the adapter, whole, is read from storage: the sum over ranks counts what every rank holds more than once.
  out.cost.read = step::ticks_of(out.slot_bytes * placement.tp * placement.pp / facts->get<BytesPerSecond>("storage_rate")->value.value());
  return out;
}

Result<double> host_link_rate(const catalog::Catalog& catalog, const catalog::Accelerator& chip) {
  JEVONS_TRY(const catalog::Thing* links, catalog.find(catalog::Section::efficiency, "kv-tiers"));
  const auto own = chip.thing->get<BytesPerSecond>("host_bandwidth");
  const auto rate = own ? own : links->get<BytesPerSecond>("host_link");
  return rate->value.value() * links->number("host_fraction").value();
}

Result<void> check_adapters(const EnginePolicy& policy, const traffic::Requests& requests, bool alone) {
  const bool any = std::any_of(requests.adapter.begin(), requests.adapter.end(), [](std::int32_t a) { return a != traffic::kNoAdapter; });
  if (any && !policy.enable_lora)
    return bad_input("enable-lora", "requests name adapters, which this engine does not load", "enable-lora",
                     policy.engine == Engine::vllm ? "give --enable-lora" : "of the engines here, vllm knows adapters");
  if (any && !alone)
    return bad_input("enable-lora", "adapters with attention data parallelism or separate prefill are not modelled",
                     "a dp of 1, and replicas that do all of a request");
  return {};
}

}  // namespace jevons::serve
