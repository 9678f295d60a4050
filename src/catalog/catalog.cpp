#include "catalog/catalog.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "catalog/builtin.hpp"

namespace jevons::catalog {
namespace {

// By name or alias; T is Thing or ModelEntry.
template <class T>
Result<const T*> find_named(std::span<const T* const> all, std::string_view wanted, std::string_view what) {
  const std::string key = lower(wanted);
  std::vector<std::string_view> names;
  for (const T* t : all) {
    if (t->name == key) return t;
  }
  for (const T* t : all) {
    for (const auto a : t->aliases) {
      if (lower(a) == key) return t;
    }
    names.push_back(t->name);
  }
  return fail({ErrorCode::not_found,
               {},
               0,
               {},
               fmt::format("unknown {} '{}'", what, wanted.substr(0, 80)),
               fmt::format("one of {} names; `jevons catalog list` prints them", all.size()),
               did_you_mean(wanted, names)});
}

}  // namespace

Catalog Catalog::builtin() {
  Catalog c;
  c.sections_ = kBuiltin.sections;
  c.models_ = kBuiltin.models;
  return c;
}

Result<const Thing*> Catalog::find(Section s, std::string_view wanted) const {
  std::string_view what = folder(s);
  if (what.ends_with('s')) what.remove_suffix(1);
  return find_named(things(s), wanted, what);
}

Result<const ModelEntry*> Catalog::find_model(std::string_view wanted) const { return find_named(models_, wanted, "model"); }

}  // namespace jevons::catalog
