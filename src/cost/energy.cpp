#include "cost/energy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "cost/gpu_hour.hpp"

namespace jevons::cost {
namespace {

const catalog::Fact& fact(const catalog::Catalog& catalog, std::string_view key) {
  const auto t = catalog.find(catalog::Section::datacenter, "power-model");
  JEVONS_ENSURE(t.has_value() && (*t)->find(key) != nullptr);
  return *(*t)->find(key);
}

enum class End : std::uint8_t { centre, low, high };
double at(const catalog::Fact& f, End end) {
  if (end == End::centre || !f.has_range) return f.value;
  return end == End::low ? f.low : f.high;
}

TokenEnergy energy_of(const PowerModel& m, const Load& load, TokensPerSecond tokens, std::optional<double> carbon,
                      std::optional<double> grid_water, std::optional<double> site_water) {
  TokenEnergy e;
  e.joules = power_at(m, load) / tokens;
  if (carbon) e.gco2 = e.joules.value() * *carbon;
  if (grid_water && site_water) e.litres = e.joules.value() * (*grid_water + *site_water / m.pue);
  e.over_nameplate = power_at(m, load) / ((m.prefill + m.rest_busy) * m.pue);
  return e;
}

}  // namespace

Result<PowerBand> power_model(const catalog::Catalog& catalog, const catalog::Accelerator& chip, std::optional<double> pue) {
  PowerBand band;
  JEVONS_TRY(const Watts all_in, all_in_power(catalog, chip, band.facts));
  if (!chip.tdp) {
    return fail({ErrorCode::bad_input, std::string(chip.thing->file), 0, "tdp",
                 fmt::format("no board power of {} is known", chip.thing->name), "tdp, in watts", "give it with --catalog DIR"});
  }
  if (pue && !(*pue >= 1 && *pue < 100)) return bad_input("pue", fmt::format("{}", *pue), "1 or more");
  band.facts.push_back(chip.tdp->fact);
  for (const std::string_view key : {"chip_idle", "decode_batch_1", "decode_batch_128", "prefill", "rest_idle", "all_in_pue"})
    band.facts.push_back(&fact(catalog, key));
  const Watts tdp = chip.tdp->value;
  for (const auto& [end, m] : {std::pair{End::centre, &band.centre}, std::pair{End::low, &band.low}, std::pair{End::high, &band.high}}) {
    // The surroundings do not depend on the band's end: they are what a known sum leaves, at the central PUE of that sum.
    const double published_pue = fact(catalog, "all_in_pue").value;
    const Watts rest = max(Watts{}, all_in / published_pue - tdp);
    m->chip_idle = tdp * at(fact(catalog, "chip_idle"), end);
    m->decode_batch_1 = tdp * at(fact(catalog, "decode_batch_1"), end);
    m->decode_batch_128 = tdp * at(fact(catalog, "decode_batch_128"), end);
    m->prefill = tdp * at(fact(catalog, "prefill"), end);
    m->rest_busy = rest;
    m->rest_idle = rest * at(fact(catalog, "rest_idle"), end);
    m->pue = pue.value_or(published_pue);
  }
  return band;
}

Result<Grid> grid_of(const catalog::Catalog& catalog, std::string_view region) {
  const std::string prefix = "region-";
  const auto found = catalog.find(catalog::Section::datacenter, prefix + lower(region));
  if (!found) {
    std::vector<std::string_view> known;
    for (const auto* t : catalog.things(catalog::Section::datacenter)) {
      if (t->name.starts_with(prefix)) known.push_back(t->name.substr(prefix.size()));
    }
    return bad_input("region", fmt::format("unknown region '{}'", region), fmt::format("one of {}", fmt::join(known, ", ")),
                     did_you_mean(region, known));
  }
  Grid g;
  for (const auto& [key, out] : {std::pair{"carbon", &g.gco2_per_joule}, std::pair{"grid_water", &g.litres_per_joule}}) {
    if (const auto* f = (*found)->find(key)) {
      *out = f->value;
      g.facts.push_back(f);
    }
  }
  return g;
}

Watts power_at(const PowerModel& m, const Load& load) {
  JEVONS_ENSURE(load.prefill >= 0 && load.decode >= 0 && load.prefill + load.decode <= 1 + 1e-9);
  const double idle = std::max(0.0, 1 - load.prefill - load.decode);
  const double depth = std::clamp(std::log2(std::max(1.0, load.decode_batch)) / 7, 0.0, 1.0);  // 7 doublings from 1 to 128
  const Watts decode = m.decode_batch_1 + (m.decode_batch_128 - m.decode_batch_1) * depth;
  const Watts chip = m.chip_idle * idle + decode * load.decode + m.prefill * load.prefill;
  const Watts rest = m.rest_idle * idle + m.rest_busy * (1 - idle);
  return (chip + rest) * m.pue;
}

TokenEnergyBand token_energy(const PowerBand& band, const Load& load, TokensPerSecond tokens, std::optional<double> carbon,
                             std::optional<double> grid_water, std::optional<double> site_water) {
  JEVONS_ENSURE(tokens.value() > 0);
  const auto of = [&](const PowerModel& m) { return energy_of(m, load, tokens, carbon, grid_water, site_water); };
  return {of(band.centre), of(band.low), of(band.high), power_at(band.centre, load)};
}

}  // namespace jevons::cost
