#pragma once
// Reads a catalogue folder, strictly. Used by the build (catalogc) and, for a user's own folder, at run time.
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "catalog/catalog.hpp"

namespace jevons::catalog {

/// Which keys a section's things may have, and in which unit: catalog/schema.yaml.
struct Schema {
  struct Key {
    Dim dim;
    std::string about;
  };
  struct Rules {
    bool open = false;  // any key with a readable unit; only for loose collections of facts
    std::map<std::string, Key, std::less<>> keys;
  };
  std::map<std::string, Rules, std::less<>> sections;
};
Result<Schema> parse_schema(const std::string& yaml, const std::string& file);

/// A folder's things and the text they point into. Movable only as a whole: keep it where it is (a unique_ptr or shared_ptr).
struct Store {
  std::deque<std::string> text;
  std::deque<std::vector<std::string_view>> names;
  std::deque<std::vector<Attribute>> attributes;
  std::deque<std::vector<Fact>> facts;
  std::deque<Thing> things;
  std::deque<ModelEntry> models;
  std::vector<const Thing*> overrides;  // things whose file says override: true

  Store() = default;
  Store(const Store&) = delete;
  std::string_view keep(std::string s) { return text.emplace_back(std::move(s)); }
};

/// Adds the thing that `yaml` describes. Errors: file, line, key, what was wrong, what was expected.
Result<void> load_thing(Store& store, const Schema& schema, Section section, const std::string& yaml, const std::string& file);
/// One thing from a file of a user's own, checked by the built-in schema; the store keeps its text alive.
Result<const Thing*> load_file(Store& store, Section section, const std::string& path);
/// Adds a model entry: a JSON object with "name", "config" and optionally "aliases". The config itself is checked by the room `model`.
Result<void> load_model(Store& store, const std::string& json, const std::string& file);
/// Every *.yaml of the section folders and every *.json of models/ under `root`, in name order. `label` stands for `root` in places.
Result<void> load_folder(Store& store, const Schema& schema, const std::string& root, const std::string& label);

}  // namespace jevons::catalog
