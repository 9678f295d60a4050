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

// At one end of each part's band.
TokenEnergy energy_of(std::span<const Powered> parts, PowerModel PowerBand::* end, Tokens tokens, std::optional<double> carbon,
                      std::optional<double> grid_water, std::optional<double> site_water) {
  Joules meter{}, it{}, busiest{};
  for (const auto& p : parts) {
    const PowerModel& m = p.band.*end;
    const Joules used = power_at(m, p.load) * p.accelerator_time;
    meter += used;
    it += used / m.pue;
    busiest += (m.prefill + m.rest_busy) * m.pue * p.accelerator_time;
  }
  TokenEnergy e;
  e.joules = meter / tokens;
  if (carbon) e.gco2 = e.joules.value() * *carbon;
  if (grid_water && site_water) e.litres = e.joules.value() * *grid_water + (it / tokens).value() * *site_water;
  e.of_busiest = meter / busiest;
  return e;
}

// A thing of the catalogue called PREFIX-NAME.
Result<const catalog::Thing*> named(const catalog::Catalog& catalog, std::string_view prefix, std::string_view name) {
  const std::string stem = std::string(prefix) + "-";
  if (const auto found = catalog.find(catalog::Section::datacenter, stem + lower(name))) return *found;
  std::vector<std::string_view> known;
  for (const auto* t : catalog.things(catalog::Section::datacenter)) {
    if (t->name.starts_with(stem)) known.push_back(t->name.substr(stem.size()));
  }
  return bad_input(std::string(prefix), fmt::format("unknown {} '{}'", prefix, name), fmt::format("one of {}", fmt::join(known, ", ")),
                   did_you_mean(name, known));
}

using Wanted = std::pair<std::string_view, std::optional<double>*>;
void take(const catalog::Thing& t, std::initializer_list<Wanted> wanted, std::vector<const catalog::Fact*>& facts) {
  for (const auto& [key, out] : wanted) {
    const auto* f = t.find(key);
    if (f == nullptr) continue;
    *out = f->value;
    facts.push_back(f);
  }
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
  JEVONS_TRY(const catalog::Thing* t, named(catalog, "region", region));
  Grid g;
  take(*t, {{"carbon", &g.gco2_per_joule}, {"grid_water", &g.litres_per_joule}}, g.facts);
  return g;
}

Result<SiteClass> site_class_of(const catalog::Catalog& catalog, std::string_view name) {
  JEVONS_TRY(const catalog::Thing* t, named(catalog, "class", name));
  SiteClass c;
  take(*t, {{"pue", &c.pue}, {"site_water", &c.litres_per_joule}}, c.facts);
  return c;
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

TokenEnergyBand token_energy(std::span<const Powered> parts, Tokens tokens, std::optional<double> carbon, std::optional<double> grid_water,
                             std::optional<double> site_water) {
  Seconds time{};
  for (const auto& p : parts) time += p.accelerator_time;
  JEVONS_ENSURE(tokens.value() > 0 && time.value() > 0);
  const auto of = [&](PowerModel PowerBand::* end) { return energy_of(parts, end, tokens, carbon, grid_water, site_water); };
  TokenEnergyBand e{of(&PowerBand::centre), of(&PowerBand::low), of(&PowerBand::high), {}};
  e.power = e.centre.joules * tokens / time;
  return e;
}

TokenEnergyBand token_energy(const PowerBand& band, const Load& load, TokensPerSecond tokens, std::optional<double> carbon,
                             std::optional<double> grid_water, std::optional<double> site_water) {
  constexpr Seconds kSecond{1};
  const Powered one{band, load, kSecond};
  return token_energy({&one, 1}, tokens * kSecond, carbon, grid_water, site_water);
}

}  // namespace jevons::cost
