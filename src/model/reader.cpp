#include "model/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace jevons::model {

using Json = nlohmann::json;

Reader::Reader(const Json& config, std::string_view file, std::string family, const Facts& facts)
    : config_{&config}, file_{file}, family_{std::move(family)}, facts_{&facts} {
  if (const auto* a = find("architectures"); a != nullptr && a->is_array()) {
    for (const auto& name : *a) {
      if (name.is_string()) architectures_.push_back(name.get<std::string>());
    }
  }
}

const Json* Reader::find(std::string_view key) const {
  const auto it = config_->find(key);
  return it == config_->end() || it->is_null() ? nullptr : &*it;
}

bool Reader::has(std::string_view key) const { return find(key) != nullptr; }

void Reader::fail_at(std::string_view key, std::string what, std::string expected, std::string hint) {
  if (!error_) error_ = Error{ErrorCode::bad_input, file_, 0, std::string(key), std::move(what), std::move(expected), std::move(hint)};
}

void Reader::refuse(std::string_view key, bool on, std::string_view why) {
  if (!on || error_) return;
  error_ = Error{ErrorCode::unsupported,
                 file_,
                 0,
                 std::string(key),
                 fmt::format("is switched on, and {} of family {} is not accounted for", why, family_),
                 "the switch off or absent",
                 "numbers without it would be wrong, so there are none"};
}

std::int64_t Reader::size_or_zero(std::string_view key, std::int64_t fallback, std::int64_t limit) {
  const Json* v = find(key);
  if (v == nullptr) return fallback;
  const std::string shown = v->dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60);
  const std::string wanted = fmt::format("a whole number from 0 to {}", limit);
  if (v->is_number_float()) {  // 1e3 and 4096.0 are whole numbers too
    const double d = v->get<double>();
    if (d == std::floor(d) && d >= 0 && d <= double(limit)) return std::int64_t(d);
  }
  if (!v->is_number_integer()) {
    fail_at(key, fmt::format("{} is not a whole number", shown), wanted);
    return fallback;
  }
  if (v->is_number_unsigned() ? v->get<std::uint64_t>() > std::uint64_t(limit) : v->get<std::int64_t>() < 0) {
    fail_at(key, fmt::format("{} is out of range", shown), wanted);
    return fallback;
  }
  return v->get<std::int64_t>();
}

std::int64_t Reader::size(std::string_view key, std::optional<std::int64_t> fallback, std::int64_t limit) {
  if (!has(key)) {
    if (!fallback) {
      fail_at(key, "is missing", fmt::format("a whole number from 1 to {}", limit),
              fmt::format("a config of family {} must state it", family_));
    }
    return fallback.value_or(1);
  }
  const std::int64_t v = size_or_zero(key, 1, limit);
  if (v == 0) fail_at(key, "is 0", fmt::format("a whole number from 1 to {}", limit));
  return std::max<std::int64_t>(v, 1);
}

std::int64_t Reader::size_of(std::initializer_list<std::string_view> keys, std::optional<std::int64_t> fallback, std::int64_t limit) {
  for (const auto k : keys) {
    if (has(k)) return size(k, {}, limit);
  }
  return size(*keys.begin(), fallback, limit);
}

bool Reader::flag(std::string_view key, bool fallback) {
  const Json* v = find(key);
  if (v == nullptr) return fallback;
  if (v->is_boolean()) return v->get<bool>();
  if (v->is_number_integer() && (*v == 0 || *v == 1)) return *v == 1;
  fail_at(key, fmt::format("{} is neither true nor false", v->dump(-1, ' ', true, Json::error_handler_t::replace).substr(0, 60)),
          "true or false");
  return fallback;
}

std::string Reader::text(std::string_view key, std::string_view fallback) {
  const Json* v = find(key);
  if (v == nullptr) return std::string(fallback);
  if (v->is_string()) return v->get<std::string>();
  fail_at(key, "is not text", "a string");
  return std::string(fallback);
}

