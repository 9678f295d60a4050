#include "traffic/laws.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "traffic/portable_math.hpp"

namespace jevons::traffic {
namespace {

template <class... F>
struct Overload : F... {
  using F::operator()...;
};

constexpr double kMaxCount = std::numeric_limits<std::int32_t>::max();

/// Uniform on the open interval (0, 1): the midpoints of 2^52 cells.
double open_uniform(Stream& stream) { return double(stream.bits() >> 12) * 0x1p-52 + 0x1p-53; }

double draw_normal(Stream& stream) { return normal_quantile(open_uniform(stream)); }

double step_quantile(const Empirical& e, double u) {
  const auto at = std::upper_bound(e.cumulative.begin(), e.cumulative.end(), u);
  return e.value[std::min<std::size_t>(std::size_t(at - e.cumulative.begin()), e.value.size() - 1)];
}

template <std::size_t N>
double horner(const std::array<double, N>& highest_first, double x) {
  double sum = 0;
  for (double c : highest_first) sum = sum * x + c;
  return sum;
}

}  // namespace

double normal_quantile(double p) {
  static constexpr std::array kA{2.5090809287301226727e+3, 3.3430575583588128105e+4, 6.7265770927008700853e+4, 4.5921953931549871457e+4,
                                 1.3731693765509461125e+4, 1.9715909503065514427e+3, 1.3314166789178437745e+2, 3.3871328727963666080e+0};
  static constexpr std::array kB{5.2264952788528545610e+3, 2.8729085735721942674e+4, 3.9307895800092710610e+4, 2.1213794301586595867e+4,
                                 5.3941960214247511077e+3, 6.8718700749205790830e+2, 4.2313330701600911252e+1, 1.0};
  static constexpr std::array kC{7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e+0,
                                 3.64784832476320460504e+0, 5.76949722146069140550e+0, 4.63033784615654529590e+0, 1.42343711074968357734e+0};
  static constexpr std::array kD{1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
                                 6.89767334985100004550e-1, 1.67638483018380384940e+0, 2.05319162663775882187e+0, 1.0};
  static constexpr std::array kE{2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
                                 2.96560571828504891230e-1, 1.78482653991729133580e+0, 5.46378491116411436990e+0, 6.65790464350110377720e+0};
  static constexpr std::array kF{2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
                                 1.48753612908506148525e-2,  1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0};
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * horner(kA, r) / horner(kB, r);
  }
  const double r = std::sqrt(-portable_log(q < 0 ? p : 1.0 - p));
  const double z = r <= 5.0 ? horner(kC, r - 1.6) / horner(kD, r - 1.6) : horner(kE, r - 5.0) / horner(kF, r - 5.0);
  return q < 0 ? -z : z;
}

double mean(const Law& law) {
  return std::visit(Overload{[](const Fixed& f) { return f.value; },
                             [](const Uniform& u) { return (u.low + u.high) / 2; },
                             [](const Exponential& e) { return e.mean; },
                             [](const LogNormal& l) { return l.median * portable_exp(l.sigma * l.sigma / 2); },
                             [](const Empirical& e) {
                               double sum = 0, before = 0;
                               for (std::size_t i = 0; i < e.value.size(); ++i) {
                                 sum += e.value[i] * (e.cumulative[i] - before);
                                 before = e.cumulative[i];
                               }
                               return sum;
                             }},
                    law);
}

double draw(const Law& law, Stream& stream) {
  return std::visit(Overload{[](const Fixed& f) { return f.value; },
                             [&](const Uniform& u) { return u.low + (u.high - u.low) * stream.uniform(); },
                             [&](const Exponential& e) { return e.mean * draw_exponential(stream); },
                             [&](const LogNormal& l) { return l.median * portable_exp(l.sigma * draw_normal(stream)); },
                             [&](const Empirical& e) { return step_quantile(e, stream.uniform()); }},
                    law);
}

std::int32_t draw_count(const Law& law, Stream& stream) {
  double value = 0;
  if (const auto* u = std::get_if<Uniform>(&law)) {
    const auto low = std::uint64_t(std::clamp(u->low, 0.0, kMaxCount)), high = std::uint64_t(std::clamp(u->high, 0.0, kMaxCount));
    value = double(low + stream.below(high - low + 1));
  } else {
    value = draw(law, stream);
  }
  return std::int32_t(std::clamp(value + 0.5, 1.0, kMaxCount));
}

