// From JSON text to a Model: guards, nested text_config, choice of the family, final checks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/text.hpp"
#include "model/reader.hpp"

namespace jevons::model {
namespace {

using Json = nlohmann::json;
constexpr int kDepthLimit = 32;
constexpr double kParameterLimit = 1e16;  // far above any model, far below what would overflow the integers

Result<void> check_text(std::string_view json, std::string_view file) {
  const auto error = [&](std::string what, std::string expected, std::string hint = {}) {
    return fail({ErrorCode::bad_input, std::string(file), 0, {}, std::move(what), std::move(expected), std::move(hint)});
  };
  if (json.size() > kConfigLimit) return error(fmt::format("holds {} bytes", json.size()), fmt::format("at most {} bytes", kConfigLimit));
  const std::string_view head = json.substr(0, 4);
  if (head.starts_with("\xFF\xFE") || head.starts_with("\xFE\xFF") || head.find('\0') != std::string_view::npos) {
    return error("is UTF-16 or UTF-32 text", "UTF-8", "convert it, for example with iconv -f utf-16 -t utf-8");
  }
  int depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = std::max(deepest, ++depth);
      if (deepest > kDepthLimit) return error("is nested too deeply", fmt::format("at most {} levels", kDepthLimit));
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return {};
}

Result<Json> parse_json(std::string_view json, std::string_view file) {
  JEVONS_CHECK(check_text(json, file));
  std::vector<std::set<std::string>> keys;
  std::string repeated;
  const auto watch = [&](int, Json::parse_event_t event, Json& value) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second && repeated.empty())
      repeated = value.get<std::string>();
    return true;
  };
  Json root;
  try {
    root = Json::parse(json, watch);
  } catch (const Json::parse_error& e) {
    const auto upto = json.substr(0, std::min(e.byte, json.size()));
    const int line = 1 + int(std::count(upto.begin(), upto.end(), '\n'));
    return fail({ErrorCode::bad_input,
                 std::string(file),
                 line,
                 {},
                 "not readable as JSON near byte " + std::to_string(e.byte),
                 "a JSON object as in a Hugging Face config.json",
                 "NaN, comments and trailing commas are not JSON"});
  } catch (const Json::exception& e) {
    return fail({ErrorCode::bad_input, std::string(file), 0, {}, std::string("not readable as JSON: ") + e.what(), "a JSON object", {}});
  }
  if (!repeated.empty()) return fail({ErrorCode::bad_input, std::string(file), 0, repeated, "is given twice", "each key once", {}});
  if (!root.is_object())
    return fail(
        {ErrorCode::bad_input, std::string(file), 0, {}, "is not a JSON object", "a JSON object as in a Hugging Face config.json", {}});
  return root;
}

const Family* find_family(std::string_view type) {
  for (const auto list : {dense_families(), moe_families(), mla_families(), hybrid_families()}) {
    for (const auto& f : list) {
      if (f.model_type == type) return &f;
    }
  }
  return nullptr;
}

// Checkpoints whose model_type says nothing are known by their class.
std::string_view family_of_architecture(const Json& config) {
  const auto it = config.find("architectures");
  if (it == config.end() || !it->is_array() || it->empty() || !(*it)[0].is_string()) return {};
  const auto& name = (*it)[0].get_ref<const std::string&>();
  static const std::map<std::string, std::string_view, std::less<>> known{
      {"Grok1ForCausalLM", "grok-1"}, {"Grok1ModelForCausalLM", "grok-1"}, {"MiniMaxText01ForCausalLM", "minimax_text_01"}};
  const auto found = known.find(name);
  return found == known.end() ? std::string_view{} : found->second;
}

std::string type_of(const Json& config) {
  const auto it = config.find("model_type");
  return it != config.end() && it->is_string() ? it->get<std::string>() : std::string{};
}

