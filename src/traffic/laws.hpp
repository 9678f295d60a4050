#pragma once
// Probability laws for lengths, waits and gaps: data, a mean in closed form, and one draw function each.
// Nothing here uses std::*_distribution, whose results differ between C libraries.
#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "base/random.hpp"
#include "base/result.hpp"

namespace jevons::traffic {

struct Fixed {
  double value = 0;
};
/// Uniform between low and high; as token counts: every integer from floor(low) to floor(high), both ends included.
struct Uniform {
  double low = 0, high = 0;
};
struct Exponential {
  double mean = 0;
};
/// ln X is normal with mean ln(median) and deviation sigma; mean = median·exp(sigma²/2).
struct LogNormal {
  double median = 0, sigma = 0;
};
/// A measured distribution: P(X <= value[i]) = cumulative[i], a step function; both ascending, the last cumulative is 1.
struct Empirical {
  std::vector<double> value, cumulative;
};
using Law = std::variant<Fixed, Uniform, Exponential, LogNormal, Empirical>;

/// Expected value of a law (continuous; whole tokens differ by the rounding).
double mean(const Law& law);
/// One value: a wait in seconds, a ratio. Log-normal by inversion, so one draw of the stream gives one value under every law.
double draw(const Law& law, Stream& stream);
/// One count: rounded to the nearest whole number, at least 1.
std::int32_t draw_count(const Law& law, Stream& stream);
/// Says why a law cannot be drawn from, as a count between 1 and 2^31 (`key` names it in the error); a value in order is returned.
Result<Law> checked(Law law, std::string_view key);

/// Log-normal law through two quantiles: P(X <= p50) = 0.5 and P(X <= x) = q. Requires p50 > 0, x > p50, 0.5 < q < 1.
LogNormal lognormal_through(double p50, double x, double q);
/// Log-normal law with a given mean and coefficient of variation: sigma² = ln(1 + cv²).
LogNormal lognormal_of(double mean, double cv);
/// The law of a sample, every value with equal weight. Requires a non-empty sample.
Empirical empirical_of(std::vector<double> sample);
/// A law from the words used on command lines and in `cases.csv`: "fixed", "uniform:LOW:HIGH" (fractions of nominal, as
/// InferenceX: whole tokens from int(LOW·n) to int(HIGH·n)), "exponential", "lognormal:CV"; mean or scale is `nominal`.
Result<Law> parse_law(std::string_view text, double nominal, std::string_view key);

/// Exponential, mean 1.
double draw_exponential(Stream& stream);
/// Gamma with the given shape, mean 1: Marsaglia, Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3), 2000;
/// below shape 1 by their boost X(shape + 1)·U^(1/shape).
double draw_gamma(double shape, Stream& stream);
/// Weibull with the given shape and scale 1, by inversion; its mean is Gamma(1 + 1/shape).
double draw_weibull(double shape, Stream& stream);
/// The Weibull shape whose coefficient of variation is cv: Gamma(1 + 2/k)/Gamma(1 + 1/k)² = 1 + cv². Requires 0.02 <= cv <= 20.
double weibull_shape(double cv);

}  // namespace jevons::traffic
