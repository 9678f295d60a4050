#pragma once
// Demand of one segment without shocks and without scarcity, in closed form. The Monte Carlo (paths.hpp) reproduces it in that limit.
//
//   ln tokens(t) = ln adopted(t) + ln share_run(t) + intensity(t), each less its value at the anchor date
//   adopted: logistic; share_run: value threshold 1 - Phi(z), z = (ln(P + h) - mu)/sigma; intensity: growth that halves over years.
#include "market/history.hpp"
#include "market/priors.hpp"

namespace jevons::market {

inline constexpr std::size_t kTiers = 4;
inline constexpr std::array<std::string_view, kTiers> kTierNames{"frontier", "mid", "small", "open"};
inline constexpr double kAnchor = 2.5;  // 1 July 2026: segment values hold here

/// Starting values of a segment at the anchor date: catalog/demand/segments.yaml.
struct Segment {
  std::string name;
  double tokens_per_day = 0;                       // 0 switches it off
  double spread = 2;                               // 95 % of values within a factor of this
  double fresh = 0, cached = 0, output = 0;        // shares of its tokens
  double eps_short = 0, eps_long = 0, growth = 0;  // growth: ln/yr at constant price
  double adopted = 0.5, china = 0, metered = 0;
  double request_tokens = 4000;  // of one call: fresh, cached and output
  std::array<double, kTiers> tiers{};  // shares by tier of model
};
using Segments = std::array<Segment, kSegments>;
/// Errors: a segment is missing, a share is impossible.
Result<Segments> read_segments(const catalog::Catalog& catalog);

/// Which mechanisms are on: each can be switched off to see what it earns (docs/demand.md).
struct Mechanisms {
  bool segments = true;                               // off: every service grows like the average segment
  bool price = true;                                  // off: no response to price
  bool saturation = true;                             // off: growth at constant price is all intensity
  bool rollout = true;                                // off: services have no opening surge
  bool common = true, region = true, service = true;  // wandering growth rates
};

/// The deterministic law of one segment at one point of parameter space.
struct SegmentLaw {
  double logit = 0, adoption_speed = 0;    // of adoption at the anchor; per year
  double z0 = 0, sigma = 1, overhead = 0;  // value threshold at the anchor; overhead h over the anchor price
  bool responds = false;                   // to price and capability
  double short_weight = 0, lag = 1;        // share of the response that is immediate; years of the rest
  double price_slope = 0;                  // d ln price / dt, constant
  double capability = 0;                   // d mu / dt
  double intensity = 0, intensity_half_life = 1e9;
};
SegmentLaw law_of(const Segment& s, const Segments& all, const Values& v, const Mechanisms& on);
/// ln tokens at `years` since 2024, less that at the anchor, on the path without shocks.
double log_growth(const SegmentLaw& law, double years);
/// Its derivative with respect to ln price at the anchor, long run: the elasticity.
double elasticity(const SegmentLaw& law);

/// Decline of cost per token, ln/yr: hardware + (1 - theta) compute + theta memory.
double cost_decline(const Values& v);

/// ln(1 - Phi(z)), good in both tails.
double log_above(double z);
/// The z whose normal hazard phi(z)/(1 - Phi(z)) is `hazard` > 0.
double inverse_hazard(double hazard);

}  // namespace jevons::market
