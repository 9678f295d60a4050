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
                                        "datacenters",  "prices",  "demand",     "efficiency"};
  return names[std::size_t(s)];
}

}  // namespace jevons::catalog
