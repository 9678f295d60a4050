// Mixture-of-experts families over grouped-query attention. Defaults of absent keys are those of the family's configuration class in
// transformers 5.23; families that live outside transformers must state their keys.
#include <algorithm>

#include "model/reader.hpp"

namespace jevons::model {
namespace {

constexpr std::int64_t kLong = std::int64_t{1} << 40;

// Qwen: layer i is MoE unless listed in mlp_only_layers or off the step.
std::vector<bool> qwen_moe_layers(Reader& r, int layers) {
  const auto only = r.list("mlp_only_layers");
  const auto step = r.size("decoder_sparse_step", 1, 4096);
  std::vector<bool> moe;
  for (int i = 0; i < layers; ++i) moe.push_back(std::find(only.begin(), only.end(), i) == only.end() && (i + 1) % step == 0);
  return moe;
}

Layer layer_of(const Gqa& g, bool is_moe, const DenseFfn& dense, const Moe& moe, int norms = 2) {
  Layer layer{.attention = g, .dense = {}, .moe = {}, .norms = norms};
  if (is_moe)
    layer.moe = moe;
  else
    layer.dense = dense;
  return layer;
}

void read_mixtral(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  Gqa g = read_gqa(r, m, 32, 8);
  g.window = r.size_or_zero("sliding_window", 0, kLong);
  Moe moe{.experts = r.count("num_local_experts", 8), .top_k = r.count("num_experts_per_tok", 2)};
  moe.width = r.size("intermediate_size", 14336);
  for (int i = 0; i < layers; ++i) m.add(layer_of(g, true, {}, moe));
}

void read_qwen_moe(Reader& r, Model& m, bool qwen3) {
  read_common(r, m);
  const int layers = read_layers(r, 24);
  Gqa g = read_gqa(r, m, qwen3 ? 32 : 16, qwen3 ? 4 : 16);
  Moe moe{.experts = r.count("num_experts", qwen3 ? 128 : 60), .top_k = r.count("num_experts_per_tok", qwen3 ? 8 : 4)};
  moe.width = r.size("moe_intermediate_size", qwen3 ? 768 : 1408);
  if (qwen3) {
    g.qk_norm = QkNorm::per_head;
    g.qkv_bias = g.out_bias = r.flag("attention_bias", false);
  } else {
    g.qkv_bias = r.flag("qkv_bias", true);
    moe.shared_width = r.size("shared_expert_intermediate_size", 5632);
    moe.shared_gate = true;
  }
  r.refuse("use_sliding_window", r.flag("use_sliding_window", false), "a sliding window in MoE layers");
  const DenseFfn dense{r.size("intermediate_size", qwen3 ? 6144 : 5632)};
  for (const bool on : qwen_moe_layers(r, layers)) m.add(layer_of(g, on, dense, moe));
}
void read_qwen2_moe(Reader& r, Model& m) { read_qwen_moe(r, m, false); }
void read_qwen3_moe(Reader& r, Model& m) { read_qwen_moe(r, m, true); }

void read_gpt_oss(Reader& r, Model& m) {
  read_common(r, m);
  m.native_weights = "mxfp4";
  const int layers = read_layers(r, 36);
  Gqa g = read_gqa(r, m, 64, 8, 64);
  g.qkv_bias = g.out_bias = r.flag("attention_bias", true);
  g.sinks = true;
  Gqa windowed = g;
  windowed.window = r.size("sliding_window", 128, kLong);
  Moe moe{.experts = r.count("num_local_experts", 128), .top_k = int(r.size_of({"num_experts_per_tok", "experts_per_token"}, 4))};
  moe.width = r.size("intermediate_size", 2880);
  moe.router_bias = moe.expert_bias = true;
  auto full = read_layer_types(r, layers, "full_attention", "sliding_attention");
  for (int i = 0; i < layers; ++i) m.add(layer_of((full.empty() ? i % 2 == 1 : full[std::size_t(i)]) ? g : windowed, true, {}, moe));
}

void read_glm4_moe(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 46);
  Gqa g = read_gqa(r, m, 96, 8);
  g.qkv_bias = r.flag("attention_bias", false);  // modeling_glm4_moe.py: q, k and v only
  if (r.flag("use_qk_norm", false)) g.qk_norm = QkNorm::per_head;
  Moe moe{.experts = r.count("n_routed_experts", 128), .top_k = r.count("num_experts_per_tok", 8)};
  moe.width = r.size("moe_intermediate_size", 1408);
  moe.shared_width = moe.width * r.size_or_zero("n_shared_experts", 1, 1024);
  moe.router_bias = r.facts().router_bias.value_or(true);
  const DenseFfn dense{r.size("intermediate_size", 10944)};
  for (const bool on : read_moe_layers(r, layers, 1)) m.add(layer_of(g, on, dense, moe));
  m.mtp_count = r.facts().mtp.value_or(int(r.size_or_zero("num_nextn_predict_layers", 1, 64)));
  m.mtp_layers = {layer_of(g, true, dense, moe)};
}

// Grok-1 and Grok-2: four norms a layer; Grok-2 runs a dense FFN beside the experts.
void read_grok(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r);
  const Gqa g = read_gqa(r, m, {}, 0);
  Moe moe{.experts = int(r.size_of({"num_local_experts", "num_experts"}, {}, 1 << 16)), .top_k = r.count("num_experts_per_tok")};
  moe.width = r.size_of({"moe_intermediate_size", "intermediate_size"});
  Layer layer = layer_of(g, true, {}, moe, 4);
  if (r.flag("residual_moe", false)) layer.dense = DenseFfn{r.size("intermediate_size")};
  for (int i = 0; i < layers; ++i) m.add(layer);
}

