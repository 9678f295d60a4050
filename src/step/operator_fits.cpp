#include "step/operator_fits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

namespace jevons::step {
namespace {

constexpr double kMicro = 1e-6, kNano = 1e-9, kMega = 1e6;
constexpr double kHostLaunch = 8e-6;  // a floor above this carries host launch time: kernels alone are below (docs/operators.md)

constexpr std::string_view kMeasured = "measured";  // engine of a user's own row: taken in CUDA graphs, its floor is the kernel's

using Match = std::vector<std::pair<std::string_view, std::string_view>>;  // column and its value

// One row of a fits table.
struct Row {
  const catalog::Thing* table = nullptr;
  std::size_t index = 0;
  double widen = 1;
  std::string_view accelerator;  // whose row
  double operator()(std::string_view column) const {
    const auto v = table->series.number(index, column);
    JEVONS_ENSURE(v.has_value());
    return *v;
  }
  std::string_view text(std::string_view column) const { return table->series.text(index, column); }
  CurveEvidence evidence() const {
    const bool engine = table->series.column("engine").has_value();
    return {accelerator,
            text(engine ? "engine" : "library"),
            text(engine ? "engine_version" : "library_version"),
            (*this)("median_error_pct") / 100,
            (*this)("p90_error_pct") / 100,
            widen,
            table->name,
            index};
  }
};

std::optional<std::size_t> find_row(const catalog::Series& s, std::string_view chip, std::string_view engine, const Match& match) {
  for (std::size_t i = 0; i < s.rows(); ++i) {
    if (s.text(i, "accelerator") != chip || (!engine.empty() && s.text(i, "engine") != engine)) continue;
    if (std::all_of(match.begin(), match.end(), [&](const auto& m) { return s.text(i, m.first) == m.second; })) return i;
  }
  return std::nullopt;
}

// A chip, its relative, that one's relative and so on; the row "*" speaks for chips that have no other left.
struct Kin {
  std::string_view chip;
  double widen = 1;
};
Result<std::vector<Kin>> kin_of(const CurveRequest& q) {
  JEVONS_TRY(const catalog::Thing* relatives, q.catalog->find(catalog::Section::fit, "relatives"));
  const auto& s = relatives->series;
  std::vector<Kin> kin{{q.chip->thing->name, 1}};
  const auto known = [&](std::string_view name) {
    return std::any_of(kin.begin(), kin.end(), [&](const Kin& k) { return k.chip == name; });
  };
  for (std::size_t at = 0; at < kin.size(); ++at) {
    const Kin from = kin[at];
    for (const std::string_view name : {from.chip, std::string_view("*")}) {
      std::size_t i = 0;
      while (i < s.rows() && (s.text(i, "accelerator") != name || known(s.text(i, "like")))) ++i;
      if (i == s.rows()) continue;
      kin.push_back({s.text(i, "like"), from.widen * s.number(i, "widen").value_or(1)});
      break;
    }
  }
  return kin;
}

// The chip's own row, of the engine asked for if it has one; else its relative's, and so on.
Result<Row> find(const CurveRequest& q, std::string_view table, const Match& match) {
  JEVONS_TRY(const catalog::Thing* fits, q.catalog->find(catalog::Section::fit, table));
  JEVONS_TRY(const auto kin, kin_of(q));
  for (const Kin& k : kin) {
    for (const std::string_view engine : {q.engine, std::string_view{}}) {
      if (const auto i = find_row(fits->series, k.chip, engine, match)) return Row{fits, *i, k.widen, k.chip};
    }
  }
  std::string wanted;
  for (const auto& [column, value] : match) wanted += fmt::format(" {} {}", column, value);
  return fail({ErrorCode::not_found, std::string(fits->file), 0, std::string(table),
               fmt::format("no curve for{} on {} or its relatives", wanted, q.chip->thing->name), "a row of this table",
               "add one with --catalog DIR, or measure your chip and run jevons calibrate"});
}

struct Chip {
  double multiprocessors = 0, cache = 0;
};
// Of the chip itself where they are listed, else of the nearest relative that is.
Result<Chip> chip_facts(const CurveRequest& q) {
  JEVONS_TRY(const catalog::Thing* chips, q.catalog->find(catalog::Section::fit, "chips"));
  JEVONS_TRY(const auto kin, kin_of(q));
  for (const Kin& k : kin) {
    if (const auto i = find_row(chips->series, k.chip, {}, {}))
      return Chip{chips->series.number(*i, "multiprocessors").value_or(1), chips->series.number(*i, "cache_mb").value_or(1) * kMega};
  }
  return fail({ErrorCode::not_found,
               std::string(chips->file),
               0,
               "chips",
               fmt::format("neither {} nor a relative is listed", q.chip->thing->name),
               "a row of the table",
               {}});
}

Result<double> bandwidth(const CurveRequest& q) {
  if (q.chip->hbm_bandwidth) return q.chip->hbm_bandwidth->value.value();
  return bad_input("hbm_bandwidth", fmt::format("{} has no hbm_bandwidth in the catalogue", q.chip->thing->name),
                   "a value with its source");
}

Result<double> peak(const CurveRequest& q, std::string_view operand) {
  const auto& c = *q.chip;
  const auto& p = operand == "fp8" ? c.peak_fp8 : operand == "fp4" ? c.peak_fp4 : operand == "int8" ? c.peak_int8 : c.peak_bf16;
  if (p && p->value.value() > 0) return p->value.value();
  return bad_input(fmt::format("peak_{}", operand), fmt::format("{} has no peak_{} in the catalogue", c.thing->name, operand),
                   "a value with its source", "ask for a format the chip multiplies in");
}

struct GemmFormat {
  std::string_view name;
  double weight_bytes, operand_bytes;
  std::string_view operand;
};
constexpr std::array<GemmFormat, 7> kGemmFormats{{{"bf16", 2, 2, "bf16"},
                                                  {"fp8", 1, 1, "fp8"},
                                                  {"fp8-block", 1, 1, "fp8"},
                                                  {"nvfp4", 0.5625, 0.5625, "fp4"},
                                                  {"int8", 1, 1, "int8"},
                                                  {"int8-weight-only", 1, 2, "bf16"},
                                                  {"int4-weight-only", 0.5, 2, "bf16"}}};
constexpr std::array<GemmFormat, 6> kMoeFormats{{{"bf16", 2, 2, "bf16"},
                                                 {"fp8", 1, 1, "fp8"},
                                                 {"fp8-block", 1, 1, "fp8"},
                                                 {"nvfp4", 0.5625, 0.5625, "fp4"},
                                                 {"mxfp4-w4a16", 0.53125, 2, "bf16"},
                                                 {"mxfp4-w4a8", 0.53125, 1, "fp8"}}};

template <std::size_t N>
Result<GemmFormat> format_of(const std::array<GemmFormat, N>& formats, std::string_view name) {
  const auto it = std::find_if(formats.begin(), formats.end(), [&](const auto& f) { return f.name == name; });
  if (it != formats.end()) return *it;
  std::string known;
  for (const auto& f : formats) known += (known.empty() ? "" : ", ") + std::string(f.name);
  return bad_input("format", fmt::format("'{}' is no operator format", name), "one of " + known);
}

// "64x128 128x256"
void read_tiles(GemmCurve& c, std::string_view text) {
  while (!text.empty() && c.tile_count < int(c.tiles.size())) {
    const auto end = std::min(text.find(' '), text.size()), cross = text.find('x');
    JEVONS_ENSURE(cross < end);
    c.tiles[std::size_t(c.tile_count++)] = {std::strtod(std::string(text.substr(0, cross)).c_str(), nullptr),
                                            std::strtod(std::string(text.substr(cross + 1, end - cross - 1)).c_str(), nullptr)};
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  JEVONS_ENSURE(c.tile_count > 0 && text.empty());
}

// Floors that carry host launch time are cut, within a step, to the smallest kernel floor of the chip's other formats.
double launch_of(const Row& row, double floor) {
  if (floor <= kHostLaunch || row.text("engine") == kMeasured) return 0;
  double least = kHostLaunch;
  for (std::size_t i = 0; i < row.table->series.rows(); ++i) {
    const Row other{row.table, i, 1, row.accelerator};
    if (other.text("accelerator") != row.accelerator) continue;
    const double f = (other("floor_us") + other("deep_us") * 4096 / (4096 + other("deep_half"))) * kMicro;
    if (other.text("format") == (row.text("format") == "fp8" ? "fp8-block" : "bf16")) least = std::min(least, f);
  }
  return std::max(0.0, floor - least);
}

// A borrowed curve moves its bytes over the chip's own links.
double link_factor(const CurveRequest& q, const Row& r) {
  if (r.accelerator == q.chip->thing->name || !q.chip->scaleup_bandwidth) return 1;
  const auto relative = q.catalog->find(catalog::Section::accelerator, r.accelerator);
  if (!relative) return 1;
  const auto link = (*relative)->get<BytesPerSecond>("scaleup_bandwidth");
  return link ? link->value / q.chip->scaleup_bandwidth->value : 1;
}

CollectiveCurve read_collective(const CurveRequest& q, const Row& r) {
  const double links = link_factor(q, r);
  return {
      r.evidence(), r("floor_us") * kMicro, r("kink_us") * kMicro * links, r("kink_mb") * kMega, r("us_per_mb") * kMicro / kMega * links,
      false};
}

}  // namespace

Result<GemmCurve> gemm_curve(const CurveRequest& q, std::string_view format) {
  JEVONS_TRY(const GemmFormat f, format_of(kGemmFormats, format));
  JEVONS_TRY(const Row r, find(q, "gemm", {{"format", format}}));
  JEVONS_TRY(const Chip chip, chip_facts(q));
  JEVONS_TRY(const double bw, bandwidth(q));
  JEVONS_TRY(const double flops, peak(q, f.operand));
  GemmCurve c{};
  c.evidence = r.evidence();
  c.weight_bytes = f.weight_bytes;
  c.operand_bytes = f.operand_bytes;
  c.per_byte = 1 / (bw * r("stream"));
  c.per_flop = chip.multiprocessors / (flops * r("fraction"));
  c.multiprocessors = chip.multiprocessors;
  c.floor = r("floor_us") * kMicro;
  c.launch = launch_of(r, c.floor);
  c.deep = r("deep_us") * kMicro;
  c.deep_half = r("deep_half");
  c.rows = r("rows_us") * kMicro;
  c.quantise = f.operand_bytes < 2 ? r("quantise") * 3 / bw : 0;
  c.cache_bytes = chip.cache * r("cache_share");
  c.cache_rate = r("cache_rate");
  c.sag = r("sag");
  c.k_ramp = r("k_ramp");
  c.tile_edge = r("tile_edge");
  c.wave = r("wave");
  read_tiles(c, r.text("tiles"));
  c.sharpness = int(r("sharpness"));
  return c;
}

Result<ContextCurve> context_curve(const CurveRequest& q, AttentionFamily family, std::string_view operand, std::string_view kv_cache) {
  const std::string format = fmt::format("{}-kv-{}", operand, kv_cache);
  const bool gqa = family == AttentionFamily::gqa;
  JEVONS_TRY(const Row r, find(q, "context-attention", {{"format", format}, {"family", gqa ? "gqa" : "mla"}}));
  JEVONS_TRY(const Chip chip, chip_facts(q));
  JEVONS_TRY(const double bw, bandwidth(q));
  JEVONS_TRY(const double flops, peak(q, operand));
  ContextCurve c{};
  c.evidence = r.evidence();
  c.floor = r("floor_us") * kMicro;
  c.per_head = r("head_ns") * kNano;
  c.per_byte = r("traffic") / bw;
  c.per_flop = chip.multiprocessors / (flops * r("fraction"));
  c.multiprocessors = chip.multiprocessors;
  c.qk_dim = gqa ? 128 : 192;
  c.v_dim = 128;
  c.key_ramp = r("key_ramp");
  c.wave = r("wave");
  c.sag = r("sag");
  return c;
}

Result<DecodeCurve> decode_curve(const CurveRequest& q, std::string_view kv_cache) {
  JEVONS_TRY(const Row r, find(q, "decode-attention", {{"kv_cache", kv_cache}}));
  JEVONS_TRY(const Chip chip, chip_facts(q));
  JEVONS_TRY(const double bw, bandwidth(q));
  return DecodeCurve{r.evidence(),
                     r("floor_us") * kMicro,
                     r("head_ns") * kNano,
                     r("kv_head_ns") * kNano,
                     1 / (bw * r("stream")),
                     kv_cache == "fp8" ? 1.0 : 2.0,
                     r("deep_us") * kMicro,
                     r("deep_half"),
                     chip.cache * r("cache_share"),
                     r("cache_rate")};
}

Result<MlaDecodeCurve> mla_decode_curve(const CurveRequest& q, std::string_view kv_cache) {
  JEVONS_TRY(const Row r, find(q, "mla-decode-attention", {{"kv_cache", kv_cache}}));
  JEVONS_TRY(const double bw, bandwidth(q));
  JEVONS_TRY(const double flops, peak(q, "bf16"));
  return MlaDecodeCurve{r.evidence(),
                        r("floor_us") * kMicro,
                        r("head_ns") * kNano,
                        r("sequence_ns") * kNano,
                        1 / (bw * r("stream")),
                        1 / (flops * r("fraction")),
                        kv_cache == "fp8" ? 1.0 : 2.0,
                        r("padded_heads"),
                        r("deep_us") * kMicro,
                        r("deep_half")};
}

Result<MoeCurve> moe_curve(const CurveRequest& q, std::string_view format) {
  JEVONS_TRY(const GemmFormat f, format_of(kMoeFormats, format));
  JEVONS_TRY(const Row r, find(q, "moe", {{"format", format}}));
  JEVONS_TRY(const double bw, bandwidth(q));
  JEVONS_TRY(const double flops, peak(q, f.operand));
  return MoeCurve{r.evidence(),
                  f.weight_bytes,
                  r("floor_us") * kMicro,
                  1 / (bw * r("stream")),
                  1 / (flops * r("fraction")),
                  r("expert_us") * kMicro,
                  r("more_experts"),
                  r("half_width"),
                  r("half_hidden"),
                  r("pad_tokens"),
                  r("token_ns") * kNano,
                  r("token_ep"),
                  {1, r("spread_101"), r("spread_120")},
                  {0, r("crowd_101"), r("crowd_120")}};
}

Result<CollectiveCurve> collective_curve(const CurveRequest& q, std::string_view library, std::string_view op, double ranks) {
  // The two measured rank counts that ranks lies between, or the last two.
  const Match match{{"library", library}, {"op", op}};
  JEVONS_TRY(const Row first, find({q.catalog, q.chip, {}}, "collectives", match));
  std::vector<Row> rows;
  for (std::size_t i = 0; i < first.table->series.rows(); ++i) {
    const Row r{first.table, i, first.widen, first.accelerator};
    if (r.text("accelerator") == first.accelerator && r.text("library") == library && r.text("op") == op) rows.push_back(r);
  }
  std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a("ranks") < b("ranks"); });
  for (const Row& r : rows) {
    if (r("ranks") == ranks) return read_collective(q, r);
  }
  if (rows.size() == 1) {
    auto c = read_collective(q, rows[0]);
    c.extrapolated = true;
    return c;
  }
  std::size_t high = 1;
  while (high + 1 < rows.size() && rows[high]("ranks") < ranks) ++high;
  const CollectiveCurve a = read_collective(q, rows[high - 1]), b = read_collective(q, rows[high]);
  const double from = std::log2(rows[high - 1]("ranks")), to = std::log2(rows[high]("ranks")), t = (std::log2(ranks) - from) / (to - from);
  const auto line = [t](double x, double y) { return std::max(std::min(x, y), x + (y - x) * t); };
  CollectiveCurve c = b;
  c.floor = line(a.floor, b.floor);
  c.kink = line(a.kink, b.kink);
  c.per_byte = line(a.per_byte, b.per_byte);
  c.extrapolated = t > 1;
  return c;
}

