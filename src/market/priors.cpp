#include "market/priors.hpp"

#include <fmt/format.h>

#include <cmath>
#include <vector>

#include "base/text.hpp"

namespace jevons::market {
namespace {

constexpr std::array<std::string_view, kParams> kNames{
    "elasticity_scale", "response_lag", "pass_through",    "hardware_gain",       "compute_gain",    "memory_gain",    "theta",
    "growth_scale",     "segment_tilt", "adoption_part",   "capability_part",     "overhead",        "value_spread",   "common_rate",
    "common_half_life", "region_rate",  "service_rate",    "service_half_life",   "rollout",         "rollout_spread", "rollout_half_life",
    "report_noise",     "level",        "china_growth",    "intensity_half_life", "supply_feedback", "utilisation",    "nontoken_share",
    "nontoken_decline", "capex_growth", "capex_half_life", "lead_time",           "price_jumps",     "switching",      "budget_growth",
    "capped_share",
    "spend_ceiling"};

constexpr double kZ95 = 1.959963984540054;

}  // namespace

std::string_view name(Param p) { return kNames[std::size_t(p)]; }

double Prior::at(double z) const {
  if (law == Law::normal) return (low + high) / 2 + z * (high - low) / (2 * kZ95);
  const double a = std::log(low), b = std::log(high);
  return std::exp((a + b) / 2 + z * (b - a) / (2 * kZ95));
}

Values Priors::values(const Scores& z) const {
  Values v{};
  for (std::size_t i = 0; i < kParams; ++i) v[Param(i)] = of[i].at(z[i]);
  // A share or a decline drawn from a normal tail stays possible.
  const auto clamp = [&](Param p, double low, double high) { v[p] = std::fmin(high, std::fmax(low, v[p])); };
  for (const auto p : {Param::adoption_part, Param::capability_part, Param::theta}) clamp(p, 0.02, 0.98);
  for (const auto p : {Param::utilisation, Param::nontoken_share}) clamp(p, 0.05, 0.95);
  clamp(Param::capped_share, 0, 1);
  clamp(Param::pass_through, 0, 2);
  for (const auto p : {Param::hardware_gain, Param::compute_gain, Param::memory_gain}) clamp(p, 0, 5);
  return v;
}

Result<void> set_range(Priors& priors, std::string_view param, double low, double high) {
  for (std::size_t i = 0; i < kParams; ++i) {
    if (kNames[i] != param) continue;
    Prior& p = priors.of[i];
    const std::string key = fmt::format("priors.{}", param);
    if (!(low <= high)) return bad_input(key, fmt::format("{} to {} is no range", low, high), "low <= high");
    if (p.law == Law::lognormal && !(low > 0)) return bad_input(key, fmt::format("{} is not positive", low), "both ends above 0");
    p.low = low;
    p.high = high;
    return {};
  }
  return bad_input("priors", fmt::format("unknown parameter '{}'", param.substr(0, 40)), "a parameter of forecast-priors",
                   did_you_mean(param, std::vector<std::string_view>(kNames.begin(), kNames.end())));
}

Result<Priors> read_priors(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::demand, "forecast-priors"));
  const auto& rows = thing->series;
  Priors priors;
  std::array<bool, kParams> seen{};
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    const auto param = rows.text(r, "name");
    const auto law = rows.text(r, "law");
    const auto low = rows.number(r, "low"), high = rows.number(r, "high");
    if (!low || !high) return bad_input(fmt::format("{} {}", thing->file, param), "has no range", "low and high");
    for (std::size_t i = 0; i < kParams; ++i) {
      if (kNames[i] != param) continue;
      priors.of[i] = {law == "lognormal" ? Law::lognormal : Law::normal,
                      0,
                      0,
                      std::string(rows.text(r, "unit")),
                      std::string(rows.text(r, "why")),
                      std::string(rows.text(r, "source"))};
      seen[i] = true;
    }
    JEVONS_CHECK(set_range(priors, param, *low, *high));
  }
  for (std::size_t i = 0; i < kParams; ++i) {
    if (!seen[i]) return bad_input(std::string(thing->file), fmt::format("has no row for '{}'", kNames[i]), "every parameter of the model");
  }
  return priors;
}

}  // namespace jevons::market
