#include "serve/engine_memory.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string>

namespace jevons::serve {
namespace {

constexpr double kBf16 = 2, kMiB = 1 << 20;

struct Facts {
  const catalog::Thing* thing;
  double number(std::string_view key) const { return *thing->number(key); }
  double bytes(std::string_view key) const { return thing->get<Bytes>(key)->value.value(); }
};

// "0.19.1rc2" before 0.21; what does not begin with two numbers counts as current.
bool before(std::string_view version, int major, int minor) {
  int a = 0, b = 0;
  const char* end = version.data() + version.size();
  const auto first = std::from_chars(version.data(), end, a);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return false;
  if (std::from_chars(first.ptr + 1, end, b).ec != std::errc{}) return false;
  return a < major || (a == major && b < minor);
}

// Values that one token holds at once inside a layer of one rank, beside the residual stream: the widest of its two halves.
double attention_width(const model::Attention& a, double tp) {
  if (const auto* g = std::get_if<model::Gqa>(&a)) {
    const double kv = double(g->kv_heads) / std::min(tp, std::max(1.0, double(g->kv_heads)));
    return 2.0 * g->heads / tp * g->k_dim + kv * (g->k_dim + g->v_dim) + double(g->heads) / tp * g->v_dim;
  }
  if (const auto* m = std::get_if<model::Mla>(&a))  // queries, expanded keys and values, the output; latents
    return m->heads / tp * (2.0 * (m->nope + m->rope) + m->nope + 2.0 * m->v_dim) + m->q_rank + m->kv_rank + m->rope;
  if (const auto* c = std::get_if<model::Csa>(&a)) return c->heads / tp * 2.0 * c->dim + c->q_rank + 2.0 * c->dim;
  if (const auto* d = std::get_if<model::GatedDeltaNet>(&a)) return 2.0 / tp * (2.0 * d->k_heads * d->k_dim + 2.0 * d->v_heads * d->v_dim);
  if (const auto* k = std::get_if<model::KimiDelta>(&a)) return 8.0 * k->heads / tp * k->dim;
  if (const auto* n = std::get_if<model::Mamba2>(&a)) return 4.0 * n->heads / tp * n->head_dim;
  if (const auto* n = std::get_if<model::Mamba1>(&a)) return 4.0 * n->inner / tp;
  if (const auto* l = std::get_if<model::Lightning>(&a)) return 4.0 * l->heads / tp * l->dim;
  return 0;
}
double ffn_width(const model::Layer& l, double hidden, const step::Placement& p) {
  double width = 0;
  if (l.dense) width = 3.0 * double(l.dense->width) / p.tp;  // gate, up and their product
  if (l.moe) {
    const double inner = double(l.moe->width) / p.expert_tp(), in = l.moe->latent > 0 ? double(l.moe->latent) : hidden;
    // Rows sorted by expert: one buffer serves the first and the last product, another the activated rows.
    const double routed = l.moe->top_k * (std::max((l.moe->matrices - 1) * inner, in) + inner);
    width = std::max(width, routed + 3.0 * double(l.moe->shared_width) / p.tp + hidden);
  }
  return width;
}

// The profiling pass: a step of as many tokens as the budget allows. Residual stream and layer input stay while a layer works.
double forward_peak(const step::Subject& s, const step::Placement& p, double tokens) {
  const model::Model& m = *s.model;
  double inside = 0;
  for (const auto& k : m.kinds)
    inside = std::max({inside, attention_width(k.layer.attention, p.tp), ffn_width(k.layer, double(m.hidden), p)});
  return tokens * kBf16 * (double(m.hidden) * (1 + m.streams) + inside);
}

struct Special {
  bool latent = false, sparse = false;
  double index_row = 0, latent_row = 0, expanded = 0, rope_tables = 0;
};
Special special_of(const model::Model& m, double tp) {
  Special s;
  for (const auto& k : m.kinds) {
    if (const auto* a = std::get_if<model::Mla>(&k.layer.attention)) {
      s.latent = true;
      s.rope_tables = a->rope;
      s.latent_row = a->kv_rank + a->rope;
      s.expanded = a->heads / tp * (a->nope + a->v_dim);
      if (a->indexer) s.sparse = true, s.index_row = std::max(s.index_row, double(a->indexer->dim));
    } else if (const auto* c = std::get_if<model::Csa>(&k.layer.attention); c != nullptr && c->indexer.heads > 0) {
      s.sparse = true;
      s.rope_tables = 2.0 * c->rope;  // windows and compressed entries turn at speeds of their own
      s.index_row = std::max(s.index_row, double(c->indexer.dim));
    }
  }
  return s;
}

// Buffers that attention keeps from start to end: gathered index keys of sparse attention (fp8 with a 4-byte scale), cached latents that a
// chunk of a prompt reads and expands, sines and cosines in fp32.
double workspaces(const step::Subject& s, const EnginePolicy& policy, const step::Placement& p, const Facts& f) {
  const Special special = special_of(*s.model, p.tp);
  const double longest = double(policy.max_model_len > 0 ? policy.max_model_len : s.model->max_context);
  double sum = 4 * special.rope_tables * double(s.model->max_context);
  if (special.sparse) sum += f.number("vllm_index_rows") * longest * (special.index_row + 4);
  if (special.latent && !special.sparse) {
    const double rows = std::min(f.number("vllm_latent_rows"), std::max(8 * longest, 4.0 * policy.max_num_seqs * policy.block_size));
    sum += rows * kBf16 * (special.latent_row + special.expanded);
  }
  return sum;
}

// Sizes that vLLM captures: 1, 2, 4, then every 8 to 256, every 16 to 512.
int captured_sizes(int most) {
  const int n = std::min(most, 512);
  return (n >= 1) + (n >= 2) + (n >= 4) + std::min(n, 256) / 8 + std::max(0, (n - 256) / 16);
}
// Graphs in pieces for any step, whole ones for steps that only decode.
double graphs(const step::Subject& s, const EnginePolicy& policy, const step::Placement& p, const Facts& f) {
  const int seats = std::min(policy.max_num_seqs, policy.step_tokens());
  const double layer = captured_sizes(2 * seats) * f.bytes("graph_piece_layer") + captured_sizes(seats) * f.bytes("graph_whole_layer");
  const double kernels =
      (special_of(*s.model, 1).sparse ? f.number("graph_indexed") : 1) * (s.model->streams > 1 ? f.number("graph_streams") : 1);
  return double(s.model->layers()) / p.pp * layer * kernels;
}

double runtime(const step::Subject& s, const EnginePolicy& policy, const step::Placement& p, const Facts& f) {
  std::string key = p.accelerators() > 1 ? "runtime_group" : "runtime_alone";
  if (policy.engine != Engine::vllm) return f.bytes(std::string(name(policy.engine)) + "_" + key);
  if (p.accelerators() > 1 && s.chip.thing->attribute("kernel_constants") == "blackwell") key += "_blackwell";
  return f.bytes(key);
}

// SGLang server_args.py, _handle_gpu_memory_settings: what the default fraction leaves free, in MiB of the whole card.
double sglang_fraction(const EnginePolicy& policy, const step::Placement& p, double card) {
  const double chunk = double(policy.chunk > 0 ? policy.chunk : policy.max_num_batched_tokens) * p.dp;
  const double graph_batch = card < 60e9 ? (p.tp < 4 ? 32 : 160) : card < 160e9 ? (p.tp < 4 ? 256 : 512) : 512;
  double reserved = 512 + 1.5 * std::max(chunk, 2048.0) + p.tp * p.dp * p.pp / 8.0 * 1024 + 2 * graph_batch;
  if (p.dp > 1) reserved += graph_batch * p.dp * (graph_batch > 300 ? 4.5 : 3);
  if (card > 60 * 1024 * kMiB) reserved = std::max(reserved, 10240.0);
  return std::round((card / kMiB - reserved) / (card / kMiB) * 1000) / 1000;
}

}  // namespace

Result<void> share_memory(const catalog::Catalog& catalog, const EnginePolicy& policy, const step::Placement& placement,
                          std::optional<double> fraction, step::Subject& subject, std::string_view version) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::efficiency, "engine-memory"));
  const Facts f{thing};
  const double card = step::card_memory(subject.chip);
  step::Reserve r;
  r.runtime = runtime(subject, policy, placement, f);
  subject.of_rest = policy.engine == Engine::trtllm;
  if (policy.engine == Engine::sglang) {
    subject.memory_utilization = fraction.value_or(sglang_fraction(policy, placement, card));
    r.runtime *= subject.memory_utilization;
  } else {
    const bool old = policy.engine == Engine::vllm && before(version, 0, 21);
    const double tokens = policy.step_tokens(), seats = std::min<double>(policy.max_num_seqs, tokens);
    // Hidden states stay until the last token of each sequence has its logits, gathered from all ranks, and is sampled.
    const double sampling = seats * double(subject.model->vocab) * f.number(old ? "sampled_value_sorted" : "sampled_value") +
                            tokens * kBf16 * double(subject.model->hidden);
    r.activations = std::max(forward_peak(subject, placement, tokens), sampling);
    if (policy.engine == Engine::vllm) r.workspaces = workspaces(subject, policy, placement, f);
    if (!old) r.graphs = graphs(subject, policy, placement, f);
    subject.memory_utilization = fraction.value_or(policy.engine == Engine::trtllm || old ? 0.9 : 0.92);
  }
  subject.reserve = r;
  return {};
}

}  // namespace jevons::serve
