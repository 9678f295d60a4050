#include "market/jevons.hpp"

#include <cmath>

#include "base/result.hpp"

namespace jevons::market {
namespace {

double density(double z) { return std::exp(-z * z / 2) / std::sqrt(2 * 3.14159265358979323846); }
double above(double z) { return 0.5 * std::erfc(z / std::sqrt(2.0)); }  // 1 - Phi(z)

// P(eps > threshold) for a normal elasticity whose 2.5 % and 97.5 % quantiles are given.
double probability_above(const Saving& s, const std::optional<double>& threshold) {
  if (!threshold) return 0;
  const double mean = (s.eps_low + s.eps_high) / 2, sd = (s.eps_high - s.eps_low) / (2 * 1.959963984540054);
  if (sd == 0) return mean > *threshold ? 1 : 0;
  return above((*threshold - mean) / sd);
}

}  // namespace

double resource_ratio(double eta, double eps, double phi) { return std::pow(eta, phi * eps - 1); }
double resource_response(double eps, double phi, double psi) { return (phi * eps - 1) / (1 + psi * phi * eps); }
double rent_response(double eps, double phi, double psi) { return psi * resource_response(eps, phi, psi); }
double demand_ratio(double price_ratio, double eps) { return std::pow(price_ratio, -eps); }
double implied_elasticity(double use_ratio, double price_ratio) { return -std::log(use_ratio) / std::log(price_ratio); }

std::optional<double> break_even_elasticity(double ratio, double cost_ratio, double phi) {
  JEVONS_ENSURE(ratio > 0 && cost_ratio > 0);
  if (!(cost_ratio < 1) || phi <= 0) return std::nullopt;
  return std::log(1 / ratio) / (-phi * std::log(cost_ratio));
}

double cost_ratio_of_share(double ratio, double theta) { return 1 - theta * (1 - ratio); }
double rebound(double use_ratio, double eta) { return 1 - (1 - use_ratio) / (1 - 1 / eta); }
double threshold_elasticity(double z, double sigma, double own_share) { return own_share * density(z) / (sigma * above(z)); }
double adoption_slope(double sigma, double decline) { return (sigma - 1) * decline; }

double crps_normal(double mean, double sd, double observed) {
  const double z = (observed - mean) / sd;
  return sd * (z * (1 - 2 * above(z)) + 2 * density(z) - 1 / std::sqrt(3.14159265358979323846));
}

double blended(const std::vector<double>& shares, const std::vector<double>& prices) {
  JEVONS_ENSURE(shares.size() == prices.size());
  double sum = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) sum += shares[i] * prices[i];
  return sum;
}

Verdict verdict(const Saving& s) {
  JEVONS_ENSURE(s.cost_ratio > 0 && s.compute_ratio > 0 && s.hbm_ratio > 0);
  Verdict v;
  v.eps = (s.eps_low + s.eps_high) / 2;
  // ln tokens = -eps phi (ln cost + psi ln compute), ln compute = ln tokens + ln compute_ratio: rents move with accelerator time.
  const double k = v.eps * s.pass_through;
  const double ln_tokens = -k * (std::log(s.cost_ratio) + s.supply_feedback * std::log(s.compute_ratio)) / (1 + k * s.supply_feedback);
  v.tokens = std::exp(ln_tokens);
  v.compute = v.tokens * s.compute_ratio;
  v.hbm = v.tokens * s.hbm_ratio;
  v.compute_break_even = break_even_elasticity(s.compute_ratio, s.cost_ratio, s.pass_through);
  v.hbm_break_even = break_even_elasticity(s.hbm_ratio, s.cost_ratio, s.pass_through);
  v.p_compute_rises = probability_above(s, v.compute_break_even);
  v.p_hbm_rises = probability_above(s, v.hbm_break_even);
  return v;
}

}  // namespace jevons::market
