// jevons simulate: requests one by one through replicas behind a router.
#include "engine/simulate_verb.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/text.hpp"
#include "base/units.hpp"
#include "engine/links.hpp"
#include "serve/cache_blocks.hpp"
#include "serve/metrics.hpp"
#include "step/form_of.hpp"
#include "traffic/generate.hpp"
#include "traffic/read.hpp"
#include "traffic/resample.hpp"

namespace jevons::engine {
namespace {

using report::Origin;

const Origin kSimulated{"simulated", "serve::measure in src/serve/metrics.cpp over serve::simulate",
                        "docs/glossary.md; step times: docs/step-time.md"};
const Origin kMoney{"simulated", "price of an hour x accelerators x makespan, idle time included",
                    "cost::gpu_hour in src/cost/gpu_hour.cpp"};

Result<Settings> read_settings(const Context& c) {
  Settings s(c.settings.table());
  if (!c.words.empty()) {
    JEVONS_TRY(const std::string yaml, read_file(c.words[0], 1u << 20));
    JEVONS_CHECK(s.load_yaml(yaml, c.words[0]));
  }
  s.lay_over(c.settings);
  for (const auto* path : {"model", "accelerator"}) {
    if (!s.has(path)) return fail(s.error(path, "is missing", std::string(s.spec(path)->help), fmt::format("give {}", s.spec(path)->flag)));
  }
  return s;
}

Result<traffic::Arrivals> arrivals_of(const Settings& s) {
  traffic::Arrivals a;
  a.rate_per_s = s.number("load.request_rate");
  const std::string& law = s.text("load.arrival");
  const double cv = s.number("load.arrival_cv");
  if (law == "constant") a.gaps = traffic::Constant{};
  if (law == "gamma") a.gaps = traffic::GammaGaps{cv};
  if (law == "weibull") a.gaps = traffic::WeibullGaps{cv};
  if (cv != 1 && (law == "poisson" || law == "constant"))
    return fail(s.error("load.arrival_cv", fmt::format("has no meaning for {} gaps", law), "gamma or weibull arrivals"));
  const double swing = s.number("load.diurnal_amplitude"), burst = s.number("load.burst_factor");
  if (swing > 0 && burst > 1) return fail(s.error("load.burst_factor", "beside load.diurnal_amplitude", "one of the two"));
  if (swing > 0) a.shape = traffic::Diurnal{.amplitude = swing};
  if (burst > 1) a.shape = traffic::Burst{s.number("load.burst_period"), s.number("load.burst_length"), burst};
  return traffic::checked(a, "load");
}

struct Asked {
  traffic::Workload workload;
  std::uint64_t skipped_rows = 0;
};

Result<traffic::Requests> generated(const Settings& s, std::size_t n, std::int32_t block, std::int32_t max_model_len) {
  for (const auto* path : {"workload.isl", "workload.osl"}) {
    if (!s.has(path))
      return fail(s.error(path, "is missing", std::string(s.spec(path)->help), fmt::format("give {} or --input-file", s.spec(path)->flag)));
  }
  traffic::ClassSpec users;
  if (s.has("load.request_rate")) {
    JEVONS_TRY(users.arrivals, arrivals_of(s));
  }
  JEVONS_TRY(users.input, traffic::parse_law(s.text("workload.lengths"), s.number("workload.isl"), "workload.lengths"));
  JEVONS_TRY(users.output, traffic::parse_law(s.text("workload.lengths"), s.number("workload.osl"), "workload.lengths"));
  users.shared_prompt_tokens = std::int32_t(s.integer("workload.shared_system_prompt_length"));
  if (const auto turns = s.number("workload.conversation_turns"); turns > 1) {
    traffic::SessionLaw session{.calls = traffic::Fixed{turns}, .new_tokens = users.input, .wait_s = {}, .fanout = {}};
    if (const double wait = s.number("workload.conversation_turn_delay") / 1e3; wait > 0) session.wait_s = traffic::Exponential{wait};
    users.session = session;
  }
  traffic::GenerateSpec spec;
  spec.num_requests = n;
  spec.max_context = max_model_len;
  if (users.session || users.shared_prompt_tokens > 0) spec.block_tokens = block;
  spec.classes.push_back(std::move(users));
  return traffic::generate(spec, {std::uint64_t(s.integer("seed"))});
}

// Requests and how they come: from a file as recorded, drawn from a file, or from laws; open by a rate, or closed by concurrency.
Result<Asked> workload_of(const Settings& s, const serve::EnginePolicy& policy) {
  const bool rate = s.has("load.request_rate"), closed = s.has("load.concurrency");
  if (rate && closed) return fail(s.error("load.concurrency", "beside load.request_rate", "one of the two: closed loop or open"));
  const Seed seed{std::uint64_t(s.integer("seed"))};
  const bool counted = s.has("workload.num_requests");
  Asked a;
  if (closed) a.workload.load = traffic::ClosedLoad{.concurrency = std::int32_t(s.integer("load.concurrency"))};
  if (s.has("workload.input_file")) {
    for (const auto* path : {"workload.isl", "workload.osl"}) {
      if (s.has(path)) return fail(s.error(path, "beside workload.input_file", "lengths from the file, or from the laws, not both"));
    }
    JEVONS_TRY(traffic::Trace t,
               traffic::read_trace(s.text("workload.input_file"), {.skip_bad_rows = s.boolean("workload.skip_bad_rows")}));
    a.skipped_rows = t.skipped;
    if (!t.timed && !rate && !closed)
      return fail(
          s.error("workload.input_file", "has no times of arrival", "a rate or a concurrency", "give --request-rate or --concurrency"));
    if (counted) {
      JEVONS_TRY(a.workload.requests, traffic::resample(t.requests,
                                                        {.num_requests = std::size_t(s.integer("workload.num_requests")),
                                                         .rate_per_s = rate ? s.number("load.request_rate") : 0},
                                                        seed));
      return a;
    }
    a.workload.requests = std::move(t.requests);
    if (rate) {
      JEVONS_TRY(const auto arrivals, arrivals_of(s));
      JEVONS_CHECK(traffic::assign_arrivals(a.workload.requests, arrivals, seed));
    }
    return a;
  }
  if (!rate && !closed)
    return fail(
        s.error("load.request_rate", "is missing", "requests per second, or load.concurrency", "give --request-rate or --concurrency"));
  const std::size_t n = counted  ? std::size_t(s.integer("workload.num_requests"))
                        : closed ? traffic::benchmark_requests(std::int32_t(s.integer("load.concurrency")))
                                 : 1000;
  JEVONS_TRY(a.workload.requests, generated(s, n, policy.block_size, policy.max_model_len));
  return a;
}

Result<serve::EnginePolicy> policy_of(const Context& c, const Settings& s, const catalog::Accelerator& chip) {
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
  JEVONS_TRY(const step::Served served, step::Served::read(c.catalog));
  constexpr step::Fit kHost[] = {step::Fit::host_vllm, step::Fit::host_sglang, step::Fit::host_trtllm};
  p.host_constant = traffic::SimTime(served[kHost[std::size_t(engine)]] * double(traffic::kNsPerSecond));
  return serve::checked(serve::of_one_rank(p, int(s.integer("placement.dp"))));
}

Result<serve::Goodput> goodput_of(const Settings& s) {
  serve::Goodput g;
  if (!s.has("goodput")) return g;
  for (const auto word : split(s.text("goodput"), ' ')) {
    const auto at = word.find(':');
    const auto key = word.substr(0, at);
    auto* limit = key == "ttft" ? &g.ttft_s : key == "tpot" ? &g.tpot_s : key == "e2el" ? &g.e2e_s : nullptr;
    const auto text = at == std::string_view::npos ? std::string_view{} : word.substr(at + 1);
    double ms = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (limit == nullptr || status != std::errc{} || end != text.data() + text.size() || !(ms > 0))
      return fail(s.error("goodput", fmt::format("'{}' is no limit", word.substr(0, 40)), "ttft:MS, tpot:MS or e2el:MS"));
    *limit = ms / 1e3;
  }
  return g;
}

// Requests in flight and waiting at 200 instants.
report::Chart load_chart(const serve::Simulation& sim, const traffic::Requests& q) {
  constexpr std::size_t kPoints = 200;
  report::Chart chart{
      "load", "Requests over time", "line", "s", "requests", false, false, {}, {{"in the batch", {}, {}}, {"waiting", {}, {}}}};
  std::vector<double> running(kPoints + 2), waiting(kPoints + 2);
  const double width = std::max(1.0, double(sim.end)) / kPoints;
  const auto slot = [&](serve::SimTime t) { return std::min(kPoints + 1, std::size_t(std::ceil(double(t) / width))); };
  const serve::Outcomes& o = sim.outcomes;
  for (std::size_t r = 0; r < q.size(); ++r) {
    if (o.status[r] != serve::Status::finished) continue;
    ++waiting[slot(o.issued.empty() ? q.arrival[r] : o.issued[r])];
    --waiting[slot(o.scheduled[r])];
    ++running[slot(o.scheduled[r])];
    --running[slot(o.finished[r])];
  }
  double in = 0, wait = 0;
  for (std::size_t i = 0; i <= kPoints; ++i) {
    in += running[i];
    wait += waiting[i];
    const double t = double(i) * width * 1e-9;
    chart.series[0].x.push_back(t);
    chart.series[0].y.push_back(in);
    chart.series[1].x.push_back(t);
    chart.series[1].y.push_back(wait);
  }
  return chart;
}

struct Priced {
  std::optional<double> usd, usd_per_output_mtok, usd_idle;
  double joules = 0;
  std::string why_not;
};
Priced price_of(const Context& c, const Answers& a, const serve::Deployment& d, const serve::Metrics& m) {
  Priced p;
  const auto hour = price_of_an_hour(c.catalog, a);
  if (!hour) {
    p.why_not = hour.error().message();
    return p;
  }
  const double accelerator_seconds = d.accelerators() * m.makespan_s;
  p.usd = (hour->total * Seconds{accelerator_seconds}).value();
  p.usd_idle = *p.usd * (1 - m.busy);
  if (m.output_tok_s > 0) p.usd_per_output_mtok = *p.usd / (m.output_tok_s * m.makespan_s) * 1e6;
  p.joules = hour->power.value() * accelerator_seconds;
  return p;
}

report::Table latency_table(const serve::Metrics& m) {
  report::Table t{"latency",
                  "Latency",
                  {{"metric", "ms", "{}", {}},
                   {"avg_ms", "avg", "{:.2f}", kSimulated},
                   {"p50_ms", "p50", "{:.2f}", kSimulated},
                   {"p90_ms", "p90", "{:.2f}", kSimulated},
                   {"p95_ms", "p95", "{:.2f}", kSimulated},
                   {"p99_ms", "p99", "{:.2f}", kSimulated},
                   {"max_ms", "max", "{:.2f}", kSimulated}},
                  {},
                  {},
                  true};
  const std::pair<const char*, const serve::Latency*> rows[] = {{"Time to first token", &m.ttft},
                                                                {"Time per output token", &m.tpot},
                                                                {"Inter-token latency", &m.itl},
                                                                {"Request latency", &m.e2e},
                                                                {"Queueing", &m.queueing}};
  for (const auto& [label, l] : rows) {
    if (l->n == 0) continue;
    t.rows.push_back({std::string(label), l->mean * 1e3, l->p50 * 1e3, l->p90 * 1e3, l->p95 * 1e3, l->p99 * 1e3, l->max * 1e3});
  }
  return t;
}

void put_values(report::Document& d, const serve::Metrics& m, const Priced& p) {
  const auto put = [&](std::string path, std::string label, std::string unit, std::optional<double> v, const Origin& origin = kSimulated) {
    d.values.push_back({std::move(path), std::move(label), std::move(unit), v, origin});
  };
  const std::pair<const char*, const serve::Latency*> latencies[] = {
      {"ttft", &m.ttft}, {"tpot", &m.tpot}, {"itl", &m.itl}, {"e2e", &m.e2e}, {"queueing", &m.queueing}};
  for (const auto& [key, l] : latencies) {
    const auto of = [&](double v) { return l->n > 0 ? std::optional(v * 1e3) : std::nullopt; };
    put(fmt::format("{}.mean_ms", key), "", "ms", of(l->mean));
    put(fmt::format("{}.p50_ms", key), "", "ms", of(l->p50));
    put(fmt::format("{}.p90_ms", key), "", "ms", of(l->p90));
    put(fmt::format("{}.p95_ms", key), "", "ms", of(l->p95));
    put(fmt::format("{}.p99_ms", key), "", "ms", of(l->p99));
  }
  put("requests.sent", "requests", "", double(m.requests));
  put("requests.finished", "finished", "", double(m.finished));
  put("requests.rejected", "rejected: cannot fit the cache or the context", "", double(m.rejected));
  put("makespan_s", "makespan, first send to last token", "s", m.makespan_s);
  put("throughput.requests_per_s", "request throughput", "req/s", m.requests_per_s);
  put("throughput.output_tok_s", "output token throughput", "tok/s", m.output_tok_s);
  put("throughput.input_tok_s", "input token throughput", "tok/s", m.input_tok_s);
  put("throughput.output_tok_s_per_gpu", "output tokens per accelerator", "tok/s", m.output_tok_s_per_gpu);
  put("throughput.output_tok_s_per_user", "output tokens per user", "tok/s", m.output_tok_s_per_user);
  put("goodput.requests_per_s", "requests within the limits", "req/s", m.goodput_rps);
  put("goodput.slo_attainment", "share within the limits, of all sent", "", m.slo_attainment);
  put("kv_cache.hit_rate", "prompt tokens found in the prefix cache", "", m.cache_hit_rate);
  put("kv_cache.mean_use", "cache blocks in use, of all", "", m.kv_use);
  put("kv_cache.peak_use", "cache blocks in use, peak", "", m.kv_peak);
  put("engine.preemptions", "preemptions", "", double(m.preemptions));
  put("engine.steps", "engine steps", "", double(m.steps));
  put("engine.mean_batch", "sequences decoding, while busy", "", m.mean_batch);
  put("engine.busy", "share of time with a step running", "", m.busy);
  put("engine.saturated", "", "", m.load == serve::Load::saturated ? 1.0 : 0.0);
  put("cost.usd", "the run", "USD", p.usd, kMoney);
  put("cost.idle_usd", "the run, idle time alone", "USD", p.usd_idle, kMoney);
  put("cost.usd_per_output_mtok", "the run, per million output tokens", "USD/Mtok", p.usd_per_output_mtok, kMoney);
  put("energy.joules", "energy at the meter, all-in power throughout", "J", p.usd ? std::optional(p.joules) : std::nullopt, kMoney);
}

std::string share(double x) { return fmt::format("{:.1f} %", x * 100); }

report::Document document_of(const Settings& s, const serve::Deployment& d, const Asked& asked, const serve::Metrics& m, const Priced& p) {
  const serve::Pool& pool = d.pools.front();
  report::Document out;
  out.version = std::string(version());
  out.partial = m.partial;
  out.title = fmt::format("{} on {} x {} ({}), {} replica{}, simulated", s.text("model"), pool.accelerators, s.text("accelerator"),
                          serve::name(pool.policy.engine), pool.replicas, pool.replicas == 1 ? "" : "s");
  std::string state = m.load == serve::Load::saturated ? "saturated: more comes than can be served, the queue grows" : "sustained";
  if (m.rejected > 0) state += fmt::format("; {} requests can never fit and were rejected", m.rejected);
  if (m.partial) state += "; stopped early, results so far";
  out.answer = {
      {"Latency", fmt::format("TTFT {} (p99 {}), TPOT {} (p99 {}), E2E {}", format_seconds(m.ttft.mean), format_seconds(m.ttft.p99),
                              format_seconds(m.tpot.mean), format_seconds(m.tpot.p99), format_seconds(m.e2e.mean))},
      {"Load", fmt::format("{} of {} requests in {} at {:.4g} req/s: {:.4g} output tok/s, {:.4g} per accelerator; {}", m.finished,
                           m.requests, format_seconds(m.makespan_s), m.requests_per_s, m.output_tok_s, m.output_tok_s_per_gpu, state)},
      {"Cost", p.usd_per_output_mtok ? fmt::format("${:.4g} per million output tokens, input and {} idle time included",
                                                   *p.usd_per_output_mtok, share(1 - m.busy))
                                     : fmt::format("null: {}", p.why_not.empty() ? "no output" : p.why_not)}};
  out.tables.push_back(latency_table(m));
  put_values(out, m, p);
  report::Table t{"summary",
                  "Throughput, cache, engine",
                  {{"quantity", "quantity", "{}", {}}, {"value", "value", "{:.6g}", kSimulated}, {"unit", "unit", "{}", {}}},
                  {},
                  {},
                  true};
  for (const auto& v : out.values) {
    if (!v.label.empty() && v.number) t.rows.push_back({v.label, *v.number, v.unit});
  }
  out.tables.push_back(std::move(t));
  if (asked.skipped_rows > 0) out.notes.push_back(fmt::format("{} bad rows of the file were skipped.", asked.skipped_rows));
  std::string blocks = fmt::format("{} cache blocks of {} tokens", pool.blocks, pool.policy.block_size);
  if (const auto fixed = serve::capped_blocks(pool.capped, INT64_MAX); fixed > 0)
    blocks += fmt::format(", of which a sequence holds up to {} for windows and states", fixed);
  out.notes.push_back(fmt::format("{} {}; step times as in docs/step-time.md.", blocks,
                                  pool.ranks > 1 ? fmt::format("an attention rank, {} ranks a replica", pool.ranks) : "a replica"));
  if (pool.ranks > 1)
    out.notes.push_back(
        "The router chooses among attention ranks; a replica's ranks take every step together, limits of the engine are of one rank.");
  return out;
}

Outcome does_not_fit(const Answers& a, const step::Memory& memory) {
  Outcome o;
  o.answer = Answer::no;
  o.document.title = fmt::format("{} on {}", a.model.name, a.subject.chip.thing->name);
  o.document.version = std::string(version());
  o.document.answer = {
      {"Infeasible", fmt::format("memory binds: {} of weights and {} of reserve leave no cache within {} of an accelerator",
                                 format_bytes(memory.weights), format_bytes(memory.reserve), format_bytes(memory.capacity))}};
  o.document.notes = {
      "More accelerators (--tp, --pp), a smaller weight format (--weights) or a higher --gpu-memory-utilization would help."};
  return o;
}

struct Reference {
  std::string_view name, requests, rate, replicas;
  double limit_s;
};
// Llama-3.1-8B on an A100, 1,000 tokens in and 200 out: within capacity, over it, and on eight replicas.
constexpr Reference kReferences[] = {{"serve-w1", "100000", "4", "1", 0.10},
                                     {"serve-w1-million", "1000000", "4", "1", 0.95},
                                     {"serve-w2", "10000", "20", "1", 0.015},
                                     {"serve-w2-100k", "100000", "20", "1", 0.15},
                                     {"serve-w3", "100000", "32", "8", 0.15}};

}  // namespace

Result<Outcome> run_bench(Context& c) {
  constexpr int kRuns = 5;
  const std::string wanted = c.words.empty() ? "" : c.words[0];
  Outcome o;
  o.document.version = std::string(version());
  o.document.title = fmt::format("Reference workloads: median of {} runs, one thread", kRuns);
  report::Table t{"bench",
                  "jevons simulate, from settings to metrics (starting the process adds about 2 ms)",
                  {{"workload", "workload", "{}", {}},
                   {"requests", "requests", "{:.0f}", {}},
                   {"seconds", "seconds", "{:.4f}", {"measured", "steady clock", {}}},
                   {"limit_s", "limit s", "{:.3f}", {}},
                   {"requests_per_s", "requests/s", "{:.3g}", {}}},
                  {},
                  {},
                  true};
  for (const Reference& r : kReferences) {
    if (!wanted.empty() && !r.name.starts_with(wanted)) continue;
    std::vector<double> seconds;
    double requests = 0;
    for (int i = 0; i < kRuns && !(c.stop != nullptr && c.stop->load()); ++i) {
      const auto start = std::chrono::steady_clock::now();
      Context run{.catalog = c.catalog, .settings = Settings(simulate_options()), .words = {}, .progress = {}};
      const std::pair<std::string_view, std::string_view> settings[] = {{"model", "llama-3.1-8b"},
                                                                        {"accelerator", "a100-80g-sxm"},
                                                                        {"engine_args.max_num_seqs", "256"},
                                                                        {"engine_args.max_num_batched_tokens", "2048"},
                                                                        {"engine_args.block_size", "16"},
                                                                        {"workload.isl", "1000"},
                                                                        {"workload.osl", "200"},
                                                                        {"workload.num_requests", r.requests},
                                                                        {"load.request_rate", r.rate},
                                                                        {"replicas", r.replicas}};
      for (const auto& [path, value] : settings) JEVONS_CHECK(run.settings.set(path, value, "bench"));
      JEVONS_TRY(const Outcome done, run_simulate(run));
      seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      requests = run.settings.number("workload.num_requests");
    }
    if (seconds.empty()) break;
    std::nth_element(seconds.begin(), seconds.begin() + std::ptrdiff_t(seconds.size() / 2), seconds.end());
    const double median = seconds[seconds.size() / 2];
    t.rows.push_back({std::string(r.name), requests, median, r.limit_s, requests / median});
  }
  if (t.rows.empty())
    return bad_input("bench", fmt::format("unknown workload '{}'", wanted.substr(0, 40)), "serve-w1, serve-w2 or serve-w3");
  o.document.tables.push_back(std::move(t));
  return o;
}

Result<Outcome> run_simulate(Context& c) {
  JEVONS_TRY(Settings settings, read_settings(c));
  Answers a{.scenario = {.settings = std::move(settings)}};
  const Settings& s = a.scenario.settings;
  const std::string& basis = s.text("cost.basis");
  a.scenario.basis = basis == "owner" ? cost::Basis::owner : basis == "contract" ? cost::Basis::contract : cost::Basis::on_demand;
  JEVONS_TRY(a.model, load_model(c.catalog, s.text("model")));
  JEVONS_TRY(a.subject, make_subject(c.catalog, a.model, a.scenario, s.text("weights"), s.text("kv_cache_dtype")));
  a.subject.engine = s.text("engine");
  const step::Placement placement{int(s.integer("placement.tp")), int(s.integer("placement.pp")), int(s.integer("placement.dp")),
                                  int(s.integer("placement.ep"))};
  JEVONS_TRY(const step::StepTime time, step::StepTime::make(c.catalog, a.subject, placement));
  JEVONS_TRY(const serve::EnginePolicy policy, policy_of(c, s, a.subject.chip));
  JEVONS_TRY(a.subject.reserve, serve::engine_reserve(c.catalog, std::max(policy.max_num_batched_tokens, policy.chunk)));
  if (const step::Memory memory = step::memory(a.subject, placement); !memory.fits()) return does_not_fit(a, memory);
  JEVONS_TRY(const serve::Goodput goodput, goodput_of(s));
  JEVONS_TRY(const Asked asked, workload_of(s, policy));

  const traffic::Requests& q = asked.workload.requests;
  std::int64_t longest = 1;
  for (std::size_t r = 0; r < q.size(); ++r) longest = std::max(longest, std::int64_t(q.input_tokens[r]) + q.output_tokens[r]);
  step::FormOptions form_options{.max_batch = policy.max_num_seqs,
                                 .max_tokens = std::max(policy.max_num_batched_tokens, policy.chunk),
                                 .max_context = longest,
                                 .prefill_floor = time.prefill_floor()};
  const serve::CacheBlocks cache = serve::cache_blocks(a.subject, placement, policy.block_size);
  serve::Pool pool{.policy = policy,
                   .blocks = cache.blocks,
                   .replicas = int(s.integer("replicas")),
                   .accelerators = placement.accelerators(),
                   .ranks = placement.dp,
                   .capped = cache.capped};
  if (const auto drafts = s.integer("speculation.draft_tokens"); drafts > 0 || s.has("speculation.acceptance_length")) {
    if (!s.has("speculation.acceptance_length") || s.number("speculation.acceptance_length") > double(drafts + 1))
      return fail(
          s.error("speculation.acceptance_length", "must be given with the draft tokens, and at most one above them", "as measured"));
    form_options.tokens_per_sequence = int(drafts + 1);
    form_options.unit = 100;
    pool.step_tokens = std::int32_t(std::lround(s.number("speculation.acceptance_length") * 100));
  }
  const step::StepForm form = step::form_of(time, form_options);
  pool.form = &form;
  JEVONS_TRY(const serve::Routing routing, serve::parse_routing(s.text("router")));
  const serve::Deployment deployment{{pool}, routing};

  serve::RunOptions options{.seed = {std::uint64_t(s.integer("seed"))}, .stop = c.stop};
  if (c.progress) options.progress = [&](std::size_t done, std::size_t all) { c.progress(double(done) / double(all), "simulating"); };
  JEVONS_TRY(const serve::Simulation simulation, serve::simulate(deployment, asked.workload, options));
  const serve::Metrics metrics = serve::measure(simulation, deployment, asked.workload, goodput);

  Outcome o;
  o.document = document_of(s, deployment, asked, metrics, price_of(c, a, deployment, metrics));
  o.document.charts.push_back(load_chart(simulation, q));
  if (c.wants_files) {
    o.files = {{"requests.csv", serve::requests_csv(simulation, asked.workload)},
               {"requests.jsonl", serve::requests_jsonl(simulation, asked.workload)}};
  }
  if (s.has("trace")) {
    const std::filesystem::path path(s.text("trace"));
    JEVONS_CHECK(write_files(path.has_parent_path() ? path.parent_path().string() : ".",
                             {{path.filename().string(), serve::chrome_trace(simulation, asked.workload)}}));
  }
  return o;
}

}  // namespace jevons::engine
