#include "market/segments.hpp"

#include <fmt/format.h>

#include <cmath>

namespace jevons::market {
namespace {

constexpr double kLn2 = 0.69314718055994531;

double hazard(double z) { return std::exp(-z * z / 2 - 0.91893853320467274 - log_above(z)); }

double mean_growth(const Segments& all) {
  double tokens = 0, sum = 0;
  for (const auto& s : all) {
    tokens += s.tokens_per_day;
    sum += s.tokens_per_day * s.growth;
  }
  return tokens > 0 ? sum / tokens : 0;
}

double mean_elasticity(const Segments& all, double Segment::* which) {
  double tokens = 0, sum = 0;
  for (const auto& s : all) {
    tokens += s.tokens_per_day;
    sum += s.tokens_per_day * s.*which;
  }
  return tokens > 0 ? sum / tokens : 0;
}

}  // namespace

double log_above(double z) {
  if (z < 25) return std::log(0.5 * std::erfc(z * 0.70710678118654752));
  return -z * z / 2 - 0.91893853320467274 - std::log(z) + std::log1p(-1 / (z * z));  // asymptotic, relative error below 1e-5 z^-4
}

double inverse_hazard(double wanted) {
  // Newton's method: the hazard h is convex and h' = h (h - z). For large hazards z = h - 1/h nearly; small ones start below.
  double z = wanted > 1.2 ? wanted - 1 / wanted : 1.5 + 1.4 * std::log(wanted);
  for (int i = 0; i < 50; ++i) {
    const double h = hazard(z), step = std::log(h / wanted) / (h - z);  // on ln h, whose slope is h - z
    z -= step;
    if (std::abs(step) < 1e-12 * (1 + std::abs(z))) break;
  }
  return z;
}

double cost_decline(const Values& v) {
  const double theta = v[Param::theta];
  return v[Param::hardware_gain] + (1 - theta) * v[Param::compute_gain] + theta * v[Param::memory_gain];
}

Result<Segments> read_segments(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::demand, "segments"));
  const auto& rows = thing->series;
  Segments out;
  for (std::size_t i = 0; i < kSegments; ++i) {
    std::size_t r = 0;
    while (r < rows.rows() && rows.text(r, "segment") != kSegmentNames[i]) ++r;
    const std::string place = fmt::format("{} {}", thing->file, kSegmentNames[i]);
    if (r == rows.rows()) return bad_input(place, "has no row", "one row per segment");
    const auto at = [&](std::string_view column) { return rows.number(r, column).value_or(0); };
    Segment& s = out[i];
    s.name = kSegmentNames[i];
    s.tokens_per_day = at("tokens_per_day_T") * 1e12;
    s.spread = std::sqrt(at("factor_high") / at("factor_low"));
    s.fresh = at("fresh"), s.cached = at("cached"), s.output = at("output");
    s.eps_short = at("eps_short"), s.eps_long = at("eps_long"), s.growth = at("nonprice_growth");
    s.adopted = at("adopted"), s.china = at("china"), s.metered = at("metered");
    s.request_tokens = at("request_tokens");
    double tiers = 0;
    for (std::size_t j = 0; j < kTiers; ++j) tiers += s.tiers[j] = at(kTierNames[j]);
    if (std::abs(s.fresh + s.cached + s.output - 1) > 1e-9)
      return bad_input(place, "fresh, cached and output do not sum to 1", "shares of 1");
    if (std::abs(tiers - 1) > 1e-9) return bad_input(place, "its tiers do not sum to 1", "shares of 1");
    if (!(s.adopted > 0 && s.adopted < 1) || s.china < 0 || s.china > 1) return bad_input(place, "a share outside 0 to 1", "0 to 1");
    if (s.eps_short > s.eps_long) return bad_input(place, "eps_short is above eps_long", "a short-run response within the long-run one");
  }
  return out;
}

SegmentLaw law_of(const Segment& s, const Segments& all, const Values& v, const Mechanisms& on) {
  SegmentLaw law;
  const double mean = mean_growth(all), tilt = on.segments ? v[Param::segment_tilt] : 0;
  const double growth = std::fmax(0.02, v[Param::growth_scale] * (mean + tilt * (s.growth - mean)));
  const double eps_long = on.segments ? s.eps_long : mean_elasticity(all, &Segment::eps_long);
  const double eps_short = on.segments ? s.eps_short : mean_elasticity(all, &Segment::eps_short);
  const double eps = on.price ? eps_long * v[Param::elasticity_scale] : 0;
  const double adopted = on.segments ? s.adopted : 0.3;
  const double adoption = on.saturation ? v[Param::adoption_part] : 0;
  law.logit = std::log(adopted / (1 - adopted));
  law.adoption_speed = adoption * growth / (1 - adopted);
  law.intensity_half_life = v[Param::intensity_half_life];
  law.lag = v[Param::response_lag];
  law.responds = eps > 0.02;
  const double rest = (1 - adoption) * growth;
  law.intensity = rest;
  if (!law.responds) return law;
  law.sigma = v[Param::value_spread];
  law.overhead = v[Param::overhead];
  law.short_weight = eps_short / eps_long;
  const double wanted = eps * law.sigma * (1 + law.overhead);  // hazard that gives this elasticity: eps = P/(P+h) hazard / sigma
  law.z0 = inverse_hazard(wanted);
  law.price_slope = -v[Param::pass_through] * cost_decline(v);
  if (on.saturation) {
    law.capability = v[Param::capability_part] * rest * law.sigma / wanted;  // d ln share / d mu = hazard / sigma
    law.intensity = (1 - v[Param::capability_part]) * rest;
  }
  return law;
}

double log_growth(const SegmentLaw& law, double years) {
  const double t = years - kAnchor;
  const double adopted = -std::log1p(std::exp(-law.logit - law.adoption_speed * t)) + std::log1p(std::exp(-law.logit));
  const double half = law.intensity_half_life / kLn2;
  double total = adopted + law.intensity * half * -std::expm1(-t / half);
  if (!law.responds) return total;
  // On an exponential path the lagged price is a constant multiple of today's: the lag changes nothing.
  const double price = std::exp(law.price_slope * t);
  const double z = law.z0 + (std::log((price + law.overhead) / (1 + law.overhead)) - law.capability * t) / law.sigma;
  return total + log_above(z) - log_above(law.z0);
}

double elasticity(const SegmentLaw& law) { return law.responds ? hazard(law.z0) / (law.sigma * (1 + law.overhead)) : 0; }

}  // namespace jevons::market
