#include "base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/text.hpp"

namespace jevons {
namespace {

struct Atom {
  std::string_view name;
  double factor;
  Dim dim;
  bool prefix;  // takes SI prefixes
};
constexpr double kYear = 365.0 * 86400.0;
constexpr std::array kAtoms{Atom{"B", 1, {.byte = 1}, true},
                            Atom{"bit", 0.125, {.byte = 1}, true},
                            Atom{"FLOPS", 1, {.flop = 1, .second = -1}, true},
                            Atom{"OPS", 1, {.flop = 1, .second = -1}, true},
                            Atom{"FLOP", 1, {.flop = 1}, true},
                            Atom{"s", 1, {.second = 1}, true},
                            Atom{"min", 60, {.second = 1}, false},
                            Atom{"h", 3600, {.second = 1}, false},
                            Atom{"d", 86400, {.second = 1}, false},
                            Atom{"month", kYear / 12, {.second = 1}, false},
                            Atom{"yr", kYear, {.second = 1}, false},
                            Atom{"tok", 1, {.token = 1}, true},
                            Atom{"token", 1, {.token = 1}, true},
                            Atom{"USD", 1, {.usd = 1}, true},
                            Atom{"J", 1, {.joule = 1}, true},
                            Atom{"Wh", 3600, {.joule = 1}, true},
                            Atom{"W", 1, {.second = -1, .joule = 1}, true},
                            Atom{"%", 0.01, {}, false},
                            Atom{"CNY", 1, {}, true},
                            Atom{"m", 1, {}, false},
                            Atom{"accel", 1, {}, false},
                            Atom{"chip", 1, {}, false},
                            Atom{"module", 1, {}, false},
                            Atom{"port", 1, {}, false},
                            Atom{"lane", 1, {}, false},
                            Atom{"FIT", 1, {}, false},
                            Atom{"gCO2", 1, {}, true},
                            Atom{"L", 1, {}, false},
                            Atom{"people", 1, {}, false},
                            Atom{"count", 1, {}, false},
                            Atom{"x", 1, {}, false}};

constexpr std::array<std::pair<std::string_view, double>, 13> kPrefixes{{{"Ki", kKibi},
                                                                         {"Mi", kMebi},
                                                                         {"Gi", kGibi},
                                                                         {"Ti", kGibi * 1024},
                                                                         {"n", 1e-9},
                                                                         {"u", 1e-6},
                                                                         {"m", 1e-3},
                                                                         {"k", 1e3},
                                                                         {"M", 1e6},
                                                                         {"G", 1e9},
                                                                         {"T", 1e12},
                                                                         {"P", 1e15},
                                                                         {"E", 1e18}}};

bool atom_of(std::string_view word, Measure& out) {
  for (const auto& a : kAtoms) {
    if (word == a.name) {
      out = {a.factor, a.dim};
      return true;
    }
  }
  for (const auto& [prefix, factor] : kPrefixes) {
    if (!word.starts_with(prefix)) continue;
    for (const auto& a : kAtoms) {
      if (a.prefix && word.substr(prefix.size()) == a.name) {
        out = {a.factor * factor, a.dim};
        return true;
      }
    }
  }
  return false;
}

std::string significant(double value, int digits) {
  const double magnitude = value == 0 ? 0 : std::floor(std::log10(std::abs(value)) + 1e-12);
  const int decimals = std::max(0, digits - 1 - int(magnitude));
  return fmt::format("{:.{}f}", value, decimals);
}

}  // namespace

Result<Measure> parse_unit(std::string_view unit) {
  Measure m{1, {}};
  bool below = false;
  std::size_t at = 0;
  const std::string_view text = trim(unit);
  while (at < text.size()) {
    const char c = text[at];
    if (c == '/') below = true;
    if (c == '/' || c == ' ' || c == '*') {
      ++at;
      continue;
    }
    const std::size_t end = std::min(text.find_first_of("/ *", at), text.size());
    Measure atom;
    if (!atom_of(text.substr(at, end - at), atom)) {
      return bad_input("", fmt::format("unknown unit '{}'", text.substr(at, std::min<std::size_t>(end - at, 30))),
                       "B bit FLOP FLOPS OPS s min h d month yr tok USD J Wh W % and counts, with SI or binary prefixes",
                       "write TB/s, GiB, W, USD/h …");
    }
    m.value = below ? m.value / atom.value : m.value * atom.value;
    m.dim = below ? m.dim - atom.dim : m.dim + atom.dim;
    at = end;
  }
  return m;
}

Result<Measure> parse_measure(std::string_view text) {
  const std::string_view t = trim(text);
  double number = 0;
  const auto [end, status] = std::from_chars(t.data(), t.data() + t.size(), number);
  if (status != std::errc{} || !std::isfinite(number)) {
    return bad_input("", fmt::format("'{}' does not start with a finite number", t.substr(0, 40)),
                     "a number and a unit, such as 3.35 TB/s");
  }
  JEVONS_TRY(Measure m, parse_unit(t.substr(std::size_t(end - t.data()))));
  m.value *= number;
  if (!std::isfinite(m.value)) return bad_input("", fmt::format("'{}' is too large", t.substr(0, 40)), "a finite number");
  return m;
}

std::string dim_name(Dim dim) {
  const std::array<std::pair<int, std::string_view>, 6> parts{
      {{dim.byte, "byte"}, {dim.flop, "FLOP"}, {dim.joule, "J"}, {dim.usd, "USD"}, {dim.token, "token"}, {dim.second, "s"}}};
  std::string above, below;
  for (const auto& [power, name] : parts) {
    for (int i = 0; i < std::abs(power); ++i)
      (power > 0 ? above : below) += (power > 0 ? (above.empty() ? "" : "·") : "/") + std::string(name);
  }
  if (above.empty() && below.empty()) return "no unit";
  return (above.empty() ? "1" : above) + below;
}

std::string format_bytes(double bytes) {
  constexpr std::array<std::string_view, 6> names{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  std::size_t i = 0;
  while (std::abs(bytes) >= 1024 && i + 1 < names.size()) {
    bytes /= 1024;
    ++i;
  }
  return fmt::format("{} {}", i == 0 ? fmt::format("{:.0f}", bytes) : significant(bytes, 3), names[i]);
}

std::string format_si(double value, std::string_view unit) {
  constexpr std::array<std::pair<double, std::string_view>, 7> steps{
      {{1e18, "E"}, {1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {1, ""}}};
  for (const auto& [factor, prefix] : steps) {
    if (std::abs(value) >= factor) return fmt::format("{} {}{}", significant(value / factor, 3), prefix, unit);
  }
  return fmt::format("{} {}", significant(value, 3), unit);
}

std::string format_seconds(double seconds) {
  const double a = std::abs(seconds);
  if (a >= 1) return significant(seconds, 3) + " s";
  if (a >= 1e-3) return significant(seconds * 1e3, 3) + " ms";
  return significant(seconds * 1e6, 3) + " us";
}

std::string format_number(double value, int digits) {
  std::string s = value == std::floor(value) && std::abs(value) < 1e15 ? fmt::format("{:.0f}", value) : significant(value, digits);
  const std::size_t dot = std::min(s.find('.'), s.size());
  const std::size_t first = s[0] == '-' ? 1 : 0;
  for (std::size_t at = dot; at > first + 3;) s.insert(at -= 3, ",");
  return s;
}

}  // namespace jevons
