#include "evidence/profile.hpp"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "base/files.hpp"
#include "base/text.hpp"
#include "traffic/lines.hpp"

namespace jevons::evidence {
namespace {

namespace fs = std::filesystem;
constexpr double kMicro = 1e-6;

enum Kind : std::size_t { kAttention, kDense, kPerSequence, kExperts, kExpertsOfOneRank, kKinds };
struct Layout {
  std::string_view name, header;
  std::size_t words;  // leading columns of text
};
constexpr Layout kLayouts[kKinds] = {{"attention", "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us", 0},
                                     {"dense", "layer,tokens,time_us", 1},
                                     {"per_sequence", "layer,sequences,time_us", 1},
                                     {"moe", "ep,tokens,activated_experts,time_us", 0},
                                     {"moe", "tokens,activated_experts,time_us", 0}};

struct Row {
  std::string layer;
  std::array<double, 5> at{};  // the axes, then the time in microseconds
};
struct Sheet {
  Kind kind{};
  std::string file;
  std::vector<Row> rows;
};

Result<Row> read_row(const Layout& layout, const std::vector<std::string_view>& columns, std::string_view line, const std::string& file,
                     int number) {
  const auto bad = [&](std::string_view column, std::string what, std::string expected) {
    return fail({ErrorCode::bad_input, file, number, std::string(column), std::move(what), std::move(expected), {}});
  };
  const auto cells = split(line, ',');
  if (cells.size() != columns.size()) return bad({}, fmt::format("{} cells", cells.size()), std::string(layout.header));
  Row row;
  if (layout.words > 0) row.layer = std::string(trim(cells[0]));
  for (std::size_t c = layout.words; c < cells.size(); ++c) {
    const auto cell = trim(cells[c]);
    double& v = row.at[c - layout.words];
    const auto [end, status] = std::from_chars(cell.data(), cell.data() + cell.size(), v);
    const bool time = c + 1 == cells.size();
    const bool number_ok = status == std::errc{} && end == cell.data() + cell.size() && v >= 0 && v < 1e12;
    if (!number_ok || (time ? v == 0 : v != std::floor(v)))
      return bad(columns[c], fmt::format("'{}'", cell.substr(0, 40)), time ? "microseconds above 0" : "a whole number of at least 0");
  }
  return row;
}

Result<Sheet> read_sheet(const std::string& file) {
  std::error_code status;
  if (fs::is_directory(file, status)) return fail({ErrorCode::bad_input, file, 0, {}, "is a folder", "a table of a profile", {}});
  JEVONS_TRY(traffic::Lines lines, traffic::Lines::open(file));
  Sheet sheet{.file = file};
  std::string_view line;
  if (!lines.next(line)) {
    if (lines.error()) return fail(*lines.error());
    return fail({ErrorCode::bad_input, file, 1, {}, "is empty", std::string(kLayouts[kAttention].header), {}});
  }
  const std::string header(trim(line));
  const auto* layout = std::find_if(std::begin(kLayouts), std::end(kLayouts), [&](const Layout& l) { return l.header == header; });
  if (layout == std::end(kLayouts))
    return fail({ErrorCode::bad_input,
                 file,
                 1,
                 {},
                 fmt::format("columns '{}' are of no table of a profile", header.substr(0, 80)),
                 fmt::format("{}; {}; or {}", kLayouts[0].header, kLayouts[1].header, kLayouts[2].header),
                 {}});
  sheet.kind = Kind(layout - std::begin(kLayouts));
  const auto columns = split(layout->header, ',');
  while (lines.next(line)) {
    if (trim(line).empty()) continue;
    JEVONS_TRY(Row row, read_row(*layout, columns, line, file, lines.number()));
    if (!sheet.rows.empty()) {
      const Row& last = sheet.rows.back();
      const auto axes = columns.size() - layout->words - 1;
      if (last.layer == row.layer && !std::lexicographical_compare(last.at.begin(), last.at.begin() + std::ptrdiff_t(axes), row.at.begin(),
                                                                   row.at.begin() + std::ptrdiff_t(axes)))
        return fail({ErrorCode::bad_input,
                     file,
                     lines.number(),
                     std::string(columns[layout->words]),
                     fmt::format("'{}' does not come after the row before it", line.substr(0, 60)),
                     "rows in ascending order of the axes",
                     {}});
    }
    sheet.rows.push_back(std::move(row));
  }
  if (lines.error()) return fail(*lines.error());
  if (sheet.rows.empty()) return fail({ErrorCode::bad_input, file, 2, {}, "has no rows", "measured times", {}});
  return sheet;
}

// "…/x_tp1_attention.csv.gz" is "…/x_tp1_" with a table's name and ".csv" or ".csv.gz" behind it.
std::string stem_of(const Sheet& s) {
  const auto at = s.file.rfind(kLayouts[s.kind].name);
  return at == std::string::npos ? s.file : s.file.substr(0, at);
}
Result<std::string> beside(const std::string& stem, std::string_view name) {
  std::error_code status;
  for (const auto* ending : {".csv", ".csv.gz"}) {
    if (std::string file = fmt::format("{}{}{}", stem, name, ending); fs::exists(file, status)) return file;
  }
  return fail({ErrorCode::not_found,
               fmt::format("{}{}.csv", stem, name),
               0,
               {},
               "no such file",
               "the table beside the others of the profile",
               "name it with another --profile"});
}
// Where tensor parallelism stands in a stem: "…_tp2_" or "…/tp2/". Nothing: it does not.
struct Rank {
  int tp = 0;
  std::string before;
};
std::optional<Rank> rank_of(const std::string& stem) {
  const auto at = stem.rfind("tp");
  if (at == std::string::npos || (at > 0 && stem[at - 1] != '_' && stem[at - 1] != '/')) return std::nullopt;
  Rank r{.before = stem.substr(0, at)};
  const auto [end, status] = std::from_chars(stem.data() + at + 2, stem.data() + stem.size(), r.tp);
  if (status != std::errc{} || end + 1 != stem.data() + stem.size() || r.tp < 1) return std::nullopt;
  return r;
}

Result<void> read_meta(const std::string& file, const std::optional<Rank>& rank, Profile& p) {
  JEVONS_TRY(const std::string text, read_file(file, 1u << 20));
  const auto bad = [&](const char* key, std::string what, std::string expected) {
    return fail({ErrorCode::bad_input, file, 0, key, std::move(what), std::move(expected), {}});
  };
  try {
    const YAML::Node meta = YAML::Load(text);
    if (!meta.IsMap() || !meta["model"]) return bad("model", "is missing", "the profiled model's name");
    p.model = meta["model"].as<std::string>();
    p.gpu = meta["gpu"].as<std::string>("");
    const auto degrees = meta["tp_degrees"].as<std::vector<int>>(std::vector<int>{});
    if (!rank && degrees.size() != 1)
      return bad("tp_degrees", "several, and the tables' names say not which", "tables named …_tpN_… or in a folder tpN");
    p.tp = rank ? rank->tp : degrees[0];
    if (!degrees.empty() && std::find(degrees.begin(), degrees.end(), p.tp) == degrees.end())
      return bad("tp_degrees", fmt::format("{} is not among {}", p.tp, fmt::join(degrees, ", ")),
                 "the degree that the tables' names state");
    if (meta["profiler_version"].as<std::string>("") == "1.0.0") p.qk_norm_ranks = p.tp;
    const YAML::Node fits = meta["skew_fit"], shots = meta["skew_profile"];
    if (!fits || !shots || !fits["enabled"].as<bool>(false)) return {};
    if (!fits["per_tp"] || !fits["per_tp"][p.tp] || !fits["per_tp"][p.tp]["alpha_default"] || !shots["grid"] || !shots["grid"]["ratio"])
      return bad("skew_fit", fmt::format("is enabled, but not for tp {}", p.tp), "per_tp.N.alpha_default, and skew_profile.grid.ratio");
    const YAML::Node fit = fits["per_tp"][p.tp]["alpha_default"], shares = shots["grid"]["ratio"];
    p.skew = fit.as<double>();
    for (const auto& s : shares.as<std::vector<double>>()) p.skew_share = std::min(p.skew_share, s);
    if (!(p.skew >= 0 && p.skew <= 1)) return bad("skew_fit", fmt::format("alpha_default {}", p.skew), "a number from 0 to 1");
    if (!(p.skew_share > 0)) return bad("skew_profile", fmt::format("grid.ratio {}", p.skew_share), "shares above 0");
  } catch (const YAML::Exception& e) {
    return fail({ErrorCode::bad_input, file, e.mark.is_null() ? 0 : e.mark.line + 1, {}, e.msg, "metadata as the profiler writes it", {}});
  }
  return {};
}

std::map<std::string, Curve> curves(const Sheet& s) {
  std::map<std::string, Curve> out;
  for (const Row& r : s.rows) {
    Curve& c = out[r.layer];
    c.x.push_back(r.at[0]);
    c.y.push_back(r.at[1]);
  }
  return out;
}

void put(Surface& s, double x, double y, double value) {
  if (s.x.empty() || s.x.back() != x) {
    s.x.push_back(x);
    s.y.emplace_back();
  }
  s.y.back().x.push_back(y);
  s.y.back().y.push_back(value);
}

Result<void> take_attention(const Sheet& s, Profile& p) {
  std::map<double, double> alone;  // a chunk without history or decodes
  for (const Row& r : s.rows) {
    const auto [chunk, before, decodes, cached, us] = r.at;
    if (chunk == 0 && decodes > 0) put(p.decode, decodes, cached, us);
    if (chunk > 0 && decodes == 0) put(p.prefill, chunk, before, us);
    if (chunk > 0 && decodes == 0 && before == 0) alone[chunk] = us;
    if (chunk == 0 || decodes == 0 || before > 0 || !alone.contains(chunk)) continue;
    if (p.beside.x.empty() || p.beside.x.back() != chunk) {
      p.beside.x.push_back(chunk);
      p.beside.y.emplace_back();
    }
    put(p.beside.y.back(), decodes, cached, std::max(0.0, us - alone[chunk]));
  }
  for (const auto& [empty, what] : {std::pair{p.decode.x.empty(), "decodes without a prompt (prefill_chunk 0)"},
                                    std::pair{p.prefill.x.empty(), "prompts without decodes (n_decode 0)"},
                                    std::pair{p.beside.x.empty(), "decodes beside a prompt without history"}}) {
    if (empty) return fail({ErrorCode::bad_input, s.file, 0, {}, fmt::format("has no rows of {}", what), "all three kinds", {}});
  }
  return {};
}

// Rows of one rank that holds all experts (ep 1, or a table without that column).
Result<void> take_experts(const Sheet& s, Profile& p) {
  for (const Row& r : s.rows) {
    if (s.kind == kExpertsOfOneRank)
      put(p.experts, r.at[0], r.at[1], r.at[2]);
    else if (r.at[0] == 1)
      put(p.experts, r.at[1], r.at[2], r.at[3]);
  }
  if (p.experts.x.empty()) return fail({ErrorCode::bad_input, s.file, 0, "ep", "has no rows of ep 1", "experts on every rank", {}});
  return {};
}

Result<void> check_layers(const Sheet& s, const std::map<std::string, Curve>& found, std::initializer_list<const char*> needed) {
  for (const auto* layer : needed) {
    if (!found.contains(layer))
      return fail({ErrorCode::bad_input, s.file, 0, "layer", fmt::format("'{}' is missing", layer), "rows of it", {}});
  }
  return {};
}

}  // namespace

Result<Profile> read_profile(const std::vector<std::string>& files) {
  JEVONS_ENSURE(!files.empty());
  std::array<std::optional<Sheet>, kKinds> sheets;
  const auto take = [&](const std::string& file) -> Result<void> {
    JEVONS_TRY(Sheet s, read_sheet(file));
    if (auto& place = sheets[s.kind]; place)
      return fail({ErrorCode::bad_input,
                   file,
                   0,
                   "--profile",
                   fmt::format("a second {} table, beside {}", kLayouts[s.kind].name, place->file),
                   "one of each kind",
                   {}});
    sheets[s.kind] = std::move(s);
    return {};
  };
  JEVONS_CHECK(take(files[0]));
  const auto first = std::find_if(sheets.begin(), sheets.end(), [](const auto& s) { return s.has_value(); });
  const std::string stem = stem_of(**first);
  for (std::size_t i = 1; i < files.size(); ++i) JEVONS_CHECK(take(files[i]));
  for (const Kind k : {kAttention, kDense, kPerSequence}) {
    if (sheets[k]) continue;
    JEVONS_TRY(const std::string file, beside(stem, kLayouts[k].name));
    JEVONS_CHECK(take(file));
    if (sheets[k] == std::nullopt)
      return fail(
          {ErrorCode::bad_input, file, 1, {}, fmt::format("holds no {} table", kLayouts[k].name), std::string(kLayouts[k].header), {}});
  }
  for (const auto* ending : {".csv", ".csv.gz"}) {  // of models with experts
    std::error_code status;
    if (sheets[kExperts] || sheets[kExpertsOfOneRank]) break;
    if (const std::string file = fmt::format("{}moe{}", stem, ending); fs::exists(file, status)) JEVONS_CHECK(take(file));
  }
  Profile p;
  const auto rank = rank_of(stem);
  const std::string meta = (rank ? rank->before : stem) + "meta.yaml";
  JEVONS_CHECK(read_meta(meta, rank, p));
  for (const auto& s : sheets) {
    if (s) p.files.push_back(s->file);
  }
  p.files.push_back(meta);
  JEVONS_CHECK(take_attention(*sheets[kAttention], p));
  for (const Kind k : {kExperts, kExpertsOfOneRank}) {
    if (sheets[k]) JEVONS_CHECK(take_experts(*sheets[k], p));
  }
  p.dense = curves(*sheets[kDense]);
  p.per_sequence = curves(*sheets[kPerSequence]);
  JEVONS_CHECK(check_layers(*sheets[kDense], p.dense, {"embedding", "layernorm", "qkv_proj", "o_proj", "final_layernorm"}));
  JEVONS_CHECK(check_layers(*sheets[kPerSequence], p.per_sequence, {"lm_head", "sampler"}));
  return p;
}

namespace {

// Calls of a dense layer in a step of a model of `layers` layers. Norms of one kind share a name: before attention and before the
// feed-forward part; of queries and of keys. The profiler gives the mean call.
int calls(const std::string& layer, int layers, int expert_layers) {
  if (layer == "gate_up_proj" || layer == "act_fn" || layer == "down_proj") return layers - expert_layers;
  if (layer == "embedding" || layer == "final_layernorm") return 1;
  return layer == "layernorm" || layer == "qk_norm" ? 2 * layers : layers;
}

/// The parts of a step, in seconds.
class Parts {
 public:
  Parts(const Profile& p, const StepContent& c) : p_{p}, c_{c}, floor_{c.layers * p.prefill(0, 0) * kMicro} {}