// Llama 4: chunked attention but in every fourth layer; one shared expert as wide as a routed one.
void read_llama4(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 48);
  Gqa g = read_gqa(r, m, 40, 8, 128);
  g.qkv_bias = g.out_bias = r.flag("attention_bias", false);
  Gqa chunked = g;
  chunked.chunk = r.size("attention_chunk_size", 8192, kLong);
  Moe moe{.experts = r.count("num_local_experts", 16), .top_k = r.count("num_experts_per_tok", 1)};
  moe.width = moe.shared_width = r.size("intermediate_size", 8192);
  const DenseFfn dense{r.size("intermediate_size_mlp", 16384)};
  const auto step = r.size("interleave_moe_layer_step", 1, 4096);
  const auto listed = r.list("moe_layers"), nope = r.list("no_rope_layers");
  const auto interval = r.size("no_rope_layer_interval", 4, 4096);
  auto full = read_layer_types(r, layers, "full_attention", "chunked_attention");
  if (!nope.empty() && int(nope.size()) != layers)
    r.fail_at("no_rope_layers", "has a number of entries other than the layers", "one entry a layer");
  for (int i = 0; i < layers && !r.failed(); ++i) {
    const bool is_full = !full.empty() ? full[std::size_t(i)] : !nope.empty() ? nope[std::size_t(i)] == 0 : (i + 1) % interval == 0;
    const bool on = listed.empty() ? (i + 1) % step == 0 : std::find(listed.begin(), listed.end(), i) != listed.end();
    m.add(layer_of(is_full ? g : chunked, on, dense, moe));
  }
}

void read_minimax_m2(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 62);
  Gqa g = read_gqa(r, m, 48, 8, 128);
  const std::string kind = r.text("qk_norm_type", "per_layer");
  if (r.flag("use_qk_norm", true)) g.qk_norm = kind == "per_head" ? QkNorm::per_head : QkNorm::per_layer;
  if (kind != "per_layer" && kind != "per_head")
    r.fail_at("qk_norm_type", "'" + kind.substr(0, 40) + "' is not known", "per_layer or per_head");
  Moe moe{.experts = r.count("num_local_experts", 256), .top_k = r.count("num_experts_per_tok", 8)};
  moe.width = r.size("intermediate_size", 1536);
  moe.shared_width = r.size_or_zero("shared_intermediate_size");
  moe.router_bias = r.facts().router_bias.value_or(r.flag("use_routing_bias", true));
  for (int i = 0; i < layers; ++i) m.add(layer_of(g, true, {}, moe));
}

// MiniMax-M3: grouped-query attention over the blocks that a small indexer selects.
void read_minimax_m3(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 60);
  Gqa g = read_gqa(r, m, 64, 4, 128);
  if (r.flag("use_qk_norm", true)) g.qk_norm = QkNorm::per_head;
  r.refuse("attention_output_gate", r.flag("attention_output_gate", false), "an output gate");
  Reader s = r.inner("sparse_attention_config");
  Gqa sparse = g;
  sparse.index_heads = s.count("sparse_num_index_heads");
  sparse.index_dim = s.count("sparse_index_dim");
  sparse.index_tokens = s.size("sparse_topk_blocks") * s.size("sparse_block_size");
  const bool use = s.flag("use_sparse_attention", true);
  const auto where = s.list("sparse_attention_freq"), no_value = s.list("sparse_disable_index_value");
  if (int(where.size()) != layers)
    s.fail_at("sparse_attention_config.sparse_attention_freq", "has a number of entries other than the layers", "one entry a layer");
  for (std::size_t i = 0; i < std::min(where.size(), no_value.size()); ++i) {
    s.refuse("sparse_attention_config.sparse_disable_index_value", where[i] == 1 && no_value[i] == 0, "an index value path");
  }
  r.take_from(s);
  Moe moe{.experts = r.count("num_local_experts", 128), .top_k = r.count("num_experts_per_tok", 4)};
  moe.width = r.size_of({"moe_intermediate_size", "intermediate_size"}, 3072);
  moe.shared_width = r.size_or_zero("n_shared_experts", 0, 1024) * r.size_or_zero("shared_intermediate_size", moe.width);
  moe.router_bias = r.facts().router_bias.value_or(r.flag("use_routing_bias", true));
  const DenseFfn dense{r.size("dense_intermediate_size", 12288)};
  const auto on = read_moe_layers(r, layers, 0);
  for (int i = 0; i < layers && !r.failed(); ++i)
    m.add(layer_of(use && where[std::size_t(i)] == 1 ? sparse : g, on[std::size_t(i)], dense, moe));
}