Result<ExchangeCurve> exchange_curve(const CurveRequest& q, std::string_view library, std::string_view mode, std::string_view op,
                                     double ranks, std::string_view format) {
  JEVONS_TRY(Row best,
             find({q.catalog, q.chip, {}}, "expert-exchange", {{"library", library}, {"mode", mode}, {"op", op}, {"format", format}}));
  double distance = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < best.table->series.rows(); ++i) {
    const Row r{best.table, i, best.widen, best.accelerator};
    if (r.text("accelerator") != best.accelerator || r.text("library") != library || r.text("mode") != mode || r.text("op") != op ||
        r.text("format") != format)
      continue;
    const double d = std::abs(std::log2(r("ranks") / ranks));
    if (d < distance) {
      distance = d;
      best = r;
    }
  }
  ExchangeCurve c{};
  c.collective = read_collective(q, best);
  c.ranks = best("ranks");
  c.bytes = op == "dispatch" ? (format == "bf16" ? 2 : format == "nvfp4" ? 0.5625 : 1) : op == "combine-low-precision" ? 1 : 2;
  c.half_sms = mode == "normal" ? best("half_sms") : 0;
  c.token = best("token_ns") * kNano;
  c.low_latency = mode == "low-latency";
  c.collective.extrapolated = distance > 0;
  return c;
}

Result<ShortKernelCurve> short_kernel_curve(const CurveRequest& q, std::string_view op) {
  JEVONS_TRY(const Row r, find({q.catalog, q.chip, {}}, "short-kernels", {{"op", op}}));
  JEVONS_TRY(const Chip chip, chip_facts(q));
  JEVONS_TRY(const double bw, bandwidth(q));
  return ShortKernelCurve{r.evidence(),        r("floor_us") * kMicro,        1 / (bw * r("stream")),
                          r("row_ns") * kNano, chip.cache * r("cache_share"), r("cache_rate")};
}

}  // namespace jevons::step
