#include "catalog/catalog.hpp"

#include <fmt/format.h>

#include <charconv>

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

std::optional<std::size_t> Series::column(std::string_view wanted) const {
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i] == wanted) return i;
  }
  return std::nullopt;
}

std::optional<double> Series::number(std::size_t row, std::string_view wanted) const {
  const std::string_view cell = text(row, wanted);
  if (cell.empty()) return std::nullopt;
  double value = 0;
  const auto [end, status] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  JEVONS_ENSURE(status == std::errc{} && end == cell.data() + cell.size());
  return value;
}

std::string_view Series::text(std::size_t row, std::string_view wanted) const {
  const auto at = column(wanted);
  return at ? text(row, *at) : std::string_view{};
}

const Fact* Thing::find(std::string_view key) const {
  for (const auto& f : facts) {
    if (f.key == key) return &f;
  }
  return nullptr;
}

std::string_view Thing::attribute(std::string_view key) const {
  for (const auto& a : attributes) {
    if (a.key == key) return a.value;
  }
  return {};
}

std::optional<double> Thing::number(std::string_view key) const {
  const Fact* f = find(key);
  if (f == nullptr) return std::nullopt;
  JEVONS_ENSURE(f->dim == Dim{});
  return f->value;
}

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
