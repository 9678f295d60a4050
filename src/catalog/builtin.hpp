#pragma once
// The tables that the build writes from catalog/: everything in static storage.
#include "catalog/catalog.hpp"

namespace jevons::catalog {

struct Builtin {
  std::array<std::span<const Thing* const>, kSections> sections;
  std::span<const ModelEntry* const> models;
  std::string_view schema;  // catalog/schema.yaml, for overlays
};
extern const Builtin kBuiltin;

}  // namespace jevons::catalog
