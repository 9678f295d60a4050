#include "engine/scenario.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numeric>

#include "base/text.hpp"
#include "traffic/prefix_count.hpp"
#include "traffic/read.hpp"

namespace jevons::engine {
namespace {

constexpr std::size_t kScenarioLimit = 1u << 20;

std::optional<int> whole(const Settings& s, std::string_view path) {
  return s.has(path) ? std::optional<int>(int(s.integer(path))) : std::nullopt;
}
std::optional<double> seconds(const Settings& s, std::string_view path_in_ms) {
  return s.has(path_in_ms) ? std::optional<double>(s.number(path_in_ms) / 1e3) : std::nullopt;
}

Result<void> require(const Settings& s, std::string_view path, const std::string& file) {
  if (s.has(path)) return {};
  const OptionSpec* o = s.spec(path);
  return fail({ErrorCode::bad_input, file, 0, std::string(path), "is missing", std::string(o->help),
               fmt::format("write it in the scenario or give {}", o->flag)});
}

// Means of a trace stand in for what the scenario does not state. Gives the rows it skipped.
Result<std::uint64_t> take_trace(Settings& s) {
  if (!s.has("workload.trace")) return std::uint64_t{0};
  const std::string file = s.text("workload.trace");
  JEVONS_TRY(const traffic::Trace trace, traffic::read_trace(file, {.skip_bad_rows = s.boolean("workload.skip_bad_rows")}));
  const traffic::Requests& r = trace.requests;
  const auto mean = [](const std::vector<std::int32_t>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); };
  const double seconds = double(r.arrival.back()) / double(traffic::kNsPerSecond);
  const auto put = [&](std::string_view path, double value) -> Result<void> {
    if (s.has(path) && s.setting(path).file != "default") return {};
    return s.set(path, fmt::format("{}", value), file);
  };
  JEVONS_CHECK(put("workload.isl", std::round(mean(r.input_tokens))));
  JEVONS_CHECK(put("workload.osl", std::max(1.0, std::round(mean(r.output_tokens)))));
  if (r.prefix.known()) {  // what a cache without limit would find, in request order
    const traffic::HitCurve hits = traffic::count_prefix_hits(r);
    JEVONS_CHECK(put("workload.prefix_hit_rate", hits.rate(hits.unlimited_hits())));
  }
  if (trace.timed && seconds > 0) JEVONS_CHECK(put("workload.request_rate", double(r.size()) / seconds));
  return trace.skipped;
}

}  // namespace

Result<Scenario> read_scenario(const Context& context) {
  Scenario sc{.settings = Settings(context.settings.table())};
  Settings& s = sc.settings;
  if (!context.words.empty()) {
    sc.file = context.words[0];
    JEVONS_TRY(const std::string yaml, read_file(sc.file, kScenarioLimit));
    JEVONS_CHECK(s.load_yaml(yaml, sc.file));
  }
  s.lay_over(context.settings);
  JEVONS_TRY(sc.skipped_rows, take_trace(s));
  for (const auto* path : {"model", "accelerator", "workload.isl", "workload.osl"}) JEVONS_CHECK(require(s, path, sc.file));
  sc.title = s.has("title") ? s.text("title") : s.text("model") + " on " + s.text("accelerator");
  auto& w = sc.workload;
  w.isl = s.number("workload.isl");
  w.osl = s.number("workload.osl");
  w.prefix_hit_rate = s.number("workload.prefix_hit_rate");
  w.chunk = s.number("limits.max_num_batched_tokens");
  w.draft_tokens = s.number("speculation.draft_tokens");
  if (s.has("speculation.acceptance_length")) {
    w.tokens_per_step = s.number("speculation.acceptance_length");
    if (w.tokens_per_step > w.draft_tokens + 1) {
      return fail(s.error("speculation.acceptance_length",
                          fmt::format("{} tokens a step from {} draft tokens", w.tokens_per_step, w.draft_tokens),
                          "at most the draft tokens and one", "raise speculation.draft_tokens"));
    }
  } else if (w.draft_tokens > 0) {
    return fail(s.error("speculation.draft_tokens", "is set without an acceptance length", "speculation.acceptance_length as measured",
                        "MTP with one draft token reaches 1.8 to 1.9"));
  }
  sc.context = s.has("workload.context") ? s.integer("workload.context") : std::int64_t(w.isl + w.osl);
  sc.request_rate = s.has("workload.request_rate") ? s.number("workload.request_rate") : 0;
  sc.compare_with = s.has("savings.compare_with") ? s.text("savings.compare_with") : "";
  const std::string& basis = s.text("cost.basis");
  sc.basis = basis == "owner" ? cost::Basis::owner : basis == "contract" ? cost::Basis::contract : cost::Basis::on_demand;
  if (s.number("market.elasticity_low") > s.number("market.elasticity_high")) {
    return fail(s.error("market.elasticity_low", "is above market.elasticity_high", "low <= high"));
  }
  auto& l = sc.limits;
  l.ttft_s = seconds(s, "slo.ttft");
  l.tpot_s = seconds(s, "slo.tpot");
  l.max_num_seqs = s.number("limits.max_num_seqs");
  l.tp = whole(s, "placement.tp");
  l.pp = whole(s, "placement.pp");
  l.dp = whole(s, "placement.dp");
  l.ep = whole(s, "placement.ep");
  l.max_accelerators = whole(s, "limits.max_accelerators").value_or(0);  // 0: the scale-up domain, filled in when the chip is known
  return sc;
}

Result<model::Model> load_model(const catalog::Catalog& catalog, const std::string& name_or_path) {
  if (name_or_path.find('/') != std::string::npos || name_or_path.ends_with(".json")) {
    JEVONS_TRY(const std::string text, read_file(name_or_path, model::kConfigLimit));
    JEVONS_TRY(model::Model m, model::parse_config(text, name_or_path));
    m.name = name_or_path;
    return m;
  }
  JEVONS_TRY(const catalog::ModelEntry* entry, catalog.find_model(name_or_path));
  return model::parse_entry(entry->json, entry->file);
}

Result<step::Subject> make_subject(const catalog::Catalog& catalog, const model::Model& m, const Scenario& s, const std::string& weights,
                                   const std::string& cache) {
  step::Subject subject;
  subject.model = &m;
  subject.parameters = model::parameters(m);
  JEVONS_TRY(subject.weights, model::weight_scheme(m, weights));
  subject.weight_bytes = model::weight_bytes(m, subject.parameters, subject.weights);
  JEVONS_TRY(const model::CacheFormat format, model::parse_cache_format(cache));
  subject.cache_format = model::resolve(m, format);
  subject.cache = model::cache_groups(m, subject.cache_format);
  JEVONS_TRY(const catalog::Thing* chip, catalog.find(catalog::Section::accelerator, s.settings.text("accelerator")));
  subject.chip = catalog::accelerator(*chip);
  if (s.settings.has("limits.gpu_memory_utilization")) subject.memory_utilization = s.settings.number("limits.gpu_memory_utilization");
  JEVONS_TRY(const catalog::Thing* engine, catalog.find(catalog::Section::efficiency, "engine-memory"));
  subject.reserve.runtime = engine->get<Bytes>("reserve")->value.value();
  return subject;
}

Result<step::Subject> make_subject(const catalog::Catalog& catalog, const model::Model& m, const std::string& accelerator) {
  Scenario s{.settings = Settings(scenario_options())};
  JEVONS_CHECK(s.settings.set("accelerator", accelerator, "tiers"));
  return make_subject(catalog, m, s, s.settings.text("weights"), s.settings.text("kv_cache_dtype"));
}

}  // namespace jevons::engine
