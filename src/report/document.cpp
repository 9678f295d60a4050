#include "report/document.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/result.hpp"
#include "base/text.hpp"

namespace jevons::report {
namespace {

using Json = nlohmann::ordered_json;

Json number(double v) { return std::isfinite(v) ? Json(v) : Json(nullptr); }

Json origin_json(const Origin& o) {
  Json j = {{"kind", o.kind}, {"how", o.how}};
  if (!o.source.empty()) j["source"] = o.source;
  return j;
}

Json cell_json(const Cell& c) {
  if (const auto* d = std::get_if<double>(&c)) return number(*d);
  if (const auto* s = std::get_if<std::string>(&c)) return *s;
  return nullptr;
}

void put_values(Json& out, const std::vector<Value>& values) {
  for (const auto& v : values) {
    Json* at = &out;
    for (const auto part : split(v.path, '.')) at = &(*at)[std::string(part)];
    JEVONS_ENSURE(at->is_null());
    *at = v.number ? number(*v.number) : Json(nullptr);
  }
}

Json table_json(const Table& t) {
  Json rows = Json::array();
  for (const auto& row : t.rows) {
    JEVONS_ENSURE(row.size() == t.columns.size());
    Json r = Json::object();
    for (std::size_t i = 0; i < row.size(); ++i) r[t.columns[i].key] = cell_json(row[i]);
    rows.push_back(std::move(r));
  }
  return rows;
}

Json layout_json(const Table& t) {
  Json columns = Json::array();
  for (const auto& c : t.columns) columns.push_back({{"key", c.key}, {"label", c.label}, {"origin", origin_json(c.origin)}});
  return {{"name", t.name}, {"title", t.title}, {"columns", columns}, {"notes", t.notes}, {"page", t.page}};
}

Json chart_json(const Chart& c) {
  Json series = Json::array();
  for (const auto& s : c.series) series.push_back({{"label", s.label}, {"x", s.x}, {"y", s.y}});
  return {{"name", c.name},       {"title", c.title},           {"type", c.type},
          {"x_label", c.x_label}, {"y_label", c.y_label},       {"log_x", c.log_x},
          {"log_y", c.log_y},     {"categories", c.categories}, {"series", series}};
}

}  // namespace

Json to_json(const Document& d) {
  Json j;
  j["title"] = d.title;
  if (!d.origin_file.empty()) j["scenario"] = d.origin_file;
  j["jevons"] = d.version;
  if (d.partial) j["partial"] = true;
  j["answer"] = Json::array();
  for (const auto& line : d.answer) j["answer"].push_back({{"label", line.label}, {"text", line.text}});
  j["values"] = Json::object();
  put_values(j["values"], d.values);
  j["tables"] = Json::object();
  j["layout"] = Json::array();
  for (const auto& t : d.tables) {
    j["tables"][t.name] = table_json(t);
    j["layout"].push_back(layout_json(t));
  }
  j["charts"] = Json::array();
  for (const auto& c : d.charts) j["charts"].push_back(chart_json(c));
  j["notes"] = d.notes;
  j["explain"] = Json::object();
  for (const auto& v : d.values) {
    Json e = {{"label", v.label}, {"unit", v.unit}};
    e.update(origin_json(v.origin));
    j["explain"][v.path] = std::move(e);
  }
  j["facts"] = Json::array();
  for (const auto& f : d.facts) {
    j["facts"].push_back({{"thing", f.thing},
                          {"key", f.key},
                          {"value", f.value},
                          {"kind", f.kind},
                          {"confidence", f.confidence},
                          {"source", f.source},
                          {"date", f.date}});
  }
  return j;
}

std::string to_csv(const Table& t) {
  const auto quoted = [](const std::string& s) {
    if (s.find_first_of(",\"\r\n") == std::string::npos) return s;
    std::string q = "\"";
    for (const char c : s) q += c == '"' ? std::string("\"\"") : std::string(1, c);
    return q + "\"";
  };
  std::string out;
  for (std::size_t i = 0; i < t.columns.size(); ++i) out += (i ? "," : "") + quoted(t.columns[i].key);
  out += "\n";
  for (const auto& row : t.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i) out += ",";
      if (const auto* d = std::get_if<double>(&row[i])) out += std::isfinite(*d) ? fmt::format("{}", *d) : "";
      if (const auto* s = std::get_if<std::string>(&row[i])) out += quoted(*s);
    }
    out += "\n";
  }
  return out;
}

}  // namespace jevons::report
