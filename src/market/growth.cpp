#include "market/growth.hpp"

#include <cmath>

namespace jevons::market {
namespace {

constexpr double kLn2 = 0.69314718055994531;
constexpr double kStart = -0.25;  // before the first report
constexpr double kLevel = 28;     // ln tokens a day of a middling service, and how little that is known
constexpr double kLevelSd = 10;

// Lower Cholesky factor in place; returns ln of the determinant's root.
double factor(std::vector<double>& a, std::size_t n) {
  double ln = 0;
  for (std::size_t j = 0; j < n; ++j) {
    for (std::size_t i = j; i < n; ++i) {
      double sum = a[i * n + j];
      for (std::size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      if (i == j) {
        JEVONS_ENSURE(sum > 0);
        a[j * n + j] = std::sqrt(sum);
        ln += std::log(a[j * n + j]);
      } else {
        a[i * n + j] = sum / a[j * n + j];
      }
    }
  }
  return ln;
}

}  // namespace

double integrated_ou(double a, double b, double rate, double speed) {
  const double m = std::fmin(a, b), most = std::fmax(a, b);
  const double variance = rate * rate / (2 * speed);
  return variance / (speed * speed) * (2 * speed * m + std::expm1(-speed * m) + std::exp(-speed * most) - std::exp(-speed * (most - m)));
}

namespace {

// Does a process that wanders act on this point? Process 0: the market; 1: China; 2: the rest.
bool acts(const History& h, const Point& p, int process) {
  if (p.what != Quantity::volume) return int(p.what) - 1 == process;
  return process == 0 || h.services[p.service].china == (process == 1);
}

// One wandering growth rate at the points: what pairs of them share, with one exponential a point.
struct Wander {
  double speed = 1, variance = 0;
  std::vector<double> t, left;  // years since the start; e^(-speed t)
  Wander(std::span<const Point> points, double rate, double per_year) : speed(per_year), variance(rate * rate / (2 * per_year)) {
    for (const auto& p : points) {
      t.push_back(p.at - kStart);
      left.push_back(std::exp(-speed * t.back()));
    }
  }
  double covariance(std::span<const Point> p, std::size_t i, std::size_t j) const {
    const bool vi = p[i].what == Quantity::volume, vj = p[j].what == Quantity::volume;
    if (vi && vj) {
      const std::size_t m = t[i] < t[j] ? i : j, most = t[i] < t[j] ? j : i;
      return variance / (speed * speed) * (2 * speed * t[m] - 1 + left[m] + left[most] - left[most] / left[m]);
    }
    if (!vi && !vj) return variance * std::exp(-speed * std::abs(t[i] - t[j]));
    return vi ? variance / speed * rate_share(t[j], t[i], speed) : variance / speed * rate_share(t[i], t[j], speed);
  }
  static double rate_share(double at, double upto, double speed) {
    const double before = std::fmin(at, upto), after = std::fmax(0, upto - at);
    return std::exp(-speed * (at - before)) - std::exp(-speed * at) - std::expm1(-speed * after);
  }
};

}  // namespace

Field field(const History& h, const Segments& segments, const Values& v, const Mechanisms& on, std::span<const Point> points) {
  const std::size_t n = points.size();
  std::array<SegmentLaw, kSegments> laws;
  for (std::size_t s = 0; s < kSegments; ++s) laws[s] = law_of(segments[s], segments, v, on);
  const double fade = kLn2 / v[Param::rollout_half_life];
  const double common = kLn2 / v[Param::common_half_life], own = kLn2 / v[Param::service_half_life];
  Field f{std::vector<double>(n), std::vector<double>(n * n)};
  std::vector<double> surge(n);
  std::vector<std::array<double, kSegments>> weight(h.services.size());  // shares at the mix date, carried to the anchor
  for (std::size_t k = 0; k < weight.size(); ++k) {
    for (std::size_t s = 0; s < kSegments; ++s)
      weight[k][s] = h.services[k].mix[s] > 0 ? h.services[k].mix[s] * std::exp(-log_growth(laws[s], h.services[k].mix_date)) : 0;
  }
  for (std::size_t i = 0; i < n; ++i) {
    if (points[i].what != Quantity::volume) continue;
    const Service& service = h.services[points[i].service];
    double sum = 0;
    for (std::size_t s = 0; s < kSegments; ++s) {
      if (service.mix[s] > 0) sum += weight[points[i].service][s] * std::exp(log_growth(laws[s], points[i].at));
    }
    const double age = std::fmax(0, points[i].at - service.opened);
    surge[i] = on.rollout ? -std::expm1(-fade * age) / fade : 0;
    f.mean[i] = kLevel + std::log(sum) + v[Param::rollout] * surge[i];
  }
  const Wander market(points, v[Param::common_rate], common), region(points, v[Param::region_rate], own),
      service(points, v[Param::service_rate], own);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      const Point &p = points[i], &q = points[j];
      double c = 0;
      for (int process = 0; process < 3; ++process) {
        if (!acts(h, p, process) || !acts(h, q, process)) continue;
        if (process == 0 && on.common) c += market.covariance(points, i, j);
        if (process > 0 && on.region) c += region.covariance(points, i, j);
      }
      if (p.what == Quantity::volume && q.what == Quantity::volume && p.service == q.service) {
        c += kLevelSd * kLevelSd;
        if (on.service) c += service.covariance(points, i, j);
        if (on.rollout) c += v[Param::rollout_spread] * v[Param::rollout_spread] * surge[i] * surge[j];
      }
      if (i == j) c += points[i].sd * points[i].sd + (points[i].sd > 0 ? v[Param::report_noise] * v[Param::report_noise] : 1e-6);
      f.covariance[i * n + j] = f.covariance[j * n + i] = c;
    }
  }
  return f;
}

Conditional condition(const Field& all, std::span<const double> observed, std::size_t wanted) {
  const std::size_t n = observed.size(), total = all.mean.size();
  JEVONS_ENSURE(n + wanted == total);
  // One factorisation of the joint matrix does it all: its lower right block is the root of the conditional covariance.
  std::vector<double> l = all.covariance;
  std::vector<double> z(n);
  Conditional c;
  const std::size_t whole = total;
  double ln = 0;
  (void)factor(l, whole);
  for (std::size_t i = 0; i < n; ++i) {
    double sum = observed[i] - all.mean[i];
    for (std::size_t k = 0; k < i; ++k) sum -= l[i * total + k] * z[k];
    z[i] = sum / l[i * total + i];
    ln += std::log(l[i * total + i]) + z[i] * z[i] / 2;
  }
  c.log_density = -ln;
  c.mean.resize(wanted);
  c.root.assign(wanted * wanted, 0);
  for (std::size_t i = 0; i < wanted; ++i) {
    double sum = all.mean[n + i];
    for (std::size_t k = 0; k < n; ++k) sum += l[(n + i) * total + k] * z[k];
    c.mean[i] = sum;
    for (std::size_t j = 0; j <= i; ++j) c.root[i * wanted + j] = l[(n + i) * total + n + j];
  }
  return c;
}

}  // namespace jevons::market
