#include "traffic/arrivals.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "traffic/laws.hpp"
#include "base/portable_math.hpp"

namespace jevons::traffic {
namespace {

constexpr double kTwoPi = 6.283185307179586477;

/// Rate relative to its mean, and its integral from 0 to t (seconds).
struct Relative {
  double rate, integral;
};
Relative relative(const Diurnal& d, double t) {
  const double w = kTwoPi / d.period_s, phase = w * (t - d.peak_at_s);
  return {1.0 + d.amplitude * std::cos(phase), t + d.amplitude / w * (std::sin(phase) + std::sin(w * d.peak_at_s))};
}
Relative relative(const Burst& b, double t) {
  const double low = b.period_s / (b.period_s + (b.factor - 1.0) * b.length_s), high = low * b.factor;
  const double whole = std::floor(t / b.period_s), part = t - whole * b.period_s;
  const bool on = part < b.length_s;
  return {on ? high : low, whole * b.period_s + (on ? high * part : high * b.length_s + low * (part - b.length_s))};
}

/// The t >= from with integral(t) = target: Newton's steps inside a bracket that shrinks, so a zero rate cannot throw it out.
template <class S>
double invert(const S& shape, double target, double from) {
  double low = from, high = std::max(from, target) + shape.period_s;  // integral(t) > t - period for both shapes
  double t = std::clamp(target, low, high);
  for (int i = 0; i < 100; ++i) {
    const Relative r = relative(shape, t);
    (r.integral < target ? low : high) = t;
    double following = t + (target - r.integral) / std::max(r.rate, 1e-9);
    if (!(following > low && following < high)) following = 0.5 * (low + high);
    if (std::abs(following - t) < 0.25e-9) return following;
    t = following;
  }
  return t;
}

}  // namespace

Result<Arrivals> checked(Arrivals a, std::string_view key) {
  const auto refuse = [&](const char* field, double value, const char* expected) {
    return bad_input(fmt::format("{}.{}", key, field), fmt::format("value {}", value), expected);
  };
  if (!(a.rate_per_s > 0 && a.rate_per_s <= 1e9)) return refuse("rate", a.rate_per_s, "requests per second, above 0 and at most 1e9");
  if (const auto* g = std::get_if<GammaGaps>(&a.gaps); g && !(g->cv >= 0.02 && g->cv <= 50)) return refuse("cv", g->cv, "0.02 to 50");
  if (const auto* w = std::get_if<WeibullGaps>(&a.gaps); w && !(w->cv >= 0.02 && w->cv <= 20)) return refuse("cv", w->cv, "0.02 to 20");
  if (const auto* d = std::get_if<Diurnal>(&a.shape)) {
    if (!(d->period_s > 0 && d->period_s <= 1e9)) return refuse("period", d->period_s, "seconds, above 0");
    if (!(d->amplitude >= 0 && d->amplitude <= 1)) return refuse("amplitude", d->amplitude, "0 to 1: the rate cannot be negative");
    if (!(std::abs(d->peak_at_s) <= 1e9)) return refuse("peak_at", d->peak_at_s, "seconds");
  }
  if (const auto* b = std::get_if<Burst>(&a.shape)) {
    if (!(b->period_s > 0 && b->period_s <= 1e9)) return refuse("period", b->period_s, "seconds, above 0");
    if (!(b->length_s > 0 && b->length_s < b->period_s)) return refuse("length", b->length_s, "seconds, above 0 and less than the period");
    if (!(b->factor > 0 && b->factor <= 1e6)) return refuse("factor", b->factor, "above 0: the rate inside a burst over the rate outside");
  }
  return a;
}

ArrivalProcess::ArrivalProcess(const Arrivals& arrivals, Seed seed, std::uint64_t replication, std::uint64_t entity)
    : arrivals_{arrivals}, seconds_each_{1.0 / arrivals.rate_per_s}, stream_{seed, replication, Draw::arrival, entity} {
  if (const auto* g = std::get_if<GammaGaps>(&arrivals.gaps)) gap_shape_ = 1.0 / (g->cv * g->cv);
  if (const auto* w = std::get_if<WeibullGaps>(&arrivals.gaps)) {
    gap_shape_ = weibull_shape(w->cv);
    gap_scale_ = 1.0 / std::tgamma(1.0 + 1.0 / gap_shape_);
  }
}

double ArrivalProcess::gap() {
  switch (arrivals_.gaps.index()) {
    case 0:
      return draw_exponential(stream_);
    case 1:
      return 1.0;
    case 2:
      return draw_gamma(gap_shape_, stream_);
    default:
      return gap_scale_ * draw_weibull(gap_shape_, stream_);
  }
}

namespace {
SimTime to_ns(double seconds) { return SimTime(seconds * double(kNsPerSecond) + 0.5); }
}  // namespace

SimTime ArrivalProcess::at(double operational) {
  const double target = operational * seconds_each_;
  if (const auto* d = std::get_if<Diurnal>(&arrivals_.shape)) {
    last_s_ = invert(*d, target, last_s_);
  } else if (const auto* b = std::get_if<Burst>(&arrivals_.shape)) {
    last_s_ = invert(*b, target, last_s_);
  } else {
    last_s_ = target;
  }
  return to_ns(last_s_);
}

SimTime ArrivalProcess::next() { return at(operational_ += gap()); }

void ArrivalProcess::fill(std::span<SimTime> times) {
  if (!std::holds_alternative<Poisson>(arrivals_.gaps) || !std::holds_alternative<Steady>(arrivals_.shape)) {
    for (SimTime& t : times) t = next();
    return;
  }
  // The common case, split so that the logarithms do not wait for one another through the running sum.
  constexpr std::size_t kBatch = 512;
  double gaps[kBatch];
  for (std::size_t start = 0; start < times.size(); start += kBatch) {
    const std::size_t n = std::min(kBatch, times.size() - start);
    for (std::size_t i = 0; i < n; ++i) gaps[i] = 1.0 - stream_.uniform();
    for (std::size_t i = 0; i < n; ++i) gaps[i] = -portable_log(gaps[i]);
    for (std::size_t i = 0; i < n; ++i) times[start + i] = to_ns((operational_ += gaps[i]) * seconds_each_);
  }
}

}  // namespace jevons::traffic
