#include "catalog/loader.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/files.hpp"
#include "base/text.hpp"
#include "base/units.hpp"

namespace jevons::catalog {
namespace {

constexpr std::size_t kFileLimit = 16u << 20;

// One file being read: knows how to place an error.
struct Place {
  const std::string& file;
  tl::unexpected<Error> error(const YAML::Node& at, std::string key, std::string what, std::string expected = {},
                              std::string hint = {}) const {
    return fail({ErrorCode::bad_input, file, at.Mark().line + 1, std::move(key), std::move(what), std::move(expected), std::move(hint)});
  }
};

Result<YAML::Node> parse_yaml(const std::string& yaml, const std::string& file) {
  try {
    YAML::Node root = YAML::Load(yaml);
    if (!root.IsMap()) return fail({ErrorCode::bad_input, file, 1, {}, "not a mapping", "keys and values", {}});
    return root;
  } catch (const YAML::Exception& e) {
    return fail({ErrorCode::bad_input, file, e.mark.line + 1, {}, "not readable as YAML: " + e.msg, "a mapping of keys to values", {}});
  }
}

// Every key of a mapping must be text, known and given once.
Result<void> check_keys(const Place& place, const YAML::Node& map, const std::string& prefix, std::span<const std::string_view> allowed) {
  std::set<std::string> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) return place.error(entry.first, prefix, "a key that is not plain text", "key: value");
    const std::string key = entry.first.Scalar();
    if (!seen.insert(key).second) return place.error(entry.first, prefix + key, "given twice", "each key once");
    if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), key) == allowed.end()) {
      return place.error(entry.first, prefix + key, fmt::format("unknown key '{}'", key),
                         fmt::format("one of {}", fmt::join(allowed, ", ")), did_you_mean(key, allowed));
    }
  }
  return {};
}

Result<std::string> scalar(const Place& place, const YAML::Node& node, const std::string& key) {
  if (!node.IsScalar()) return place.error(node, key, "is not plain text", "one value");
  return node.Scalar();
}

template <class E, std::size_t N>
Result<E> choice(const Place& place, const YAML::Node& node, const std::string& key, const std::array<std::string_view, N>& names) {
  JEVONS_TRY(const std::string text, scalar(place, node, key));
  const auto it = std::find(names.begin(), names.end(), text);
  if (it == names.end())
    return place.error(node, key, fmt::format("'{}' is not known", text), fmt::format("one of {}", fmt::join(names, ", ")));
  return E(it - names.begin());
}
constexpr std::array<std::string_view, 4> kKinds{"spec", "measured", "derived", "assumed"};
constexpr std::array<std::string_view, 4> kConfidences{"A", "B", "C", "D"};
constexpr std::array<std::string_view, 10> kFactKeys{"value", "range",      "kind", "source", "date",
                                                     "read",  "confidence", "why",  "note",   "unit"};

Result<void> check_unit(const Place& place, const YAML::Node& node, const std::string& key, Dim got, Dim wanted) {
  if (got == wanted) return {};
  return place.error(node, key, fmt::format("has the unit of {}", dim_name(got)), dim_name(wanted),
                     "check the unit; rates are per second, energy in J or Wh");
}

// A number in a fact: with its unit, or bare where the unit is stated beside it or the value has none.
Result<Measure> measure(const Place& place, const YAML::Node& node, const std::string& key) {
  JEVONS_TRY(const std::string text, scalar(place, node, key));
  auto m = parse_measure(text);
  if (!m) return place.error(node, key, m.error().what, m.error().expected, m.error().hint);
  return *m;
}

// Looks a field up in the fact, then in the file's defaults.
YAML::Node field(const YAML::Node& fact, const YAML::Node& defaults, const char* name) {
  if (const YAML::Node own = fact[name]) return own;
  return defaults.IsMap() ? defaults[name] : YAML::Node(YAML::NodeType::Undefined);
}

