#pragma once
// What is assumed before any history is looked at, as one table: catalog/demand/forecast-priors.yaml.
#include <array>
#include <string>

#include "catalog/catalog.hpp"

namespace jevons::market {

/// Every uncertain quantity of the model. The order is the order of the quasi-random coordinates: append only.
enum class Param : std::uint8_t {
  elasticity_scale,
  response_lag,
  pass_through,
  hardware_gain,
  compute_gain,
  memory_gain,
  theta,
  growth_scale,
  segment_tilt,
  adoption_part,
  capability_part,
  overhead,
  value_spread,
  common_rate,
  common_half_life,
  region_rate,
  service_rate,
  service_half_life,
  rollout,
  rollout_spread,
  rollout_half_life,
  report_noise,
  level,
  china_growth,
  intensity_half_life,
  supply_feedback,
  utilisation,
  nontoken_share,
  nontoken_decline,
  capex_growth,
  capex_half_life,
  lead_time,
  price_jumps,
  switching,
  budget_growth,
  capped_share,
  spend_ceiling
};
inline constexpr std::size_t kParams = 37;
/// The first ones bear on the token history; calibration moves only these.
inline constexpr std::size_t kHistoryParams = 22;
std::string_view name(Param p);

enum class Law : std::uint8_t { normal, lognormal };
struct Prior {
  Law law = Law::normal;
  double low = 0, high = 0;  // 2.5 % and 97.5 % quantiles
  std::string unit, why, source;
  /// The value at standard normal score z.
  double at(double z) const;
};

/// A point of parameter space: standard normal scores, and what they mean.
using Scores = std::array<double, kParams>;
struct Values : std::array<double, kParams> {
  double operator[](Param p) const { return std::array<double, kParams>::operator[](std::size_t(p)); }
  double& operator[](Param p) { return std::array<double, kParams>::operator[](std::size_t(p)); }
};

struct Priors {
  std::array<Prior, kParams> of;
  const Prior& operator[](Param p) const { return of[std::size_t(p)]; }
  Values values(const Scores& z) const;
};
/// Errors: a parameter is missing, unknown or has an impossible range: file and name.
Result<Priors> read_priors(const catalog::Catalog& catalog);
/// Replaces a prior's range. Errors: unknown name (with near ones), low above high, a lognormal that is not positive.
Result<void> set_range(Priors& priors, std::string_view param, double low, double high);

}  // namespace jevons::market
