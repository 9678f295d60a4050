#include "step/placement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace jevons::step {
namespace {

using model::Group;

int heads_of(const model::Attention& a) {
  return std::visit(
      [](const auto& x) {
        using A = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<A, std::monostate> || std::is_same_v<A, model::Mamba1>)
          return 0;
        else if constexpr (std::is_same_v<A, model::GatedDeltaNet>)
          return x.v_heads;
        else
          return x.heads;
      },
      a);
}

}  // namespace

std::string name(const Placement& p) {
  std::string s = fmt::format("TP{}", p.tp);
  if (p.dp > 1) s += fmt::format(" DP{}", p.dp);
  if (p.ep > 1) s += fmt::format(" EP{}", p.ep);
  if (p.dcp > 1) s += fmt::format(" DCP{}", p.dcp);
  if (p.pp > 1) s += fmt::format(" PP{}", p.pp);
  return s;
}

Result<void> check_placement(const model::Model& m, const Placement& p) {
  const auto refuse = [](std::string key, std::string what, std::string expected) {
    return bad_input("placement." + key, std::move(what), std::move(expected));
  };
  if (p.tp < 1 || p.pp < 1 || p.dp < 1 || p.ep < 1 || p.dcp < 1) return refuse("tp", "a size below 1", "sizes of at least 1");
  if (p.pp > m.layers()) return refuse("pp", fmt::format("{} stages for {} layers", p.pp, m.layers()), "at most one stage a layer");
  if (p.tp % p.dcp != 0) return refuse("dcp", fmt::format("{} does not divide tp = {}", p.dcp, p.tp), "a divisor of tp");
  bool experts = false;
  for (const auto& k : m.kinds) {
    const auto* gqa = std::get_if<model::Gqa>(&k.layer.attention);
    if (p.dcp > 1 && gqa != nullptr && gqa->kv_heads * p.dcp > p.tp)
      return refuse("dcp", fmt::format("{} KV heads on {} ranks leave nothing to split {} ways", gqa->kv_heads, p.tp, p.dcp),
                    "at most tp over the KV heads");
    const int heads = heads_of(k.layer.attention);
    if (heads > 0 && heads % p.tp != 0)
      return refuse("tp", fmt::format("{} does not divide {} attention heads", p.tp, heads), "a divisor of the heads");
    if (k.layer.moe) {
      experts = true;
      if (p.ep > 1 && k.layer.moe->experts % p.ep != 0)
        return refuse("ep", fmt::format("{} does not divide {} experts", p.ep, k.layer.moe->experts), "a divisor of the experts");
    }
  }
  if (p.ep > 1 && !experts) return refuse("ep", "set for a model without experts", "1");
  if (p.ep > 1 && (p.tp * p.dp) % p.ep != 0)
    return refuse("ep", fmt::format("{} does not divide tp x dp = {}", p.ep, p.tp * p.dp), "a divisor of tp x dp");
  return {};
}

double rank_parameters(const model::Layer& layer, std::int64_t hidden, Group group, double all, int tp) {
  const double d = double(hidden);
  switch (group) {
    case Group::router:
    case Group::norm:
    case Group::hc:
    case Group::attn_res:
    case Group::sink:
    case Group::bias:
    case Group::indexer:
    case Group::indexer_bf16:
    case Group::compressor:
      return all;
    case Group::attn:
      break;
    default:
      return all / tp;
  }
  double everywhere = 0, kv = 0;
  int kv_ranks = tp;
  if (const auto* a = std::get_if<model::Gqa>(&layer.attention)) {
    everywhere = d * a->q_rank;
    kv = d * a->kv_heads * (a->k_dim + (a->no_v_proj ? 0 : a->v_dim));
    kv_ranks = std::min(tp, a->kv_heads);
  } else if (const auto* m = std::get_if<model::Mla>(&layer.attention)) {
    everywhere = d * (m->q_rank + m->kv_rank + m->rope);
  } else if (const auto* c = std::get_if<model::Csa>(&layer.attention)) {
    everywhere = d * (c->q_rank + c->dim);
  }
  return everywhere + kv / kv_ranks + (all - everywhere - kv) / tp;
}

double rank_weights(const Subject& s, const Placement& p) {
  const model::Model& m = *s.model;
  // A scheme has its own bits for some groups; what the whole model weighs tells them.
  const auto bytes_each = [&](Group g) { return s.weight_bytes[g] / double(s.parameters.main[g]); };
  double layers = 0;
  model::Counts in_layers;
  for (const auto& k : m.kinds) {
    const model::Counts c = model::layer_parameters(k.layer, m.hidden);
    in_layers.add(c, k.count);
    for (std::size_t i = 0; i < model::kGroups; ++i) {
      const Group g = Group(i);
      if (c[g] == 0) continue;
      const bool expert = g == Group::routed || g == Group::expert_bias;
      const double held = expert ? double(c[g]) / (p.tp * p.dp) : rank_parameters(k.layer, m.hidden, g, double(c[g]), p.tp);
      layers += k.count * held * bytes_each(g);
    }
  }
  double ends = (s.weight_bytes[Group::embed] + s.weight_bytes[Group::head]) / p.tp;
  for (std::size_t i = 0; i < model::kGroups; ++i) {  // the last norm and its like
    const Group g = Group(i);
    if (g != Group::embed && g != Group::head && s.parameters.main[g] > in_layers[g]) {
      ends += double(s.parameters.main[g] - in_layers[g]) * bytes_each(g);
    }
  }
  return (layers + ends) / p.pp + s.weight_bytes.mtp / (p.tp * p.dp);
}

void set_engine(Subject& s, std::string_view engine) {
  s.engine = engine;
  if (engine != "trtllm" || s.cache_format != model::CacheFormat::fp8) return;
  const auto packed = model::cache_groups(*s.model, s.cache_format), plain = model::cache_groups(*s.model, model::CacheFormat::fp8_plain);
  if (packed.size() != plain.size()) return;
  s.cache_format = model::CacheFormat::fp8_plain;
  for (std::size_t i = 0; i < plain.size(); ++i) s.cache[i].bytes_per_entry *= plain[i].bytes_per_entry / packed[i].bytes_per_entry;
}

double card_memory(const catalog::Accelerator& chip) {
  return chip.memory_reported ? chip.memory_reported->value.value() : chip.memory ? chip.memory->value.value() : 0;
}

double rank_share(const model::CacheGroup& g, const Placement& p) {
  const double heads = std::min(p.tp, std::max(1, g.shards));
  return 1 / (heads * (g.kind == model::CacheGroup::Kind::state ? 1 : p.dcp));
}

double rank_cache(const Subject& s, const Placement& p, std::int64_t context) {
  double sum = 0;
  for (const auto& g : s.cache) sum += model::cache_stored(std::span(&g, 1), context) * rank_share(g, p);
  return sum / p.pp;
}

Memory memory(const Subject& s, const Placement& p) {
  Memory m;
  const double card = card_memory(s.chip);
  m.weights = rank_weights(s, p);
  m.reserve = s.reserve.total();
  const double taken = m.weights + m.reserve;
  m.for_cache = s.of_rest ? (card - taken) * (taken < card ? s.memory_utilization : 1) : card * s.memory_utilization - taken;
  m.capacity = taken + m.for_cache;
  return m;
}

double sequences_that_fit(const Subject& s, const Placement& p, std::int64_t context) {
  const Memory m = memory(s, p);
  if (!m.fits()) return 0;
  return std::floor(m.for_cache / rank_cache(s, p, context)) * p.dp;
}

}  // namespace jevons::step