Result<Fact> load_fact(Store& store, const Place& place, const std::string& key, const YAML::Node& node, const YAML::Node& defaults,
                       const Schema::Rules& rules) {
  if (!node.IsMap())
    return place.error(node, key, "is a bare value", "{value: 3.35 TB/s, kind: spec, source: …}", "a fact states its evidence");
  JEVONS_CHECK(check_keys(place, node, key + ".", kFactKeys));
  Fact f;
  f.key = store.keep(key);
  f.file = store.keep(place.file);
  f.line = node.Mark().line + 1;
  if (!node["value"]) return place.error(node, key, "has no value", "value: a number with its unit");
  JEVONS_TRY(const Measure m, measure(place, node["value"], key));
  if (rules.open && !rules.keys.contains(key)) {
    f.dim = m.dim;
  } else {
    f.dim = rules.keys.find(key)->second.dim;
    JEVONS_CHECK(check_unit(place, node["value"], key, m.dim, f.dim));
  }
  f.value = m.value;
  f.text = store.keep(node["value"].Scalar());
  const YAML::Node kind = field(node, defaults, "kind"), source = field(node, defaults, "source"),
                   confidence = field(node, defaults, "confidence");
  if (!kind) return place.error(node, key, "has no kind", "kind: spec, measured, derived or assumed");
  JEVONS_TRY(f.kind, choice<Kind>(place, kind, key + ".kind", kKinds));
  if (!source || !source.IsScalar() || source.Scalar().empty())
    return place.error(node, key, "has no source", "source: where the value was read");
  f.source = store.keep(source.Scalar());
  if (!confidence) return place.error(node, key, "has no confidence", "confidence: A, B, C or D");
  JEVONS_TRY(f.confidence, choice<Confidence>(place, confidence, key + ".confidence", kConfidences));
  const YAML::Node as_of = field(node, defaults, "date"), read = field(node, defaults, "read");
  const YAML::Node date = as_of ? as_of : read;
  if (!date) return place.error(node, key, "has no date", "date: or read: when it held or was read");
  JEVONS_TRY(const std::string date_text, scalar(place, date, key + ".date"));
  f.date = store.keep(date_text);
  for (const auto& [name, to] : {std::pair{"why", &f.why}, std::pair{"note", &f.note}}) {
    if (!node[name]) continue;
    JEVONS_TRY(const std::string text, scalar(place, node[name], key + "." + name));
    *to = store.keep(text);
  }
  if (const YAML::Node range = node["range"]) {
    if (!range.IsSequence() || range.size() != 2) return place.error(range, key + ".range", "is not a pair", "[low, high]");
    JEVONS_TRY(const Measure low, measure(place, range[0], key + ".range"));
    JEVONS_TRY(const Measure high, measure(place, range[1], key + ".range"));
    // Bare ends of a range are in the value's own unit.
    const double scale = low.dim == f.dim ? 1 : m.value / std::strtod(node["value"].Scalar().c_str(), nullptr);
    if (low.dim != f.dim && !(low.dim == Dim{} && high.dim == Dim{}))
      JEVONS_CHECK(check_unit(place, range, key + ".range", low.dim, f.dim));
    f.low = low.value * scale;
    f.high = high.value * scale;
    f.has_range = true;
    if (!(f.low <= f.value && f.value <= f.high))
      return place.error(range, key + ".range", "does not hold the value", "low <= value <= high");
  }
  if (f.kind == Kind::assumed && (!f.has_range || f.why.empty())) {
    return place.error(node, key, "is assumed without a range and a reason", "range: [low, high] and why: …");
  }
  return f;
}

Result<void> load_facts(Store& store, const Place& place, const YAML::Node& root, const Schema::Rules& rules, Thing& thing) {
  const YAML::Node facts = root["facts"], defaults = root["defaults"] ? root["defaults"] : YAML::Node();
  auto& list = store.facts.emplace_back();
  if (facts) {
    if (!facts.IsMap()) return place.error(facts, "facts", "is not a mapping", "key: {value: …}");
    std::vector<std::string_view> allowed;
    if (!rules.open) {
      for (const auto& [key, about] : rules.keys) allowed.push_back(key);
    }
    JEVONS_CHECK(check_keys(place, facts, "facts.", allowed));
    for (const auto& entry : facts) {
      JEVONS_TRY(Fact f, load_fact(store, place, entry.first.Scalar(), entry.second, defaults, rules));
      f.thing = thing.name;
      list.push_back(f);
    }
  }
  thing.facts = list;
  return {};
}

