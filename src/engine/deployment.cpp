#include "engine/deployment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "engine/links.hpp"
#include "engine/simulate_tiers.hpp"
#include "serve/engine_memory.hpp"
#include "step/form_of.hpp"
#include "step/served.hpp"

namespace jevons::engine {
namespace {

using serve::Role;

/// A pool's own words over the common options.
struct Words {
  Role role = Role::both;
  std::string accelerator;
  step::Placement placement;
  int replicas = 1;
  std::vector<std::pair<std::string, std::string>> engine_args;
};

Result<int> count_of(const Settings& s, std::string_view text, std::string_view word) {
  int n = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (status != std::errc{} || end != text.data() + text.size() || n < 1 || n > 65535)
    return fail(s.error("pools", fmt::format("'{}' in '{}' is no count", text.substr(0, 20), word.substr(0, 60)), "1 to 65535"));
  return n;
}

// "decode:h200-sxm:tp=8:replicas=2:max-num-seqs=512"
Result<Words> parse_pool(const Settings& s, std::string_view word) {
  Words w;
  w.accelerator = s.has("accelerator") ? s.text("accelerator") : "";
  for (const auto part : split(word, ':')) {
    const auto at = part.find('=');
    if (at == std::string_view::npos) {
      if (part == "prefill")
        w.role = Role::prefill;
      else if (part == "decode")
        w.role = Role::decode;
      else if (part != "both")
        w.accelerator = std::string(part);
      continue;
    }
    const auto key = part.substr(0, at), value = part.substr(at + 1);
    int* const count = key == "tp"         ? &w.placement.tp
                       : key == "pp"       ? &w.placement.pp
                       : key == "dp"       ? &w.placement.dp
                       : key == "ep"       ? &w.placement.ep
                       : key == "dcp"      ? &w.placement.dcp
                       : key == "replicas" ? &w.replicas
                                           : nullptr;
    if (count == nullptr) {
      w.engine_args.emplace_back(key, value);
      continue;
    }
    JEVONS_TRY(*count, count_of(s, value, word));
  }
  if (w.accelerator.empty())
    return fail(s.error("pools", fmt::format("'{}' names no accelerator", word.substr(0, 60)), "one, or --accelerator for all"));
  return w;
}

Result<serve::EnginePolicy> policy_of(const Context& c, const Settings& s, const catalog::Accelerator& chip, const Words& words) {
  JEVONS_TRY(const serve::Engine engine, serve::parse_engine(s.text("engine")));
  const double memory = chip.memory ? chip.memory->value.value() : 0;
  // vLLM singles out the device by its name too.
  serve::EnginePolicy p = serve::defaults_of(engine, memory, chip.thing->name.find("a100") != std::string_view::npos);
  constexpr std::string_view kArgs = "engine_args.";
  for (const auto& o : s.table()) {
    if (!o.path.starts_with(kArgs) || !s.has(o.path)) continue;
    auto ok = serve::set_option(p, o.path.substr(kArgs.size()), s.text(o.path));
    if (!ok) return fail(s.error(o.path, ok.error().what, ok.error().expected, ok.error().hint));
  }
  for (const auto& [flag, value] : words.engine_args) {
    auto ok = serve::set_option(p, flag, value);
    if (!ok) return fail(s.error("pools", fmt::format("{}={}: {}", flag, value, ok.error().what), ok.error().expected, ok.error().hint));
  }
  JEVONS_TRY(const step::Served served, step::Served::read(c.catalog));
  p.host_constant = traffic::SimTime(served.host_request(serve::name(engine)) * double(traffic::kNsPerSecond));
  return serve::checked(serve::of_one_rank(p, words.placement.dp));
}

Result<PoolPlan> plan_pool(const Context& c, const Answers& a, const Words& w) {
  const Settings& s = a.scenario.settings;
  PoolPlan p{.role = w.role, .placement = w.placement, .replicas = w.replicas};
  Scenario scenario = a.scenario;
  JEVONS_CHECK(scenario.settings.set("accelerator", w.accelerator, s.has("pools") ? "--pools" : s.setting("accelerator").file));
  JEVONS_TRY(p.subject, make_subject(c.catalog, a.model, scenario, s.text("weights"), s.text("kv_cache_dtype")));
  step::set_engine(p.subject, s.text("engine"));
  if (s.integer("speculation.draft_tokens") == 0) p.subject.weight_bytes.mtp = 0;  // engines load the draft layers only to draft
  JEVONS_TRY(p.policy, policy_of(c, s, p.subject.chip, w));
  JEVONS_TRY(p.subject.expert_imbalance, expert_imbalance_of(s, a.model, w.placement));
  p.subject.two_batch_overlap = p.policy.two_batch_overlap;
  if (p.policy.two_batch_overlap && (w.placement.dp == 1 || !model::has_experts(a.model)))
    return fail(s.error(p.policy.engine == serve::Engine::sglang ? "engine_args.enable_two_batch_overlap" : "engine_args.enable_dbo",
                        "has nothing to overlap", "a model with experts, dp above 1"));
  const auto fraction = s.has("limits.gpu_memory_utilization") ? std::optional(s.number("limits.gpu_memory_utilization")) : std::nullopt;
  const std::string engine_version = s.has("engine_version") ? s.text("engine_version") : "";
  JEVONS_CHECK(serve::share_memory(c.catalog, p.policy, w.placement, fraction, p.subject, engine_version));
  const std::string& weights = s.text("weights");
  p.block = step::block_key(s.text("model"), p.subject.chip.thing->name, p.subject.engine, weights == "native" ? p.subject.weights.name : weights,
                            engine_version.empty() ? "current" : engine_version);
  JEVONS_TRY(const step::ServedBlocks blocks, step::served_blocks(c.catalog));
  if (const auto known = blocks.find(p.block); known != blocks.end()) p.factors = known->second;
  p.policy.host_constant = traffic::SimTime(double(p.policy.host_constant) * p.factors.prompt);
  JEVONS_CHECK(step::check_placement(a.model, w.placement));
  if (w.placement.dcp > 1 && p.policy.engine != serve::Engine::vllm)
    return fail(s.error("placement.dcp", fmt::format("{} splits no context by position", p.subject.engine), "--engine vllm"));
  JEVONS_TRY(p.lora, adapters_of(c.catalog, p.subject, w.placement, p.policy));
  p.memory = step::memory(p.subject, w.placement);
  auto hour = s.has("cost.usd_per_gpu_hour") ? price_of_an_hour(c.catalog, a) : cost::gpu_hour(c.catalog, p.subject.chip, a.scenario.basis);
  if (hour)
    p.hour = std::move(*hour);
  else
    p.unpriced = hour.error().message();
  return p;
}

double seconds(const Settings& s, std::string_view path, const catalog::Thing& facts, std::string_view key) {
  return s.has(path) ? s.number(path) : facts.get<Seconds>(key)->value.value();
}

Result<std::vector<serve::FailureLaw>> failures_of(const Settings& s, const catalog::Thing& facts) {
  std::vector<serve::FailureLaw> laws;
  if (!s.boolean("failures.enabled")) {
    for (const auto* path :
         {"failures.accelerator_mtbf", "failures.node_mtbf", "failures.switch_mtbf", "failures.rack_mtbf", "failures.repair"}) {
      if (s.has(path)) return fail(s.error(path, "has no effect without failures", "--failures"));
    }
    return laws;
  }
  const double repair = s.has("failures.repair") ? s.number("failures.repair") * 3600 : facts.get<Seconds>("repair_time")->value.value();
  for (const std::string part : {"accelerator", "node", "switch", "rack"}) {
    const std::string path = fmt::format("failures.{}_mtbf", part);
    const double mtbf = s.has(path) ? s.number(path) * 3600 : facts.get<Seconds>(part + "_mtbf")->value.value();
    laws.push_back({part, mtbf, repair, part == "accelerator" ? 1 : int(*facts.number(part + "_accelerators"))});
  }
  return laws;
}

Result<double> link_of(const Settings& s, const PoolPlan& p, const catalog::Thing& facts) {
  double one = 0;
  if (s.has("handover.bandwidth"))
    one = s.number("handover.bandwidth") * 1e9;
  else if (p.subject.chip.scaleout_bandwidth)
    one = p.subject.chip.scaleout_bandwidth->value.value() * *facts.number("link_fraction");
  else
    return fail(s.error("pools", fmt::format("no network bandwidth is known of {}", p.subject.chip.thing->name), "GB/s of one accelerator",
                        "give --kv-transfer-bandwidth"));
  return one * p.placement.tp * p.placement.pp;
}

}  // namespace

Result<std::vector<PoolPlan>> pools_of(const Context& c, const Answers& a) {
  const Settings& s = a.scenario.settings;
  std::vector<Words> words;
  if (s.has("pools")) {
    for (const auto* path : {"placement.tp", "placement.pp", "placement.dp", "placement.ep", "placement.dcp", "replicas"}) {
      if (s.setting(path).file != "default") return fail(s.error(path, "beside pools", "each pool's own words, as tp=8:replicas=2"));
    }
    for (const auto word : split(s.text("pools"), ' ')) {
      JEVONS_TRY(Words w, parse_pool(s, word));
      words.push_back(std::move(w));
    }
  } else {
    words.push_back({Role::both,
                     s.text("accelerator"),
                     {int(s.integer("placement.tp")), int(s.integer("placement.pp")), int(s.integer("placement.dp")),
                      int(s.integer("placement.ep")), int(s.integer("placement.dcp"))},
                     int(s.integer("replicas")),
                     {}});
  }
  std::vector<PoolPlan> pools;
  for (const Words& w : words) {
    JEVONS_TRY(PoolPlan p, plan_pool(c, a, w));
    pools.push_back(std::move(p));
  }
  return pools;
}

Result<serve::Deployment> deployment_of(const Context& c, const Settings& s, std::vector<PoolPlan>& pools, std::int64_t longest) {
  JEVONS_TRY(const catalog::Thing* facts, c.catalog.find(catalog::Section::efficiency, "serving-fleet"));
  const auto drafts = s.integer("speculation.draft_tokens");
  const bool speculates = drafts > 0 || s.has("speculation.acceptance_length");
  if (speculates && (!s.has("speculation.acceptance_length") || s.number("speculation.acceptance_length") > double(drafts + 1)))
    return fail(s.error("speculation.acceptance_length", "must be given with the draft tokens, and at most one above them", "as measured"));
  serve::Deployment d;
  JEVONS_TRY(d.routing, serve::parse_routing(s.text("router")));
  JEVONS_TRY(d.failures, failures_of(s, *facts));
  for (PoolPlan& p : pools) {
    step::FormOptions o{.max_batch = p.policy.max_num_seqs, .max_tokens = p.policy.step_tokens(), .max_context = longest};
    const serve::CacheBlocks cache = serve::cache_blocks(p.subject, p.placement, p.policy.block_size);
    serve::Pool pool{.policy = p.policy,
                     .blocks = cache.blocks,
                     .replicas = p.replicas,
                     .accelerators = p.placement.accelerators(),
                     .ranks = p.placement.dp,
                     .capped = cache.capped,
                     .role = p.role,
                     .start_up_s = seconds(s, "autoscaler.start_up", *facts, "start_up"),
                     .lora = p.lora};
    JEVONS_TRY(pool.tiers, tiers_of(c.catalog, s, p.subject, p.placement, p.policy, cache));
    if (speculates) {
      o.tokens_per_sequence = int(drafts + 1);
      o.unit = 100;
      pool.step_tokens = std::int32_t(std::lround(s.number("speculation.acceptance_length") * 100));
    }
    if (s.has("autoscaler.target")) {
      pool.scaling = serve::Scaling{int(s.integer("autoscaler.min_replicas")), s.number("autoscaler.target"),
                                    s.number("autoscaler.interval"), s.number("autoscaler.stabilization")};
    } else if (s.setting("autoscaler.min_replicas").file != "default") {
      return fail(s.error("autoscaler.min_replicas", "has no effect without a target", "--target-outstanding"));
    }
    JEVONS_TRY(const step::StepTime time, step::StepTime::make(c.catalog, p.subject, p.placement));
    o.prefill_floor = time.prefill_floor();
    o.decode_factor = p.factors.decode;
    o.prompt_factor = p.factors.prompt;
    p.form = std::make_unique<step::StepForm>(step::form_of(time, o));
    pool.form = p.form.get();
    if (p.role != Role::both) {
      JEVONS_TRY(pool.link_bytes_per_s, link_of(s, p, *facts));
    }
    if (p.role == Role::decode && d.handover.bytes_per_token + d.handover.bytes_fixed == 0) {
      d.handover = serve::handover_of(p.subject, p.placement);
      if (s.boolean("handover.layerwise")) d.handover.overlapped_layers = int(p.subject.model->layers());
    }
    d.pools.push_back(std::move(pool));
  }
  for (const auto* path : {"handover.bandwidth", "handover.layerwise"}) {
    if (!d.disaggregated() && s.has(path) && s.setting(path).file != "default")
      return fail(s.error(path, "has no effect without prefill and decode pools", "--pools \"prefill:… decode:…\""));
  }
  return d;
}

}  // namespace jevons::engine
