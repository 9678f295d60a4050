#pragma once
// One result, four faces: terminal page, JSON, CSV and a self-contained HTML file, all written from this value.
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace jevons::report {

/// Where a number comes from, as --explain prints it.
struct Origin {
  std::string kind;    // spec, measured, derived, assumed, simulated, input
  std::string how;     // the formula in words and the function that computes it
  std::string source;  // publication or fact behind it; "" when `how` says it all
};

/// A named number of the result. `path` is its place in result.json, with the unit as the last word: "cost.output_usd_per_mtok".
struct Value {
  std::string path, label, unit;
  std::optional<double> number;  // nothing: not known, `origin.how` says why
  Origin origin;
};

struct Column {
  std::string key;            // in JSON and CSV, unit included: "ttft_ms"
  std::string label;          // on the page; a '\n' splits it over two lines
  std::string format = "{}";  // fmt format of a number
  Origin origin;              // empty for text columns
};
using Cell = std::variant<std::monostate, double, std::string>;
struct Table {
  std::string name, title;
  std::vector<Column> columns;
  std::vector<std::vector<Cell>> rows;
  std::vector<std::string> notes;
  bool page = true;  // false: only in files, too long for the page
};

struct Chart {
  std::string name, title, type;  // type: bar, line, scatter; fan: the middle, then pairs of ends, widest first
  std::string x_label, y_label;
  bool log_x = false, log_y = false;
  std::vector<std::string> categories;  // bar only
  struct Series {
    std::string label;
    std::vector<double> x, y;
  };
  std::vector<Series> series;
};

struct Document {
  std::string title, origin_file, version;
  bool partial = false;
  struct Line {
    std::string label, text;
  };
  std::vector<Line> answer;  // the three lines a reader sees first
  std::vector<Value> values;
  std::vector<Table> tables;
  std::vector<Chart> charts;
  std::vector<std::string> notes;  // what binds, what was assumed, what would move the answer most
  struct UsedFact {
    std::string thing, key, value, kind, confidence, source, date;
  };
  std::vector<UsedFact> facts;
};

/// The whole document as JSON: values nested by path, tables as arrays of objects, then `explain` and `facts`.
nlohmann::ordered_json to_json(const Document&);
/// The page: at most 100 columns, answer first. Colour only when asked for.
std::string to_page(const Document&, bool colour, bool explain);
/// One table as aligned text, at most 100 columns wide.
std::string to_text(const Table&, bool colour);
/// RFC 4180 CSV with a header line; absent cells are empty.
std::string to_csv(const Table&);
/// A fan or line chart as an SVG image. Values that a logarithmic axis cannot show are left out.
std::string to_svg(const Chart&);
/// A self-contained HTML page that reads nothing but the result JSON inside it. `result` is to_json(document).
std::string to_html(const nlohmann::ordered_json& result);

}  // namespace jevons::report
