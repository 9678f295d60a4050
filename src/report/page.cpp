// The terminal face of a document.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "report/document.hpp"

namespace jevons::report {
namespace {

constexpr std::size_t kWidth = 100;

struct Style {
  bool on;
  std::string bold(std::string_view s) const { return on ? fmt::format("\033[1m{}\033[0m", s) : std::string(s); }
  std::string dim(std::string_view s) const { return on ? fmt::format("\033[2m{}\033[0m", s) : std::string(s); }
};

// Columns a terminal gives to UTF-8 text: one per code point (the pages use no wide or combining characters).
std::size_t columns_of(std::string_view s) {
  return std::size_t(std::count_if(s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}
std::string pad(const std::string& s, std::size_t width, bool right) {
  const std::size_t n = columns_of(s);
  const std::string space(width > n ? width - n : 0, ' ');
  return right ? space + s : s + space;
}

// Breaks text at spaces; every line but the first is indented by `indent`.
std::string wrap(std::string_view text, std::size_t indent) {
  std::string out;
  std::size_t at = indent;
  for (const auto word : split(text, ' ')) {
    const std::size_t n = columns_of(word);
    if (at > indent && at + 1 + n > kWidth) {
      out += "\n" + std::string(indent, ' ');
      at = indent;
    } else if (at > indent) {
      out += " ";
      ++at;
    }
    out += word;
    at += n;
  }
  return out;
}

std::string cell_text(const Cell& c, const Column& column) {
  if (const auto* d = std::get_if<double>(&c)) return std::isfinite(*d) ? fmt::format(fmt::runtime(column.format), *d) : "-";
  if (const auto* s = std::get_if<std::string>(&c)) return *s;
  return "-";
}

std::string origin_text(const Origin& o) {
  std::string s = o.kind;
  if (!o.how.empty()) s += ": " + o.how;
  if (!o.source.empty()) s += " [" + o.source + "]";
  return s;
}

std::string explain_text(const Document& d, const Style& style) {
  std::string out = "\n" + style.bold("Where each number comes from") + "\n";
  for (const auto& v : d.values) {
    out += fmt::format("  {} = {}{}\n      {}\n", style.bold(v.path), v.number ? fmt::format("{:.6g}", *v.number) : "null",
                       v.unit.empty() ? "" : " " + v.unit, wrap(origin_text(v.origin), 6));
  }
  for (const auto& t : d.tables) {
    for (const auto& c : t.columns) {
      if (!c.origin.kind.empty())
        out += fmt::format("  {}\n      {}\n", style.bold(t.name + "[]." + c.key), wrap(origin_text(c.origin), 6));
    }
  }
  out += "\n" + style.bold("Facts used") + "\n";
  for (const auto& f : d.facts) {
    out += "  " +
           wrap(fmt::format("{} {} = {} ({}, confidence {}; {}; {})", f.thing, f.key, f.value, f.kind, f.confidence, f.source, f.date), 6) +
           "\n";
  }
  return out;
}

}  // namespace

std::string to_text(const Table& t, bool colour) {
  const Style style{colour};
  const std::size_t n = t.columns.size();
  std::vector<std::vector<std::string>> heads(n);
  std::vector<std::size_t> width(n, 0);
  std::vector<bool> right(n, false);
  std::size_t head_lines = 1;
  for (std::size_t i = 0; i < n; ++i) {
    for (const auto part : split(t.columns[i].label, '\n')) heads[i].emplace_back(part);
    head_lines = std::max(head_lines, heads[i].size());
    for (const auto& h : heads[i]) width[i] = std::max(width[i], columns_of(h));
    for (const auto& row : t.rows) {
      width[i] = std::max(width[i], columns_of(cell_text(row[i], t.columns[i])));
      right[i] = right[i] || std::holds_alternative<double>(row[i]);
    }
  }
  std::string out = style.bold(t.title) + "\n";
  for (std::size_t line = 0; line < head_lines; ++line) {
    std::string s = "  ";
    for (std::size_t i = 0; i < n; ++i) {
      const std::size_t skip = head_lines - heads[i].size();  // short heads sit at the bottom
      s += pad(line < skip ? std::string{} : heads[i][line - skip], width[i], right[i]) + "  ";
    }
    out += style.dim(std::string(s.substr(0, s.find_last_not_of(' ') + 1))) + "\n";
  }
  for (const auto& row : t.rows) {
    std::string s = "  ";
    for (std::size_t i = 0; i < n; ++i) s += pad(cell_text(row[i], t.columns[i]), width[i], right[i]) + "  ";
    out += s.substr(0, s.find_last_not_of(' ') + 1) + "\n";
  }
  for (const auto& note : t.notes) out += "  " + style.dim(wrap(note, 2)) + "\n";
  return out;
}

std::string to_page(const Document& d, bool colour, bool explain) {
  const Style style{colour};
  const std::size_t used = columns_of(d.title) + columns_of(d.origin_file);
  std::string out = style.bold(d.title);
  if (!d.origin_file.empty()) out += (used + 2 <= kWidth ? std::string(kWidth - used, ' ') : "\n  ") + style.dim(d.origin_file);
  out += "\n";
  if (d.partial) out += style.bold("  PARTIAL: stopped before the end; the numbers cover what had been done.") + "\n";
  for (const auto& line : d.answer) out += fmt::format("  {} {}\n", style.bold(pad(line.label, 8, false)), wrap(line.text, 11));
  for (const auto& t : d.tables) {
    if (t.page) out += "\n" + to_text(t, colour);
  }
  if (!d.notes.empty()) out += "\n" + style.bold(d.answer.empty() ? "Notes" : "What binds and what was assumed") + "\n";
  for (const auto& note : d.notes) out += "  " + wrap(note, 4) + "\n";
  if (explain) out += explain_text(d, style);
  return out;
}

}  // namespace jevons::report
