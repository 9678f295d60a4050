#pragma once
// What demand does when cost per token falls: closed forms and a verdict. Symbols as in docs/glossary.md: eps elasticity of tokens to
// price, phi pass-through of cost to price (in logarithms), psi elasticity of the resource's rent to its use, theta elasticity of cost per
// token to one input, eta efficiency (service per unit of resource).
#include <optional>
#include <string>
#include <vector>

namespace jevons::market {

/// Use of a resource after efficiency rises by a factor eta: eta^(phi eps - 1), fixed resource price.
/// Source: Saunders, "The Khazzoom-Brookes postulate and neoclassical growth", Energy Journal 13(4), 1992 (constant elasticity).
double resource_ratio(double eta, double eps, double phi = 1);
/// d ln(resource) / d ln(eta): (phi eps - 1) / (1 + psi phi eps). Scarcity damps the response and never flips its sign.
double resource_response(double eps, double phi = 1, double psi = 0);
/// d ln(rent) / d ln(eta) = psi times the response: the rent rises with efficiency exactly when backfire occurs.
double rent_response(double eps, double phi = 1, double psi = 0);
/// Tokens after the price changes by `price_ratio`: ratio^-eps.
double demand_ratio(double price_ratio, double eps);
/// Elasticity that turns a price (or cost) change into a use change: -ln(use) / ln(price).
double implied_elasticity(double use_ratio, double price_ratio);

/// One input's use per token falls to `ratio` of what it was, and cost per token to `cost_ratio`: elasticity above which its total use
/// rises, ln(1/ratio) / -(phi ln cost_ratio). Nothing when cost does not fall: then no elasticity is enough.
std::optional<double> break_even_elasticity(double ratio, double cost_ratio, double phi = 1);
/// Cost per token when an input with share theta of marginal cost falls to `ratio`: 1 - theta (1 - ratio).
double cost_ratio_of_share(double ratio, double theta);

/// Rebound effect of using `use_ratio` of the resource after efficiency rose by eta: 1 - (1 - use) / (1 - 1/eta).
double rebound(double use_ratio, double eta);
/// Elasticity of demand when tasks of log-normal value run if worth more than price P plus other cost h:
/// P/(P+h) phi(z) / (sigma (1 - Phi(z))), z = (ln(P+h) - mu)/sigma. own_share = P/(P+h).
double threshold_elasticity(double z, double sigma, double own_share = 1);
/// Logistic slope of adoption when CES substitution sigma meets a price falling at `decline` per year: (sigma - 1) decline.
double adoption_slope(double sigma, double decline);
/// Continuous ranked probability score of a normal forecast. Source: Gneiting and Raftery, JASA 102(477), 2007.
double crps_normal(double mean, double sd, double observed);
/// Price of a mix: sum of shares times prices.
double blended(const std::vector<double>& shares, const std::vector<double>& prices);

/// A saving per token, and what is assumed about the market.
struct Saving {
  double cost_ratio = 1;     // cost per token after / before
  double compute_ratio = 1;  // accelerator time per token after / before
  double hbm_ratio = 1;      // memory held per token after / before
  double eps_low = 0.8, eps_high = 1.8;  // 95 % range of the elasticity
  double pass_through = 1, supply_feedback = 0;
};
struct Verdict {
  double eps = 0;                                      // middle of the range
  double tokens = 1, compute = 1, hbm = 1;             // ratios at the middle
  std::optional<double> compute_break_even, hbm_break_even;
  double p_compute_rises = 0, p_hbm_rises = 0;         // under a normal elasticity with that range
};
Verdict verdict(const Saving& s);

}  // namespace jevons::market