std::vector<std::int64_t> Reader::list(std::string_view key) {
  const Json* v = find(key);
  std::vector<std::int64_t> out;
  if (v == nullptr) return out;
  if (!v->is_array()) {
    fail_at(key, "is not a list", "a list of whole numbers");
    return out;
  }
  for (const auto& x : *v) {
    if (x.is_boolean()) {
      out.push_back(x.get<bool>() ? 1 : 0);
    } else if (x.is_number_integer() && !(x.is_number_unsigned() && x.get<std::uint64_t>() > (1ull << 40))) {
      out.push_back(x.get<std::int64_t>());
    } else {
      fail_at(key, "holds something other than whole numbers", "a list of whole numbers");
      return {};
    }
  }
  return out;
}

std::vector<std::string> Reader::words(std::string_view key) {
  const Json* v = find(key);
  std::vector<std::string> out;
  if (v == nullptr) return out;
  if (!v->is_array()) {
    fail_at(key, "is not a list", "a list of names");
    return out;
  }
  for (const auto& x : *v) {
    if (!x.is_string()) {
      fail_at(key, "holds something other than names", "a list of names");
      return {};
    }
    out.push_back(x.get<std::string>());
  }
  return out;
}

Reader Reader::inner(std::string_view key) {
  static const Json kEmpty = Json::object();
  const Json* v = find(key);
  if (v == nullptr || !v->is_object()) {
    fail_at(key, v == nullptr ? "is missing" : "is not an object", "an object");
    v = &kEmpty;
  }
  return Reader(*v, file_, family_, *facts_);
}

void Reader::take_from(const Reader& other) {
  if (!error_ && other.error_) error_ = other.error_;
}

namespace {

// hidden_size and vocab_size of the configuration classes in transformers 5.23. Families without a row live outside transformers
// and must state theirs.
struct ClassSizes {
  std::string_view family;
  std::int64_t hidden, vocab;
};
constexpr ClassSizes kClassSizes[] = {{"llama", 4096, 32000},
                                      {"mistral", 4096, 32000},
                                      {"ministral3", 4096, 131072},
                                      {"mixtral", 4096, 32000},
                                      {"qwen2", 4096, 151936},
                                      {"qwen2_moe", 2048, 151936},
                                      {"qwen3", 4096, 151936},
                                      {"qwen3_moe", 2048, 151936},
                                      {"qwen3_next", 2048, 151936},
                                      {"qwen3_5", 4096, 248320},
                                      {"qwen3_5_text", 4096, 248320},
                                      {"qwen3_5_moe", 2048, 248320},
                                      {"qwen3_5_moe_text", 2048, 248320},
                                      {"deepseek_v2", 4096, 102400},
                                      {"deepseek_v3", 7168, 129280},
                                      {"deepseek_v32", 7168, 129280},
                                      {"deepseek_v4", 4096, 129280},
                                      {"glm4_moe", 4096, 151552},
                                      {"glm_moe_dsa", 6144, 154880},
                                      {"gemma2", 2304, 256000},
                                      {"gemma3", 2304, 262208},
                                      {"gemma3_text", 2304, 262208},
                                      {"gemma4", 2304, 262144},
                                      {"gemma4_text", 2304, 262144},
                                      {"gpt_oss", 2880, 201088},
                                      {"jamba", 4096, 65536},
                                      {"llama4_text", 5120, 202048},
                                      {"longcat_flash", 6144, 131072},
                                      {"minimax", 4096, 32000},
                                      {"minimax_m2", 3072, 200064},
                                      {"nemotron_h", 4096, 131072},
                                      {"phi3", 3072, 32064},
                                      {"olmo2", 4096, 50304},
                                      {"kimi_linear", 2304, 163840},
                                      {"step3p5", 4096, 128815},
                                      {"mimo_v2_flash", 4096, 152576}};

}  // namespace

