#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "evidence/cases.hpp"

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

Error wrong(const Row& r, std::string column, std::string what, std::string expected) {
  return {ErrorCode::bad_input, r.file, r.line, std::move(column), std::move(what), std::move(expected), {}};
}

// The workers of one kind: "prefill" or "decode". Attention ranks share the accelerators of a worker, as in an aggregated replica.
Result<Workers> read_workers(const Row& r, const std::string& kind) {
  Workers w;
  for (const char* size : {"_workers", "_tp"}) {
    if (r.text(kind + size).empty()) return fail(wrong(r, kind + size, "is empty in a disaggregated row", "a number of at least 1"));
  }
  JEVONS_TRY(w.count, r.size(kind + "_workers"));
  JEVONS_TRY(const int ranks, r.size(kind + "_tp"));
  JEVONS_TRY(w.placement.pp, r.size(kind + "_pp"));
  JEVONS_TRY(w.placement.dp, r.size(kind + "_dp_attention"));
  JEVONS_TRY(w.placement.ep, r.size(kind + "_ep"));
  w.placement.tp = w.placement.dp > 1 ? std::max(1, ranks / w.placement.dp) : ranks;
  return w;
}

std::vector<std::pair<std::string, std::string>> read_flags(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> flags;
  for (const auto pair : split(text, ';')) {
    if (trim(pair).empty()) continue;
    const auto equals = pair.find('=');
    flags.emplace_back(std::string(trim(pair.substr(0, equals))),
                       equals == std::string_view::npos ? std::string() : std::string(trim(pair.substr(equals + 1))));
  }
  return flags;
}

Result<void> read_sizes(const Row& r, Case& c) {
  if (c.disaggregated) {
    JEVONS_TRY(c.prefill, read_workers(r, "prefill"));
    JEVONS_TRY(c.decode, read_workers(r, "decode"));
    return {};
  }
  JEVONS_TRY(c.placement.tp, r.size("tp"));
  JEVONS_TRY(c.placement.pp, r.size("pp"));
  JEVONS_TRY(c.placement.ep, r.size("ep"));
  JEVONS_TRY(c.placement.dp, r.size("dp_attention"));
  JEVONS_TRY(const int accelerators, r.size("n_accelerators"));
  if (c.placement.dp > 1) c.placement.tp = std::max(1, accelerators / c.placement.dp);  // attention ranks lie within the replica
  return {};
}

Result<Case> read_case(const Row& r) {
  Case c;
  c.row = r.line;
  c.file = r.file;
  c.id = r.text("case_id");
  c.date = r.text("date");
  c.model = r.text("model");
  c.accelerator = r.text("accelerator");
  c.weights = r.text("weights");
  c.kv_cache = r.text("kv_cache");
  c.engine = r.text("engine");
  c.engine_version = r.text("engine_version");
  c.engine_args = read_flags(r.text("engine_args"));
  c.disaggregated = r.text("mode") == "disagg";
  JEVONS_CHECK(read_sizes(r, c));
  if (!r.text("lengths").empty()) c.lengths = r.text("lengths");
  JEVONS_TRY(const double share, mean_share(r));
  JEVONS_TRY(const auto isl, r.number("isl"));
  JEVONS_TRY(const auto osl, r.number("osl"));
  JEVONS_TRY(const auto load, r.number("load_value"));
  JEVONS_TRY(const auto requests, r.number("num_requests"));
  JEVONS_TRY(const auto hits, r.number("prefix_hit_rate"));
  JEVONS_TRY(const auto ttft, r.number("ttft_ms_mean"));
  JEVONS_TRY(const auto tpot, r.number("tpot_ms_mean"));
  if (!isl || !osl || *isl < 1 || *osl < 1) return fail(wrong(r, "isl", "isl or osl is missing or 0", "tokens of at least 1"));
  if (!load || *load < 1) return fail(wrong(r, "load_value", fmt::format("'{}'", r.text("load_value")), "at least one request in flight"));
  if (!ttft && !tpot) return fail(wrong(r, "tpot_ms_mean", "neither TTFT nor TPOT is measured", "at least one of the two"));
  c.nominal_isl = *isl;
  c.nominal_osl = *osl;
  c.isl = *isl * share;
  c.osl = *osl * share;
  c.concurrency = *load;
  c.num_requests = requests && *requests >= 1 ? std::size_t(*requests) : 10 * std::size_t(*load);
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
    const std::string& mode = r.text("mode");
    if (mode != "agg" && mode != "disagg") return fail(wrong(r, "mode", fmt::format("'{}'", mode.substr(0, 40)), "agg or disagg"));
    if (r.text("load") != "concurrency") {
      out.passed_over.push_back(
          fmt::format("{}:{} {}: load {}: cases are scored under a fixed concurrency", file, r.line, r.text("case_id"), r.text("load")));
      continue;
    }
    JEVONS_TRY(Case c, read_case(r));
    out.cases.push_back(std::move(c));
  }
  return out;
}

}  // namespace jevons::evidence
