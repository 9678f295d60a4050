#include "fabric/drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"

namespace jevons::fabric {
namespace {

constexpr double kWidth = 960, kLeft = 220, kRight = 24, kRow = 110, kTop = 64;
constexpr int kMostBoxes = 16;
constexpr std::string_view kEndpoint = "#2563eb", kSwitch = "#b45309", kLink = "#94a3b8", kText = "#0f172a";

std::string escaped(std::string_view s) {
  std::string out;
  for (const char c : s) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

struct Canvas {
  std::string body;
  void line(double x1, double y1, double x2, double y2, double width = 1) {
    body += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x1, y1, x2,
                        y2, kLink, width);
  }
  void box(double x, double y, double w, double h, std::string_view fill) {
    body += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" rx=\"4\" fill=\"{}\" stroke=\"white\"/>\n", x,
                        y, w, h, fill);
  }
  void dot(double x, double y, double r, std::string_view fill) {
    body += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\"/>\n", x, y, r, fill);
  }
  void text(double x, double y, std::string_view s, int size = 13, std::string_view anchor = "start") {
    body += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" font-size=\"{}\" text-anchor=\"{}\" fill=\"{}\">{}</text>\n", x, y, size, anchor,
                        kText, escaped(s));
  }
  std::string file(double height, std::string_view title) const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0:.0f} {1:.0f}\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "font-family=\"sans-serif\" role=\"img\">\n<title>{2}</title>\n<rect width=\"{0:.0f}\" height=\"{1:.0f}\" "
        "fill=\"white\"/>\n{3}</svg>\n",
        kWidth, height, escaped(title), body);
  }
};

std::string wire(const std::optional<Medium>& m, double metres) {
  if (!m) return "medium not stated";
  return fmt::format("{}{}{}", m->technology.empty() ? "" : m->technology + ", ", m->component,
                     metres > 0 ? fmt::format(", up to {} m", format_number(metres)) : "");
}

// What a row of boxes stands for, where it does not show all there are.
std::string part_of(int drawn, double all) { return drawn < all ? fmt::format(", {} drawn", drawn) : ""; }

std::string headline(const Network& n) {
  return fmt::format("{}: {} endpoints of {} in one direction", n.name, format_number(n.endpoints, 9),
                     format_si(n.endpoint_bandwidth.value() * 8, "bit/s"));
}

// Centre of box i of `shown` boxes in a row.
double place(int i, int shown) { return kLeft + (kWidth - kLeft - kRight) * (i + 0.5) / shown; }

std::string clos_svg(const Network& n, const PartsList& list) {
  Canvas c;
  const double height = kTop + kRow * (n.tiers + 1);
  const auto y_of = [&](int tier) { return kTop + kRow * (n.tiers - tier) + 14; };  // tier 0: endpoints
  const auto in_tier = [&](int tier) { return tier == 0 ? n.endpoints : list.chips_by_tier[std::size_t(tier - 1)] / n.planes; };
  const auto shown = [&](int tier) { return int(std::min<double>(kMostBoxes, in_tier(tier))); };
  c.text(kLeft, 28, headline(n), 16);
  for (int t = 0; t < n.tiers; ++t) {  // links first, so that boxes lie over them
    const int below = shown(t), above = shown(t + 1);
    for (int i = 0; i < below; ++i) {
      for (int k = 0; k < above; ++k) {
        const bool own = n.tiers == 1 || t > 0 || k == i * above / below;  // an endpoint has one leaf in a plane of many tiers
        if (own) c.line(place(i, below), y_of(t), place(k, above), y_of(t + 1) + 22, t > 0 && n.oversubscription > 1 ? 0.5 : 1);
      }
    }
  }
  for (int t = 0; t <= n.tiers; ++t) {
    const int boxes = shown(t);
    const double w = std::min(40.0, (kWidth - kLeft - kRight) / boxes - 6);
    const int depth = t == 0 ? 1 : int(std::min(3.0, n.planes));  // planes lie behind one another
    for (int p = depth - 1; p >= 0; --p) {
      for (int i = 0; i < boxes; ++i) c.box(place(i, boxes) - w / 2 + 4 * p, y_of(t) - 4 * p, w, 22, t == 0 ? kEndpoint : kSwitch);
    }
    const double y = y_of(t) + 6;
    if (t == 0) {
      c.text(12, y, fmt::format("{} endpoints{}", format_number(n.endpoints, 9), part_of(boxes, n.endpoints)));
      c.text(12, y + 16, wire(n.endpoint_end, n.first_link_m), 11);
      if (n.leaf_end && n.endpoint_end && n.leaf_end->component != n.endpoint_end->component)
        c.text(12, y + 32, "at the leaf " + wire(n.leaf_end, 0), 11);
    } else {
      c.text(12, y, fmt::format("tier {}: {} switch chips", t, format_number(list.chips_by_tier[std::size_t(t - 1)], 9)));
      c.text(12, y + 16,
             fmt::format("{}{} ports each{}",
                         n.planes > 1 ? fmt::format("{} planes of {}, ", format_number(n.planes, 9), format_number(in_tier(t), 9)) : "",
                         format_number(n.radix, 9), part_of(boxes, in_tier(t))),
             11);
      if (t > 1) c.text(12, y + 32, wire(n.uplink, n.uplink_m), 11);
    }
  }
  if (n.oversubscription > 1)
    c.text(kLeft, 46, fmt::format("{}:1 oversubscribed above the first tier", format_number(n.oversubscription)), 12);
  return c.file(height, headline(n));
}

