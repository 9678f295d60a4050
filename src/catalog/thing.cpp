#include <charconv>

#include "catalog/catalog.hpp"

namespace jevons::catalog {

std::string_view name(Kind k) {
  constexpr std::string_view names[] = {"spec", "measured", "derived", "assumed"};
  return names[std::size_t(k)];
}
std::string_view name(Confidence c) {
  constexpr std::string_view names[] = {"A", "B", "C", "D"};
  return names[std::size_t(c)];
}
std::string_view folder(Section s) {
  constexpr std::string_view names[] = {"accelerators", "fabrics", "components", "collectives",
                                        "datacenters",  "prices",  "demand",     "efficiency", "fits"};
  return names[std::size_t(s)];
}

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

}  // namespace jevons::catalog