// MiMo-V2: sliding layers with their own head shapes; keys wider than values.
void read_mimo(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 48);
  Gqa g = read_gqa(r, m, 64, 4, 192);
  g.v_dim = r.count("v_head_dim", 128, 1 << 14);
  g.sinks = r.flag("add_full_attention_sink_bias", false);
  Gqa windowed = g;
  windowed.heads = r.count("swa_num_attention_heads", g.heads);
  windowed.kv_heads = r.count("swa_num_key_value_heads", 8);
  windowed.k_dim = r.count("swa_head_dim", g.k_dim, 1 << 14);
  windowed.v_dim = r.count("swa_v_head_dim", g.v_dim, 1 << 14);
  windowed.window = r.size_of({"sliding_window", "sliding_window_size"}, {}, kLong);
  windowed.sinks = r.flag("add_swa_attention_sink_bias", true);
  r.refuse("attention_bias", r.flag("attention_bias", false), "an attention bias");
  Moe moe{.experts = r.count("n_routed_experts", 256), .top_k = r.count("num_experts_per_tok", 8)};
  moe.width = r.size("moe_intermediate_size", 2048);
  moe.shared_width = moe.width * r.size_or_zero("n_shared_experts", 0, 1024);
  moe.router_bias = r.facts().router_bias.value_or(true);
  const DenseFfn dense{r.size("intermediate_size", 16384)};
  const auto pattern = r.list("hybrid_layer_pattern");
  auto full = read_layer_types(r, layers, "full_attention", "sliding_attention");
  if (full.empty()) {
    for (const auto x : pattern) full.push_back(x == 0);
  }
  if (int(full.size()) != layers)
    r.fail_at("hybrid_layer_pattern", "has a number of entries other than the layers", "one entry a layer: 1 sliding, 0 full");
  const auto on = read_moe_layers(r, layers, 1);
  for (int i = 0; i < layers && !r.failed(); ++i) m.add(layer_of(full[std::size_t(i)] ? g : windowed, on[std::size_t(i)], dense, moe));
  m.mtp_count = r.facts().mtp.value_or(0);  // the config does not say how many the checkpoint carries
  m.mtp_layers = {layer_of(windowed, false, dense, moe)};
}

// Step-3.5 and 3.7: one scalar gate a head; sliding layers have more heads.
void read_step3p(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 45);
  Gqa g;
  g.heads = r.count("num_attention_heads", 64);
  g.kv_heads = int(r.size_of({"num_attention_groups", "num_key_value_heads"}, 8));
  g.k_dim = g.v_dim = r.count("head_dim", 128, 1 << 14);
  g.qk_norm = QkNorm::per_head;
  g.gate = Gate::per_head;
  Gqa windowed = g;
  windowed.window = r.size("sliding_window", {}, kLong);
  if (r.facts().swa_heads) {
    windowed.heads = *r.facts().swa_heads;
  } else {
    Reader other = r.inner("attention_other_setting");
    windowed.heads = other.count("num_attention_heads");
    windowed.kv_heads = int(other.size_of({"num_attention_groups", "num_key_value_heads"}, g.kv_heads));
    r.take_from(other);
  }
  if (!r.failed() && (g.heads % g.kv_heads != 0 || windowed.heads % windowed.kv_heads != 0)) {
    r.fail_at("num_attention_groups", "does not divide num_attention_heads", "KV heads that divide the heads");
  }
  Moe moe{.experts = int(r.size_of({"num_experts", "moe_num_experts", "n_routed_experts"}, 288)),
          .top_k = int(r.size_of({"num_experts_per_tok", "moe_top_k"}, 8))};
  moe.width = r.size("moe_intermediate_size", 1280);
  moe.shared_width = r.size_or_zero("share_expert_dim", moe.width);
  moe.router_bias = r.facts().router_bias.value_or(true);
  const DenseFfn dense{r.size("intermediate_size", 11264)};
  auto full = read_layer_types(r, layers, "full_attention", "sliding_attention");
  if (full.empty()) r.fail_at("layer_types", "is missing", "one entry a layer");
  const auto on = read_moe_layers(r, layers, 3);
  for (int i = 0; i < layers && !r.failed(); ++i) m.add(layer_of(full[std::size_t(i)] ? g : windowed, on[std::size_t(i)], dense, moe));
}

