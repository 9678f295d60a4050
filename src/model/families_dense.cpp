// Dense families: Llama, Mistral, Qwen2/3, Gemma 2/3, Phi-3, OLMo-2. Defaults of absent keys are those of the family's configuration
// class in transformers 5.23 (configuration_*.py).
#include "model/reader.hpp"

namespace jevons::model {
namespace {

void add_layers(Model& m, int layers, const Gqa& full, const Gqa& windowed, const std::vector<bool>& is_full, const DenseFfn& ffn,
                int norms) {
  for (int i = 0; i < layers; ++i) {
    const bool f = is_full.empty() || is_full[std::size_t(i)];
    m.add({.attention = f ? full : windowed, .dense = ffn, .moe = {}, .norms = norms});
  }
}

void read_llama(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  Gqa g = read_gqa(r, m, 32);
  g.qkv_bias = g.out_bias = r.flag("attention_bias", false);
  const DenseFfn ffn{r.size("intermediate_size", 11008), 3, r.flag("mlp_bias", false)};
  add_layers(m, layers, g, g, {}, ffn, 2);
}

void read_mistral(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  Gqa g = read_gqa(r, m, 32, 8);
  // Every layer slides. The class default is 4096; null in the file means none (Mistral-7B v0.2 on).
  g.window = r.absent("sliding_window") && r.family() == "mistral" ? 4096 : r.size_or_zero("sliding_window", 0, std::int64_t{1} << 40);
  const DenseFfn ffn{r.size("intermediate_size", 14336)};
  add_layers(m, layers, g, g, {}, ffn, 2);
}

// Qwen2 and Qwen3: layers from max_window_layers on slide when use_sliding_window is on.
void read_qwen_dense(Reader& r, Model& m, bool qwen3) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  Gqa g = read_gqa(r, m, 32, 0, qwen3 ? std::optional<std::int64_t>(128) : std::nullopt);
  if (qwen3) {
    g.qk_norm = QkNorm::per_head;
    g.qkv_bias = g.out_bias = r.flag("attention_bias", false);
  } else {
    g.qkv_bias = true;  // modeling_qwen2.py: q, k and v carry a bias, o does not
  }
  Gqa windowed = g;
  std::vector<bool> full = read_layer_types(r, layers, "full_attention", "sliding_attention");
  if (r.flag("use_sliding_window", false)) {
    windowed.window = r.size("sliding_window", 4096, std::int64_t{1} << 40);
    const auto first = r.size_or_zero("max_window_layers", 28, 4096);
    if (full.empty()) {
      for (int i = 0; i < layers; ++i) full.push_back(i < first);
    }
  } else {
    full.clear();
  }
  add_layers(m, layers, g, windowed, full, DenseFfn{r.size("intermediate_size", 22016)}, 2);
}
void read_qwen2(Reader& r, Model& m) { read_qwen_dense(r, m, false); }
void read_qwen3(Reader& r, Model& m) { read_qwen_dense(r, m, true); }

// Gemma 2 alternates, Gemma 3 has one full layer in sliding_window_pattern; four norms a layer, tied embeddings.
void read_gemma(Reader& r, Model& m, int pattern, bool qk_norm) {
  read_common(r, m, true);
  const int layers = read_layers(r, 26);
  Gqa g = read_gqa(r, m, 8, 4, 256);
  g.qkv_bias = g.out_bias = r.flag("attention_bias", false);
  if (qk_norm) g.qk_norm = QkNorm::per_head;
  Gqa windowed = g;
  windowed.window = r.size("sliding_window", 4096, std::int64_t{1} << 40);
  std::vector<bool> full = read_layer_types(r, layers, "full_attention", "sliding_attention");
  if (full.empty()) {
    const auto every = r.size_of({"sliding_window_pattern", "_sliding_window_pattern"}, pattern, 4096);
    for (int i = 0; i < layers; ++i) full.push_back((i + 1) % every == 0);
  }
  add_layers(m, layers, g, windowed, full, DenseFfn{r.size("intermediate_size", 9216)}, 4);
}
void read_gemma2(Reader& r, Model& m) { read_gemma(r, m, 2, false); }
void read_gemma3(Reader& r, Model& m) { read_gemma(r, m, 6, true); }

void read_phi3(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  Gqa g = read_gqa(r, m, 32);
  g.window = r.size_or_zero("sliding_window", 0, std::int64_t{1} << 40);
  add_layers(m, layers, g, g, {}, DenseFfn{r.size("intermediate_size", 8192)}, 2);
}

void read_olmo2(Reader& r, Model& m) {
  read_common(r, m);
  const int layers = read_layers(r, 32);
  Gqa g = read_gqa(r, m, 32);
  g.qkv_bias = g.out_bias = r.flag("attention_bias", false);
  g.qk_norm = QkNorm::per_layer;
  add_layers(m, layers, g, g, {}, DenseFfn{r.size("intermediate_size", 11008)}, 2);
}

constexpr Family kFamilies[] = {{"llama", read_llama}, {"mistral", read_mistral}, {"ministral3", read_mistral}, {"qwen2", read_qwen2},
                                {"qwen3", read_qwen3}, {"gemma2", read_gemma2},   {"gemma3_text", read_gemma3}, {"gemma3", read_gemma3},
                                {"phi3", read_phi3},   {"olmo2", read_olmo2}};

}  // namespace

std::span<const Family> dense_families() { return kFamilies; }

}  // namespace jevons::model
