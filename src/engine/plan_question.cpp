// What a plan asks, from its settings.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.hpp"
#include "catalog/loader.hpp"
#include "cost/gpu_hour.hpp"
#include "engine/plan_verb.hpp"
#include "engine/scenario.hpp"
#include "step/served.hpp"
#include "traffic/generate.hpp"

namespace jevons::engine {
namespace {

std::vector<std::string> words_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}
std::vector<std::string> list(const Settings& s, std::string_view path) {
  return s.has(path) ? words_of(s.text(path)) : std::vector<std::string>{};
}

Result<std::vector<int>> whole_numbers(const Settings& s, std::string_view path, int low, int high) {
  std::vector<int> out;
  for (const std::string& w : list(s, path)) {
    int n = 0;
    const auto [end, ec] = std::from_chars(w.data(), w.data() + w.size(), n);
    if (ec != std::errc() || end != w.data() + w.size() || n < low || n > high)
      return fail(s.error(path, fmt::format("\"{}\" is no size", w.substr(0, 40)), fmt::format("whole numbers from {} to {}", low, high)));
    out.push_back(n);
  }
  return out;
}

// "20", "p99:20", "mean:20", in ms.
Result<void> add_slo(const Settings& s, std::string_view path, plan::Slo::Metric metric, std::vector<plan::Slo>& out) {
  if (!s.has(path)) return {};
  for (const std::string& w : words_of(s.text(path))) {
    plan::Slo slo{metric, {}, 0};
    const auto colon = w.find(':');
    const std::string head = colon == std::string::npos ? "" : w.substr(0, colon),
                      tail = colon == std::string::npos ? w : w.substr(colon + 1);
    const auto bad = [&] {
      return fail(
          s.error(path, fmt::format("\"{}\" is no limit", w.substr(0, 40)), "milliseconds of the mean, or of a quantile: 1000, p99:1000"));
    };
    char* end = nullptr;
    slo.seconds = std::strtod(tail.c_str(), &end) / 1e3;
    if (end == tail.c_str() || *end != 0 || !(slo.seconds > 0) || slo.seconds > 1e9) return bad();
    if (!head.empty() && head != "mean") {
      if (head[0] != 'p') return bad();
      const double q = std::strtod(head.c_str() + 1, &end) / 100;
      if (*end != 0 || !(q > 0) || q >= 1) return bad();
      slo.quantile = q;
    }
    out.push_back(slo);
  }
  return {};
}

Result<plan::Chip> priced_chip(const Context& c, const std::string& word, PlanQuestion& q) {
  const Settings& s = q.settings;
  plan::Chip chip;
  std::string name = word;
  if (const auto colon = word.rfind(':'); colon != std::string::npos) {
    const std::string count = word.substr(colon + 1);
    const auto [end, ec] = std::from_chars(count.data(), count.data() + count.size(), chip.stock);
    if (ec != std::errc() || end != count.data() + count.size() || chip.stock < 1)
      return fail(s.error("accelerator", fmt::format("\"{}\" has no number after the colon", word.substr(0, 60)), "NAME:N, N at least 1"));
    name = word.substr(0, colon);
  }
  std::shared_ptr<void> keep;
  JEVONS_TRY(chip.thing, find_chip(c.catalog, name, keep));
  if (keep) q.chip_files = std::make_shared<std::pair<std::shared_ptr<void>, std::shared_ptr<void>>>(q.chip_files, keep);
  const catalog::Accelerator facts = catalog::accelerator(*chip.thing);
  const std::string& basis = s.text("cost.basis");
  const auto b = basis == "owner" ? cost::Basis::owner : basis == "contract" ? cost::Basis::contract : cost::Basis::on_demand;
  if (s.has("cost.usd_per_gpu_hour")) {
    chip.usd_per_s = usd_per_hour(s.number("cost.usd_per_gpu_hour")).value();
  } else if (const auto hour = cost::gpu_hour(c.catalog, facts, b)) {
    chip.usd_per_s = hour->total.value();
  } else {
    q.unpriced.push_back(fmt::format("price of {}: null, {}", name, hour.error().what));
  }
  std::vector<const catalog::Fact*> used;
  if (const auto watts = cost::all_in_power(c.catalog, facts, used))
    chip.watts = watts->value();
  else
    q.unpriced.push_back(fmt::format("power of {}: null, {}", name, watts.error().what));
  if (const auto owned = cost::ownership(c.catalog, facts))
    chip.capital = (owned->system + owned->site).value();
  else
    q.unpriced.push_back(fmt::format("capital of {}: null, {}", name, owned.error().what));
  return chip;
}

// An objective or a limit needs figures of every chip: what is not known must not look free.
Result<void> require_figures(const PlanQuestion& q) {
  const Settings& s = q.settings;
  for (const plan::Chip& c : q.knobs.chips) {
    const auto lacks = [&](std::string_view path, std::string_view what) {
      return fail(s.error(s.spec(path) == nullptr ? "accelerator" : path, fmt::format("{} of {} is not known", what, c.thing->name),
                          "a chip with that fact", "give --usd-per-gpu-hour, or the fact in a catalogue of your own with --catalog"));
    };
    if (q.terms.objective == plan::Objective::usd_per_mtok && !c.usd_per_s) return lacks("objective", "the price");
    if (q.terms.objective == plan::Objective::tok_s_per_watt && !c.watts) return lacks("objective", "the power");
    if ((s.has("limits.max_power") || s.has("limits.max_carbon")) && !c.watts) return lacks("limits.max_power", "the power");
    if (s.has("limits.max_capital") && !c.capital) return lacks("limits.max_capital", "the capital");
  }
  return {};
}

Result<std::vector<serve::EnginePolicy>> policies_of(const Context& c, const Settings& s, const catalog::Thing& chip) {
  const catalog::Accelerator facts = catalog::accelerator(chip);
  JEVONS_TRY(const step::Served served, step::Served::read(c.catalog));
  JEVONS_TRY(const auto seats, whole_numbers(s, "max_num_seqs", 1, 65536));
  JEVONS_TRY(const auto tokens, whole_numbers(s, "max_num_batched_tokens", 1, 1 << 20));
  JEVONS_TRY(const auto chunks, whole_numbers(s, "chunked_prefill_size", 1, 1 << 20));
  std::vector<serve::EnginePolicy> out;
  for (const std::string& word : list(s, "engine")) {
    const auto engine = serve::parse_engine(word);
    if (!engine) return fail(s.error("engine", engine.error().what, engine.error().expected));
    serve::EnginePolicy p =
        serve::defaults_of(*engine, facts.memory ? facts.memory->value.value() : 0, chip.name.find("a100") != std::string_view::npos);
    p.host_constant = traffic::SimTime(served.host_request(word) * double(traffic::kNsPerSecond));
    if (s.has("block_size")) p.block_size = std::int32_t(s.integer("block_size"));
    for (const int n : seats.empty() ? std::vector<int>{p.max_num_seqs} : seats) {
      for (const int t : tokens.empty() ? std::vector<int>{0} : tokens) {
        for (const int chunk : chunks.empty() ? std::vector<int>{0} : chunks) {
          if (chunk > 0 && *engine != serve::Engine::sglang)
            return fail(s.error("chunked_prefill_size", fmt::format("{} chunks by its token budget", word), "--max-num-batched-tokens"));
          serve::EnginePolicy v = p;
          v.max_num_seqs = n;
          if (t > 0) v.max_num_batched_tokens = t;
          if (chunk > 0) v.chunk = chunk;
          if (const auto ok = serve::checked(v); !ok)
            return fail(s.error("max_num_batched_tokens", ok.error().what, ok.error().expected, ok.error().hint));
          out.push_back(v);
        }
      }
    }
  }
  return out;
}

Result<void> read_load(PlanQuestion& q) {
  const Settings& s = q.settings;
  plan::Load l;
  l.seed = {std::uint64_t(s.integer("seed"))};
  JEVONS_TRY(l.users.input, traffic::parse_law(s.text("workload.lengths"), s.number("workload.isl"), "workload.lengths"));
  JEVONS_TRY(l.users.output, traffic::parse_law(s.text("workload.lengths"), s.number("workload.osl"), "workload.lengths"));
  l.users.shared_prompt_tokens = std::int32_t(s.integer("workload.shared_system_prompt_length"));
  l.prefix_hit_rate = s.number("workload.prefix_hit_rate");
  l.warmup_rounds = int(s.integer("load.warmup_rounds"));
  for (const plan::Chip& chip : q.knobs.chips) {
    for (const auto& p : chip.policies) l.block_tokens = std::max(l.block_tokens, p.block_size);
  }
  q.load = l;
  plan::Terms& t = q.terms;
  t.equal_requests = s.text("workload.lengths") == "fixed";
  t.closed = !s.has("load.request_rate");
  q.max_context =
      std::int64_t(std::ceil(s.number("workload.isl"))) + std::int64_t(std::ceil(s.number("workload.osl"))) + l.users.shared_prompt_tokens;
  if (l.prefix_hit_rate > 0 && l.users.shared_prompt_tokens > 0)
    return fail(s.error("workload.prefix_hit_rate", "beside workload.shared_system_prompt_length",
                        "one of the two: a prefix of each user's own, or one of all"));
  if (t.closed) {
    t.workload = [l](int c) { return plan::closed_load(l, std::max(1, c)); };
    if (s.has("load.max_concurrency")) t.max_concurrency = int(s.integer("load.max_concurrency"));
  } else {
    for (const auto* path : {"load.max_concurrency", "load.warmup_rounds", "workload.prefix_hit_rate"}) {
      if (s.has(path) && s.setting(path).file != "default")
        return fail(s.error(path, "beside load.request_rate", "one of the two: closed loop or open"));
    }
    l.users.arrivals.rate_per_s = s.number("load.request_rate");
    const auto rows = std::size_t(std::max(200.0, std::ceil(s.number("load.request_rate") * s.number("load.seconds"))));
    t.workload = [l, rows](int) { return plan::open_load(l, rows); };
  }
  if (t.equal_requests) return {};
  JEVONS_TRY(const traffic::Workload w, t.workload(t.closed ? 4096 : 0));  // the tables must hold the longest request that is drawn
  for (std::size_t r = 0; r < w.requests.size(); ++r)
    q.max_context = std::max(q.max_context, std::int64_t(w.requests.input_tokens[r]) + w.requests.output_tokens[r]);
  return {};
}

}  // namespace

