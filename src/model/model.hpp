#pragma once
// A model as a list of layers. A config.json is expanded to one entry per layer first; everything else is a sum over layers.
// A family is code, a model is data: nothing here or below tests for a model's name.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace jevons::model {

enum class QkNorm : std::uint8_t { none, per_head, per_layer };
enum class Gate : std::uint8_t { none, full, per_head };  // output gate: H*dv wide, or one scalar a head

/// Lightning indexer of sparse attention (DSA): scores every cached token with small heads, attention sees the top k.
struct Indexer {
  int heads = 0, dim = 0;
  std::int64_t top_k = 0;
  bool own = true;  // false: reuses the selection of an earlier layer, holds no weights and no keys
  bool operator==(const Indexer&) const = default;
};

/// MHA, GQA, MQA, sliding window, chunked, block-sparse (MSA) and shared-low-rank-query (MFA) attention.
struct Gqa {
  int heads = 0, kv_heads = 0, k_dim = 0, v_dim = 0;
  int q_rank = 0;  // MFA: D -> q_rank -> H*k_dim with a norm between; 0: plain query
  bool qkv_bias = false, out_bias = false, sinks = false, no_v_proj = false;
  QkNorm qk_norm = QkNorm::none;
  Gate gate = Gate::none;
  std::int64_t window = 0, chunk = 0;  // 0: none. window: last W tokens; chunk: tokens since the last multiple
  int index_heads = 0, index_dim = 0;  // MSA: query heads of the block indexer, one shared key head; 0: no indexer
  std::int64_t index_tokens = 0;       // MSA: tokens the selected blocks hold together
  bool operator==(const Gqa&) const = default;
};
/// Multi-head latent attention: one latent row of kv_rank + rope values per token, shared by all heads.
struct Mla {
  int heads = 0, q_rank = 0, kv_rank = 0, nope = 0, rope = 0, v_dim = 0;
  bool gate = false;
  std::optional<Indexer> indexer;
  bool operator==(const Mla&) const = default;
};
/// DeepSeek-V4: window of `window` tokens in every layer plus entries that each compress `ratio` tokens (0: window only);
/// one shared K = V head. Ratio-4 layers carry an indexer over their entries.
struct Csa {
  int heads = 0, dim = 0, q_rank = 0, o_rank = 0, o_groups = 0, rope = 0, ratio = 0;
  std::int64_t window = 0;
  Indexer indexer;  // heads 0: none; top_k counts entries
  bool operator==(const Csa&) const = default;
};
struct GatedDeltaNet {
  int k_heads = 0, v_heads = 0, k_dim = 0, v_dim = 0, conv = 0;
  bool operator==(const GatedDeltaNet&) const = default;
};
struct KimiDelta {
  int heads = 0, dim = 0, conv = 0, a_log = 0;
  bool full_gate = false;
  bool operator==(const KimiDelta&) const = default;
};
struct Mamba2 {
  int heads = 0, head_dim = 0, state = 0, groups = 0, conv = 0;
  bool conv_bias = true, proj_bias = false;
  bool operator==(const Mamba2&) const = default;
};
struct Mamba1 {
  int inner = 0, state = 0, dt_rank = 0, conv = 0;
  bool conv_bias = true, proj_bias = false, inner_norms = false;
  bool operator==(const Mamba1&) const = default;
};
struct Lightning {
  int heads = 0, dim = 0;
  bool operator==(const Lightning&) const = default;
};
using Attention = std::variant<std::monostate, Gqa, Mla, Csa, GatedDeltaNet, KimiDelta, Mamba2, Mamba1, Lightning>;

struct DenseFfn {
  std::int64_t width = 0;
  int matrices = 3;  // 3 gated, 2 plain
  bool bias = false;
  bool operator==(const DenseFfn&) const = default;
};
struct Moe {
  int experts = 0, top_k = 0;
  double real_top_k = 0;  // choices that are real experts on average; below top_k where some cost nothing
  std::int64_t width = 0;
  int matrices = 3;
  std::int64_t shared_width = 0;  // all shared experts together
  std::int64_t latent = 0;        // width the routed experts work in; 0: hidden size
  bool latent_norm = false, router_bias = false, shared_gate = false, expert_bias = false, router_scales = false;
  int zero_experts = 0;  // router outputs that cost nothing
  bool operator==(const Moe&) const = default;
};

struct Layer {
  Attention attention;
  std::optional<DenseFfn> dense;  // beside `moe` where a layer has both
  std::optional<Moe> moe;
  int norms = 2;    // norms of hidden size
  int streams = 1;  // residual streams of hyper-connections; above 1 they carry weights
  bool attention_residual = false;
  bool operator==(const Layer&) const = default;
};

/// Layers that are equal, once, with how often they occur.
struct LayerKind {
  Layer layer;
  int count = 0;
};

struct Facts;
struct Model {
  std::string name, family;  // family: model_type of the configuration class
  std::int64_t vocab = 0, hidden = 0, max_context = 0;
  bool tied = false;
  int streams = 1;  // hyper-connection streams of the whole model
  bool attention_residual = false;
  std::vector<LayerKind> kinds;      // in order of first appearance
  std::vector<std::uint16_t> order;  // kind of each layer
  // MTP: layers drafted with, each repeated `mtp_count` times with its own projections and norms.
  int mtp_count = 0;
  std::vector<Layer> mtp_layers;        // of one module
  std::string native_weights = "bf16";  // weight scheme the vendor ships, or kUnknownQuantization and its name
  int layers() const { return int(order.size()); }
  void add(Layer layer);
};

/// Some layer has routed experts.
bool has_experts(const Model& model);

/// Start of Model::native_weights where a config is quantized in a way that has no scheme here: its bytes are not guessed.
inline constexpr std::string_view kUnknownQuantization = "unknown quantization: ";

/// What a config does not tell; empty members are decided by the family.
struct Facts {
  std::optional<bool> router_bias;
  std::optional<int> mtp, swa_heads;
  std::optional<double> real_top_k;
  std::string weights;  // name of the native weight scheme; "" when the config decides
};

inline constexpr std::size_t kConfigLimit = 16u << 20;  // bytes of JSON accepted

/// A plain Hugging Face config.json. Absent keys take the defaults of the family's configuration class in transformers.
/// Errors: not JSON, wrong types or sizes, heads that do not divide, an unsupported family or switch (named); `file` is for messages.
Result<Model> parse_config(std::string_view json, std::string_view file, const Facts& facts = {});
/// A catalogue entry: {"name", "config", "facts_not_in_config", "native_weight_format", …}.
Result<Model> parse_entry(std::string_view json, std::string_view file);
/// Families that parse_config knows, as model_type names.
std::vector<std::string_view> families();

}  // namespace jevons::model