Result<void> load_series(Store& store, const Place& place, const YAML::Node& root, Thing& thing) {
  const YAML::Node columns = root["columns"], rows = root["series"];
  if (!columns && !rows) return {};
  if (!columns || !columns.IsMap() || !rows || !rows.IsSequence()) {
    return place.error(root, "series", "needs columns and rows", "columns: {name: text|number|date} and series: [{name: value}, …]");
  }
  JEVONS_CHECK(check_keys(place, columns, "columns.", {}));
  auto& names = store.names.emplace_back();
  std::vector<std::string> types;
  for (const auto& c : columns) {
    names.push_back(store.keep(c.first.Scalar()));
    JEVONS_TRY(types.emplace_back(), scalar(place, c.second, "columns"));
    if (types.back() != "text" && types.back() != "number" && types.back() != "date") {
      return place.error(c.second, "columns." + c.first.Scalar(), fmt::format("'{}' is no type", types.back()), "text, number or date");
    }
  }
  auto& cells = store.names.emplace_back();
  for (const auto& row : rows) {
    if (!row.IsMap()) return place.error(row, "series", "a row that is not a mapping", "{column: value, …}");
    JEVONS_CHECK(check_keys(place, row, "series.", names));
    for (std::size_t i = 0; i < names.size(); ++i) {
      const YAML::Node cell = row[std::string(names[i])];
      std::string text = cell && cell.IsScalar() ? cell.Scalar() : "";
      if (types[i] == "number" && !text.empty()) {
        const auto m = parse_measure(text);
        if (!m || m->dim != Dim{})
          return place.error(cell, "series." + std::string(names[i]), fmt::format("'{}' is not a number", text), "a plain number");
      }
      cells.push_back(store.keep(std::move(text)));
    }
  }
  thing.series = {names, cells};
  return {};
}

Result<std::vector<std::string_view>> load_aliases(Store& store, const Place& place, const YAML::Node& root) {
  std::vector<std::string_view> list;
  if (const YAML::Node aliases = root["aliases"]) {
    if (!aliases.IsSequence()) return place.error(aliases, "aliases", "is not a list", "[name, name]");
    for (const auto& a : aliases) {
      JEVONS_TRY(const std::string text, scalar(place, a, "aliases"));
      list.push_back(store.keep(text));
    }
  }
  return list;
}

