#pragma once
// Parameters, weight bytes, cache bytes and FLOPs of a model: sums over its layers.
// Formulas: docs/model-accounting.md, with sources.
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/quantity.hpp"
#include "model/model.hpp"

namespace jevons::model {

enum class Group : std::uint8_t {
  embed,
  head,
  norm,
  attn,
  bias,
  sink,
  linear_attn,
  conv,
  other,
  compressor,
  hc,
  attn_res,
  latent,
  dense_ffn,
  router,
  routed,
  expert_bias,
  shared,
  indexer,
  indexer_bf16,
  mtp_proj
};
inline constexpr std::size_t kGroups = 21;
std::string_view name(Group);

/// Parameter counts by group: exact integers.
struct Counts {
  std::array<std::int64_t, kGroups> of{};
  std::int64_t& operator[](Group g) { return of[std::size_t(g)]; }
  std::int64_t operator[](Group g) const { return of[std::size_t(g)]; }
  std::int64_t total() const;
  Counts& add(const Counts& other, std::int64_t times);
};

/// Parameters of one layer, without embedding and head. hidden: model width.
Counts layer_parameters(const Layer& layer, std::int64_t hidden);
struct Parameters {
  Counts main, mtp;  // unique parameters, each counted once; mtp shares embedding and head with main
  std::int64_t total = 0;
  double active = 0;                     // convention "all": routed experts at top-k of all, everything else
  double active_no_input_embedding = 0;  // default convention
  double active_no_embeddings = 0;
};
Parameters parameters(const Model& model);

/// How cache entries are stored. `native` keeps each family's own layout: fp8 rows of 656 B for DSA latents (132 B index keys),
/// 584 B entries and 68 B index entries for V4, plain bf16 elsewhere.
/// fp8 means those same layouts where a family has one, and one byte a value elsewhere; fp8_ds_mla is the 656 B row for any MLA,
/// fp8_plain one byte a value for every MLA (TensorRT-LLM: 43,187 B a token of DeepSeek-V3.2).
enum class CacheFormat : std::uint8_t { bf16, fp8, fp8_ds_mla, fp8_plain, native };
Result<CacheFormat> parse_cache_format(std::string_view name);
std::string_view name(CacheFormat);
/// What `native` means for this model.
CacheFormat resolve(const Model& model, CacheFormat format);

/// One kind of cache, for capacity, simulation and step times. Bytes are for the whole model, not per rank.
struct CacheGroup {
  enum class Kind : std::uint8_t { full, window, chunk, latent, compressed, index, state } kind{};
  int layers = 0;
  double bytes_per_entry = 0;  // one layer
  std::int64_t tokens_per_entry = 1;
  std::int64_t stored_cap = 0;  // entries one sequence keeps at most; 0: no limit
  std::int64_t read_cap = 0;    // entries one decode step reads at most; 0: all that are stored
  int shards = 1;               // ways tensor parallelism can split it: KV heads; 1: every rank holds all of it
};
/// At most a few groups per model; state groups count one entry per sequence.
std::vector<CacheGroup> cache_groups(const Model& model, CacheFormat format);

/// Bytes one sequence with `context` cached tokens holds.
double cache_stored(const Model& model, CacheFormat format, std::int64_t context);
/// Bytes one decode step moves for one sequence with `context` cached tokens: cache read, recurrent state read and written.
double cache_read(const Model& model, CacheFormat format, std::int64_t context);
double cache_stored(std::span<const CacheGroup> groups, std::int64_t context);
double cache_read(std::span<const CacheGroup> groups, std::int64_t context);
/// Bytes a sequence grows by per token once windows are full, and bytes it holds however long it is (full windows and states).
double cache_slope(std::span<const CacheGroup> groups);
double cache_fixed(std::span<const CacheGroup> groups);

/// fp32 bytes one sequence holds for compression groups not yet closed (DeepSeek-V4); published cache sizes leave them out.
double compressor_state(const Model& model);

/// FLOPs of attention for one new token that sees `context` tokens, all layers together.
struct AttentionFlops {
  double core = 0, index = 0, recurrent = 0;
  double total() const { return core + index + recurrent; }
};
enum class MlaMode : std::uint8_t { absorbed, naive };
AttentionFlops decode_attention_flops(const Model& model, std::int64_t context, MlaMode mode = MlaMode::absorbed);
/// FLOPs of one decoded token outside the attention core: twice the active parameters without input embedding and norms.
double decode_linear_flops(const Parameters& p);
struct PrefillFlops {
  double linear = 0, attention = 0;
  double total() const { return linear + attention; }
};
/// FLOPs to prefill `tokens` new tokens after `cached` ones; MLA in naive form over what is visible, its expansion of already
/// cached tokens included; logits of the last token only.
PrefillFlops prefill_flops(const Model& model, const Parameters& p, std::int64_t tokens, std::int64_t cached = 0);

/// Distinct experts that `tokens` tokens touch in one layer, of `experts` with `top_k` each: E (1 - (1 - k/E)^n), uniform and independent.
double distinct_experts(double experts, double top_k, double tokens);

}  // namespace jevons::model