Result<const Family*> choose_family(const Json& root, const Json& merged, std::string_view file) {
  for (const std::string& type : {type_of(merged), type_of(root), std::string(family_of_architecture(root))}) {
    if (const Family* f = find_family(type)) return f;
  }
  const std::string type = type_of(merged).empty() ? "(none stated)" : type_of(merged);
  const auto known = families();
  return fail({ErrorCode::unsupported, std::string(file), 0, "model_type", fmt::format("family '{}' is not supported", type.substr(0, 80)),
               fmt::format("one of {}", fmt::join(known, ", ")), "its layer layout is not accounted for here, and nothing is guessed"});
}

// A rough size in floating point, so that hostile numbers are refused before exact integers could overflow.
double rough_parameters(const Model& m) {
  double sum = 2.0 * double(m.vocab) * double(m.hidden);
  const double d = double(m.hidden);
  for (const auto& k : m.kinds) {
    double one = 0;
    if (k.layer.dense) one += 3 * d * double(k.layer.dense->width);
    if (k.layer.moe)
      one += double(k.layer.moe->experts) * 3 * d * double(k.layer.moe->width) + 3 * d * double(k.layer.moe->shared_width) + d * d;
    const auto heads = std::visit(
        [](const auto& a) {
          using A = std::decay_t<decltype(a)>;
          if constexpr (std::is_same_v<A, Gqa>)
            return double(a.heads) * (a.k_dim + a.v_dim);
          else if constexpr (std::is_same_v<A, Mla>)
            return double(a.heads) * (a.nope + a.rope + a.v_dim);
          else if constexpr (std::is_same_v<A, Csa>)
            return double(a.heads) * a.dim;
          else if constexpr (std::is_same_v<A, GatedDeltaNet>)
            return double(a.v_heads) * a.v_dim + double(a.k_heads) * a.k_dim;
          else if constexpr (std::is_same_v<A, KimiDelta> || std::is_same_v<A, Lightning>)
            return double(a.heads) * a.dim;
          else if constexpr (std::is_same_v<A, Mamba2>)
            return double(a.heads) * a.head_dim + double(a.groups) * a.state;
          else if constexpr (std::is_same_v<A, Mamba1>)
            return double(a.inner) * (1 + a.state);
          else
            return 0.0;
        },
        k.layer.attention);
    one += 4 * std::max(d, 1e4) * heads;
    sum += one * k.count;
  }
  return sum;
}

Result<Model> read_model(const Json& root, std::string_view file, const Facts& facts) {
  Json merged = root;
  if (const auto text = root.find("text_config"); text != root.end() && text->is_object()) {
    for (const auto& [key, value] : text->items()) merged[key] = value;
  }
  JEVONS_TRY(const Family* family, choose_family(root, merged, file));
  Model m;
  m.family = std::string(family->model_type);
  Reader r(merged, file, m.family, facts);
  family->read(r, m);
  if (r.failed()) return fail(*r.error());
  JEVONS_ENSURE(!m.order.empty());
  if (!(rough_parameters(m) < kParameterLimit)) {
    return fail({ErrorCode::bad_input,
                 std::string(file),
                 0,
                 {},
                 "describes a model of more than 10,000 trillion parameters",
                 "sizes of a real model",
                 {}});
  }
  return m;
}

