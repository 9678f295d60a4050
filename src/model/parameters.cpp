// Parameter counts, layer by layer. Formulas and their sources: docs/model-accounting.md sections 1 to 3.
#include <fmt/format.h>

#include <type_traits>

#include "model/account.hpp"

namespace jevons::model {
namespace {

using I = std::int64_t;

void count(Counts&, const std::monostate&, I) {}

void count(Counts& c, const Gqa& a, I d) {
  const I q = I(a.heads) * a.k_dim, k = I(a.kv_heads) * a.k_dim, v = I(a.kv_heads) * a.v_dim, o = I(a.heads) * a.v_dim;
  c[Group::attn] += (a.q_rank > 0 ? d * a.q_rank + I(a.q_rank) * q : d * q) + d * k + (a.no_v_proj ? 0 : d * v) + o * d;
  if (a.q_rank > 0) c[Group::norm] += a.q_rank;
  if (a.gate == Gate::full) c[Group::attn] += d * o;
  if (a.gate == Gate::per_head) c[Group::attn] += d * a.heads;
  if (a.qkv_bias) c[Group::bias] += q + k + v;
  if (a.out_bias) c[Group::bias] += d;
  if (a.qk_norm == QkNorm::per_head) c[Group::norm] += 2 * I(a.k_dim);
  if (a.qk_norm == QkNorm::per_layer) c[Group::norm] += q + k;
  if (a.sinks) c[Group::sink] += a.heads;
  if (a.index_heads > 0) {
    c[Group::indexer] += d * a.index_heads * a.index_dim + d * a.index_dim;
    c[Group::norm] += 2 * I(a.index_dim);
  }
}

void count(Counts& c, const Mla& a, I d) {
  const I h = a.heads, rq = a.q_rank, r = a.kv_rank, qk = a.nope + a.rope;
  c[Group::attn] += (rq > 0 ? d * rq + rq * h * qk : d * h * qk) + d * (r + a.rope) + r * h * (a.nope + a.v_dim) + h * a.v_dim * d;
  c[Group::norm] += rq + r;
  if (a.gate) c[Group::attn] += d * h * a.v_dim;
  if (a.indexer && a.indexer->own) {
    const I hi = a.indexer->heads, di = a.indexer->dim;
    c[Group::indexer] += (rq > 0 ? rq : d) * hi * di + d * di + d * hi;
    c[Group::norm] += 2 * di;  // LayerNorm on the index key: weight and bias
  }
}

void count(Counts& c, const Csa& a, I d) {
  const I wide = I(a.heads) * a.dim;
  c[Group::attn] += d * a.q_rank + a.q_rank * wide + d * a.dim + wide * a.o_rank + I(a.o_groups) * a.o_rank * d;
  c[Group::norm] += a.q_rank + a.dim;
  c[Group::sink] += a.heads;
  // Compressor: key-value and gate projections and a positional table; ratio 4 overlaps, which doubles the width.
  const I overlap = a.ratio == 4 ? 2 : 1;
  if (a.ratio > 0) {
    c[Group::compressor] += 2 * d * overlap * a.dim + I(a.ratio) * overlap * a.dim;
    c[Group::norm] += a.dim;
  }
  if (a.indexer.heads > 0) {
    const I hi = a.indexer.heads, di = a.indexer.dim;
    c[Group::indexer] += a.q_rank * hi * di;
    c[Group::indexer_bf16] += d * hi;
    c[Group::compressor] += 2 * d * overlap * di + I(a.ratio) * overlap * di;
    c[Group::norm] += di;
  }
}

void count(Counts& c, const GatedDeltaNet& a, I d) {
  const I k = I(a.k_heads) * a.k_dim, v = I(a.v_heads) * a.v_dim;
  c[Group::linear_attn] += d * (2 * k + 2 * v) + d * 2 * a.v_heads + v * d;
  c[Group::conv] += (2 * k + v) * a.conv;
  c[Group::other] += 2 * I(a.v_heads);
  c[Group::norm] += a.v_dim;
}

void count(Counts& c, const KimiDelta& a, I d) {
  const I p = I(a.heads) * a.dim;
  const I low_rank = d * a.dim + a.dim * p;
  c[Group::linear_attn] += 4 * d * p + low_rank + d * a.heads + (a.full_gate ? d * p : low_rank);
  c[Group::conv] += 3 * p * a.conv;
  c[Group::other] += p + a.a_log;
  c[Group::norm] += a.dim;
}

void count(Counts& c, const Mamba2& a, I d) {
  const I inner = I(a.heads) * a.head_dim, mixed = inner + 2 * I(a.groups) * a.state;
  c[Group::linear_attn] += d * (inner + mixed + a.heads) + inner * d;
  c[Group::conv] += mixed * (a.conv + (a.conv_bias ? 1 : 0));
  c[Group::other] += 3 * I(a.heads);
  c[Group::norm] += inner;
  if (a.proj_bias) c[Group::bias] += inner + mixed + a.heads + d;
}

void count(Counts& c, const Mamba1& a, I d) {
  const I inner = a.inner, mixed = a.dt_rank + 2 * I(a.state);
  c[Group::linear_attn] += d * 2 * inner + inner * d + inner * mixed + a.dt_rank * inner;
  c[Group::conv] += inner * (a.conv + (a.conv_bias ? 1 : 0));
  c[Group::other] += inner * a.state + 2 * inner;
  if (a.inner_norms) c[Group::norm] += mixed;
  if (a.proj_bias) c[Group::bias] += 2 * inner + d;
}

void count(Counts& c, const Lightning& a, I d) {
  const I p = I(a.heads) * a.dim;
  c[Group::linear_attn] += 5 * d * p;
  c[Group::norm] += p;
}

void count(Counts& c, const Moe& e, I d) {
  const I in = e.latent > 0 ? e.latent : d, outputs = e.experts + e.zero_experts;
  c[Group::routed] += I(e.experts) * e.matrices * in * e.width;
  c[Group::router] += d * outputs + (e.router_bias ? outputs : 0) + (e.shared_gate ? d : 0) + (e.router_scales ? d + e.experts : 0);
  c[Group::shared] += e.matrices * d * e.shared_width;
  if (e.latent > 0) c[Group::latent] += 2 * d * e.latent;
  if (e.latent_norm) c[Group::norm] += e.latent;
  if (e.expert_bias) c[Group::expert_bias] += I(e.experts) * ((e.matrices - 1) * e.width + in);
}

// Residual streams of hyper-connections: n (n + 2) mixing weights over n*D inputs, biases and 3 scales, for two sublayers.
I hyper_connection(I streams, I d) { return 2 * (streams * (streams + 2) * streams * d + streams * (streams + 2) + 3); }
I hyper_head(I streams, I d) { return streams * streams * d + streams + 1; }

double active_share(const Moe& e) { return (e.real_top_k > 0 ? e.real_top_k : double(e.top_k)) / e.experts; }

}  // namespace

std::string_view name(Group g) {
  constexpr std::string_view names[] = {"embed",  "head",   "norm",        "attn",   "bias",     "sink",         "linear_attn",
                                        "conv",   "other",  "compressor",  "hc",     "attn_res", "latent",       "dense_ffn",
                                        "router", "routed", "expert_bias", "shared", "indexer",  "indexer_bf16", "mtp_proj"};
  static_assert(std::size(names) == kGroups);
  return names[std::size_t(g)];
}

I Counts::total() const {
  I sum = 0;
  for (const I n : of) sum += n;
  return sum;
}

Counts& Counts::add(const Counts& other, I times) {
  for (std::size_t i = 0; i < kGroups; ++i) of[i] += other.of[i] * times;
  return *this;
}

Counts layer_parameters(const Layer& layer, I d) {
  Counts c;
  std::visit([&](const auto& a) { count(c, a, d); }, layer.attention);
  if (layer.dense) {
    c[Group::dense_ffn] += layer.dense->matrices * d * layer.dense->width;
    if (layer.dense->bias) c[Group::bias] += (layer.dense->matrices - 1) * layer.dense->width + d;
  }
  if (layer.moe) count(c, *layer.moe, d);
  c[Group::norm] += layer.norms * d;
  if (layer.streams > 1) c[Group::hc] += hyper_connection(layer.streams, d);
  if (layer.attention_residual) c[Group::attn_res] += 4 * d;  // a norm and a projection to one value, twice
  return c;
}

Parameters parameters(const Model& m) {
  Parameters p;
  double idle = 0;  // routed parameters that a token does not touch
  for (const auto& k : m.kinds) {
    const Counts one = layer_parameters(k.layer, m.hidden);
    p.main.add(one, k.count);
    if (k.layer.moe) idle += double(k.count) * double(one[Group::routed] + one[Group::expert_bias]) * (1 - active_share(*k.layer.moe));
  }
  p.main[Group::embed] = m.vocab * m.hidden;
  if (!m.tied) p.main[Group::head] = m.vocab * m.hidden;
  p.main[Group::norm] += m.hidden;
  if (m.streams > 1) p.main[Group::hc] += hyper_head(m.streams, m.hidden);
  if (m.attention_residual) p.main[Group::attn_res] += 2 * m.hidden;
  if (m.mtp_count > 0) {
    Counts one;
    for (const auto& l : m.mtp_layers) one.add(layer_parameters(l, m.hidden), 1);
    one[Group::norm] += 3 * m.hidden;  // of the embedding, of the hidden state, and the last one
    one[Group::mtp_proj] += 2 * m.hidden * m.hidden;
    if (m.streams > 1) one[Group::hc] += hyper_head(m.streams, m.hidden);
    p.mtp.add(one, m.mtp_count);
  }
  p.total = p.main.total();
  p.active = double(p.total) - idle;
  // A tied embedding serves as the head, so leaving the input embedding out takes nothing away.
  p.active_no_input_embedding = p.active - (m.tied ? 0.0 : double(p.main[Group::embed]));
  p.active_no_embeddings = p.active - double(p.main[Group::embed]) - double(p.main[Group::head]);
  return p;
}

double decode_linear_flops(const Parameters& p) { return 2 * (p.active_no_input_embedding - double(p.main[Group::norm])); }

}  // namespace jevons::model