std::vector<std::filesystem::path> files_of(const std::filesystem::path& folder, std::string_view ending) {
  std::vector<std::filesystem::path> files;
  std::error_code status;
  for (const auto& e : std::filesystem::directory_iterator(folder, status)) {
    if (e.path().extension() == ending) files.push_back(e.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

Result<Schema> parse_schema(const std::string& yaml, const std::string& file) {
  JEVONS_TRY(const YAML::Node root, parse_yaml(yaml, file));
  const Place place{file};
  Schema schema;
  for (const auto& section : root) {
    auto& rules = schema.sections[section.first.Scalar()];
    constexpr std::array<std::string_view, 2> allowed{"open", "keys"};
    JEVONS_CHECK(check_keys(place, section.second, section.first.Scalar() + ".", allowed));
    rules.open = section.second["open"] && section.second["open"].as<bool>(false);
    for (const auto& k : section.second["keys"]) {
      const std::string unit = k.second["unit"] ? k.second["unit"].Scalar() : "";
      const auto m = parse_unit(unit);
      if (!m) return place.error(k.second, k.first.Scalar(), m.error().what, m.error().expected);
      rules.keys[k.first.Scalar()] = {m->dim, k.second["about"] ? k.second["about"].Scalar() : ""};
    }
  }
  return schema;
}

Result<void> load_thing(Store& store, const Schema& schema, Section section, const std::string& yaml, const std::string& file) {
  JEVONS_TRY(const YAML::Node root, parse_yaml(yaml, file));
  const Place place{file};
  constexpr std::array<std::string_view, 9> allowed{"name",  "title",   "aliases", "attributes", "defaults",
                                                    "facts", "columns", "series",  "override"};
  JEVONS_CHECK(check_keys(place, root, "", allowed));
  const auto rules = schema.sections.find(folder(section));
  if (rules == schema.sections.end()) return place.error(root, "", fmt::format("section {} has no schema", folder(section)));
  Thing thing;
  thing.section = section;
  thing.file = store.keep(file);
  if (!root["name"]) return place.error(root, "name", "is missing", "name: lower-case-with-hyphens");
  JEVONS_TRY(const std::string own_name, scalar(place, root["name"], "name"));
  if (own_name.empty() || lower(own_name) != own_name || own_name.find_first_of(" _/") != std::string::npos) {
    return place.error(root["name"], "name", fmt::format("'{}' is not a catalogue name", own_name), "lower case with hyphens");
  }
  thing.name = store.keep(own_name);
  if (root["title"]) {
    JEVONS_TRY(const std::string title, scalar(place, root["title"], "title"));
    thing.title = store.keep(title);
  }
  JEVONS_TRY(auto aliases, load_aliases(store, place, root));
  thing.aliases = store.names.emplace_back(std::move(aliases));
  auto& attributes = store.attributes.emplace_back();
  if (const YAML::Node map = root["attributes"]) {
    if (!map.IsMap()) return place.error(map, "attributes", "is not a mapping", "key: text");
    JEVONS_CHECK(check_keys(place, map, "attributes.", {}));
    for (const auto& a : map) {
      JEVONS_TRY(const std::string text, scalar(place, a.second, "attributes." + a.first.Scalar()));
      const std::string_view key = store.keep(a.first.Scalar());
      attributes.push_back({key, store.keep(text)});
    }
  }
  thing.attributes = attributes;
  if (root["defaults"]) {
    constexpr std::array<std::string_view, 5> of_defaults{"kind", "source", "date", "read", "confidence"};
    if (!root["defaults"].IsMap()) return place.error(root["defaults"], "defaults", "is not a mapping", "key: value");
    JEVONS_CHECK(check_keys(place, root["defaults"], "defaults.", of_defaults));
  }
  JEVONS_CHECK(load_facts(store, place, root, rules->second, thing));
  JEVONS_CHECK(load_series(store, place, root, thing));
  if (thing.series.rows() > 0) {  // observations need a source as facts do: a column of their own, or one for all
    const YAML::Node all = root["defaults"] ? root["defaults"]["source"] : root["defaults"];
    const bool each = thing.series.column("source").has_value();
    if (!each && !(all && all.IsScalar()))
      return place.error(root["series"], "series", "has no source", "a column `source`, or `source` in defaults");
    if (!each) attributes.push_back({store.keep("source"), store.keep(all.Scalar())});
    thing.attributes = attributes;
  }
  store.things.push_back(thing);
  if (root["override"] && root["override"].as<bool>(false)) store.overrides.push_back(&store.things.back());
  return {};
}

Result<void> load_model(Store& store, const std::string& json, const std::string& file) {
  const auto root = nlohmann::json::parse(json, nullptr, false);
  const auto error = [&](std::string key, std::string what, std::string expected) {
    return fail({ErrorCode::bad_input, file, 0, std::move(key), std::move(what), std::move(expected), {}});
  };
  if (root.is_discarded() || !root.is_object()) return error("", "not readable as a JSON object", "{\"name\": …, \"config\": {…}}");
  if (!root.contains("name") || !root["name"].is_string()) return error("name", "is missing", "a name in lower case with hyphens");
  if (!root.contains("config") || !root["config"].is_object()) return error("config", "is missing", "the fields of a config.json");
  ModelEntry m;
  m.name = store.keep(root["name"].get<std::string>());
  auto& aliases = store.names.emplace_back();
  if (root.contains("aliases") && root["aliases"].is_array()) {
    for (const auto& a : root["aliases"]) {
      if (a.is_string()) aliases.push_back(store.keep(a.get<std::string>()));
    }
  }
  m.aliases = aliases;
  m.json = store.keep(root.dump());
  m.file = store.keep(file);
  store.models.push_back(m);
  return {};
}

Result<void> load_folder(Store& store, const Schema& schema, const std::string& root, const std::string& label) {
  namespace fs = std::filesystem;
  if (!fs::is_directory(root))
    return fail({ErrorCode::not_found, root, 0, {}, "no such folder", "a folder with accelerators/, fabrics/, models/ …", {}});
  for (std::size_t s = 0; s < kSections; ++s) {
    for (const auto& path : files_of(fs::path(root) / folder(Section(s)), ".yaml")) {
      JEVONS_TRY(const std::string text, read_file(path.string(), kFileLimit));
      JEVONS_CHECK(
          load_thing(store, schema, Section(s), text, fmt::format("{}/{}/{}", label, folder(Section(s)), path.filename().string())));
    }
  }
  for (const auto& path : files_of(fs::path(root) / "models", ".json")) {
    JEVONS_TRY(const std::string text, read_file(path.string(), kFileLimit));
    JEVONS_CHECK(load_model(store, text, fmt::format("{}/models/{}", label, path.filename().string())));
  }
  return {};
}

}  // namespace jevons::catalog
