// Fan and line charts as SVG, for slides and papers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "report/document.hpp"

namespace jevons::report {
namespace {

constexpr double kWide = 640, kHigh = 360, kLeft = 70, kRight = 16, kTop = 34, kBottom = 44;

std::string escaped(const std::string& s) {
  std::string out;
  for (const char c : s) out += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return out;
}

struct Axis {
  double low = 0, high = 1, from = 0, to = 1;
  bool log = false;
  double at(double v) const {
    const double x = log ? std::log10(std::fmax(v, low)) : v, a = log ? std::log10(low) : low, b = log ? std::log10(high) : high;
    return from + (to - from) * (b > a ? (x - a) / (b - a) : 0.5);
  }
  std::vector<double> ticks() const {
    std::vector<double> out;
    if (log) {
      for (double v = std::pow(10, std::ceil(std::log10(low) - 1e-9)); v <= high * (1 + 1e-9); v *= 10) out.push_back(v);
      return out;
    }
    const double step = std::pow(10, std::floor(std::log10((high - low) / 4)));
    const double wide = (high - low) / step > 8 ? 2 * step : step;
    for (double v = std::ceil(low / wide) * wide; v <= high + 1e-9 * wide; v += wide) out.push_back(v);
    return out;
  }
};

std::string points(const Chart::Series& s, const Axis& x, const Axis& y, bool backwards) {
  std::string out;
  for (std::size_t k = 0; k < s.x.size(); ++k) {
    const std::size_t i = backwards ? s.x.size() - 1 - k : k;
    out += fmt::format("{:.1f},{:.1f} ", x.at(s.x[i]), y.at(s.y[i]));
  }
  return out;
}

}  // namespace

std::string to_svg(const Chart& c) {
  Axis x{1e300, -1e300, kLeft, kWide - kRight, c.log_x}, y{1e300, -1e300, kHigh - kBottom, kTop, c.log_y};
  for (const auto& s : c.series) {
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      x.low = std::min(x.low, s.x[i]), x.high = std::max(x.high, s.x[i]);
      if (c.log_y && !(s.y[i] > 0)) continue;
      y.low = std::min(y.low, s.y[i]), y.high = std::max(y.high, s.y[i]);
    }
  }
  if (!c.log_y) y.low = std::min(0.0, y.low);
  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:g} {:g}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/><text x=\"{:g}\" y=\"20\" font-size=\"14\">{}</text>\n",
      kWide, kHigh, kLeft, escaped(c.title));
  for (const double v : y.ticks())
    out += fmt::format(
        "<line x1=\"{:g}\" x2=\"{:g}\" y1=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/><text x=\"{:g}\" y=\"{:.1f}\" "
        "text-anchor=\"end\">{:g}</text>\n",
        kLeft, kWide - kRight, y.at(v), y.at(v), kLeft - 6, y.at(v) + 4, v);
  for (const double v : x.ticks())
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:g}\" text-anchor=\"middle\">{:g}</text>\n", x.at(v), kHigh - kBottom + 18, v);
  const bool fan = c.type == "fan";
  for (std::size_t i = 1; fan && i + 1 < c.series.size(); i += 2)
    out += fmt::format("<polygon points=\"{}{}\" fill=\"#4a9ac9\" fill-opacity=\"0.22\"><title>{} to {}</title></polygon>\n",
                       points(c.series[i], x, y, false), points(c.series[i + 1], x, y, true), escaped(c.series[i].label),
                       escaped(c.series[i + 1].label));
  for (std::size_t i = 0; i < (fan ? 1 : c.series.size()); ++i)
    out += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"#0b5c8a\" stroke-width=\"2\"/>\n", points(c.series[i], x, y, false));
  out += fmt::format("<text x=\"{:g}\" y=\"{:g}\" text-anchor=\"middle\">{}</text>\n</svg>\n", (kLeft + kWide - kRight) / 2, kHigh - 8,
                     escaped(c.x_label + (fan ? "; bands hold 50, 80 and 95 % of futures" : "")));
  return out;
}

}  // namespace jevons::report