std::string torus_svg(const Network& n) {
  Canvas c;
  const int columns = std::min(kMostBoxes, n.dimensions[0]), rows = std::min(10, n.dimensions.size() > 1 ? n.dimensions[1] : 1);
  const double step = 40;
  const auto x = [&](int i) { return kLeft + 20 + i * step; };
  const auto y = [&](int k) { return kTop + 30 + k * step; };
  c.text(kLeft, 28, headline(n), 16);
  for (int k = 0; k < rows; ++k) c.line(x(0) - 16, y(k), x(columns - 1) + 16, y(k));
  for (int i = 0; i < columns && rows > 1; ++i) c.line(x(i), y(0) - 16, x(i), y(rows - 1) + 16);
  for (int k = 0; k < rows; ++k) {
    for (int i = 0; i < columns; ++i) c.dot(x(i), y(k), 9, kEndpoint);
  }
  c.text(12, kTop + 30, fmt::format("torus of {}", fmt::join(n.dimensions, " x ")));
  c.text(12, kTop + 46, "every line closes on itself", 11);
  const bool flat = n.dimensions.size() < 3 && columns == n.dimensions[0] && (n.dimensions.size() < 2 || rows == n.dimensions[1]);
  if (!flat) c.text(12, kTop + 62, fmt::format("{} x {} of two dimensions drawn", columns, rows), 11);
  c.text(12, kTop + 78, wire(n.endpoint_end, n.first_link_m), 11);
  return c.file(y(rows) + 20, headline(n));
}

std::string mesh_svg(const Network& n) {
  Canvas c;
  const int shown = int(std::min<double>(kMostBoxes, n.endpoints));
  const double r = 150, cx = kLeft + 260, cy = kTop + r + 30;
  const auto angle = [&](int i) { return 6.283185307179586 * i / shown - 1.5707963267948966; };
  c.text(kLeft, 28, headline(n), 16);
  for (int i = 0; i < shown; ++i) {
    for (int k = i + 1; k < shown; ++k)
      c.line(cx + r * std::cos(angle(i)), cy + r * std::sin(angle(i)), cx + r * std::cos(angle(k)), cy + r * std::sin(angle(k)));
  }
  for (int i = 0; i < shown; ++i) c.dot(cx + r * std::cos(angle(i)), cy + r * std::sin(angle(i)), 12, kEndpoint);
  c.text(12, kTop + 30, "every pair joined" + part_of(shown, n.endpoints));
  c.text(12, kTop + 46, wire(n.endpoint_end, n.first_link_m), 11);
  return c.file(cy + r + 40, headline(n));
}

}  // namespace

std::string topology_svg(const Network& n, const PartsList& list) {
  if (n.shape == Shape::torus) return torus_svg(n);
  return n.shape == Shape::mesh ? mesh_svg(n) : clos_svg(n, list);
}

}  // namespace jevons::fabric