// Step-3: multi-matrix factorisation attention, one K and one V head.
void read_step3(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r);
  Gqa g;
  g.heads = r.count("num_attention_heads");
  g.kv_heads = int(r.size_of({"num_attention_groups", "num_key_value_heads"}, 1));
  g.k_dim = g.v_dim = r.count("head_dim", {}, 1 << 14);
  g.q_rank = r.count("share_q_dim");
  Moe moe{.experts = int(r.size_of({"moe_num_experts", "num_experts"})), .top_k = int(r.size_of({"moe_top_k", "num_experts_per_tok"}))};
  moe.width = r.size("moe_intermediate_size");
  moe.shared_width = r.size_or_zero("share_expert_dim");
  moe.router_bias = r.facts().router_bias.value_or(false);
  const DenseFfn dense{r.size("intermediate_size")};
  // The file holds a list of numbers or, in some checkpoints, the same as one comma-separated text.
  Reader probe = r;
  auto on = probe.list("moe_layers_enum");
  if (probe.failed() || on.empty()) r.fail_at("moe_layers_enum", "is not a list of layer numbers", "a list of layer numbers");
  for (int i = 0; i < layers && !r.failed(); ++i) m.add(layer_of(g, std::find(on.begin(), on.end(), i) != on.end(), dense, moe));
}

// Gemma 4: global layers with their own head shape; optionally a dense FFN and experts side by side.
void read_gemma4(Reader& r, Model& m) {
  read_common(r, m, true);
  const int layers = read_layers(r, 30);
  r.refuse("hidden_size_per_layer_input", r.size_or_zero("hidden_size_per_layer_input", 256) != 0, "per-layer input embeddings");
  r.refuse("num_kv_shared_layers", r.size_or_zero("num_kv_shared_layers", 0) != 0, "cross-layer KV sharing");
  r.refuse("use_double_wide_mlp", r.flag("use_double_wide_mlp", false), "a double-wide FFN");
  r.refuse("attention_bias", r.flag("attention_bias", false), "an attention bias");
  Gqa windowed = read_gqa(r, m, 8, 4, 256);
  windowed.qk_norm = QkNorm::per_head;
  Gqa global = windowed;
  windowed.window = r.size("sliding_window", 512, kLong);
  global.kv_heads = r.count("num_global_key_value_heads", windowed.kv_heads);
  global.k_dim = global.v_dim = r.count("global_head_dim", 512, 1 << 14);
  // K and V come from one projection, but K is normed and rotated and V is not: both are cached.
  global.no_v_proj = r.flag("attention_k_eq_v", false);
  if (!global.no_v_proj) global.kv_heads = windowed.kv_heads;  // modeling_gemma4.py: the global count holds for shared K = V only
  const DenseFfn dense{r.size("intermediate_size", 9216)};
  auto full = read_layer_types(r, layers, "full_attention", "sliding_attention");
  if (full.empty()) {
    for (int i = 0; i < layers; ++i) full.push_back((i + 1) % 6 == 0 || i + 1 == layers);
  }
  const bool on = r.flag("enable_moe_block", false);
  Moe moe;
  if (on) {
    moe = {.experts = int(r.size_of({"num_experts"})), .top_k = int(r.size_of({"top_k_experts", "num_experts_per_tok"}))};
    moe.width = r.size("moe_intermediate_size");
    moe.router_scales = true;
  }
  for (int i = 0; i < layers && !r.failed(); ++i) {
    Layer layer = layer_of(full[std::size_t(i)] ? global : windowed, on, dense, moe, on ? 7 : 4);
    layer.dense = dense;
    m.add(layer);
  }
}

constexpr Family kFamilies[] = {{"mixtral", read_mixtral},    {"qwen2_moe", read_qwen2_moe},   {"qwen3_moe", read_qwen3_moe},
                                {"gpt_oss", read_gpt_oss},    {"glm4_moe", read_glm4_moe},     {"grok-1", read_grok},
                                {"llama4_text", read_llama4}, {"minimax_m2", read_minimax_m2}, {"minimax_m3", read_minimax_m3},
                                {"mimo_v2_flash", read_mimo}, {"step3p5", read_step3p},        {"step3p7", read_step3p},
                                {"step3_text", read_step3},   {"gemma4_text", read_gemma4},    {"gemma4", read_gemma4}};

}  // namespace

std::span<const Family> moe_families() { return kFamilies; }

}  // namespace jevons::model
