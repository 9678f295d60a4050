#include "base/options.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/text.hpp"

namespace jevons {
namespace {

// Suffixes a number may carry, given the option's unit. 0 means: not a suffix of this unit.
double suffix_factor(std::string_view suffix, std::string_view unit) {
  if (suffix.empty() || suffix == unit) return 1;
  if (unit == "ms") return suffix == "s" ? 1e3 : suffix == "us" ? 1e-3 : 0;
  if (unit == "s") return suffix == "ms" ? 1e-3 : suffix == "min" ? 60 : suffix == "h" ? 3600 : 0;
  const double base = unit == "tokens" ? 1024.0 : 1000.0;
  if (suffix == "k" || suffix == "K") return base;
  if (suffix == "M") return base * base;
  if (suffix == "G" && unit != "tokens") return base * base * base;
  if (suffix == "%" && unit.empty()) return 0.01;
  return 0;
}

std::string expectation(const OptionSpec& o) {
  std::string s;
  switch (o.type) {
    case OptionType::number:
      s = "a number";
      break;
    case OptionType::integer:
      s = "a whole number";
      break;
    case OptionType::boolean:
      return "true or false";
    case OptionType::choice:
      return fmt::format("one of {}", o.choices);
    case OptionType::text:
    case OptionType::list:
      return "text";
  }
  if (!o.unit.empty()) s += fmt::format(" in {}", o.unit);
  if (o.low != o.high) {
    s += std::isinf(o.high) ? fmt::format(", at least {:g}", o.low) : fmt::format(" from {:g} to {:g}", o.low, o.high);
  }
  return s;
}

Result<double> parse_number(const OptionSpec& o, std::string_view text) {
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc{}) return bad_input("", fmt::format("'{}' is not a number", text.substr(0, 60)), expectation(o));
  const auto suffix = trim(text.substr(std::size_t(end - text.data())));
  const double factor = suffix_factor(suffix, o.unit);
  if (factor == 0)
    return bad_input("", fmt::format("'{}' has an unknown suffix '{}'", text.substr(0, 60), suffix.substr(0, 20)), expectation(o));
  value *= factor;
  if (!std::isfinite(value)) return bad_input("", fmt::format("'{}' is not finite", text.substr(0, 60)), expectation(o));
  if (o.type == OptionType::integer && value != std::floor(value)) {
    return bad_input("", fmt::format("'{}' is not a whole number", text.substr(0, 60)), expectation(o));
  }
  if (o.low != o.high && (value < o.low || value > o.high)) {
    return bad_input("", fmt::format("'{}' is out of range", text.substr(0, 60)), expectation(o));
  }
  return value;
}

std::vector<std::string_view> paths_of(std::span<const OptionSpec> table) {
  std::vector<std::string_view> names;
  for (const auto& o : table) names.push_back(o.path);
  return names;
}

// Walks a YAML mapping and hands each scalar to `settings` under its dotted path.
Result<void> flatten(Settings& settings, const YAML::Node& node, const std::string& prefix, const std::string& file, int depth) {
  if (depth > 8) return fail({ErrorCode::bad_input, file, node.Mark().line + 1, prefix, "nested too deeply", "at most 8 levels", {}});
  std::set<std::string> seen;
  for (const auto& entry : node) {
    const int line = entry.first.Mark().line + 1;
    if (!entry.first.IsScalar()) return fail({ErrorCode::bad_input, file, line, prefix, "a key that is not plain text", "key: value", {}});
    const std::string key = prefix.empty() ? entry.first.Scalar() : prefix + "." + entry.first.Scalar();
    if (!seen.insert(key).second)
      return fail({ErrorCode::bad_input, file, line, key, "given twice", "each key once", "remove one of the two"});
    if (entry.second.IsMap()) {
      JEVONS_CHECK(flatten(settings, entry.second, key, file, depth + 1));
    } else if (entry.second.IsScalar()) {
      JEVONS_CHECK(settings.set(key, entry.second.Scalar(), file, entry.second.Mark().line + 1));
    } else if (entry.second.IsNull()) {
      return fail({ErrorCode::bad_input, file, line, key, "has no value", "a value, or no such line", {}});
    } else {
      return fail(
          {ErrorCode::bad_input, file, line, key, "is a list", "a single value", "several values go in one text, separated by commas"});
    }
  }
  return {};
}

}  // namespace

Settings::Settings(std::span<const OptionSpec> table) : table_{table} {
  for (const auto& o : table_) {
    if (o.fallback.empty()) continue;
    const auto ok = set(o.path, o.fallback, "default");
    JEVONS_ENSURE(ok.has_value());
  }
}

const OptionSpec* Settings::spec(std::string_view path) const {
  for (const auto& o : table_) {
    if (o.path == path) return &o;
  }
  return nullptr;
}