  // Products, norms and reductions over the tokens of a step; CUDA graphs compute the padding too.
  double dense(int tokens) const {
    const auto next = std::lower_bound(c_.capture_sizes.begin(), c_.capture_sizes.end(), tokens);
    const double n = next == c_.capture_sizes.end() ? tokens : *next;
    double us = 0;
    for (const auto& [layer, curve] : p_.dense)
      us += calls(layer, c_.layers, c_.expert_layers) * curve(layer == "qk_norm" ? n / p_.qk_norm_ranks : n);
    if (c_.expert_layers > 0 && !c_.experts) us += c_.expert_layers * p_.experts(n, c_.distinct_experts(tokens));
    return us * kMicro + (c_.expert_layers > 0 && c_.experts ? c_.experts(n) : 0) + (c_.reduce ? c_.reduce(n) : 0);
  }
  double head(int sequences) const {
    double us = 0;
    for (const auto& [layer, curve] : p_.per_sequence) us += curve(sequences);
    return us * kMicro + (c_.gather ? c_.gather(sequences) : 0);
  }
  double decode_attention(int n, double context) const {
    return skewed(n, context, [&](double kv) { return p_.decode(n, kv); });
  }
  double attention_beside(int n, double context) const {
    return floor_ + skewed(n, context, [&](double kv) { return p_.beside(std::min(c_.chunk, p_.beside.x.back()), n, kv); });
  }
  // Of a prompt's first `position` tokens beyond what any chunk takes: whole chunks of the largest size profiled, then the rest.
  double position(std::int64_t position) const {
    const auto chunk = std::int64_t(p_.prefill.x.back());
    double seconds = 0;
    for (std::int64_t done = 0; done < position; done += chunk) {
      seconds += c_.layers * p_.prefill(double(std::min(chunk, position - done)), double(done)) * kMicro - floor_;
    }
    return seconds;
  }
  double floor() const { return floor_; }  // of the attention kernels of a step with prompt tokens, all layers

