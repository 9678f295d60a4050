// Cache bytes: stored, read per decode step, fixed and growing. Formulas and sources: docs/model-accounting.md section 4.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "model/account.hpp"

namespace jevons::model {
namespace {

using Groups = std::vector<CacheGroup>;
using Kind = CacheGroup::Kind;

void put(Groups& out, CacheGroup g) {
  for (auto& o : out) {
    if (o.kind == g.kind && o.bytes_per_entry == g.bytes_per_entry && o.tokens_per_entry == g.tokens_per_entry &&
        o.stored_cap == g.stored_cap && o.read_cap == g.read_cap && o.shards == g.shards) {
      o.layers += g.layers;
      return;
    }
  }
  out.push_back(g);
}

// Bytes of one value in a plain cache.
double element(CacheFormat f) { return f == CacheFormat::fp8 || f == CacheFormat::fp8_plain ? 1 : 2; }
bool quantized(CacheFormat f) { return f != CacheFormat::bf16; }

void groups_of(Groups&, const std::monostate&, int, CacheFormat) {}

void groups_of(Groups& out, const Gqa& a, int layers, CacheFormat f) {
  CacheGroup g{Kind::full, layers, double(a.kv_heads) * (a.k_dim + a.v_dim) * element(f), 1, 0, 0, a.kv_heads};
  if (a.window > 0) g = {Kind::window, layers, g.bytes_per_entry, 1, a.window, a.window, a.kv_heads};
  if (a.chunk > 0) g = {Kind::chunk, layers, g.bytes_per_entry, 1, a.chunk, a.chunk, a.kv_heads};
  if (a.index_heads > 0) g.read_cap = a.index_tokens;
  put(out, g);
  // MiniMax-M3 keeps its index key in bf16 whatever the cache format.
  if (a.index_heads > 0) put(out, {Kind::index, layers, 2.0 * a.index_dim, 1, 0, 0, 1});
}

void groups_of(Groups& out, const Mla& a, int layers, CacheFormat f) {
  // FlashMLA's row: e4m3 latent with an fp32 scale per 128 values, bf16 rope part: 656 B for 512 + 64.
  const double packed = a.kv_rank + 4.0 * (a.kv_rank / 128) + 2.0 * a.rope;
  const double plain = (a.kv_rank + a.rope) * element(f);
  const bool native_row = f == CacheFormat::fp8_ds_mla || (a.indexer && quantized(f) && f != CacheFormat::fp8_plain);
  CacheGroup g{Kind::latent, layers, native_row ? packed : plain, 1, 0, 0, 1};
  if (a.indexer) g.read_cap = a.indexer->top_k;
  put(out, g);
  if (a.indexer && a.indexer->own) put(out, {Kind::index, layers, quantized(f) ? a.indexer->dim + 4.0 : 2.0 * a.indexer->dim, 1, 0, 0, 1});
}

void groups_of(Groups& out, const Csa& a, int layers, CacheFormat f) {
  // FlashMLA "MODEL1" entry: e4m3 values, bf16 rope part, one scale byte per 64 values padded to a multiple of 8.
  const int nope = a.dim - a.rope;
  const double entry = quantized(f) ? nope + 2.0 * a.rope + 8.0 * ((nope / 64 + 7) / 8) : 2.0 * a.dim;
  put(out, {Kind::window, layers, entry, 1, a.window, a.window, 1});
  if (a.ratio == 0) return;
  put(out, {Kind::compressed, layers, entry, a.ratio, 0, a.indexer.heads > 0 ? a.indexer.top_k : 0, 1});
  // Index entries: fp4 values with a scale byte per 32.
  if (a.indexer.heads > 0)
    put(out, {Kind::index, layers, quantized(f) ? a.indexer.dim / 2.0 + a.indexer.dim / 32.0 : 2.0 * a.indexer.dim, a.ratio, 0, 0, 1});
}

void state(Groups& out, int layers, double recurrent_values, double conv_values, int heads) {
  // Recurrent states stay fp32 and convolution states bf16 whatever the cache format; one of each per sequence.
  put(out, {Kind::state, layers, 4 * recurrent_values + 2 * conv_values, 1, 1, 1, heads});
}
void groups_of(Groups& out, const GatedDeltaNet& a, int layers, CacheFormat) {
  state(out, layers, double(a.v_heads) * a.k_dim * a.v_dim, (a.conv - 1.0) * (2.0 * a.k_heads * a.k_dim + double(a.v_heads) * a.v_dim),
        a.v_heads);
}
void groups_of(Groups& out, const KimiDelta& a, int layers, CacheFormat) {
  state(out, layers, double(a.heads) * a.dim * a.dim, (a.conv - 1.0) * 3.0 * a.heads * a.dim, a.heads);
}
void groups_of(Groups& out, const Mamba2& a, int layers, CacheFormat) {
  const double inner = double(a.heads) * a.head_dim;
  state(out, layers, inner * a.state, (a.conv - 1.0) * (inner + 2.0 * a.groups * a.state), a.heads);
}
void groups_of(Groups& out, const Mamba1& a, int layers, CacheFormat) {
  state(out, layers, double(a.inner) * a.state, (a.conv - 1.0) * a.inner, a.inner);
}
void groups_of(Groups& out, const Lightning& a, int layers, CacheFormat) {
  state(out, layers, double(a.heads) * a.dim * a.dim, 0, a.heads);
}

double entries(const CacheGroup& g, std::int64_t context, std::int64_t cap) {
  if (g.kind == Kind::state) return 1;
  const std::int64_t n = context / g.tokens_per_entry;
  return double(cap > 0 ? std::min(n, cap) : n);
}

bool has_native_layout(const Model& m) {
  return std::any_of(m.kinds.begin(), m.kinds.end(), [](const LayerKind& k) {
    const auto* mla = std::get_if<Mla>(&k.layer.attention);
    return std::holds_alternative<Csa>(k.layer.attention) || (mla != nullptr && mla->indexer);
  });
}

}  // namespace

Result<CacheFormat> parse_cache_format(std::string_view text) {
  const std::string t = lower(text);
  if (t == "bf16" || t == "bfloat16" || t == "fp16" || t == "auto16") return CacheFormat::bf16;
  if (t == "fp8" || t == "fp8_e4m3") return CacheFormat::fp8;
  if (t == "fp8_ds_mla") return CacheFormat::fp8_ds_mla;
  if (t == "fp8_plain") return CacheFormat::fp8_plain;
  if (t == "native" || t == "auto") return CacheFormat::native;
  return fail({ErrorCode::bad_input,
               {},
               0,
               "kv_cache_dtype",
               fmt::format("'{}' is not a cache format", text.substr(0, 40)),
               "native, bf16, fp8, fp8_ds_mla or fp8_plain",
               {}});
}

std::string_view name(CacheFormat f) {
  constexpr std::string_view names[] = {"bf16", "fp8", "fp8_ds_mla", "fp8_plain", "native"};
  return names[std::size_t(f)];
}

CacheFormat resolve(const Model& m, CacheFormat f) {
  if (f != CacheFormat::native) return f;
  return has_native_layout(m) ? CacheFormat::fp8 : CacheFormat::bf16;
}

Groups cache_groups(const Model& m, CacheFormat format) {
  const CacheFormat f = resolve(m, format);
  Groups out;
  for (const auto& k : m.kinds) std::visit([&](const auto& a) { groups_of(out, a, k.count, f); }, k.layer.attention);
  return out;
}

double cache_stored(std::span<const CacheGroup> groups, std::int64_t context) {
  double sum = 0;
  for (const auto& g : groups) sum += g.layers * g.bytes_per_entry * entries(g, context, g.stored_cap);
  return sum;
}

double cache_read(std::span<const CacheGroup> groups, std::int64_t context) {
  double sum = 0;
  for (const auto& g : groups) sum += g.layers * g.bytes_per_entry * entries(g, context, g.read_cap) * (g.kind == Kind::state ? 2 : 1);
  return sum;
}

double cache_stored(const Model& m, CacheFormat f, std::int64_t context) { return cache_stored(cache_groups(m, f), context); }
double cache_read(const Model& m, CacheFormat f, std::int64_t context) { return cache_read(cache_groups(m, f), context); }

double cache_slope(std::span<const CacheGroup> groups) {
  double sum = 0;
  for (const auto& g : groups) {
    if (g.stored_cap == 0) sum += g.layers * g.bytes_per_entry / double(g.tokens_per_entry);
  }
  return sum;
}

double cache_fixed(std::span<const CacheGroup> groups) {
  double sum = 0;
  for (const auto& g : groups) {
    if (g.stored_cap > 0) sum += g.layers * g.bytes_per_entry * double(g.stored_cap);
  }
  return sum;
}

double compressor_state(const Model& m) {
  double sum = 0;
  for (const auto& k : m.kinds) {
    const auto* a = std::get_if<Csa>(&k.layer.attention);
    if (a == nullptr || a->ratio == 0) continue;
    // Key-value and score of the groups not yet closed, fp32; the overlap of ratio 4 doubles rows and width.
    const double c = a->ratio == 4 ? 2 : 1;
    sum += k.count * 2 * c * a->ratio * c * 4.0 * (a->dim + (a->indexer.heads > 0 ? a->indexer.dim : 0));
  }
  return sum;
}

}  // namespace jevons::model
