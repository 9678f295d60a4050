// FLOPs of decode and prefill. Formulas and sources: docs/model-accounting.md section 5. Two FLOPs a multiply-add.
#include <algorithm>
#include <cmath>

#include "model/account.hpp"

namespace jevons::model {
namespace {

// Sums over new tokens at positions a+1 .. a+n (a tokens before them), exact in doubles below 2^53.
double sum_up_to(double n) { return n * (n + 1) / 2; }
double sum_capped(double cap, double n) { return n <= cap ? sum_up_to(n) : sum_up_to(cap) + cap * (n - cap); }
double range_full(double a, double n) { return sum_up_to(a + n) - sum_up_to(a); }
double range_capped(double cap, double a, double n) { return sum_capped(cap, a + n) - sum_capped(cap, a); }
double sum_chunked(double c, double n) {
  const double whole = std::floor(n / c);
  return whole * sum_up_to(c) + sum_up_to(n - whole * c);
}
// Compressed entries are masked a tile of queries at a time: every token of a tile counts the entries closed at the tile's middle.
// Within 0.02 % of the sum over single tokens from 8,192 tokens on.
constexpr double kQueryTile = 128;
double range_entries(double r, double cap, double a, double n) {
  double sum = 0;
  for (double at = 0; at < n; at += kQueryTile) {
    const double tile = std::min(kQueryTile, n - at);
    sum += tile * std::min(std::floor((a + at + tile / 2) / r), cap);
  }
  return sum;
}

// What one layer does for tokens that see `reach` cached tokens: reach gives the sum over tokens of min(position, cap) and friends.
struct Reach {
  double tokens;  // new tokens
  double cached;  // tokens before them whose latents naive MLA would have to expand
  double (*full)(double a, double n);
  double (*capped)(double cap, double a, double n);
  double (*chunked)(double c, double a, double n);
  double (*grouped)(double r, double cap, double a, double n);
  double sum_full() const { return full(cached, tokens); }
  double sum_capped(double cap) const { return capped(cap, cached, tokens); }
  double sum_chunked(double c) const { return chunked(c, cached, tokens); }
  double sum_grouped(double r, double cap) const { return grouped(r, cap, cached, tokens); }
};
constexpr double kNone = 1e18;

Reach decode_reach(std::int64_t context) {
  // One token that sees `context` tokens: position is the context itself.
  return {1,
          double(context),
          [](double a, double) { return a; },
          [](double cap, double a, double) { return std::min(a, cap); },
          [](double c, double a, double) { return std::min(a, c); },
          [](double r, double cap, double a, double) { return std::min(std::floor(a / r), cap); }};
}
Reach prefill_reach(std::int64_t tokens, std::int64_t cached) {
  return {double(tokens),
          double(cached),
          range_full,
          range_capped,
          [](double c, double a, double n) { return sum_chunked(c, a + n) - sum_chunked(c, a); },
          range_entries};
}

enum class Mode { absorbed, naive, cheaper };  // cheaper: what a prefill kernel would choose

struct Sum {
  AttentionFlops& f;
  const Reach& r;
  Mode mode;
  int layers;

  void operator()(const std::monostate&) const {}
  void operator()(const Gqa& a) const {
    const double per_pair = 2.0 * a.heads * (a.k_dim + a.v_dim);
    const double pairs = a.window > 0        ? r.sum_capped(double(a.window))
                         : a.chunk > 0       ? r.sum_chunked(double(a.chunk))
                         : a.index_heads > 0 ? r.sum_capped(double(a.index_tokens))
                                             : r.sum_full();
    f.core += layers * per_pair * pairs;
    if (a.index_heads > 0) f.index += layers * 2.0 * a.index_heads * a.index_dim * r.sum_full();
  }
  void operator()(const Mla& a) const {
    const double pairs = a.indexer ? r.sum_capped(double(a.indexer->top_k)) : r.sum_full();
    const double absorbed = 2.0 * a.heads * (2.0 * a.kv_rank + a.rope) * pairs;
    const double naive = 2.0 * a.heads * (a.nope + a.rope + a.v_dim) * pairs;
    // Naive form must expand every latent that was already cached: 2 r H (dn + dv) each.
    const double expansion = 2.0 * a.kv_rank * a.heads * (a.nope + a.v_dim) * r.cached;
    f.core += layers * (mode == Mode::absorbed ? absorbed : mode == Mode::naive ? naive : std::min(absorbed, naive + expansion));
    if (a.indexer && a.indexer->own) f.index += layers * 2.0 * a.indexer->heads * a.indexer->dim * r.sum_full();
  }
  void operator()(const Csa& a) const {
    const double cap = a.indexer.heads > 0 ? double(a.indexer.top_k) : kNone;
    const double pairs = r.sum_capped(double(a.window)) + (a.ratio > 0 ? r.sum_grouped(a.ratio, cap) : 0);
    f.core += layers * 4.0 * a.heads * a.dim * pairs;
    if (a.indexer.heads > 0) f.index += layers * 2.0 * a.indexer.heads * a.indexer.dim * r.sum_grouped(a.ratio, kNone);
  }
  // Recurrences: decay, read, rank-one write and output per state value.
  void operator()(const GatedDeltaNet& a) const { f.recurrent += layers * r.tokens * 7.0 * a.v_heads * a.k_dim * a.v_dim; }
  void operator()(const KimiDelta& a) const { f.recurrent += layers * r.tokens * 7.0 * a.heads * a.dim * a.dim; }
  void operator()(const Mamba2& a) const { f.recurrent += layers * r.tokens * 5.0 * a.heads * a.head_dim * a.state; }
  void operator()(const Mamba1& a) const { f.recurrent += layers * r.tokens * 6.0 * a.inner * a.state; }
  void operator()(const Lightning& a) const { f.recurrent += layers * r.tokens * 5.0 * a.heads * a.dim * a.dim; }
};

AttentionFlops attention(const Model& m, const Reach& reach, Mode mode) {
  AttentionFlops f;
  for (const auto& k : m.kinds) std::visit(Sum{f, reach, mode, k.count}, k.layer.attention);
  return f;
}

}  // namespace

AttentionFlops decode_attention_flops(const Model& m, std::int64_t context, MlaMode mode) {
  return attention(m, decode_reach(context), mode == MlaMode::absorbed ? Mode::absorbed : Mode::naive);
}

PrefillFlops prefill_flops(const Model& m, const Parameters& p, std::int64_t tokens, std::int64_t cached) {
  const double head = double(m.tied ? p.main[Group::embed] : p.main[Group::head]);
  const double linear = decode_linear_flops(p) / 2;
  return {2 * (linear - head) * double(tokens) + 2 * head, attention(m, prefill_reach(tokens, cached), Mode::cheaper).total()};
}

double distinct_experts(double experts, double top_k, double tokens) {
  if (tokens <= 0) return 0;
  return -experts * std::expm1(tokens * std::log1p(-std::min(top_k / experts, 1 - 1e-15)));
}

}  // namespace jevons::model