void read_common(Reader& r, Model& m, bool tied_by_default) {
  const auto sizes =
      std::find_if(std::begin(kClassSizes), std::end(kClassSizes), [&](const ClassSizes& c) { return c.family == r.family(); });
  const bool known = sizes != std::end(kClassSizes);
  m.hidden = r.size("hidden_size", known ? std::optional(sizes->hidden) : std::nullopt, 1 << 18);
  m.vocab = r.size("vocab_size", known ? std::optional(sizes->vocab) : std::nullopt, 1 << 26);
  m.tied = r.flag("tie_word_embeddings", tied_by_default);
  m.max_context = r.size_or_zero("max_position_embeddings", 0, std::int64_t{1} << 40);
}

int read_layers(Reader& r, std::optional<std::int64_t> fallback) { return r.count("num_hidden_layers", fallback, 4096); }

Gqa read_gqa(Reader& r, const Model& m, std::optional<std::int64_t> heads, std::int64_t kv_fallback, std::optional<std::int64_t> dim) {
  Gqa g;
  g.heads = r.count("num_attention_heads", heads);
  g.kv_heads = r.count("num_key_value_heads", kv_fallback == 0 ? g.heads : kv_fallback);
  if (!r.failed() && g.heads % g.kv_heads != 0) {
    r.fail_at("num_key_value_heads", fmt::format("{} does not divide num_attention_heads {}", g.kv_heads, g.heads),
              "KV heads that divide the heads");
  }
  if (r.has("head_dim") || dim) {
    g.k_dim = r.count("head_dim", dim, 1 << 14);
  } else if (m.hidden % g.heads != 0) {
    r.fail_at("num_attention_heads", fmt::format("{} heads do not divide hidden_size {}", g.heads, m.hidden),
              "a divisor, or head_dim stated");
  } else {
    g.k_dim = int(m.hidden / g.heads);
  }
  g.v_dim = g.k_dim;
  return g;
}

std::vector<bool> read_layer_types(Reader& r, int layers, std::string_view full, std::string_view other, std::string_view key) {
  const auto words = r.words(key);
  if (words.empty()) return {};
  std::vector<bool> is_full;
  for (const auto& w : words) {
    if (w != full && w != other) {
      r.fail_at(key, fmt::format("holds '{}'", w.substr(0, 40)), fmt::format("'{}' or '{}' for family {}", full, other, r.family()));
      return {};
    }
    is_full.push_back(w == full);
  }
  if (int(words.size()) != layers) {
    r.fail_at(key, fmt::format("has {} entries for {} layers", words.size(), layers), "one entry a layer");
    return {};
  }
  return is_full;
}

std::vector<bool> read_moe_layers(Reader& r, int layers, std::int64_t first_dense_fallback) {
  if (auto named = read_layer_types(r, layers, "sparse", "dense", "mlp_layer_types"); !named.empty()) return named;
  const auto first = r.size_or_zero("first_k_dense_replace", first_dense_fallback, 4096);
  std::vector<bool> moe(std::size_t(layers), false);
  std::vector<std::int64_t> listed;
  std::int64_t every = 1;
  if (r.has("moe_layer_freq")) {
    // A number: every n-th layer; a list: 1 for each MoE layer.
    Reader probe = r;
    every = probe.size("moe_layer_freq", 1, 4096);
    if (probe.failed()) {
      every = 1;
      listed = r.list("moe_layer_freq");
      if (!r.failed() && int(listed.size()) != layers) {
        r.fail_at("moe_layer_freq", fmt::format("has {} entries for {} layers", listed.size(), layers), "one entry a layer, or a number");
      }
    }
  }
  for (int i = 0; i < layers; ++i) {
    const bool on = listed.empty() ? i >= first && i % every == 0 : int(listed.size()) == layers && listed[std::size_t(i)] != 0;
    moe[std::size_t(i)] = on;
  }
  return moe;
}

}  // namespace jevons::model