// "mxfp4", "int4", "fp8": how a config says that its checkpoint is quantized.
std::string quantization_of(const Json& config) {
  const Json* q = nullptr;
  if (config.contains("quantization_config")) q = &config["quantization_config"];
  if (q == nullptr && config.contains("text_config") && config["text_config"].is_object() &&
      config["text_config"].contains("quantization_config")) {
    q = &config["text_config"]["quantization_config"];
  }
  if (q == nullptr || !q->is_object()) return {};
  const auto text = [&](const char* key) {
    return q->contains(key) && (*q)[key].is_string() ? (*q)[key].get<std::string>() : std::string{};
  };
  const std::string method = text("quant_method");
  if (method == "fp8" || method == "mxfp4" || method == "mxfp8" || method == "awq") return method;
  if (method == "gptq" && (!q->contains("bits") || (*q)["bits"] == 4)) return "gptq";
  if (method == "modelopt" && text("quant_algo") == "NVFP4") return "nvfp4";
  if (method == "modelopt" && text("quant_algo") == "FP8") return "fp8-tensor";
  if (method == "compressed-tensors") {
    // {"config_groups": {NAME: {"weights": {"num_bits", "type", "group_size"}}}}: the first group speaks for the experts.
    const auto groups = q->find("config_groups");
    if (groups != q->end() && groups->is_object() && !groups->empty() && groups->begin()->is_object() &&
        groups->begin()->contains("weights")) {
      const Json& w = (*groups->begin())["weights"];
      const auto is = [&](const char* key, const Json& value) { return w.is_object() && w.contains(key) && w[key] == value; };
      if (is("num_bits", 4) && is("type", "int") && is("group_size", 32)) return "int4-g32";
      if (is("num_bits", 4) && is("type", "int") && is("group_size", 128)) return "gptq";
      if (is("num_bits", 4) && is("type", "float") && is("group_size", 16)) return "nvfp4";
      if (is("num_bits", 8)) return is("type", "float") ? "fp8-tensor" : "int8";
    }
  }
  return std::string(kUnknownQuantization) + (method.empty() ? "without a quant_method" : method);
}

Facts facts_of(const Json& entry) {
  Facts f;
  if (const auto it = entry.find("facts_not_in_config"); it != entry.end() && it->is_object()) {
    const auto number = [&](const char* key) -> std::optional<int> {
      return it->contains(key) && (*it)[key].is_number() ? std::optional<int>((*it)[key].get<int>()) : std::nullopt;
    };
    if (it->contains("router_bias") && (*it)["router_bias"].is_boolean()) f.router_bias = (*it)["router_bias"].get<bool>();
    f.mtp = number("mtp");
    f.swa_heads = number("swa_num_attention_heads");
    if (const auto real = number("avg_real_experts_per_token")) f.real_top_k = *real;
  }
  if (const auto it = entry.find("native_weights"); it != entry.end() && it->is_string()) f.weights = it->get<std::string>();
  return f;
}

}  // namespace

void Model::add(Layer layer) {
  const auto it = std::find_if(kinds.begin(), kinds.end(), [&](const LayerKind& k) { return k.layer == layer; });
  order.push_back(std::uint16_t(it - kinds.begin()));
  if (it == kinds.end())
    kinds.push_back({std::move(layer), 1});
  else
    ++it->count;
}

Result<Model> parse_config(std::string_view json, std::string_view file, const Facts& facts) {
  JEVONS_TRY(const Json root, parse_json(json, file));
  JEVONS_TRY(Model m, read_model(root, file, facts));
  if (!facts.weights.empty())
    m.native_weights = facts.weights;
  else if (const auto stated = quantization_of(root); m.native_weights == "bf16" && !stated.empty())
    m.native_weights = stated;
  return m;
}

Result<Model> parse_entry(std::string_view json, std::string_view file) {
  const Json root = Json::parse(json, nullptr, false);  // catalogue entries were checked when the catalogue was built
  if (root.is_discarded() || !root.is_object() || !root.contains("config")) {
    return fail({ErrorCode::bad_input, std::string(file), 0, {}, "is not a catalogue entry", "an object with name and config", {}});
  }
  const Facts facts = facts_of(root);
  JEVONS_TRY(Model m, read_model(root["config"], file, facts));
  if (!facts.weights.empty()) m.native_weights = facts.weights;
  if (root.contains("name") && root["name"].is_string()) m.name = root["name"].get<std::string>();
  return m;
}

std::vector<std::string_view> families() {
  std::vector<std::string_view> names;
  for (const auto list : {dense_families(), moe_families(), mla_families(), hybrid_families()}) {
    for (const auto& f : list) names.push_back(f.model_type);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace jevons::model
