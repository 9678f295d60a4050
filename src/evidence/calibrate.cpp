#include "evidence/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <set>
#include <variant>

#include "base/stats.hpp"
#include "step/operator_fits.hpp"

namespace jevons::evidence {
namespace {

using Curve = OperatorCurve;
using Factors = std::array<double, 3>;  // on the times of floor, memory and multiplication (all-reduce: of the change of protocol)

constexpr std::size_t kLeastRows = 10;
constexpr double kScale = 0.05,
                 kPrior = 1.0;  // of logarithms: where a residual counts as an outlier; spread of a factor before any row is seen

step::CurveEvidence evidence_of(const Curve& c) {
  return std::visit([](const auto& x) { return x.evidence; }, c);
}

Result<Curve> curve_of(const step::CurveRequest& q, std::string_view library, const MeasuredOperator& o) {
  const auto wrap = [](auto&& r) -> Result<Curve> {
    JEVONS_TRY(auto c, std::move(r));
    return Curve(std::move(c));
  };
  switch (o.kind) {
    case OperatorKind::gemm:
      return wrap(step::gemm_curve(q, o.format));
    case OperatorKind::context_attention:
      return wrap(step::context_curve(q, step::AttentionFamily::gqa, o.format, o.kv_cache));
    case OperatorKind::decode_attention:
      return wrap(step::decode_curve(q, o.kv_cache));
    case OperatorKind::all_reduce:
      break;
  }
  return wrap(step::collective_curve(q, library, "all-reduce", o.ranks));
}

double predict(const Curve& curve, const MeasuredOperator& o) {
  struct Of {
    const MeasuredOperator& o;
    Seconds operator()(const step::GemmCurve& c) const { return gemm_time(c, o.m, o.n, o.k); }
    Seconds operator()(const step::ContextCurve& c) const {
      return context_attention_time(c, {.sequences = o.sequences, .tokens = o.tokens, .heads = o.heads, .kv_heads = o.kv_heads});
    }
    Seconds operator()(const step::DecodeCurve& c) const {
      return decode_attention_time(c, {.sequences = o.sequences, .keys = o.tokens, .heads = o.heads, .kv_heads = o.kv_heads});
    }
    Seconds operator()(const step::CollectiveCurve& c) const { return collective_time(c, Bytes{o.bytes}); }
  };
  return std::visit(Of{o}, curve).value();
}

// The curve with its times scaled, as a step runs it. The coefficients of the row move by the same factors (`scaled_cells`).
Curve scaled(Curve curve, const Factors& f) {
  struct By {
    const Factors& f;
    void operator()(step::GemmCurve& c) const {
      c.floor = (c.floor - c.launch) * f[0];
      c.launch = 0;
      c.deep *= f[0];
      c.rows *= f[0];
      c.per_byte *= f[1];
      c.quantise *= f[1];
      c.per_flop *= f[2];
    }
    void operator()(step::ContextCurve& c) const {
      c.floor *= f[0];
      c.per_head *= f[0];
      c.per_byte *= f[1];
      c.per_flop *= f[2];
    }
    void operator()(step::DecodeCurve& c) const {
      c.floor *= f[0];
      c.deep *= f[0];
      c.per_head *= f[0];
      c.per_kv_head *= f[0];
      c.per_byte *= f[1];
    }
    void operator()(step::CollectiveCurve& c) const {
      c.floor *= f[0];
      c.per_byte *= f[1];
      c.kink *= f[2];
    }
  };
  std::visit(By{f}, curve);
  return curve;
}

// What the factors do to the columns of the row.
double scaled_cell(std::string_view column, double value, const Curve& curve, const Factors& f) {
  if (column == "floor_us") {
    const auto* g = std::get_if<step::GemmCurve>(&curve);
    return (value - (g != nullptr ? g->launch * 1e6 : 0)) * f[0];
  }
  for (const std::string_view c : {"deep_us", "rows_us", "head_ns", "kv_head_ns"}) {
    if (column == c) return value * f[0];
  }
  if (column == "stream" || column == "fraction") return value / f[column == "stream" ? 1 : 2];
  if (column == "traffic" || column == "quantise" || column == "us_per_mb") return value * f[1];
  return column == "kink_us" ? value * f[2] : value;
}

// Shares of peak may not pass 1.
Factors bounds_of(const catalog::Thing& table, std::size_t row) {
  const auto share = [&](std::string_view column) {
    return table.series.column(column) ? table.series.number(row, column).value_or(0) : 0;
  };
  const double traffic = share("traffic");  // of context attention: at least 1
  return {0, std::max(share("stream"), traffic > 0 ? 1 / traffic : 0), share("fraction")};
}

struct Problem {
  const Curve& curve;
  const std::vector<const MeasuredOperator*>& rows;
  double residual(std::size_t i, const Factors& log_f) const {
    return std::log(predict(scaled(curve, {std::exp(log_f[0]), std::exp(log_f[1]), std::exp(log_f[2])}), *rows[i]) / rows[i]->seconds);
  }
  double cost(const Factors& f) const {
    double sum = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) sum += std::sqrt(1 + std::pow(residual(i, f) / kScale, 2)) - 1;
    for (const double x : f) sum += x * x / (2 * kPrior * kPrior);
    return sum;
  }
};

// Solves the 3 x 3 system of a Gauss-Newton step by elimination; its matrix is positive definite through the prior.
Factors solve(std::array<Factors, 3> a, Factors b) {
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = i + 1; j < 3; ++j) {
      const double m = a[j][i] / a[i][i];
      for (std::size_t k = i; k < 3; ++k) a[j][k] -= m * a[i][k];
      b[j] -= m * b[i];
    }
  }
  for (std::size_t i = 3; i-- > 0;) {
    for (std::size_t k = i + 1; k < 3; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

// Gauss-Newton on the logarithms of the factors under a loss that is linear beyond 5 %; halved until it helps.
Factors fit_factors(const Problem& p, const Factors& least) {
  constexpr double kStep = 1e-4;
  Factors at{};
  double cost = p.cost(at);
  for (int round = 0; round < 30; ++round) {
    std::array<Factors, 3> a{};
    Factors b{};
    for (std::size_t i = 0; i < p.rows.size(); ++i) {
      const double r = p.residual(i, at), w = 1 / (kScale * kScale) / std::sqrt(1 + std::pow(r / kScale, 2));
      Factors j{};
      for (std::size_t k = 0; k < 3; ++k) {
        Factors moved = at;
        moved[k] += kStep;
        j[k] = (p.residual(i, moved) - r) / kStep;
      }
      for (std::size_t x = 0; x < 3; ++x) {
        for (std::size_t y = 0; y < 3; ++y) a[x][y] += w * j[x] * j[y];
        b[x] -= w * j[x] * r;
      }
    }
    for (std::size_t x = 0; x < 3; ++x) {
      a[x][x] += 1 / (kPrior * kPrior);
      b[x] -= at[x] / (kPrior * kPrior);
    }
    Factors step = solve(a, b);
    bool better = false;
    for (int halving = 0; halving < 8 && !better; ++halving) {
      Factors next = at;
      for (std::size_t x = 0; x < 3; ++x) {
        next[x] += step[x];
        if (least[x] > 0) next[x] = std::max(next[x], std::log(least[x]));
        step[x] /= 2;
      }
      const double c = p.cost(next);
      if (c < cost - 1e-9) {
        at = next;
        cost = c;
        better = true;
      }
    }
    if (!better) break;
  }
  return {std::exp(at[0]), std::exp(at[1]), std::exp(at[2])};
}

struct Errors {
  double median = 0, p90 = 0;
};
Errors errors_of(const Curve& c, const std::vector<const MeasuredOperator*>& rows) {
  std::vector<double> e;
  for (const auto* o : rows) e.push_back(std::abs(predict(c, *o) / o->seconds - 1));
  std::sort(e.begin(), e.end());
  return {quantile_sorted(e, 0.5), quantile_sorted(e, 0.9)};
}

bool is_held_out(const MeasuredOperator& o) {
  switch (o.kind) {
    case OperatorKind::gemm:
      return held_out(std::array{o.m, o.n, o.k});
    case OperatorKind::context_attention:
    case OperatorKind::decode_attention:
      return held_out(std::array{o.sequences, o.tokens, o.heads, o.kv_heads});
    case OperatorKind::all_reduce:
      break;
  }
  return held_out(std::array{o.ranks, o.bytes});
}

// A row of a fits table that the overlay states anew.
struct NewRow {
  std::map<std::string, std::string> cells;
};

std::string cell_text(double v) { return fmt::format("{:.6g}", v); }

struct Calibrated {
  FitScore score;
  Curve base;
  Factors factors;
  const MeasuredOperator* first = nullptr;
};

NewRow row_of(const catalog::Thing& table, const Calibrated& c, const std::string& date) {
  const auto& s = table.series;
  const std::size_t from = evidence_of(c.base).row;
  NewRow row;
  for (std::size_t i = 0; i < s.columns.size(); ++i) {
    const std::string column(s.columns[i]);
    const std::string_view old = s.text(from, i);
    double v = 0;
    const auto [end, status] = std::from_chars(old.data(), old.data() + old.size(), v);
    const bool number = !old.empty() && status == std::errc{} && end == old.data() + old.size();
    row.cells[column] = number ? cell_text(scaled_cell(column, v, c.base, c.factors)) : std::string(old);
  }
  const auto set = [&](const char* column, std::string value) {
    if (row.cells.contains(column)) row.cells[column] = std::move(value);
  };
  set("accelerator", c.first->accelerator);
  set("engine", "measured");
  set("engine_version", date);
  set("library_version", date);
  set("points", std::to_string(c.score.fitted + c.score.held_out));
  set("screened", "0");
  set("held_out", std::to_string(c.score.held_out));
  set("median_error_pct", cell_text(c.score.after_median * 100));
  set("p90_error_pct", cell_text(c.score.after_p90 * 100));
  set("range", "");
  if (row.cells.contains("ranks")) row.cells["ranks"] = cell_text(c.first->ranks);
  return row;
}

// Does a built-in row answer for what the user has measured?
bool replaces(const catalog::Series& s, std::size_t i, const NewRow& row) {
  for (const char* column : {"accelerator", "format", "family", "kv_cache", "op", "ranks", "library"}) {
    if (s.column(column) && s.text(i, column) != row.cells.at(column)) return false;
  }
  return true;
}

std::string yaml_row(const catalog::Series& s, const std::set<std::string>& text_columns, const auto& cell) {
  std::string line;
  for (std::size_t i = 0; i < s.columns.size(); ++i) {
    const std::string column(s.columns[i]), value = cell(i, column);
    if (value.empty()) continue;
    line += fmt::format("{}{}: {}", line.empty() ? "" : ", ", column, text_columns.contains(column) ? "\"" + value + "\"" : value);
  }
  return "  - {" + line + "}\n";
}

// The whole table, the user's rows first and ours behind them, without those that the user's replace.
File table_file(const catalog::Thing& table, const std::vector<NewRow>& rows, const std::string& source, const std::string& date) {
  const auto& s = table.series;
  std::set<std::string> text_columns;
  for (std::size_t i = 0; i < s.columns.size(); ++i) {
    for (std::size_t r = 0; r < s.rows(); ++r) {
      const std::string_view t = s.text(r, i);
      double v = 0;
      const auto [end, status] = std::from_chars(t.data(), t.data() + t.size(), v);
      if (!t.empty() && (status != std::errc{} || end != t.data() + t.size())) text_columns.insert(std::string(s.columns[i]));
    }
  }
  std::string out = fmt::format("name: {}\noverride: true\ntitle: \"{}\"\n", table.name, table.title);
  out += fmt::format("defaults: {{kind: measured, source: \"{}; other rows: {}\", read: {}, confidence: A}}\ncolumns: {{", source,
                     table.attribute("source"), date);
  for (std::size_t i = 0; i < s.columns.size(); ++i)
    out += fmt::format("{}{}: {}", i == 0 ? "" : ", ", s.columns[i], text_columns.contains(std::string(s.columns[i])) ? "text" : "number");
  out += "}\nseries:\n";
  for (const auto& row : rows) out += yaml_row(s, text_columns, [&](std::size_t, const std::string& c) { return row.cells.at(c); });
  for (std::size_t r = 0; r < s.rows(); ++r) {
    if (std::any_of(rows.begin(), rows.end(), [&](const NewRow& n) { return replaces(s, r, n); })) continue;
    out += yaml_row(s, text_columns, [&](std::size_t i, const std::string&) { return std::string(s.text(r, i)); });
  }
  return {fmt::format("fits/{}.yaml", table.name), out};
}

Result<std::optional<Calibrated>> calibrate_group(const catalog::Catalog& catalog, const std::vector<const MeasuredOperator*>& all) {
  std::vector<const MeasuredOperator*> fitted, held;
  for (const auto* o : all) (is_held_out(*o) ? held : fitted).push_back(o);
  if (all.size() < kLeastRows || held.empty() || fitted.empty()) return std::optional<Calibrated>{};
  const MeasuredOperator& first = *all.front();
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::accelerator, first.accelerator));
  const catalog::Accelerator chip = catalog::accelerator(*thing);
  // From every engine's curve; the one that ends nearest to the fitted rows is kept.
  std::optional<Calibrated> best;
  double least_cost = 0;
  for (const std::string_view engine : {"trtllm", "vllm", "sglang", "nccl"}) {
    const auto base = curve_of({&catalog, &chip, engine}, engine, first);
    if (!base) {
      if (engine == "trtllm") return fail(base.error());
      continue;
    }
    const auto from = evidence_of(*base);
    JEVONS_TRY(const catalog::Thing* table, catalog.find(catalog::Section::fit, from.table));
    const Problem problem{*base, fitted};
    const Factors f = fit_factors(problem, bounds_of(*table, from.row));
    const double cost = problem.cost({std::log(f[0]), std::log(f[1]), std::log(f[2])});
    if (best && cost >= least_cost) continue;
    least_cost = cost;
    const Errors after = errors_of(scaled(*base, f), held);
    FitScore score{first.group(),
                   fitted.size(),
                   held.size(),
                   0,
                   0,
                   after.median,
                   after.p90,
                   f[0],
                   f[1],
                   f[2],
                   fmt::format("{} {} {}", from.accelerator, from.engine, from.version)};
    best = Calibrated{score, *base, f, &first};
  }
  // Before: the curve that the program takes today.
  JEVONS_TRY(const Curve today, curve_of({&catalog, &chip, {}}, "nccl", first));
  const Errors before = errors_of(scaled(today, {1, 1, 1}), held);
  best->score.before_median = before.median;
  best->score.before_p90 = before.p90;
  return best;
}

}  // namespace