Result<const catalog::Thing*> find_chip(const catalog::Catalog& catalog, const std::string& name_or_file, std::shared_ptr<void>& keep) {
  if (!name_or_file.ends_with(".yaml")) return catalog.find(catalog::Section::accelerator, name_or_file);
  auto store = std::make_shared<catalog::Store>();
  JEVONS_TRY(const catalog::Thing* thing, catalog::load_file(*store, catalog::Section::accelerator, name_or_file));
  keep = store;
  return thing;
}

Result<PlanQuestion> read_plan(const Context& c, std::optional<Error>* unknown_chip) {
  PlanQuestion q(c.settings.table());
  Settings& s = q.settings;
  if (!c.words.empty()) {
    JEVONS_TRY(const std::string yaml, read_file(c.words[0], 1u << 20));
    JEVONS_CHECK(s.load_yaml(yaml, c.words[0]));
  }
  s.lay_over(c.settings);
  for (const auto* path : {"model", "accelerator", "workload.isl", "workload.osl"}) {
    if (!s.has(path)) return fail(s.error(path, "is missing", std::string(s.spec(path)->help), fmt::format("give {}", s.spec(path)->flag)));
  }
  JEVONS_TRY(model::Model m, load_model(c.catalog, s.text("model")));
  q.owned_model = std::make_shared<const model::Model>(std::move(m));
  q.model = q.owned_model.get();
  q.catalog = &c.catalog;
  if (s.spec("objective") != nullptr) {
    const auto objective = plan::parse_objective(s.text("objective"));
    if (!objective) return fail(s.error("objective", objective.error().what, objective.error().expected));
    q.terms.objective = *objective;
  }
  JEVONS_CHECK(add_slo(s, "slo.ttft", plan::Slo::Metric::ttft, q.terms.slo));
  JEVONS_CHECK(add_slo(s, "slo.tpot", plan::Slo::Metric::tpot, q.terms.slo));
  JEVONS_CHECK(add_slo(s, "slo.e2e", plan::Slo::Metric::e2e, q.terms.slo));
  if (q.terms.objective == plan::Objective::goodput_per_gpu && q.terms.slo.empty())
    return fail(s.error("objective", "goodput without a limit", "at least one of --ttft, --tpot, --e2e"));

  plan::Knobs& k = q.knobs;
  for (const std::string& word : list(s, "accelerator")) {
    auto chip = priced_chip(c, word, q);
    if (!chip && unknown_chip != nullptr && chip.error().code == ErrorCode::not_found) {
      *unknown_chip = chip.error();
      continue;
    }
    JEVONS_TRY(plan::Chip known, std::move(chip));
    k.chips.push_back(std::move(known));
  }
  JEVONS_CHECK(require_figures(q));
  k.weights = list(s, "weights");
  k.caches = list(s, "kv_cache_dtype");
  for (plan::Chip& chip : k.chips) {
    JEVONS_TRY(chip.policies, policies_of(c, s, *chip.thing));
  }
  JEVONS_TRY(k.tp, whole_numbers(s, "placement.tp", 1, 4096));
  JEVONS_TRY(k.pp, whole_numbers(s, "placement.pp", 1, 64));
  JEVONS_TRY(k.dp, whole_numbers(s, "placement.dp", 1, 4096));
  JEVONS_TRY(k.ep, whole_numbers(s, "placement.ep", 1, 4096));
  JEVONS_TRY(k.dcp, whole_numbers(s, "placement.dcp", 1, 4096));
  JEVONS_TRY(k.drafts, whole_numbers(s, "speculation.draft_tokens", 0, 16));
  JEVONS_TRY(const catalog::Thing* acceptance, c.catalog.find(catalog::Section::efficiency, "acceptance"));
  k.first_acceptance =
      s.has("speculation.acceptance_rate") ? s.number("speculation.acceptance_rate") : acceptance->number("one_draft").value_or(1) - 1;
  k.routings.clear();
  for (const std::string& word : list(s, "router")) {
    const auto routing = serve::parse_routing(word);
    if (!routing) return fail(s.error("router", routing.error().what, routing.error().expected));
    k.routings.push_back(*routing);
  }
  if (s.number("workload.prefix_hit_rate") > 0 && s.setting("router").file == "default") k.routings = {serve::Routing::prefix_aware};
  if (s.has("replicas")) k.replicas = int(s.integer("replicas"));
  const std::string& split = s.text("disaggregation");
  k.split = split == "none" ? plan::Split::none : split == "only" ? plan::Split::only : plan::Split::allowed;
  if (s.boolean("handover.overlapped")) {
    if (k.split == plan::Split::none)
      return fail(s.error("handover.overlapped", "has no effect without disaggregation", "--disaggregation allowed or only"));
    k.overlapped_layers = q.model->layers();
  }
  if (s.has("limits.gpu_memory_utilization")) k.memory_fraction = s.number("limits.gpu_memory_utilization");

  plan::Budget& b = q.budget;
  b.accelerators = int(s.integer("limits.max_accelerators"));
  if (s.has("limits.max_power")) b.watts = s.number("limits.max_power") * 1e3;
  if (s.has("limits.max_capital")) b.capital = s.number("limits.max_capital");
  if (s.has("limits.max_carbon") != s.has("limits.carbon_intensity"))
    return fail(s.error(s.has("limits.max_carbon") ? "limits.max_carbon" : "limits.carbon_intensity", "without the other",
                        "--max-carbon and --carbon-intensity, or neither"));
  if (s.has("limits.max_carbon")) {
    b.kg_per_h = s.number("limits.max_carbon");
    b.kg_per_joule = s.number("limits.carbon_intensity") / 1e3 / 3.6e6;
  }
  JEVONS_CHECK(read_load(q));
  JEVONS_TRY(const auto host, whole_numbers(s, "host_cache_size", 0, 1 << 20));
  k.host_gib.assign(host.begin(), host.end());
  if (*std::max_element(host.begin(), host.end()) > 0 && s.number("workload.prefix_hit_rate") == 0 &&
      s.number("workload.shared_system_prompt_length") == 0)
    return fail(
        s.error("host_cache_size", "would never be read: requests share no prefix", "--prefix-hit-rate or --shared-system-prompt-length"));
  q.terms.threads = int(s.integer("search.threads"));
  q.terms.gap = s.number("search.gap");
  q.terms.max_simulated = s.number("search.effort");
  q.terms.stop = c.stop;
  q.terms.progress = c.progress;
  return q;
}

}  // namespace jevons::engine
