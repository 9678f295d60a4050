#include "catalog/keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "base/units.hpp"

namespace jevons::catalog {
namespace {

const OptionSpec* key_of(Keys keys, std::string_view path) {
  const auto it = std::find_if(keys.begin(), keys.end(), [&](const OptionSpec& o) { return o.path == path; });
  return it == keys.end() ? nullptr : &*it;
}

Dim dim_of(const OptionSpec& key) {
  const auto unit = parse_unit(key.unit);
  JEVONS_ENSURE(unit.has_value());
  return unit->dim;
}

Error wrong_unit(const Thing& t, const OptionSpec& key, int line, std::string_view text) {
  return {ErrorCode::bad_input,
          std::string(t.file),
          line,
          std::string(key.path),
          fmt::format("'{}' has the wrong unit", text),
          fmt::format("a value in {}", key.unit),
          std::string(key.help)};
}

// Names that a thing of this section may use: the form's, and those of the catalogue's own things.
template <class Pick>
std::vector<std::string_view> names_of(const Catalog& catalog, Section section, Keys keys, bool attributes, Pick pick) {
  std::vector<std::string_view> names;
  for (const auto& k : keys) {
    if (k.unit.empty() == attributes) names.push_back(k.path);
  }
  for (const auto* t : catalog.things(section)) pick(*t, names);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<void> check_name(const Thing& t, int line, std::string_view place, std::string_view key, std::span<const std::string_view> known) {
  if (std::find(known.begin(), known.end(), key) != known.end()) return {};
  return fail({ErrorCode::bad_input, std::string(t.file), line, fmt::format("{}.{}", place, key), "unknown key",
               "a key that the verb's --help lists", did_you_mean(key, known)});
}

}  // namespace

std::string form_schema(Keys keys, std::string_view title) {
  using Json = nlohmann::ordered_json;
  const Json text = {{"type", "string"}}, number = {{"type", {"string", "number"}}};
  const Json kind = {{"enum", {"spec", "measured", "derived", "assumed"}}}, confidence = {{"enum", {"A", "B", "C", "D"}}};
  const auto closed = [](Json properties) {
    return Json{{"type", "object"}, {"additionalProperties", false}, {"properties", std::move(properties)}};
  };
  Json attributes = Json::object(), facts = Json::object();
  for (const OptionSpec& o : keys) {
    if (o.unit.empty()) {
      attributes[std::string(o.path)] = {{"type", {"string", "number"}}, {"description", o.help}};
      continue;
    }
    facts[std::string(o.path)] = {{"$ref", "#/$defs/fact"},
                                  {"description", fmt::format("{}; value with its unit, such as {}", o.help,
                                                              o.unit == "count" ? "4 count, or 4 alone" : fmt::format("'1 {}'", o.unit))}};
  }
  Json fact = closed({{"value", number},
                      {"range", {{"type", "array"}, {"items", number}, {"minItems", 2}, {"maxItems", 2}}},
                      {"kind", kind},
                      {"source", text},
                      {"date", number},
                      {"read", number},
                      {"confidence", confidence},
                      {"why", text},
                      {"note", text},
                      {"unit", text}});
  fact["required"] = {"value"};
  fact["description"] = "kind, source, confidence and a date, here or in defaults; an assumed one needs range and why";
  Json attribute_map = closed(attributes), fact_map = closed(facts);
  // Keys that only describe, as entries of the catalogue have them, are allowed beside those of the form.
  attribute_map["additionalProperties"] = number;
  fact_map["additionalProperties"] = {{"$ref", "#/$defs/fact"}};
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}};
  schema.update(
      closed({{"name", {{"type", "string"}, {"pattern", "^[^A-Z _/]+$"}, {"description", "lower case with hyphens"}}},
              {"title", text},
              {"aliases", {{"type", "array"}, {"items", text}}},
              {"attributes", attribute_map},
              {"defaults", closed({{"kind", kind}, {"source", text}, {"date", number}, {"read", number}, {"confidence", confidence}})},
              {"facts", fact_map}}));
  schema["properties"]["defaults"]["description"] = "what the facts of this file leave out";
  schema["required"] = {"name"};
  schema["$defs"] = {{"fact", fact}};
  return schema.dump(2) + "\n";
}