Result<void> Settings::set(std::string_view path, std::string_view text, std::string_view file, int line) {
  const auto place = [&](Error e) {
    e.file = std::string(file);
    e.line = line;
    e.key = std::string(path);
    return fail(std::move(e));
  };
  const OptionSpec* o = spec(path);
  if (o == nullptr) {
    const auto names = paths_of(table_);
    const auto inside = std::find_if(names.begin(), names.end(), [&](auto n) { return n.starts_with(std::string(path) + "."); });
    std::string hint =
        inside == names.end() ? did_you_mean(path, names) : fmt::format("'{}' is a group of keys, such as {}", path, *inside);
    return place({ErrorCode::bad_input, {}, 0, {}, fmt::format("unknown key '{}'", path.substr(0, 80)), "a key of the scenario", hint});
  }
  Setting s{std::string(trim(text)), 0, std::string(file), line};
  switch (o->type) {
    case OptionType::number:
    case OptionType::integer: {
      auto value = parse_number(*o, s.text);
      if (!value) return place(std::move(value).error());
      s.number = *value;
      break;
    }
    case OptionType::boolean:
      if (s.text != "true" && s.text != "false") {
        return place(
            {ErrorCode::bad_input, {}, 0, {}, fmt::format("'{}' is neither true nor false", s.text.substr(0, 60)), expectation(*o), {}});
      }
      s.number = s.text == "true" ? 1 : 0;
      break;
    case OptionType::choice: {
      const auto options = split(o->choices, '|');
      if (std::find(options.begin(), options.end(), s.text) == options.end()) {
        return place({ErrorCode::bad_input,
                      {},
                      0,
                      {},
                      fmt::format("'{}' is not a choice", s.text.substr(0, 60)),
                      expectation(*o),
                      did_you_mean(s.text, options)});
      }
      break;
    }
    case OptionType::text:
    case OptionType::list:
      if (s.text.empty()) return place({ErrorCode::bad_input, {}, 0, {}, "is empty", "text", {}});
      break;
  }
  values_.insert_or_assign(std::string(path), std::move(s));
  return {};
}

Result<void> Settings::set_assignment(std::string_view assignment) {
  const auto at = assignment.find('=');
  if (at == std::string_view::npos) {
    return fail({ErrorCode::bad_input,
                 "--set",
                 0,
                 {},
                 fmt::format("'{}' has no '='", assignment.substr(0, 80)),
                 "--set path=value",
                 "for example --set workload.osl=500"});
  }
  return set(trim(assignment.substr(0, at)), assignment.substr(at + 1), "--set");
}

Result<void> Settings::load_yaml(const std::string& yaml, const std::string& file) {
  YAML::Node root;
  try {
    root = YAML::Load(yaml);
  } catch (const YAML::Exception& e) {
    return fail({ErrorCode::bad_input, file, e.mark.line + 1, {}, "not readable as YAML: " + e.msg, "a mapping of keys to values", {}});
  }
  if (!root.IsMap())
    return fail({ErrorCode::bad_input, file, 1, {}, "not a mapping", "keys and values, such as 'model: llama-3.1-8b'", {}});
  return flatten(*this, root, "", file, 0);
}

void Settings::lay_over(const Settings& given) {
  for (const auto& [path, setting] : given.values_) {
    if (setting.file != "default") values_.insert_or_assign(path, setting);
  }
}

const Setting& Settings::setting(std::string_view path) const {
  const auto it = values_.find(path);
  JEVONS_ENSURE(it != values_.end());
  return it->second;
}
double Settings::number(std::string_view path) const { return setting(path).number; }
const std::string& Settings::text(std::string_view path) const { return setting(path).text; }

Error Settings::error(std::string_view path, std::string what, std::string expected, std::string hint) const {
  const auto it = values_.find(path);
  return {ErrorCode::bad_input,
          it == values_.end() ? std::string{} : it->second.file,
          it == values_.end() ? 0 : it->second.line,
          std::string(path),
          std::move(what),
          std::move(expected),
          std::move(hint)};
}

std::string json_schema(std::span<const OptionSpec> table, std::string_view title) {
  nlohmann::ordered_json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", title}, {"type", "object"}};
  schema["additionalProperties"] = false;
  for (const auto& o : table) {
    nlohmann::ordered_json* at = &schema;
    const auto parts = split(o.path, '.');
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      at = &(*at)["properties"][std::string(parts[i])];
      (*at)["type"] = "object";
      (*at)["additionalProperties"] = false;
    }
    auto& leaf = (*at)["properties"][std::string(parts.back())];
    switch (o.type) {
      case OptionType::number:
        leaf["type"] = {"number", "string"};
        break;
      case OptionType::integer:
        leaf["type"] = {"integer", "string"};
        break;
      case OptionType::boolean:
        leaf["type"] = "boolean";
        break;
      case OptionType::text:
      case OptionType::list:
        leaf["type"] = {"string", "number"};
        break;
      case OptionType::choice:
        for (const auto c : split(o.choices, '|')) leaf["enum"].push_back(std::string(c));
        break;
    }
    if (o.low != o.high) {
      leaf["minimum"] = o.low;
      if (std::isfinite(o.high)) leaf["maximum"] = o.high;
    }
    leaf["description"] = o.unit.empty() ? std::string(o.help) : fmt::format("{} ({})", o.help, o.unit);
    if (!o.fallback.empty()) leaf["default"] = o.fallback;
  }
  return schema.dump(2) + "\n";
}

std::string options_help(std::span<const OptionSpec> table) {
  std::string text;
  for (const auto& o : table) {
    const std::string name = o.flag.empty() ? fmt::format("--set {}=", o.path) : std::string(o.flag);
    std::string about(o.help);
    if (o.type == OptionType::choice) about += fmt::format(": {}", o.choices);
    if (!o.unit.empty()) about += fmt::format(" [{}]", o.unit);
    if (!o.fallback.empty()) about += fmt::format(" (default {})", o.fallback);
    text += fmt::format("  {:<34} {}\n", name, about);
  }
  return text;
}

}  // namespace jevons
