#include "evidence/case_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "serve/engine_memory.hpp"
#include "serve/metrics.hpp"
#include "step/form_of.hpp"
#include "traffic/generate.hpp"

namespace jevons::evidence {
namespace {

Error at(const Case& c, std::string_view column, Error e) {
  e.file = c.file;
  e.line = c.row;
  e.key = std::string(column);
  return e;
}

std::string_view flag(const Case& c, std::string_view name) {
  for (const auto& [key, value] : c.engine_args) {
    if (key == name) return value;
  }
  return {};
}

Result<std::optional<double>> fraction_flag(const Case& c, std::string_view name) {
  const std::string_view text = flag(c, name);
  if (text.empty()) return std::nullopt;
  double v = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (status != std::errc{} || end != text.data() + text.size() || !(v > 0 && v <= 1)) {
    return fail(
        at(c, "engine_args", {ErrorCode::bad_input, {}, 0, {}, fmt::format("{}={}", name, text), "a share of memory in (0, 1]", {}}));
  }
  return v;
}

// Cache format of a run that does not state it, as its times show it: fp8 where weights are quantized and the engine is TensorRT-LLM or the
// chip Blackwell, bf16 otherwise. Of the rules tried it agrees best with measured times, better than the launch flags themselves.
Result<model::CacheFormat> cache_format_of(const Case& c, const catalog::Accelerator& chip) {
  if (!c.kv_cache.empty()) {
    const auto f = model::parse_cache_format(c.kv_cache);
    if (!f) return fail(at(c, "kv_cache", f.error()));
    if (*f != model::CacheFormat::native) return *f;
  }
  const bool quantized = c.weights != "bf16" && c.weights != "fp16" && !c.weights.empty();
  const bool blackwell = chip.thing->attribute("kernel_constants") == "blackwell";
  return quantized && (blackwell || c.engine == "trtllm") ? model::CacheFormat::fp8 : model::CacheFormat::bf16;
}

// What its blocks are counted in: the launch flag, where there is one. On Hopper, vLLM's fp8 cache takes half the room but no less time.
model::CacheFormat capacity_format_of(const Case& c, model::CacheFormat in_time) {
  if (!c.kv_cache.empty()) return in_time;
  return flag(c, "kv-cache-dtype").starts_with("fp8") ? model::CacheFormat::fp8 : in_time;
}

// Flags that say how the engine is run but not how it schedules.
constexpr std::string_view kOtherFlags[] = {"kv-cache-dtype", "gpu-memory-utilization", "mem-fraction-static", "stream-interval"};

Result<serve::EnginePolicy> policy_of(const Case& c, const catalog::Accelerator& chip, int ranks, std::vector<std::string>& notes) {
  const auto engine = serve::parse_engine(c.engine);
  if (!engine) return fail(at(c, "engine", engine.error()));
  const double memory = chip.memory_reported ? chip.memory_reported->value.value() : chip.memory ? chip.memory->value.value() : 0;
  serve::EnginePolicy p = serve::defaults_of(*engine, memory, c.accelerator.find("a100") != std::string::npos);
  p.enable_prefix_caching = false;  // a hit rate is given or there are no hits
  for (const auto& [key, value] : c.engine_args) {
    if (std::find(std::begin(kOtherFlags), std::end(kOtherFlags), key) != std::end(kOtherFlags)) continue;
    const auto set = serve::set_option(p, key, value == "on" ? "true" : value == "off" ? "false" : std::string_view(value));
    if (!set) notes.push_back(fmt::format("engine_args {}={}: {}", key, value, set.error().what));
  }
  // The run happened, so its longest prompt and its sequences fitted into a step.
  if (!p.chunked_prefill) p.max_num_batched_tokens = std::max(p.max_num_batched_tokens, std::int32_t(c.nominal_isl) + 64);
  if (!p.prefill_first) p.max_num_seqs = std::min(p.max_num_seqs, p.max_num_batched_tokens);
  if (ranks > 1 && p.engine == serve::Engine::trtllm && flag(c, "attention_dp_config.enable_balance").empty()) {
    // Public launch scripts of TensorRT-LLM benchmarks turn balance on with attention data parallelism, and wait for 60 passes.
    p.adp_balance = true;
    p.adp_timeout_iters = 60;
    p.adp_batching_wait_iters = 0;
  }
  p = serve::of_one_rank(p, ranks);
  const auto ok = serve::checked(p);
  if (!ok) return fail(at(c, "engine_args", ok.error()));
  return *ok;
}

Result<void> describe_model(const catalog::Catalog& catalog, const Case& c, Prepared& p) {
  const auto entry = catalog.find_model(c.model);
  if (!entry) return fail(at(c, "model", entry.error()));
  JEVONS_TRY(model::Model m, model::parse_entry((*entry)->json, (*entry)->file));
  p.model = std::make_unique<model::Model>(std::move(m));
  const auto chip = catalog.find(catalog::Section::accelerator, c.accelerator);
  if (!chip) return fail(at(c, "accelerator", chip.error()));
  p.subject = std::make_unique<step::Subject>();
  step::Subject& s = *p.subject;
  s.model = p.model.get();
  s.parameters = model::parameters(*p.model);
  const auto weights = model::weight_scheme(*p.model, c.format());
  if (!weights) return fail(at(c, "weights", weights.error()));
  s.weights = *weights;
  s.weight_bytes = model::weight_bytes(*p.model, s.parameters, s.weights);
  s.weight_bytes.mtp = 0;  // no case speculates, and engines load the draft layers only to draft
  s.chip = catalog::accelerator(**chip);
  JEVONS_TRY(s.cache_format, cache_format_of(c, s.chip));
  s.cache = model::cache_groups(*p.model, s.cache_format);
  step::set_engine(s, c.engine);
  return {};
}

Result<traffic::Workload> workload_of(const Case& c, int concurrency, std::size_t requests) {
  traffic::GenerateSpec spec;
  spec.num_requests = requests;
  traffic::ClassSpec users;
  JEVONS_TRY(users.input, traffic::parse_law(c.lengths, c.nominal_isl, "lengths"));
  JEVONS_TRY(users.output, traffic::parse_law(c.lengths, c.nominal_osl, "lengths"));
  spec.classes.push_back(std::move(users));
  traffic::Workload w;
  JEVONS_TRY(w.requests, traffic::generate(spec, Seed{1}));
  traffic::ClosedLoad load{.concurrency = concurrency};
  if (c.lengths == "fixed") {
    // Requests of one length that start at once would stay in step for ever; no served load does. The first of each slot is cut to a random
    // rest, as one finds it in a running service, and not counted.
    load.uncounted = std::size_t(concurrency);
    Stream rest(Seed{1}, 0, Draw::output_length, 1);
    for (std::size_t i = 0; i < std::min(load.uncounted, w.requests.size()); ++i) {
      w.requests.output_tokens[i] = 1 + std::int32_t(rest.uniform() * double(w.requests.output_tokens[i] - 1));
    }
  }
  w.load = load;
  return w;
}

}  // namespace

Result<Prepared> prepare(const catalog::Catalog& catalog, const Case& c) {
  Prepared p;
  p.of = &c;
  JEVONS_CHECK(describe_model(catalog, c, p));
  p.placement = c.disaggregated ? c.decode.placement : c.placement;
  p.concurrency = c.disaggregated ? std::max(1.0, c.concurrency / c.decode.count) : c.concurrency;
  JEVONS_TRY(p.policy, policy_of(c, p.subject->chip, p.placement.dp, p.notes));
  JEVONS_TRY(const auto fraction, fraction_flag(c, c.engine == "sglang" ? "mem-fraction-static" : "gpu-memory-utilization"));
  JEVONS_CHECK(serve::share_memory(catalog, p.policy, p.placement, fraction, *p.subject, c.engine_version));
  const auto time = step::StepTime::make(catalog, *p.subject, p.placement);
  if (!time) {
    std::string key = time.error().key;
    if (key.starts_with("placement.")) key = (c.disaggregated ? "decode_" : "") + key.substr(10);
    return fail(at(c, key, time.error()));
  }
  p.time = std::make_unique<step::StepTime>(*time);
  if (c.disaggregated) {
    const auto prefill = step::StepTime::make(catalog, *p.subject, c.prefill.placement);
    if (!prefill) return fail(at(c, "prefill_tp", prefill.error()));
    p.prefill_time = std::make_unique<step::StepTime>(*prefill);
  }
  step::Subject held_as = *p.subject;
  if (const auto f = capacity_format_of(c, held_as.cache_format); f != held_as.cache_format) {
    held_as.cache_format = f;
    held_as.cache = model::cache_groups(*p.model, f);
  }
  p.cache = serve::cache_blocks(held_as, p.placement, p.policy.block_size);
  const double whole = std::ceil(c.isl + c.osl);
  const auto held = serve::capped_blocks(p.cache.capped, std::int64_t(whole));
  if (double(p.cache.blocks - held) * p.policy.block_size < whole) {
    const step::Memory m = step::memory(*p.subject, p.placement);
    return fail(at(c, c.disaggregated ? "decode_tp" : "n_accelerators",
                   {ErrorCode::bad_input,
                    {},
                    0,
                    {},
                    fmt::format("one sequence of {:.0f} tokens does not fit: weights {:.1f} GB and reserve {:.1f} GB of {:.1f} GB", whole,
                                m.weights / 1e9, m.reserve / 1e9, m.capacity / 1e9),
                    "room for weights and one sequence",
                    {}}));
  }
  return p;
}

std::optional<std::string> breaks_physics(const Prepared& p) {
  const Case& c = *p.of;
  if (c.disaggregated || !c.ttft_s || !c.tpot_s || *c.tpot_s <= 0) return std::nullopt;
  const double decode = (c.osl - 1) * *c.tpot_s, rate = c.concurrency / (*c.ttft_s + decode);
  const double batch = c.concurrency * decode / (*c.ttft_s + decode);
  const double step = p.time->decode_bound(batch, c.isl + c.osl / 2);
  if (*c.tpot_s < step)
    return fmt::format("TPOT {:.2f} ms, but {:.0f} sequences read {:.2f} ms of memory at peak bandwidth", *c.tpot_s * 1e3, batch,
                       step * 1e3);
  // Half of the peak is out of reach for whole serving: what remains after attention, norms and host work was never above 0.5.
  constexpr double kReach = 0.6;
  const double used = rate * p.time->prefill_bound(c.isl + c.osl, 0);
  if (used > kReach) return fmt::format("{:.0f} % of the peak arithmetic rate end to end, out of reach of serving", 100 * used);
  return std::nullopt;
}

std::optional<double> measured_output(const Case& c) {
  if (!c.ttft_usable || !c.ttft_s || !c.tpot_s) return std::nullopt;
  return c.concurrency * c.osl / (*c.ttft_s + (c.osl - 1) * *c.tpot_s);
}

namespace {

// Prefill and decode on workers of their own, in steady state: a closed loop of two stations. X requests a second enter decode, where
// B = X O t(B) / workers of them sit on each worker; a prompt waits for one of the prefill servers as in M/M/c at utilisation rho, and
// Little's law closes the loop: X (TTFT + O t) = C. Prompts move to the decode workers in the shadow of prefill.
Prediction two_stations(const Prepared& p, const step::Served& served, double host) {
  const Case& c = *p.of;
  const step::StepTime decode = p.time->with(served), prefill = p.prefill_time->with(served);
  const double workers = c.decode.count, servers = double(c.prefill.count) * c.prefill.placement.dp;
  const double ranks = c.prefill.placement.dp;
  // One prompt on one attention rank while the others push theirs.
  const double whole = prefill.token_seconds(c.isl * ranks) + prefill.prefill_attention_seconds(c.isl * ranks, 0);
  const double service = std::max(prefill.prefill_floor(), whole);
  const double most = std::max(1.0, double(p.cache.blocks) * double(p.policy.block_size) / (c.isl + c.osl / 2) * p.placement.dp);
  const auto step_at = [&](double x) {
    double t = 0, batch = 1;
    for (int i = 0; i < 40; ++i) {
      t = decode.seconds({std::clamp(batch, double(p.placement.dp), most), c.isl + c.osl / 2, 0, 0});
      batch = 0.5 * batch + 0.5 * x * c.osl * t / workers;
    }
    return t;
  };
  double low = 0, high = servers / service;
  for (int i = 0; i < 60; ++i) {
    const double x = (low + high) / 2, rho = x * service / servers;
    const double ttft = host + service * (1 + std::pow(rho, std::sqrt(2 * (servers + 1)) - 1) / (servers * (1 - rho)));
    (x * (ttft + c.osl * step_at(x)) < c.concurrency ? low : high) = x;
  }
  const double x = (low + high) / 2;
  Prediction out{&c};
  out.tpot_s = step_at(x);
  out.ttft_s = std::max(host + service, c.concurrency / x - c.osl * out.tpot_s);
  out.output_tok_s = c.concurrency * c.osl / (out.ttft_s + (c.osl - 1) * out.tpot_s);
  out.blocks = double(p.cache.blocks);
  out.fit = std::floor(most);
  out.memory_binds = out.near_limit = most < c.concurrency / workers;
  return out;
}

}  // namespace

double cache_uncertainty(double bytes) {
  constexpr double kGiB = 1024.0 * 1024 * 1024, kReserve = 2 * kGiB;
  return std::min(1.0, std::max(0.03, kReserve / std::max(1.0, bytes)));
}

bool near_kv_limit(std::int64_t preemptions, double kv_peak, double unsure) {
  return preemptions > 0 || kv_peak > std::min(0.9, 1 / (1 + unsure));
}

Result<Intervals> with_other_caches(const Means& here, std::int64_t blocks, double unsure, std::int64_t least,
                                    const std::function<Result<Means>(std::int64_t blocks)>& run) {
  Intervals out;
  const auto widen = [](Interval& i, double other, double at) {
    if (at > 0 && other > 0) i = {std::min(i.low, other / at), std::max(i.high, other / at)};
  };
  for (const double factor : {1 / (1 + unsure), 1 + unsure}) {
    JEVONS_TRY(const Means other, run(std::max(least, std::int64_t(double(blocks) * factor))));
    widen(out.tpot, other.tpot_s, here.tpot_s);
    widen(out.ttft, other.ttft_s, here.ttft_s);
    widen(out.output_tok_s, other.output_tok_s, here.output_tok_s);
  }
  return out;
}

Result<Prediction> simulate(const Prepared& p, const step::Served& served, const step::BlockFactors* factors) {
  const double host = served.host_request(p.of->engine) * (factors != nullptr ? factors->prompt : 1);
  if (p.of->disaggregated) return two_stations(p, served, host);
  const step::StepTime time = p.time->with(served);
  const Case& c = *p.of;
  const int concurrency = int(std::lround(p.concurrency));
  JEVONS_TRY(traffic::Workload w, workload_of(c, concurrency, std::max(c.num_requests, std::size_t(concurrency) * 2)));
  serve::EnginePolicy policy = p.policy;
  policy.host_constant = traffic::SimTime(host * 1e9);
  const int ranks = p.placement.dp;
  step::FormOptions options;
  options.max_batch = std::min(policy.max_num_seqs, concurrency);
  options.max_tokens = policy.step_tokens();
  options.prefill_floor = time.prefill_floor();
  if (factors != nullptr) options.decode_factor = factors->decode, options.prompt_factor = factors->prompt;
  options.max_context = std::int64_t(c.nominal_isl + c.nominal_osl) + 64;
  const step::StepForm form = step::form_of(time, options);
  policy.max_num_seqs = options.max_batch;
  std::int64_t preemptions = 0;
  double kv_peak = 0;
  const auto run = [&](std::int64_t blocks) -> Result<Means> {
    serve::Deployment d;
    d.pools.push_back({policy, &form, blocks, 1, 1, p.placement.accelerators(), ranks, p.cache.capped});
    JEVONS_TRY(const serve::Simulation sim, serve::simulate(d, w));
    const serve::Metrics m = serve::measure(sim, d, w);
    preemptions = m.preemptions;
    kv_peak = m.kv_peak;
    // Throughput by Little's law over both latencies, as the measured one is.
    return Means{m.tpot.mean, m.ttft.mean, c.concurrency * c.osl / (m.ttft.mean + (c.osl - 1) * m.tpot.mean)};
  };
  JEVONS_TRY(const Means here, run(p.cache.blocks));
  Prediction out{&c};
  out.tpot_s = here.tpot_s;
  out.ttft_s = here.ttft_s;
  out.output_tok_s = here.output_tok_s;
  out.blocks = double(p.cache.blocks);
  const double whole = c.isl + c.osl;
  out.fit = std::floor(double(p.cache.blocks) * p.policy.block_size / whole) * ranks;
  out.memory_binds = out.fit < p.concurrency;
  out.preemptions = preemptions;
  const double unsure = cache_uncertainty(double(p.cache.blocks) * p.cache.block_bytes);
  out.near_limit = out.memory_binds || near_kv_limit(preemptions, kv_peak, unsure);
  if (out.near_limit) {
    const auto least = std::int64_t(std::ceil(whole / p.policy.block_size)) + 1 + serve::capped_blocks(p.cache.capped, std::int64_t(whole));
    JEVONS_TRY(out.capacity, with_other_caches(here, p.cache.blocks, unsure, least, run));
  }
  out.corrected = factors != nullptr;
  return out;
}

}  // namespace jevons::evidence