bool held_out(std::span<const double> shape) {
  std::string text;
  for (const double v : shape) text += (text.empty() ? "" : ",") + std::to_string(static_cast<long long>(v));
  std::uint32_t h = 2166136261u;
  for (const char c : text) h = (h ^ std::uint32_t(static_cast<unsigned char>(c))) * 16777619u;
  return (h >> 8) % 5 == 0;
}

Result<OperatorCalibration> calibrate_operators(const catalog::Catalog& catalog, const std::vector<MeasuredOperator>& rows,
                                                const CalibrateOptions& options) {
  std::map<std::string, std::vector<const MeasuredOperator*>> groups;
  for (const auto& o : rows) groups[o.group()].push_back(&o);
  OperatorCalibration out;
  std::map<std::string, std::vector<NewRow>> tables;
  for (const auto& [group, of] : groups) {
    JEVONS_TRY(const auto made, calibrate_group(catalog, of));
    if (!made) {
      out.notes.push_back(fmt::format("{}: {} rows, of which a fifth cannot be held out; at least {} are needed: kept as it was", group,
                                      of.size(), kLeastRows));
      continue;
    }
    out.groups.push_back(made->score);
    out.groups.back().kept = made->score.after_median < made->score.before_median || options.force;
    if (!out.groups.back().kept) {
      out.notes.push_back(fmt::format("{}: the fit meets the rows held out no better ({:.1f} % before, {:.1f} % after): kept as it was",
                                      group, made->score.before_median * 100, made->score.after_median * 100));
      continue;
    }
    out.curves.push_back({*made->first, scaled(made->base, made->factors)});
    const std::string name(evidence_of(made->base).table);
    JEVONS_TRY(const catalog::Thing* table, catalog.find(catalog::Section::fit, name));
    NewRow row = row_of(*table, *made, options.date);
    if (made->first->kind == OperatorKind::all_reduce) {  // whoever asks for an all-reduce gets the measured one
      for (const char* library : {"nccl", "trtllm", "vllm", "sglang"}) {
        row.cells["library"] = library;
        tables[name].push_back(row);
      }
    } else {
      tables[name].push_back(std::move(row));
    }
  }
  for (const auto& [name, made] : tables) {
    JEVONS_TRY(const catalog::Thing* table, catalog.find(catalog::Section::fit, name));
    out.overlay.push_back(table_file(*table, made, options.source, options.date));
  }
  JEVONS_TRY(auto constants, step_constants(catalog, out.curves, options));
  std::move(constants.begin(), constants.end(), std::back_inserter(out.overlay));
  return out;
}

}  // namespace jevons::evidence