 private:
  template <class F>
  double skewed(int n, double context, F&& us) const {
    const double mean = us(context), more = p_.skew * (us(context * c_.longest[std::size_t(n)]) - mean);
    return c_.layers * std::max(0.0, mean + std::max(0.0, more)) * kMicro;
  }
  const Profile& p_;
  const StepContent& c_;
  double floor_;
};

// Segments of one batch between the profiled contexts; time never falls as contexts grow.
template <class F>
void add_batch(std::vector<step::Segment>& table, int batch, const std::vector<double>& contexts, F&& seconds) {
  step::Ticks base = step::ticks_of(seconds(0.0));
  std::int64_t from = 0;
  for (const double c : contexts) {
    const std::int64_t to = batch * std::int64_t(c);
    const step::Ticks slope = std::max<step::Ticks>(0, (step::ticks_of(seconds(c)) - base) / (to - from));
    table.push_back({from, base, slope});
    base += slope * (to - from);
    from = to;
  }
}

}  // namespace

step::StepForm form_of(const Profile& p, const StepContent& c) {
  JEVONS_ENSURE(c.layers >= 1 && c.max_num_seqs >= 1 && c.max_num_batched_tokens >= 1 && c.longest.size() > std::size_t(c.max_num_seqs));
  const Parts parts(p, c);
  std::vector<double> contexts;
  for (const auto& curve : p.decode.y) contexts.insert(contexts.end(), curve.x.begin(), curve.x.end());
  std::sort(contexts.begin(), contexts.end());
  contexts.erase(std::unique(contexts.begin(), contexts.end()), contexts.end());
  std::erase(contexts, 0.0);
  std::vector<step::Segment> alone, beside;
  for (int b = 1; b <= c.max_num_seqs; ++b) {
    const double rest = parts.dense(b) + parts.head(b);
    add_batch(alone, b, contexts, [&](double kv) { return rest + parts.decode_attention(b, kv); });
    add_batch(beside, b, contexts, [&](double kv) { return rest + parts.attention_beside(b, kv); });
  }
  std::vector<step::Ticks> tokens{0};
  for (int n = 1; n <= c.max_num_batched_tokens; ++n)
    tokens.push_back(std::max(tokens.back(), step::ticks_of(parts.dense(n) + parts.head(1) + parts.floor())));
  // Attention over a prompt is linear between the profiled chunks, and between whole chunks of the largest.
  std::vector<std::int64_t> knots{0};
  for (const double x : p.prefill.x) knots.push_back(std::int64_t(x));
  const std::int64_t chunk = knots.back(), last = std::int64_t(p.prefill.y.back().x.back());
  while (knots.back() < last + chunk) knots.push_back(knots.back() + chunk);
  std::vector<step::PositionSegment> position;
  double base = 0;
  for (std::size_t i = 0; i + 1 < knots.size(); ++i) {
    const double next = std::max(base, double(step::ticks_of(parts.position(knots[i + 1]))));
    position.push_back({knots[i], base, (next - base) / double(knots[i + 1] - knots[i]), 0});
    base = next;
  }
  return step::StepForm(std::move(alone), int(contexts.size()), std::move(tokens), std::move(position)).beside_prompts(std::move(beside));
}

}  // namespace jevons::evidence
