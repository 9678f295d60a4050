#include <fmt/format.h>

#include <charconv>

#include "base/text.hpp"
#include "evidence/validate.hpp"

namespace jevons::evidence {
namespace {

// One line of the file under its header.
struct Row {
  const std::vector<std::string>& header;
  const std::vector<std::string>& cells;
  const std::string& file;
  int line;

  const std::string& text(std::string_view column) const {
    static const std::string kEmpty;
    for (std::size_t i = 0; i < header.size(); ++i) {
      if (header[i] == column) return i < cells.size() ? cells[i] : kEmpty;
    }
    return kEmpty;
  }
  Result<std::optional<double>> number(std::string_view column) const {
    const std::string& t = text(column);
    if (t.empty()) return std::optional<double>{};
    double v = 0;
    const auto [end, status] = std::from_chars(t.data(), t.data() + t.size(), v);
    if (status != std::errc{} || end != t.data() + t.size() || !(v >= 0) || v > 1e12) {
      return fail({ErrorCode::bad_input,
                   file,
                   line,
                   std::string(column),
                   fmt::format("'{}' is not a number", t.substr(0, 40)),
                   "a number of at least 0, or nothing",
                   {}});
    }
    return std::optional<double>{v};
  }
  Result<int> size(std::string_view column) const {
    JEVONS_TRY(const auto v, number(column));
    return std::max(1, int(v.value_or(1)));
  }
};

// Mean of what a benchmark draws: "fixed", or "uniform:0.8:1.0" of nominal.
Result<double> mean_share(const Row& r) {
  const std::string& t = r.text("lengths");
  if (t.empty() || t == "fixed") return 1.0;
  const auto parts = split(t, ':');
  double low = 0, high = 0;
  if (parts.size() == 3 && parts[0] == "uniform" &&
      std::from_chars(parts[1].data(), parts[1].data() + parts[1].size(), low).ec == std::errc{} &&
      std::from_chars(parts[2].data(), parts[2].data() + parts[2].size(), high).ec == std::errc{} && low > 0 && low <= high) {
    return (low + high) / 2;
  }
  return fail({ErrorCode::bad_input, r.file, r.line, "lengths", fmt::format("'{}'", t.substr(0, 40)), "fixed or uniform:LOW:HIGH", {}});
}

Result<Case> read_case(const Row& r) {
  Case c;
  c.row = r.line;
  c.id = r.text("case_id");
  c.model = r.text("model");
  c.accelerator = r.text("accelerator");
  c.weights = r.text("weights");
  c.kv_cache = r.text("kv_cache");
  c.engine = r.text("engine");
  JEVONS_TRY(c.placement.tp, r.size("tp"));
  JEVONS_TRY(c.placement.pp, r.size("pp"));
  JEVONS_TRY(c.placement.ep, r.size("ep"));
  JEVONS_TRY(c.placement.dp, r.size("dp_attention"));
  JEVONS_TRY(const int accelerators, r.size("n_accelerators"));
  if (c.placement.dp > 1) c.placement.tp = std::max(1, accelerators / c.placement.dp);  // attention ranks lie within the replica
  JEVONS_TRY(const double share, mean_share(r));
  JEVONS_TRY(const auto isl, r.number("isl"));
  JEVONS_TRY(const auto osl, r.number("osl"));
  JEVONS_TRY(const auto load, r.number("load_value"));
  JEVONS_TRY(const auto hits, r.number("prefix_hit_rate"));
  JEVONS_TRY(const auto ttft, r.number("ttft_ms_mean"));
  JEVONS_TRY(const auto tpot, r.number("tpot_ms_mean"));
  if (!isl || !osl || *isl < 1 || *osl < 1)
    return fail({ErrorCode::bad_input, r.file, r.line, "isl", "isl or osl is missing or 0", "tokens of at least 1", {}});
  if (!ttft && !tpot)
    return fail({ErrorCode::bad_input, r.file, r.line, "tpot_ms_mean", "neither TTFT nor TPOT is measured", "at least one of the two", {}});
  c.isl = *isl * share;
  c.osl = *osl * share;
  c.concurrency = std::max(1.0, load.value_or(1));
  c.prefix_hit_rate = std::min(1.0, hits.value_or(0));
  if (ttft) c.ttft_s = *ttft / 1e3;
  if (tpot) c.tpot_s = *tpot / 1e3;
  c.ttft_usable = r.text("ttft_usable") != "no";
  return c;
}

}  // namespace

Result<Cases> read_cases(const std::string& csv, const std::string& file) {
  const auto lines = split(csv, '\n');
  const auto header = csv_cells(lines[0]);
  for (const auto* needed : {"model", "accelerator", "mode", "engine", "isl", "osl", "load", "load_value"}) {
    if (std::find(header.begin(), header.end(), needed) == header.end()) {
      return fail({ErrorCode::bad_input, file, 1, needed, "no such column", "the columns of docs/cases.md", {}});
    }
  }
  Cases out;
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (trim(lines[i]).empty()) continue;
    const auto cells = csv_cells(lines[i]);
    const Row r{header, cells, file, int(i) + 1};
    if (r.text("mode") != "agg" || r.text("load") != "concurrency") {
      out.passed_over.push_back(
          fmt::format("{}:{} {}: mode {} under load {}: the closed form covers one aggregated replica at a concurrency", file, r.line,
                      r.text("case_id"), r.text("mode"), r.text("load")));
      continue;
    }
    JEVONS_TRY(Case c, read_case(r));
    out.cases.push_back(std::move(c));
  }
  return out;
}

}  // namespace jevons::evidence
