// A user's folder laid over the built-in catalogue.
#include <fmt/format.h>

#include <algorithm>

#include "base/files.hpp"
#include "catalog/builtin.hpp"
#include "catalog/loader.hpp"

namespace jevons::catalog {
namespace {

struct Overlay {
  Store store;
  std::array<std::vector<const Thing*>, kSections> sections;
  std::vector<const ModelEntry*> models;
};

bool overrides(const Store& store, const Thing* t) {
  return std::find(store.overrides.begin(), store.overrides.end(), t) != store.overrides.end();
}

// Facts the new file states replace those of the old thing; the rest stays.
void merge(Store& store, Thing& fresh, const Thing& old) {
  auto& facts = store.facts.emplace_back(old.facts.begin(), old.facts.end());
  for (const auto& f : fresh.facts) {
    const auto it = std::find_if(facts.begin(), facts.end(), [&](const Fact& o) { return o.key == f.key; });
    if (it == facts.end())
      facts.push_back(f);
    else
      *it = f;
  }
  fresh.facts = facts;
  if (fresh.title.empty()) fresh.title = old.title;
  if (fresh.aliases.empty()) fresh.aliases = old.aliases;
  if (fresh.attributes.empty()) fresh.attributes = old.attributes;
  if (fresh.series.columns.empty()) fresh.series = old.series;
}

template <class T>
void sort_by_name(std::vector<const T*>& v) {
  std::sort(v.begin(), v.end(), [](const T* a, const T* b) { return a->name < b->name; });
}

}  // namespace

Result<const Thing*> load_file(Store& store, Section section, const std::string& path) {
  JEVONS_TRY(const Schema schema, parse_schema(std::string(kBuiltin.schema), "catalog/schema.yaml"));
  JEVONS_TRY(const std::string text, read_file(path, 1u << 20));
  JEVONS_CHECK(load_thing(store, schema, section, text, path));
  return &store.things.back();
}

Result<Catalog> Catalog::with_overlay(const std::string& folder_path) {
  auto overlay = std::make_shared<Overlay>();
  JEVONS_TRY(const Schema schema, parse_schema(std::string(kBuiltin.schema), "catalog/schema.yaml"));
  JEVONS_CHECK(load_folder(overlay->store, schema, folder_path, folder_path));
  for (std::size_t s = 0; s < kSections; ++s) overlay->sections[s].assign(kBuiltin.sections[s].begin(), kBuiltin.sections[s].end());
  for (Thing& t : overlay->store.things) {
    auto& list = overlay->sections[std::size_t(t.section)];
    const auto it = std::find_if(list.begin(), list.end(), [&](const Thing* o) { return o->name == t.name; });
    if (it == list.end()) {
      list.push_back(&t);
      continue;
    }
    if (!overrides(overlay->store, &t)) {
      return fail({ErrorCode::bad_input, std::string(t.file), 1, "name", fmt::format("'{}' exists already in {}", t.name, (*it)->file),
                   "a new name", "say override: true to replace the facts this file states"});
    }
    merge(overlay->store, t, **it);
    *it = &t;
  }
  overlay->models.assign(kBuiltin.models.begin(), kBuiltin.models.end());
  for (const ModelEntry& m : overlay->store.models) {
    const auto it = std::find_if(overlay->models.begin(), overlay->models.end(), [&](const ModelEntry* o) { return o->name == m.name; });
    if (it == overlay->models.end())
      overlay->models.push_back(&m);
    else
      *it = &m;
  }
  Catalog c;
  for (std::size_t s = 0; s < kSections; ++s) {
    sort_by_name(overlay->sections[s]);
    c.sections_[s] = overlay->sections[s];
  }
  sort_by_name(overlay->models);
  c.models_ = overlay->models;
  c.owned_ = overlay;
  return c;
}

}  // namespace jevons::catalog