Result<void> check_units(const Thing& t, Keys keys) {
  for (const auto& f : t.facts) {
    const auto* key = key_of(keys, f.key);
    if (key != nullptr && key->unit.empty()) {
      return fail({ErrorCode::bad_input, std::string(t.file), f.line, fmt::format("facts.{}", f.key), "is an attribute, not a fact",
                   fmt::format("attributes: {{{}: …}}", f.key), std::string(key->help)});
    }
    if (key != nullptr && !(f.dim == dim_of(*key))) return fail(wrong_unit(t, *key, f.line, f.text));
  }
  for (const auto& a : t.attributes) {
    const auto* key = key_of(keys, a.key);
    if (key != nullptr && !key->unit.empty()) {
      return fail({ErrorCode::bad_input, std::string(t.file), 0, fmt::format("attributes.{}", a.key), "is a fact, not an attribute",
                   fmt::format("facts: {{{}: {{value: … {}}}}}", a.key, key->unit), std::string(key->help)});
    }
  }
  return {};
}

Result<void> check_known(const Catalog& catalog, const Thing& t, Keys keys) {
  const auto facts = names_of(catalog, t.section, keys, false, [](const Thing& other, auto& names) {
    for (const auto& f : other.facts) names.push_back(f.key);
  });
  const auto attributes = names_of(catalog, t.section, keys, true, [](const Thing& other, auto& names) {
    for (const auto& a : other.attributes) names.push_back(a.key);
  });
  for (const auto& f : t.facts) {
    if (key_of(keys, f.key) == nullptr) JEVONS_CHECK(check_name(t, f.line, "facts", f.key, facts));
  }
  for (const auto& a : t.attributes) {
    if (key_of(keys, a.key) == nullptr) JEVONS_CHECK(check_name(t, 0, "attributes", a.key, attributes));
  }
  return {};
}

Result<const Thing*> with_settings(Store& store, const Thing& t, Keys keys, const Settings& given, std::span<const Drops> drops) {
  auto facts = std::vector<Fact>(t.facts.begin(), t.facts.end());
  auto attributes = std::vector<Attribute>(t.attributes.begin(), t.attributes.end());
  for (const auto& key : keys) {
    if (!given.has(key.path) || given.setting(key.path).file == "default") continue;
    const Setting& s = given.setting(key.path);
    for (const auto& [setting, other] : drops) {
      if (key.path != setting || given.has(other)) continue;  // both were asked for: the thing's own check says whether they go together
      std::erase_if(facts, [&](const Fact& f) { return f.key == other; });
      std::erase_if(attributes, [&](const Attribute& x) { return x.key == other; });
    }
    const std::string_view text = store.keep(s.text);
    if (key.unit.empty()) {
      std::erase_if(attributes, [&](const Attribute& a) { return a.key == key.path; });
      attributes.push_back({key.path, text});
      continue;
    }
    const auto m = parse_measure(text);
    if (!m) return fail(given.error(key.path, m.error().what, fmt::format("a number in {}", key.unit), std::string(key.help)));
    if (!(m->dim == dim_of(key))) {
      return fail(given.error(key.path, fmt::format("'{}' has the wrong unit", text), fmt::format("a value in {}", key.unit),
                              std::string(key.help)));
    }
    Fact f;
    f.thing = t.name;
    f.key = key.path;
    f.value = m->value;
    f.dim = m->dim;
    f.text = text;
    f.kind = Kind::assumed;
    f.confidence = Confidence::D;
    f.source = f.why = "given with --set";
    f.file = store.keep(s.file);
    std::erase_if(facts, [&](const Fact& old) { return old.key == key.path; });
    facts.push_back(f);
  }
  Thing copy = t;
  copy.facts = store.facts.emplace_back(std::move(facts));
  copy.attributes = store.attributes.emplace_back(std::move(attributes));
  return &store.things.emplace_back(copy);
}

Error placed(Error e, const Settings& given) {
  const std::string key = e.key.substr(e.key.rfind('.') + 1);
  if (given.spec(key) == nullptr || !given.has(key) || given.setting(key).file == "default") return e;
  e.file = given.setting(key).file;
  e.line = given.setting(key).line;
  e.key = key;
  return e;
}

Result<const Thing*> thing_for(const Catalog& catalog, Store& store, Section section, const std::string& word, Keys keys,
                               const Settings& given, std::span<const Drops> drops) {
  const Thing* thing = nullptr;
  if (word.ends_with(".yaml") || word.ends_with(".yml") || word.find('/') != std::string::npos) {
    JEVONS_TRY(thing, load_file(store, section, word));
    JEVONS_CHECK(check_known(catalog, *thing, keys));
  } else {
    JEVONS_TRY(thing, catalog.find(section, word));
  }
  JEVONS_TRY(thing, with_settings(store, *thing, keys, given, drops));
  JEVONS_CHECK(check_units(*thing, keys));
  return thing;
}

}  // namespace jevons::catalog
