#pragma once
// The hardware half of a forecast: what a token of each segment takes on each tier, from the cheapest deployment of the tier's model.
#include "engine/scenario.hpp"
#include "market/paths.hpp"

namespace jevons::engine {

/// Which model on which accelerator stands for a tier, and what its tokens are sold for.
struct TierChoice {
  std::string tier, model, accelerator;
  double tpot_s = 0;
  double fresh = 0, cached = 0, output = 0;  // USD per token, list
};
Result<std::array<TierChoice, market::kTiers>> read_tiers(const catalog::Catalog& catalog);

/// One row of the table: a segment on a tier.
struct TierResource {
  std::string segment, tier, model, accelerator;
  double usd_per_mtok = 0;  // owner's cost of the segment's mix, at full use
  double h100e_seconds_per_mtok = 0, hbm_byte_seconds_per_token = 0, flops_per_token = 0;
  std::optional<double> theta;  // elasticity of cost to cache bytes at the re-optimised deployment
};
using TierResources = std::vector<TierResource>;

/// Plans every segment on every tier. Errors: unknown names; a tier whose model no deployment of its accelerator serves (says which).
Result<TierResources> plan_tiers(const catalog::Catalog& catalog, const std::array<TierChoice, market::kTiers>& tiers,
                                 const market::Segments& segments, bool with_theta, const Progress& progress);

market::Resources resources_of(const TierResources& rows, const std::array<TierChoice, market::kTiers>& tiers,
                               const market::Segments& segments);

}  // namespace jevons::engine
