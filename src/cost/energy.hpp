#pragma once
// Energy, carbon and water of a token from what accelerators do, not from their nameplate.
#include <array>
#include <optional>
#include <span>
#include <vector>

#include "catalog/accelerator.hpp"

namespace jevons::cost {

/// Power of one accelerator by what it does, with what surrounds it (hosts, switches, fans, losses), before PUE.
/// The surroundings are what the published all-in power leaves after PUE and board power; they fall to `rest_idle` when nothing runs.
struct PowerModel {
  Watts chip_idle{}, decode_batch_1{}, decode_batch_128{}, prefill{};
  Watts rest_idle{}, rest_busy{};
  double pue = 1;
};
/// At the centre of the facts, and at the low and the high ends of their ranges: a band, not a confidence interval.
struct PowerBand {
  PowerModel centre, low, high;
  std::vector<const catalog::Fact*> facts;
};
/// pue: of the site; nothing: the one that the published all-in power is taken to hold. Facts: datacenters/power-model.
/// Errors: no board power of the chip is known; a PUE below 1.
Result<PowerBand> power_model(const catalog::Catalog& catalog, const catalog::Accelerator& chip, std::optional<double> pue = std::nullopt);

/// What an accelerator does, as shares of its time: idle is the rest. decode_batch: mean sequences of a decode step, at least 1.
struct Load {
  double prefill = 0, decode = 0;
  double decode_batch = 1;
};
/// Mean power at the meter of one accelerator under this load. Decode lies between its powers at batch 1 and 128 by the logarithm of the
/// batch: more sequences a step keep more of the chip at work. Requires shares in [0, 1] that add up to at most 1.
/// Source: anchors of ML.ENERGY benchmark v3.0 on H100; the interpolation is an assumption between them.
Watts power_at(const PowerModel& m, const Load& load);

/// Carbon and water behind a joule of the grid of a region (datacenters/region-NAME); what is not known is absent.
/// Errors: no such region, with the regions there are.
struct Grid {
  std::optional<double> gco2_per_joule, litres_per_joule;
  std::vector<const catalog::Fact*> facts;
};
Result<Grid> grid_of(const catalog::Catalog& catalog, std::string_view region);

/// What a class of site adds (datacenters/class-NAME). Errors: no such class, with the classes there are.
struct SiteClass {
  std::optional<double> pue, litres_per_joule;  // of IT
  std::vector<const catalog::Fact*> facts;
};
Result<SiteClass> site_class_of(const catalog::Catalog& catalog, std::string_view name);

/// Per token of whatever `tokens` counts.
struct TokenEnergy {
  JoulesPerToken joules{};       // at the meter
  std::optional<double> gco2;    // of the grid's mean mix
  std::optional<double> litres;  // at the site and behind the grid
  double of_busiest = 0;         // mean power over that of prefill all the time
};
struct TokenEnergyBand {
  TokenEnergy centre, low, high;
  Watts power{};  // mean of one accelerator at the meter
};
/// Accelerators of one kind, what they did, and for how long they were there, idle time included.
struct Powered {
  PowerBand band;
  Load load;
  Seconds accelerator_time{};
};
/// Energy of all of them over `tokens`. carbon, grid_water: gCO2 and litres behind a joule at the meter; site_water: litres for a joule of
/// IT; nothing where not known. Requires tokens > 0 and some time.
TokenEnergyBand token_energy(std::span<const Powered> parts, Tokens tokens, std::optional<double> carbon = std::nullopt,
                             std::optional<double> grid_water = std::nullopt, std::optional<double> site_water = std::nullopt);
/// The same of one accelerator that makes `tokens` a second.
TokenEnergyBand token_energy(const PowerBand& band, const Load& load, TokensPerSecond tokens, std::optional<double> carbon = std::nullopt,
                             std::optional<double> grid_water = std::nullopt, std::optional<double> site_water = std::nullopt);

}  // namespace jevons::cost
