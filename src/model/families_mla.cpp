// Latent-attention families: DeepSeek V2 to V4, Kimi, GLM-5, Mistral-Large-3, LongCat, Kimi-Linear. Defaults of absent keys are those
// of the family's configuration class in transformers 5.23.
#include <algorithm>

#include "model/reader.hpp"

namespace jevons::model {
namespace {

Mla read_mla(Reader& r, std::optional<std::int64_t> q_rank_fallback, int heads_fallback) {
  Mla a;
  a.heads = r.count("num_attention_heads", heads_fallback);
  // null means no low-rank query; absent means the class default.
  a.q_rank = r.absent("q_lora_rank") ? int(q_rank_fallback.value_or(0)) : int(r.size_or_zero("q_lora_rank", 0, 1 << 18));
  a.kv_rank = r.count("kv_lora_rank", 512);
  a.nope = r.count("qk_nope_head_dim", 128);
  a.rope = r.count("qk_rope_head_dim", 64);
  a.v_dim = r.count("v_head_dim", 128);
  r.refuse("attention_bias", r.flag("attention_bias", false), "an attention bias");
  return a;
}

// top_k 0: the class has no default.
Moe read_deepseek_moe(Reader& r, int experts, int top_k, int width, int shared, bool router_bias) {
  Moe moe{.experts = int(r.size_of({"n_routed_experts", "num_experts"}, experts)),
          .top_k = int(
              r.size_of({"num_experts_per_tok", "num_experts_per_token"}, top_k > 0 ? std::optional<std::int64_t>(top_k) : std::nullopt))};
  moe.width = r.size("moe_intermediate_size", width);
  moe.shared_width = moe.width * (r.has("num_shared_experts")    ? r.size_or_zero("num_shared_experts", 0, 1024)
                                  : r.absent("n_shared_experts") ? shared
                                                                 : r.size_or_zero("n_shared_experts", 0, 1024));
  moe.router_bias = r.facts().router_bias.value_or(router_bias);
  return moe;
}

Layer layer_of(const Attention& a, bool is_moe, const DenseFfn& dense, const Moe& moe) {
  Layer layer{.attention = a, .dense = {}, .moe = {}};
  if (is_moe)
    layer.moe = moe;
  else
    layer.dense = dense;
  return layer;
}

void read_deepseek_v2(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  const Mla a = read_mla(r, 1536, 32);
  Moe moe = read_deepseek_moe(r, 64, 0, 1407, 2, false);
  const DenseFfn dense{r.size("intermediate_size", 11008)};
  for (const bool on : read_moe_layers(r, layers, 0)) m.add(layer_of(a, on, dense, moe));
}

void read_deepseek_v3(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 61);
  const Mla a = read_mla(r, 1536, 128);
  // Mistral-Large-3 ships this configuration under its own class, whose router has no correction bias.
  const auto& arch = r.architectures();
  const bool mistral = std::find(arch.begin(), arch.end(), "MistralLarge3ForCausalLM") != arch.end();
  const Moe moe = read_deepseek_moe(r, 256, 8, 2048, 1, !mistral);
  const DenseFfn dense{r.size("intermediate_size", 18432)};
  for (const bool on : read_moe_layers(r, layers, 3)) m.add(layer_of(a, on, dense, moe));
  m.mtp_count = r.facts().mtp.value_or(int(r.size_or_zero("num_nextn_predict_layers", 0, 64)));
  m.mtp_layers = {layer_of(a, true, dense, moe)};
  if (r.has("quantization_config")) m.native_weights = "fp8";
}

// V3.2 and GLM-5: an indexer in front of latent attention; GLM-5.2 shares selections between layers.
void read_dsa(Reader& r, Model& m) {
  const bool glm = r.family() == "glm_moe_dsa";
  read_common(r, m);
  const int layers = read_layers(r, glm ? 78 : 61);
  Mla a = read_mla(r, glm ? 2048 : 1536, glm ? 64 : 128);
  if (glm) {  // the class defaults of GLM-5 differ from DeepSeek's
    a.nope = r.count("qk_nope_head_dim", 192);
    a.v_dim = r.count("v_head_dim", 256);
  }
  Indexer index{r.count("index_n_heads", glm ? 32 : 64), r.count("index_head_dim", 128), r.size("index_topk", 2048), true};
  a.indexer = index;
  Mla sharing = a;
  sharing.indexer->own = false;
  const Moe moe = read_deepseek_moe(r, 256, 8, 2048, 1, true);
  const DenseFfn dense{r.size("intermediate_size", glm ? 12288 : 18432)};
  const auto own = read_layer_types(r, layers, "full", "shared", "indexer_types");
  const auto on = read_moe_layers(r, layers, 3);
  for (int i = 0; i < layers && !r.failed(); ++i) {
    m.add(layer_of(own.empty() || own[std::size_t(i)] ? a : sharing, on[std::size_t(i)], dense, moe));
  }
  m.mtp_count = r.facts().mtp.value_or(int(r.size_or_zero("num_nextn_predict_layers", 0, 64)));
  m.mtp_layers = {layer_of(a, true, dense, moe)};
  if (r.has("quantization_config")) m.native_weights = "fp8";
}

void read_deepseek_v4(Reader& r, Model& m) {
  read_common(r, m);
  m.native_weights = r.text("expert_dtype", "fp4") == "fp4" ? "v4" : "fp8";
  const int layers = read_layers(r, 43);
  Csa a;
  a.heads = r.count("num_attention_heads", 64);
  a.dim = r.count("head_dim", 512);
  if (r.size("num_key_value_heads", 1) != 1) r.fail_at("num_key_value_heads", "is not 1", "one shared K = V head in this family");
  a.q_rank = r.count("q_lora_rank", 1024);
  a.o_rank = r.count("o_lora_rank", 1024);
  a.o_groups = r.count("o_groups", 8);
  if (!r.failed() && a.heads % a.o_groups != 0) r.fail_at("o_groups", "does not divide num_attention_heads", "a divisor of the heads");
  a.rope = r.count("qk_rope_head_dim", 64);
  if (!r.failed() && a.rope >= a.dim) r.fail_at("qk_rope_head_dim", "is not below head_dim", "less than head_dim");
  a.window = r.size("sliding_window", 128, std::int64_t{1} << 40);
  const Indexer index{r.count("index_n_heads", 64), r.count("index_head_dim", 128), r.size("index_topk", 512), true};
  r.refuse("attention_bias", r.flag("attention_bias", false), "an attention bias");
  Moe moe = read_deepseek_moe(r, 256, 6, 2048, 1, true);
  const auto hash_layers = r.size_or_zero("num_hash_layers", 3, 4096);
  m.streams = r.count("hc_mult", 4, 64);
  const auto ratios = r.list("compress_ratios");
  if (int(ratios.size()) < layers) {
    r.fail_at("compress_ratios", "has fewer entries than layers", "one entry a layer: 0, 4 or 128",
              "the default pattern differs between checkpoints, so it must be stated");
  }
  for (int i = 0; i < layers && !r.failed(); ++i) {
    const auto ratio = ratios[std::size_t(i)];
    if (ratio != 0 && ratio != 4 && ratio != 128) r.fail_at("compress_ratios", "holds a ratio other than 0, 4 and 128", "0, 4 or 128");
    Csa mine = a;
    mine.ratio = int(ratio);
    if (ratio == 4) mine.indexer = index;
    Moe own = moe;
    own.router_bias = moe.router_bias && i >= hash_layers;  // hash-routed layers pick by token id and carry no bias
    m.add({.attention = mine, .dense = {}, .moe = own, .norms = 2, .streams = m.streams});
  }
  m.mtp_count = r.facts().mtp.value_or(int(r.size_or_zero("num_nextn_predict_layers", 1, 64)));
  m.mtp_layers = {Layer{.attention = a, .dense = {}, .moe = moe, .norms = 2, .streams = m.streams}};
}

// LongCat-Flash: a layer holds two attention blocks with a dense FFN each and one MoE whose router may pick experts that cost nothing.
void read_longcat(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = r.count("num_layers", 28, 2048);
  const Mla a = read_mla(r, 1536, 64);
  const DenseFfn dense{r.size("ffn_hidden_size", 12288)};
  Moe moe{.experts = r.count("n_routed_experts", 512), .top_k = r.count("moe_topk", 12)};
  moe.width = r.size("expert_ffn_hidden_size", 2048);
  moe.zero_experts = int(r.size_or_zero("zero_expert_num", 256, 1 << 16));
  moe.router_bias = true;  // modeling_longcat_flash.py: e_score_correction_bias over all outputs
  if (moe.zero_experts > 0) {
    // Uniform over the router's outputs unless a published average says otherwise.
    moe.real_top_k = r.facts().real_top_k.value_or(double(moe.top_k) * moe.experts / (moe.experts + moe.zero_experts));
  }
  for (int i = 0; i < layers; ++i) {
    m.add({.attention = a, .dense = dense, .moe = moe});
    m.add({.attention = a, .dense = dense, .moe = {}});
  }
}

// Kimi-Linear and Kimi-K3: delta-attention layers, and latent attention where linear_attn_config (counting from 1) says so.
void read_kimi_linear(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 27);
  Mla a = read_mla(r, {}, 32);
  a.gate = r.flag("mla_use_output_gate", false);
  Reader lin = r.inner("linear_attn_config");
  KimiDelta k{lin.count("num_heads"), lin.count("head_dim", {}, 1 << 14), lin.count("short_conv_kernel_size", 4, 64), 0,
              lin.flag("use_full_rank_gate", false)};
  const auto full = lin.list("full_attn_layers");
  r.take_from(lin);
  // Checkpoints of the full-rank variant store A_log padded to the head size (Kimi-K3: 128 for 96 heads).
  k.a_log = k.full_gate ? std::max(k.heads, k.dim) : k.heads;
  Moe moe = read_deepseek_moe(r, 256, 8, 1024, 1, true);
  moe.latent = r.size_or_zero("routed_expert_hidden_size", 0, 1 << 18);
  moe.latent_norm = moe.latent > 0 && r.flag("latent_moe_use_norm", false);
  const DenseFfn dense{r.size("intermediate_size", 9216)};
  m.attention_residual = r.has("attn_res_block_size");
  const auto on = read_moe_layers(r, layers, 1);
  for (int i = 0; i < layers && !r.failed(); ++i) {
    const bool is_full = std::find(full.begin(), full.end(), i + 1) != full.end();
    Layer layer = layer_of(is_full ? Attention(a) : Attention(k), on[std::size_t(i)], dense, moe);
    layer.attention_residual = m.attention_residual;
    m.add(layer);
  }
}

constexpr Family kFamilies[] = {{"deepseek_v2", read_deepseek_v2}, {"deepseek_v3", read_deepseek_v3}, {"kimi_k2", read_deepseek_v3},
                                {"deepseek_v32", read_dsa},        {"glm_moe_dsa", read_dsa},         {"deepseek_v4", read_deepseek_v4},
                                {"longcat_flash", read_longcat},   {"kimi_linear", read_kimi_linear}};

}  // namespace

std::span<const Family> mla_families() { return kFamilies; }

}  // namespace jevons::model