Result<Law> checked(Law law, std::string_view key) {
  const auto refuse = [&](std::string what, std::string expected) { return bad_input(std::string(key), std::move(what), std::move(expected)); };
  const auto good = [](double v, double least) { return v >= least && v <= kMaxCount; };  // false for NaN too
  if (const auto* f = std::get_if<Fixed>(&law); f && !good(f->value, 0)) return refuse(fmt::format("fixed value {}", f->value), "0 to 2^31 - 1");
  if (const auto* u = std::get_if<Uniform>(&law); u && !(good(u->low, 0) && good(u->high, 0) && u->low <= u->high)) {
    return refuse(fmt::format("uniform from {} to {}", u->low, u->high), "0 <= low <= high < 2^31");
  }
  if (const auto* e = std::get_if<Exponential>(&law); e && !good(e->mean, 0)) return refuse(fmt::format("mean {}", e->mean), "0 to 2^31 - 1");
  if (const auto* l = std::get_if<LogNormal>(&law); l && !(good(l->median, 0) && l->sigma >= 0 && l->sigma <= 10)) {
    return refuse(fmt::format("log-normal with median {} and sigma {}", l->median, l->sigma), "median >= 0 and 0 <= sigma <= 10");
  }
  if (const auto* e = std::get_if<Empirical>(&law)) {
    if (e->value.empty() || e->value.size() != e->cumulative.size()) {
      return refuse(fmt::format("{} values with {} cumulative probabilities", e->value.size(), e->cumulative.size()), "as many of each, at least 1");
    }
    for (std::size_t i = 0; i < e->value.size(); ++i) {
      const double v = e->value[i], c = e->cumulative[i];
      if (!good(v, 0) || !(c > 0) || (i > 0 && (v < e->value[i - 1] || c < e->cumulative[i - 1]))) {
        return refuse(fmt::format("point {}: P(X <= {}) = {}", i + 1, v, c), "values >= 0 and probabilities > 0, both ascending");
      }
    }
    if (std::abs(e->cumulative.back() - 1.0) > 1e-9) {
      return refuse(fmt::format("the last cumulative probability is {}", e->cumulative.back()), "1");
    }
  }
  return law;
}

LogNormal lognormal_through(double p50, double x, double q) { return {p50, portable_log(x / p50) / normal_quantile(q)}; }

LogNormal lognormal_of(double mean_value, double cv) {
  const double variance = portable_log(1.0 + cv * cv);
  return {mean_value * portable_exp(-variance / 2), std::sqrt(variance)};
}

Empirical empirical_of(std::vector<double> sample) {
  JEVONS_ENSURE(!sample.empty());
  std::sort(sample.begin(), sample.end());
  Empirical e;
  for (std::size_t i = 0; i < sample.size(); ++i) {
    if (i + 1 < sample.size() && sample[i + 1] == sample[i]) continue;
    e.value.push_back(sample[i]);
    e.cumulative.push_back(double(i + 1) / double(sample.size()));
  }
  return e;
}

Result<Law> parse_law(std::string_view text, double nominal, std::string_view key) {
  std::vector<std::string_view> words;
  for (std::size_t start = 0;;) {
    const std::size_t colon = text.find(':', start);
    words.push_back(text.substr(start, colon == text.npos ? text.npos : colon - start));
    if (colon == text.npos) break;
    start = colon + 1;
  }
  std::vector<double> number;
  for (std::size_t i = 1; i < words.size(); ++i) {
    double v = 0;
    const auto [end, ec] = std::from_chars(words[i].data(), words[i].data() + words[i].size(), v);
    if (ec != std::errc{} || end != words[i].data() + words[i].size()) words[0] = {};
    number.push_back(v);
  }
  if (words[0] == "fixed" && number.empty()) return checked(Fixed{nominal}, key);
  if (words[0] == "uniform" && number.size() == 2) return checked(Uniform{std::floor(number[0] * nominal), std::floor(number[1] * nominal)}, key);
  if (words[0] == "exponential" && number.empty()) return checked(Exponential{nominal}, key);
  if (words[0] == "lognormal" && number.size() == 1) return checked(lognormal_of(nominal, number[0]), key);
  return bad_input(std::string(key), fmt::format("unknown distribution '{}'", text), "fixed | uniform:LOW:HIGH | exponential | lognormal:CV",
                   "LOW and HIGH are fractions of the nominal length, e.g. uniform:0.8:1.0");
}

double draw_exponential(Stream& stream) { return -portable_log(1.0 - stream.uniform()); }

double draw_gamma(double shape, Stream& stream) {
  const double boosted = shape < 1.0 ? shape + 1.0 : shape;
  const double d = boosted - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
  for (;;) {
    const double x = draw_normal(stream), u = open_uniform(stream);
    const double root = 1.0 + c * x;
    if (root <= 0) continue;
    const double v = root * root * root;
    if (portable_log(u) >= 0.5 * x * x + d - d * v + d * portable_log(v)) continue;
    const double boost = shape < 1.0 ? portable_exp(portable_log(open_uniform(stream)) / shape) : 1.0;
    return d * v * boost / shape;
  }
}

double draw_weibull(double shape, Stream& stream) { return portable_exp(portable_log(draw_exponential(stream) + 0x1p-1000) / shape); }

double weibull_shape(double cv) {
  double low = 0.15, high = 80.0;  // cv falls with the shape: 0.15 -> 44, 80 -> 0.016
  for (int i = 0; i < 200; ++i) {
    const double k = 0.5 * (low + high), m = std::tgamma(1.0 + 1.0 / k);
    (std::tgamma(1.0 + 2.0 / k) / (m * m) - 1.0 > cv * cv ? low : high) = k;
  }
  return 0.5 * (low + high);
}

}  // namespace jevons::traffic
