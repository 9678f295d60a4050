// Hybrids of linear attention or state-space layers with full attention: Qwen3-Next and 3.5, Jamba, Nemotron-H, MiniMax-Text-01.
// Defaults of absent keys are those of the family's configuration class in transformers 5.23.
#include <algorithm>

#include "model/reader.hpp"

namespace jevons::model {
namespace {

void read_qwen_hybrid(Reader& r, Model& m) {
  const std::string& f = r.family();
  const bool next = f == "qwen3_next", moe_model = next || f.starts_with("qwen3_5_moe");
  read_common(r, m);
  const int layers = read_layers(r, next ? 48 : moe_model ? 40 : 32);
  Gqa g = read_gqa(r, m, 16, next || moe_model ? 2 : 4, 256);
  g.qk_norm = QkNorm::per_head;
  g.qkv_bias = g.out_bias = r.flag("attention_bias", false);
  g.gate = r.flag("attn_output_gate", true) ? Gate::full : Gate::none;
  const GatedDeltaNet lin{r.count("linear_num_key_heads", 16), r.count("linear_num_value_heads", 32), r.count("linear_key_head_dim", 128),
                          r.count("linear_value_head_dim", 128), r.count("linear_conv_kernel_dim", 4, 64)};
  if (!r.failed() && lin.v_heads % lin.k_heads != 0)
    r.fail_at("linear_num_value_heads", "is not a multiple of linear_num_key_heads", "a multiple");
  auto full = read_layer_types(r, layers, "full_attention", "linear_attention");
  if (full.empty()) {
    const auto every = r.size("full_attention_interval", 4, 4096);
    for (int i = 0; i < layers; ++i) full.push_back((i + 1) % every == 0);
  }
  Moe moe;
  DenseFfn dense;
  std::vector<bool> on(std::size_t(layers), moe_model);
  if (moe_model) {
    moe = {.experts = r.count("num_experts", next ? 512 : 256), .top_k = r.count("num_experts_per_tok", next ? 10 : 8)};
    moe.width = r.size("moe_intermediate_size", 512);
    moe.shared_width = r.size_or_zero("shared_expert_intermediate_size", 512);
    moe.shared_gate = moe.shared_width > 0;
    const auto only = r.list("mlp_only_layers");
    const auto step = r.size("decoder_sparse_step", 1, 4096);
    for (int i = 0; i < layers; ++i) on[std::size_t(i)] = std::find(only.begin(), only.end(), i) == only.end() && (i + 1) % step == 0;
    if (next || !only.empty()) dense.width = r.size("intermediate_size", 5632);
  } else {
    dense.width = r.size("intermediate_size", 12288);
  }
  const auto make = [&](bool is_full, bool is_moe) {
    Layer layer{.attention = is_full ? Attention(g) : Attention(lin), .dense = {}, .moe = {}};
    if (is_moe)
      layer.moe = moe;
    else
      layer.dense = dense;
    return layer;
  };
  for (int i = 0; i < layers && !r.failed(); ++i) m.add(make(full[std::size_t(i)], on[std::size_t(i)]));
  // Qwen3-Next checkpoints carry one MTP module that the config does not mention.
  m.mtp_count = r.facts().mtp.value_or(next ? 1 : int(r.size_or_zero("mtp_num_hidden_layers", 0, 64)));
  m.mtp_layers = {make(true, moe_model)};
}

void read_jamba(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  const Gqa g = read_gqa(r, m, 32, 8);
  Mamba1 s;
  s.inner = int(r.size("mamba_expand", 2, 64) * m.hidden);
  s.state = r.count("mamba_d_state", 16);
  s.conv = r.count("mamba_d_conv", 4, 64);
  Reader probe = r;  // "auto" or a number
  s.dt_rank = probe.text("mamba_dt_rank", "auto") == "auto" && !probe.failed() ? int((m.hidden + 15) / 16) : r.count("mamba_dt_rank");
  s.conv_bias = r.flag("mamba_conv_bias", true);
  s.proj_bias = r.flag("mamba_proj_bias", false);
  s.inner_norms = true;
  const auto attn_period = r.size("attn_layer_period", 8, 4096), attn_offset = r.size_or_zero("attn_layer_offset", 4, 4096);
  const auto moe_period = r.size("expert_layer_period", 2, 4096), moe_offset = r.size_or_zero("expert_layer_offset", 1, 4096);
  Moe moe{.experts = r.count("num_experts", 16), .top_k = r.count("num_experts_per_tok", 2)};
  moe.width = r.size("intermediate_size", 14336);
  for (int i = 0; i < layers; ++i) {
    Layer layer{.attention = i % attn_period == attn_offset ? Attention(g) : Attention(s), .dense = {}, .moe = {}};
    if (i % moe_period == moe_offset && moe.experts > 1)
      layer.moe = moe;
    else
      layer.dense = DenseFfn{moe.width};
    m.add(layer);
  }
}

enum class Block { mamba, attention, mlp, moe };

// One mixer a block: "M*-E" in hybrid_override_pattern, or names in layers_block_type / layer_types.
std::vector<Block> read_blocks(Reader& r, std::string_view pattern_key, std::string_view list_key) {
  std::vector<Block> blocks;
  for (const char c : r.text(pattern_key, "")) {
    switch (c) {
      case 'M':
        blocks.push_back(Block::mamba);
        break;
      case '*':
        blocks.push_back(Block::attention);
        break;
      case '-':
        blocks.push_back(Block::mlp);
        break;
      case 'E':
        blocks.push_back(Block::moe);
        break;
      default:
        r.fail_at(pattern_key, std::string("holds '") + c + "'", "letters M, *, - and E");
    }
  }
  if (!blocks.empty()) return blocks;
  for (const auto& w : r.words(list_key)) {
    if (w == "mamba" || w == "linear_attention")
      blocks.push_back(Block::mamba);
    else if (w == "attention" || w == "full_attention")
      blocks.push_back(Block::attention);
    else if (w == "mlp")
      blocks.push_back(Block::mlp);
    else if (w == "moe")
      blocks.push_back(Block::moe);
    else
      r.fail_at(list_key, "holds '" + w.substr(0, 40) + "'", "mamba, attention, mlp or moe");
  }
  return blocks;
}

void read_nemotron_h(Reader& r, Model& m) {
  read_common(r, m);
  Gqa g;
  g.heads = r.count("num_attention_heads", 32);
  g.kv_heads = r.count("num_key_value_heads", 8);
  g.k_dim = g.v_dim = int(r.size_of({"head_dim", "attention_head_dim"}, 128, 1 << 14));
  if (!r.failed() && g.heads % g.kv_heads != 0)
    r.fail_at("num_key_value_heads", "does not divide num_attention_heads", "KV heads that divide the heads");
  r.refuse("attention_bias", r.flag("attention_bias", false), "an attention bias");
  g.window = r.size_or_zero("sliding_window", 0, std::int64_t{1} << 40);
  Mamba2 s{r.count("mamba_num_heads", 128), r.count("mamba_head_dim", 64), r.count("ssm_state_size", 128), r.count("n_groups", 8),
           r.count("conv_kernel", 4, 64)};
  s.conv_bias = r.flag("use_conv_bias", true);
  s.proj_bias = r.flag("use_bias", false) || r.flag("mamba_proj_bias", false);
  DenseFfn dense{.width = 0, .matrices = 2, .bias = r.flag("mlp_bias", false)};
  Moe moe;
  const auto blocks = read_blocks(r, "hybrid_override_pattern", r.has("layers_block_type") ? "layers_block_type" : "layer_types");
  const auto draft = read_blocks(r, "mtp_hybrid_override_pattern", "mtp_layers_block_type");
  const auto holds = [&](Block b) { return std::find(blocks.begin(), blocks.end(), b) != blocks.end(); };
  if (blocks.empty()) r.fail_at("hybrid_override_pattern", "is missing", "a pattern such as M-M*E, or layers_block_type");
  if (r.has("num_hidden_layers") && r.size("num_hidden_layers", 1, 4096) != std::int64_t(blocks.size())) {
    r.fail_at("num_hidden_layers", "differs from the length of the block pattern", "one entry a block");
  }
  if (holds(Block::mlp)) dense.width = r.size("intermediate_size", 21504);
  if (holds(Block::moe)) {
    moe = {.experts = r.count("n_routed_experts", 8), .top_k = r.count("num_experts_per_tok", 2)};
    moe.width = r.size("moe_intermediate_size", 7688);
    moe.matrices = 2;
    moe.shared_width = r.size_or_zero("moe_shared_expert_intermediate_size", 7688) * r.size_or_zero("n_shared_experts", 1, 1024);
    moe.latent = r.size_or_zero("moe_latent_size", 0, 1 << 18);
    moe.router_bias = r.facts().router_bias.value_or(true);
  }
  const auto make = [&](Block b) {
    Layer layer{.attention = {}, .dense = {}, .moe = {}, .norms = 1};
    if (b == Block::mamba) layer.attention = s;
    if (b == Block::attention) layer.attention = g;
    if (b == Block::mlp) layer.dense = dense;
    if (b == Block::moe) layer.moe = moe;
    return layer;
  };
  for (const auto b : blocks) m.add(make(b));
  for (const auto b : draft) m.mtp_layers.push_back(make(b));
  m.mtp_count = m.mtp_layers.empty() ? 0 : r.facts().mtp.value_or(int(r.size_or_zero("num_nextn_predict_layers", 0, 64)));
}

// MiniMax-Text-01 and M1: lightning attention, softmax attention where attn_type_list is 1.
void read_minimax_text(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, r.family() == "minimax" ? std::optional<std::int64_t>(32) : std::nullopt);
  const Gqa g = read_gqa(r, m, 32, 8);
  const Lightning lin{g.heads, g.k_dim};
  auto full = read_layer_types(r, layers, "full_attention", "linear_attention");
  if (full.empty()) {
    for (const auto x : r.list("attn_type_list")) full.push_back(x == 1);
  }
  if (full.empty() && r.family() == "minimax") {
    for (int i = 0; i < layers; ++i) full.push_back(i % 2 == 0);
  }
  if (int(full.size()) != layers)
    r.fail_at("attn_type_list", "has a number of entries other than the layers", "one entry a layer: 1 softmax, 0 lightning");
  Moe moe{.experts = r.count("num_local_experts", 8), .top_k = r.count("num_experts_per_tok", 2)};
  moe.width = r.size("intermediate_size", 14336);
  moe.shared_width = r.size_or_zero("shared_intermediate_size");
  for (int i = 0; i < layers && !r.failed(); ++i)
    m.add({.attention = full[std::size_t(i)] ? Attention(g) : Attention(lin), .dense = {}, .moe = moe});
}

constexpr Family kFamilies[] = {{"qwen3_next", read_qwen_hybrid},       {"qwen3_5", read_qwen_hybrid},
                                {"qwen3_5_text", read_qwen_hybrid},     {"qwen3_5_moe", read_qwen_hybrid},
                                {"qwen3_5_moe_text", read_qwen_hybrid}, {"jamba", read_jamba},
                                {"nemotron_h", read_nemotron_h},        {"minimax_text_01", read_minimax_text},
                                {"minimax_m1", read_minimax_text},      {"minimax", read_minimax_text}};

}  // namespace

std::span<const Family> hybrid_families() { return kFamilies; }

}  // namespace jevons::model
