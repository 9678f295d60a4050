#include "traffic/laws.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/portable_math.hpp"

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

}  // namespace

double mean(const Law& law) {
  return std::visit(Overload{[](const Fixed& f) { return f.value; }, [](const Uniform& u) { return (u.low + u.high) / 2; },
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
  return std::visit(
      Overload{[](const Fixed& f) { return f.value; }, [&](const Uniform& u) { return u.low + (u.high - u.low) * stream.uniform(); },
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
  const auto refuse = [&](std::string what, std::string expected) {
    return bad_input(std::string(key), std::move(what), std::move(expected));
  };
  const auto good = [](double v, double least) { return v >= least && v <= kMaxCount; };  // false for NaN too
  if (const auto* f = std::get_if<Fixed>(&law); f && !good(f->value, 0))
    return refuse(fmt::format("fixed value {}", f->value), "0 to 2^31 - 1");
  if (const auto* u = std::get_if<Uniform>(&law); u && !(good(u->low, 0) && good(u->high, 0) && u->low <= u->high)) {
    return refuse(fmt::format("uniform from {} to {}", u->low, u->high), "0 <= low <= high < 2^31");
  }
  if (const auto* e = std::get_if<Exponential>(&law); e && !good(e->mean, 0))
    return refuse(fmt::format("mean {}", e->mean), "0 to 2^31 - 1");
  if (const auto* l = std::get_if<LogNormal>(&law); l && !(good(l->median, 0) && l->sigma >= 0 && l->sigma <= 10)) {
    return refuse(fmt::format("log-normal with median {} and sigma {}", l->median, l->sigma), "median >= 0 and 0 <= sigma <= 10");
  }
  if (const auto* e = std::get_if<Empirical>(&law)) {
    if (e->value.empty() || e->value.size() != e->cumulative.size()) {
      return refuse(fmt::format("{} values with {} cumulative probabilities", e->value.size(), e->cumulative.size()),
                    "as many of each, at least 1");
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

Empirical empirical_of(std::vector<double> sample, std::size_t points) {
  if (sample.size() <= points) return empirical_of(std::move(sample));
  std::sort(sample.begin(), sample.end());
  Empirical e;
  for (std::size_t i = 0; i < points; ++i) {
    const std::size_t from = sample.size() * i / points, to = sample.size() * (i + 1) / points;
    e.value.push_back(std::accumulate(sample.begin() + std::ptrdiff_t(from), sample.begin() + std::ptrdiff_t(to), 0.0) / double(to - from));
    e.cumulative.push_back(double(to) / double(sample.size()));
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
  if (words[0] == "uniform" && number.size() == 2)
    return checked(Uniform{std::floor(number[0] * nominal), std::floor(number[1] * nominal)}, key);
  if (words[0] == "exponential" && number.empty()) return checked(Exponential{nominal}, key);
  if (words[0] == "lognormal" && number.size() == 1) return checked(lognormal_of(nominal, number[0]), key);
  return bad_input(std::string(key), fmt::format("unknown distribution '{}'", text),
                   "fixed | uniform:LOW:HIGH | exponential | lognormal:CV",
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
