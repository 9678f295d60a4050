#pragma once
// Pages of datacenter entries that are no campus: the income model of occupancy, and an operator's reported accounts.
#include <optional>

#include "engine/verb.hpp"

namespace jevons::engine {

/// The page of datacenters/income-model, or of an entry whose columns are `line` and `kcny`; nothing for any other entry.
Result<std::optional<report::Document>> income_page(const catalog::Catalog& catalog, const catalog::Thing& thing);

}  // namespace jevons::engine
