// The page of a run: what the chain found, as lines, tables and charts. Words and layout only.
#include <fmt/format.h>

#include <cmath>

#include "base/units.hpp"
#include "engine/evaluate.hpp"
#include "engine/plan_page.hpp"

namespace jevons::engine {
namespace {

using report::Cell;
using report::Column;
using report::Document;
using report::Origin;
using report::Table;

std::string money(double usd) {
  return usd >= 100 ? fmt::format("${:.0f}", usd) : usd >= 0.1 ? fmt::format("${:.2f}", usd) : fmt::format("${:.4f}", usd);
}
Cell maybe(const std::optional<double>& v) { return v ? Cell(*v) : Cell(std::monostate{}); }
std::string times(double ratio) { return fmt::format("x{}", format_number(ratio, 3)); }
double mtok(UsdPerToken v) { return to_usd_per_mtok(v); }

std::string deployment(const Answers& a) {
  return fmt::format("{} x {} as {}", a.placement().accelerators(), a.subject.chip.thing->name, step::name(a.placement()));
}

std::string memory_line(const Answers& a) {
  std::string t = fmt::format("one user with {} tokens holds {} of cache ({})", format_number(double(a.scenario.context), 9),
                              format_bytes(a.memory.bytes), model::name(a.subject.cache_format));
  if (a.comparison) t += fmt::format(", {:.1f} x less than {}", a.comparison->bytes_of_one_user / a.memory.bytes, a.comparison->name);
  if (a.memory.gqa_bytes > 0) t += fmt::format(", {:.1f} x less than bf16 GQA-8 of the same width", a.memory.gqa_bytes / a.memory.bytes);
  return t;
}

std::string cost_line(const Answers& a) {
  const auto& c = a.cost;
  const auto& m = a.best().metrics;
  const double all = mtok(c.blended);
  return fmt::format("{} per Mtok (fresh {} · cached {} · output {}), 90 % band {}–{}, on {}, TTFT {}, TPOT {}", money(all),
                     money(mtok(c.fresh)), c.cached ? money(mtok(*c.cached)) : "-", money(mtok(c.output)), money(all * a.band.low),
                     money(all * a.band.high), deployment(a), format_seconds(m.ttft.mean), format_seconds(m.tpot.mean));
}

std::string jevons_line(const Answers& a) {
  const auto& v = a.verdict;
  if (!v.hbm_break_even) return fmt::format("{}: cost per token does not fall, so nothing pulls demand up", a.saving_of);
  const std::string when = *v.hbm_break_even <= 0 ? "memory demand rises at any elasticity"
                                                  : fmt::format("memory demand rises only if elasticity > {:.2f} (P = {:.0f} %)",
                                                                *v.hbm_break_even, v.p_hbm_rises * 100);
  return fmt::format("{}: cost per token {}; if it reaches prices at elasticity {:.2g}: tokens {}, compute {}, cache memory {}; {}",
                     a.saving_of, times(a.saving.cost_ratio), v.eps, times(v.tokens), times(v.compute), times(v.hbm), when);
}

const Origin kModelOrigin{"derived", "sum over layers, src/model/parameters.cpp and cache.cpp",
                          "config.json of the model; docs/model-accounting.md"};
const Origin kStepOrigin{"derived", "step::StepTime::terms in src/step/step_time.cpp",
                         "constants in catalog/efficiency; docs/step-time.md"};
const Origin kSimulated{"simulated", "serve::measure over serve::simulate, of points that plan::search chose",
                        "docs/planner.md; docs/glossary.md"};
const Origin kCostOrigin{"derived", "cost::token_cost: each class pays for the engine time it occupies", "docs/glossary.md"};

Table model_table(const Answers& a) {
  const auto& p = a.subject.parameters;
  const auto f = model::decode_attention_flops(a.model, a.scenario.context);
  Table t{"model",
          "Model",
          {{"quantity", "quantity", "{}", {}},
           {"value", "value", "{}", {}},
           {"exact", "exact", "{:.6g}", kModelOrigin},
           {"unit", "unit", "{}", {}}},
          {},
          {},
          true};
  const auto row = [&](std::string what, std::string shown, double exact, std::string unit) {
    t.rows.push_back({std::move(what), std::move(shown), exact, std::move(unit)});
  };
  row("parameters", format_si(double(p.total), "").substr(0, 20), double(p.total), "parameters");
  row("active per token, without input embedding", format_si(p.active_no_input_embedding, ""), p.active_no_input_embedding, "parameters");
  row(fmt::format("weights in {}", a.subject.weights.name), format_bytes(a.subject.weight_bytes.total()), a.subject.weight_bytes.total(),
      "bytes");
  row(fmt::format("cache of one user, {}", model::name(a.subject.cache_format)), format_bytes(a.memory.bytes), a.memory.bytes, "bytes");
  row("  growth per token", format_bytes(a.memory.growth), a.memory.growth, "bytes/token");
  row("  windows and states, however long", format_bytes(a.memory.fixed), a.memory.fixed, "bytes");
  if (a.memory.transient > 0) row("  compressor state, beside it", format_bytes(a.memory.transient), a.memory.transient, "bytes");
  if (a.memory.gqa_bytes > 0) row("  same with bf16 GQA-8", format_bytes(a.memory.gqa_bytes), a.memory.gqa_bytes, "bytes");
  if (a.memory.mha_bytes > 0) row("  same with bf16 multi-head attention", format_bytes(a.memory.mha_bytes), a.memory.mha_bytes, "bytes");
  row("decode, products", format_si(model::decode_linear_flops(p), "FLOP"), model::decode_linear_flops(p), "FLOP/token");
  row("decode, attention at this context", format_si(f.core, "FLOP"), f.core, "FLOP/token");
  if (f.index > 0) row("decode, indexer", format_si(f.index, "FLOP"), f.index, "FLOP/token");
  if (f.recurrent > 0) row("decode, recurrence", format_si(f.recurrent, "FLOP"), f.recurrent, "FLOP/token");
  return t;
}

Table plan_table(const Answers& a, bool whole) {
  Table t{whole ? "candidates" : "deployment", whole ? "All loads simulated" : "Deployment: the cheapest placements", {}, {}, {}, !whole};
  t.columns = {{"placement", "placement", "{}", {}},
               {"accelerators", "accel.", "{:.0f}", {"input", "tp x dp x pp of the placement", ""}},
               {"concurrency", "in\nflight", "{:.0f}", {"derived", "plan::search in src/plan/search.cpp", "docs/planner.md"}},
               {"ttft_ms", "TTFT\nms", "{:.0f}", kSimulated},
               {"tpot_ms", "TPOT\nms", "{:.2f}", kSimulated},
               {"output_tok_s_per_gpu", "output\ntok/s/GPU", "{:.1f}", kSimulated},
               {"usd_per_mtok_blended", "$/Mtok\nall", "{:.4f}", kCostOrigin},
               {"usd_per_mtok_output_whole", "$/Mtok\noutput pays all", "{:.3f}", kCostOrigin},
               {"binds", "binds", "{}", {}}};
  const double used = a.scenario.settings.number("cost.utilization"), per_output = a.scenario.osl / (a.scenario.isl + a.scenario.osl);
  const auto row = [&](const plan::Point& p) {
    const plan::Shape& shape = a.plan.shape(p);
    const auto& m = p.metrics;
    const double usd = shape.usd_per_s / m.output_tok_s * kMega / used;
    t.rows.push_back({step::name(a.plan.ask.choices[shape.parts.front().choice].replica->design().placement), double(shape.accelerators),
                      double(p.concurrency), m.ttft.mean * 1e3, m.tpot.mean * 1e3, m.output_tok_s_per_gpu, usd * per_output, usd,
                      whole ? p.violated : binding_of(a.plan, p)});
  };
  if (whole) {
    for (const auto& p : a.plan.found.points) {
      if (p.state == plan::Point::State::simulated && p.metrics.finished > 0) row(p);
    }
    t.columns.back() = {"violated", "violated", "{}", {}};
    return t;
  }
  for (const std::size_t i : finalists(a.plan.found, 5)) row(a.plan.found.points[i]);
  t.notes = {search_note(a.plan)};
  return t;
}

Table simulated_table(const Answers& a) {
  const auto& m = a.best().metrics;
  Table t{"simulated",
          "The cheapest placement, request by request",
          {{"metric", "ms", "{}", {}},
           {"mean_ms", "mean", "{:.1f}", kSimulated},
           {"p50_ms", "p50", "{:.1f}", kSimulated},
           {"p90_ms", "p90", "{:.1f}", kSimulated},
           {"p99_ms", "p99", "{:.1f}", kSimulated}},
          {},
          {},
          true};
  for (const auto& [name, l] : {std::pair{"TTFT", &m.ttft}, {"TPOT", &m.tpot}, {"E2E", &m.e2e}, {"queueing", &m.queueing}})
    t.rows.push_back({std::string(name), l->mean * 1e3, l->p50 * 1e3, l->p90 * 1e3, l->p99 * 1e3});
  t.notes = {
      fmt::format("{} requests of {} users who come back at once, after two of each that are not counted: {:.4g} output tok/s; {} "
                  "preemptions.",
                  m.finished, a.best().concurrency, m.output_tok_s, m.preemptions)};
  return t;
}

Table cost_table(const Answers& a) {
  const auto& c = a.cost;
  Table t{"cost",
          "Cost per million tokens",
          {{"class", "class", "{}", {}},
           {"usd_per_mtok", "$/Mtok", "{:.4f}", kCostOrigin},
           {"low", "90 % band\nfrom", "{:.4f}", {"derived", "throughputs left out of every fit", "catalog/efficiency/served-bands.yaml"}},
           {"high", "\nto", "{:.4f}", {"derived", "throughputs left out of every fit", "catalog/efficiency/served-bands.yaml"}}},
          {},
          {},
          true};
  const auto row = [&](std::string what, const std::optional<UsdPerToken>& v) {
    if (!v)
      t.rows.push_back({std::move(what), {}, {}, {}});
    else
      t.rows.push_back({std::move(what), mtok(*v), mtok(*v) * a.band.low, mtok(*v) * a.band.high});
  };
  row("fresh input", c.fresh);
  row("cached input", c.cached);
  row("output", c.output);
  row("all tokens", c.blended);
  std::string hour = fmt::format("One accelerator-hour: ${:.2f}", to_usd_per_hour(a.hour.total));
  if (a.hour.it_capital.value() > 0) {
    hour += fmt::format(" = IT {:.2f} + site {:.2f} + electricity {:.2f} + operations {:.2f}", to_usd_per_hour(a.hour.it_capital),
                        to_usd_per_hour(a.hour.site_capital), to_usd_per_hour(a.hour.electricity), to_usd_per_hour(a.hour.operations));
  }
  t.notes = {hour + fmt::format(" ({} basis; {}). Share of paid hours in use: {:.0f} %.", a.scenario.settings.text("cost.basis"),
                                a.hour.how, a.scenario.settings.number("cost.utilization") * 100),
             "Cached input pays for the attention over it; holding it between requests is not priced here."};
  return t;
}

Table ledger_table(const Answers& a) {
  const auto& l = a.ledger;
  Table t{"savings",
          "Savings ledger: what each technique saves, the placement chosen anew each time",
          {{"technique", "technique", "{}", {}},
           {"instead_of", "in its place", "{}", {}},
           {"cache_factor", "cache a\nuser, x", "{:.2f}", {"derived", "cache without it / with all, savings::ledger", ""}},
           {"users_factor", "users per\naccel., x", "{:.2f}", {"derived", "users per accelerator with all / without it", ""}},
           {"cost_factor", "$/Mtok\nwithout, x", "{:.2f}", {"derived", "cost without it / with all, re-optimised", ""}},
           {"shapley_usd_per_output_mtok",
            "share of\nsaving, $",
            "{:.2f}",
            {"derived", "Shapley value over all techniques, USD per output Mtok, savings::shapley", ""}}},
          {},
          {},
          true};
  const double used = a.scenario.settings.number("cost.utilization");
  const auto paid = [&](const std::optional<double>& busy) { return busy ? std::optional(*busy / used) : busy; };
  const auto row = [&](std::string what, std::string instead, const savings::World& without, const savings::World& with,
                       const std::optional<double>& share) {
    std::vector<Cell> cells{std::move(what), std::move(instead)};
    cells.push_back(without.bytes_per_user / with.bytes_per_user);
    const auto &x = without.best, &y = with.best;
    cells.push_back(x && y ? Cell(y->users_per_accelerator / x->users_per_accelerator) : Cell());
    cells.push_back(x && y ? Cell(x->usd_per_mtok / y->usd_per_mtok) : Cell());
    cells.push_back(maybe(paid(share)));
    t.rows.push_back(std::move(cells));
  };
  for (const auto& x : l.shares) row(x.what.name, x.what.off, x.without, l.all_on, x.usd);
  std::optional<double> total;
  if (l.all_off.best && l.all_on.best) total = l.all_off.best->usd_per_mtok - l.all_on.best->usd_per_mtok;
  row("all together", "none of them", l.all_off, l.all_on, total);
  if (a.with_multi_head && !l.shares.empty()) row(l.shares[0].what.name, "multi-head attention", *a.with_multi_head, l.all_on, {});
  for (const auto& u : a.unused) row("unused: " + u.what.name, u.what.off, l.all_on, u.with, {});
  if (!l.note.empty()) t.notes.push_back(l.note + ".");
  if (l.infeasible > 0)
    t.notes.push_back(
        fmt::format("Shares in dollars: null, {} of {} combinations have no deployment within the limits.", l.infeasible, l.plans));
  return t;
}

Table step_table(const Answers& a) {
  double sum = 0;
  for (const auto& x : a.step_terms) sum += x.seconds;
  Table t{"step",
          "Where a decode step's time goes",
          {{"term", "term", "{}", {}}, {"ms", "ms", "{:.3f}", kStepOrigin}, {"percent", "%", "{:.0f}", kStepOrigin}},
          {},
          {},
          true};
  for (const auto& x : a.step_terms) {
    if (x.seconds > 0) t.rows.push_back({x.name, x.seconds * 1e3, 100 * x.seconds / sum});
  }
  t.rows.push_back({std::string("step"), sum * 1e3, 100.0});
  return t;
}

Table fleet_table(const Answers& a) {
  const Fleet& f = *a.fleet;
  Table t{"fleet",
          fmt::format("Fleet for {} requests/s", format_number(a.scenario.request_rate)),
          {{"quantity", "quantity", "{}", {}},
           {"value", "value", "{}", {}},
           {"exact", "exact", "{:.6g}", {"derived", "engine::fleet_of", ""}},
           {"unit", "unit", "{}", {}}},
          {},
          {},
          true};
  const auto row = [&](std::string what, std::string shown, double exact, std::string unit) {
    t.rows.push_back({std::move(what), std::move(shown), exact, std::move(unit)});
  };
  row("replicas", format_number(f.replicas), f.replicas, "");
  row("accelerators", format_number(f.accelerators), f.accelerators, std::string(a.subject.chip.thing->name));
  row("power at the meter, all busy", format_si(f.power.value(), "W"), f.power.value(), "W");
  row("cost", format_si(f.per_year.value(), "USD"), f.per_year.value(), "USD/year");
  row("output", format_si(f.output_tokens_per_day, ""), f.output_tokens_per_day, "tokens/day");
  if (!f.scaleup) {
    t.notes = {"Scale-up fabric: the catalogue has no system of this accelerator with a parts list."};
    return t;
  }
  row("scale-up domains", format_number(f.scaleup->domains), f.scaleup->domains, f.scaleup->fabric);
  if (f.scaleup->switch_chips) row("  switch chips in them", format_number(*f.scaleup->switch_chips), *f.scaleup->switch_chips, "chips");
  if (f.scaleup->modules) row("  optical modules in them", format_number(*f.scaleup->modules), *f.scaleup->modules, "modules");
  if (f.scaleup->fabric_power)
    row("  power of switches and links", format_si(f.scaleup->fabric_power->value(), "W"), f.scaleup->fabric_power->value(), "W");
  else
    t.notes.push_back(fmt::format("Power of the scale-up fabric alone: null, {}.", f.scaleup->unknown.empty()
                                                                                       ? "no design with a parts list is published"
                                                                                       : f.scaleup->unknown + " is not published"));
  if (f.scaleup->power)
    row("  power of these systems, published", format_si(f.scaleup->power->value(), "W"), f.scaleup->power->value(), "W");
  return t;
}

Table demand_table(const Answers& a) {
  Table t{"demand",
          "If the saving reaches prices",
          {{"elasticity",
            "elasticity",
            "{:.2f}",
            {"assumed", "scenario keys market.elasticity_low and _high", "demand facts: one-year range 0.8 to 1.8"}},
           {"tokens", "tokens, x", "{:.3f}", {"derived", "market::verdict, constant elasticity", ""}},
           {"compute", "compute, x", "{:.3f}", {"derived", "market::verdict", ""}},
           {"cache_memory", "cache\nmemory, x", "{:.3f}", {"derived", "market::verdict", ""}},
           {"verdict", "Jevons?", "{}", {}}},
          {},
          {},
          true};
  for (const double e : {a.saving.eps_low, 1.0, a.verdict.eps, a.saving.eps_high}) {
    market::Saving s = a.saving;
    s.eps_low = s.eps_high = e;
    const auto v = market::verdict(s);
    const char* word = v.compute > 1.0005 && v.hbm > 1.0005 ? "both rise"
                       : v.compute > 1.0005                 ? "compute rises"
                       : v.hbm > 1.0005                     ? "memory rises"
                       : v.compute < 0.9995                 ? "both fall"
                                                            : "compute unchanged";
    t.rows.push_back({e, v.tokens, v.compute, v.hbm, std::string(word)});
  }
  const auto& v = a.verdict;
  t.notes = {fmt::format("{}. Pass-through {:.2g}, supply feedback {:.2g}. P(compute rises) {:.0f} %, P(cache memory rises) {:.0f} % under "
                         "the stated range.",
                         a.saving_of, a.saving.pass_through, a.saving.supply_feedback, v.p_compute_rises * 100, v.p_hbm_rises * 100),
             "Data cannot separate the response to price from growing capability: the elasticity is an assumption."};
  return t;
}

void add_values(Document& d, const Answers& a) {
  const auto put = [&](std::string path, std::string label, std::string unit, std::optional<double> v, Origin o) {
    d.values.push_back({std::move(path), std::move(label), std::move(unit), v, std::move(o)});
  };
  const auto& b = a.cost;
  const auto& m = a.best().metrics;
  const double accelerators = a.placement().accelerators();
  put("run.seed", "seed", "", a.scenario.settings.number("seed"),
      {"input", "given or default; equal requests of users who come back draw no random number", ""});
  put("model.parameters_total", "parameters", "parameters", double(a.subject.parameters.total), kModelOrigin);
  put("model.parameters_active", "active without input embedding", "parameters", a.subject.parameters.active_no_input_embedding,
      kModelOrigin);
  put("model.weights_bytes", "weights", "bytes", a.subject.weight_bytes.total(),
      {"derived", "parameters x bits of each group's format, model::weight_bytes in src/model/weights.cpp",
       "weight formats in src/model/weights.cpp"});
  put("memory.cache_bytes_per_user", "cache of one user", "bytes", a.memory.bytes,
      {"derived", "sum over cache groups of layers x bytes x entries, model::cache_stored in src/model/cache.cpp",
       "cache layouts: docs/model-accounting.md"});
  put("memory.cache_bytes_per_token", "growth per token", "bytes/token", a.memory.growth,
      {"derived", "model::cache_slope in src/model/cache.cpp", ""});
  put("deployment.accelerators", "accelerators of a replica", "accelerators", accelerators,
      {"derived", "cheapest of the deployments, plan::search in src/plan/search.cpp", "docs/planner.md"});
  put("deployment.concurrency", "requests in flight on a replica", "requests", a.best().concurrency,
      {"derived", fmt::format("the cheapest load within the limits; binds: {}", binding_of(a.plan, a.best())), ""});
  put("search.likely_gap", "nothing in the space is better by more than this part, if latency and throughput grow with concurrency", "",
      a.plan.found.likely_gap, {"derived", "plan::search in src/plan/search.cpp", "docs/planner.md"});
  put("latency.ttft_mean_s", "mean time to first token", "s", m.ttft.mean, kSimulated);
  put("latency.ttft_p99_s", "99th percentile of it", "s", m.ttft.p99, kSimulated);
  put("latency.tpot_mean_s", "mean time per output token", "s", m.tpot.mean, kSimulated);
  put("latency.tpot_p99_s", "99th percentile of it", "s", m.tpot.p99, kSimulated);
  put("throughput.output_tok_s_per_gpu", "output tokens per second and accelerator", "tok/s", m.output_tok_s_per_gpu, kSimulated);
  put("throughput.requests_per_s", "requests per second of a replica", "req/s", m.requests_per_s, kSimulated);
  put("cost.usd_per_gpu_hour", "accelerator-hour", "USD/h", to_usd_per_hour(a.hour.total),
      {"derived", a.hour.how + "; cost::gpu_hour in src/cost/gpu_hour.cpp", "catalog/datacenters/reference-site.yaml"});
  put("cost.fresh_usd_per_mtok", "fresh input", "USD/Mtok", mtok(b.fresh), kCostOrigin);
  put("cost.cached_usd_per_mtok", "cached input", "USD/Mtok", b.cached ? std::optional(mtok(*b.cached)) : std::nullopt,
      b.cached ? kCostOrigin : Origin{"derived", "no input is cached in this workload", ""});
  put("cost.output_usd_per_mtok", "output", "USD/Mtok", mtok(b.output), kCostOrigin);
  put("cost.blended_usd_per_mtok", "all tokens", "USD/Mtok", mtok(b.blended), kCostOrigin);
  const Origin band{a.borrowed ? "assumed" : "measured", "measured over predicted throughput, left out of every fit: " + a.known,
                    "docs/accuracy.md"};
  put("cost.band_low", "factor on costs, low end of the 90 % band", "", a.band.low, band);
  put("cost.band_high", "high end", "", a.band.high, band);
  put("savings.theta_cache", "elasticity of cost to cache bytes", "", a.theta,
      {"derived",
       a.theta ? "ln ratio of the optimal cost at cache bytes +-10 %, planned anew, savings::elasticity"
               : "one side of the difference is infeasible",
       ""});
  if (a.fleet)
    put("fleet.accelerators", "accelerators of the fleet", "accelerators", a.fleet->accelerators,
        {"derived", "ceil(request rate / (requests/s of a replica x utilisation)), engine::fleet_of", ""});
  put("jevons.cost_ratio", "cost per token after / before", "", a.saving.cost_ratio, {"derived", a.saving_of, ""});
  put("jevons.tokens_ratio", "tokens after / before", "", a.verdict.tokens,
      {"derived", "cost ratio ^ -elasticity, market::verdict in src/market/jevons.cpp", ""});
  put("jevons.compute_ratio", "compute after / before", "", a.verdict.compute, {"derived", "tokens x compute per token", ""});
  put("jevons.cache_memory_ratio", "cache memory after / before", "", a.verdict.hbm, {"derived", "tokens x cache bytes per user", ""});
  put("jevons.cache_memory_break_even_elasticity", "elasticity above which memory demand rises", "", a.verdict.hbm_break_even,
      {"derived",
       a.verdict.hbm_break_even ? "ln(1/bytes ratio) / -(pass-through x ln cost ratio), market::break_even_elasticity"
                                : "cost per token does not fall",
       ""});
}

void add_facts(Document& d, const Answers& a) {
  const auto add = [&](const catalog::Fact* f) {
    if (f != nullptr)
      d.facts.push_back({std::string(f->thing), std::string(f->key), std::string(f->text), std::string(catalog::name(f->kind)),
                         std::string(catalog::name(f->confidence)), std::string(f->source), std::string(f->date)});
  };
  for (const auto* key : {"peak_bf16", "peak_fp8", "peak_fp4", "peak_int8", "memory", "memory_reported", "hbm_bandwidth",
                          "scaleup_bandwidth", "scaleup_domain", "hbm_fraction"})
    add(a.subject.chip.thing->find(key));
  for (const auto* f : a.hour.facts) add(f);
  for (const auto* t : a.constants) {
    for (const auto& f : t->facts) add(&f);
  }
}

void add_charts(Document& d, const Answers& a) {
  report::Chart pareto{"pareto",
                       "Simulated points: throughput against interactivity",
                       "scatter",
                       "tok/s per user",
                       "output tok/s per GPU",
                       false,
                       false,
                       {},
                       {{"within the limits", {}, {}}}};
  for (const auto& p : a.plan.found.points) {
    if (!p.feasible) continue;
    pareto.series[0].x.push_back(p.metrics.output_tok_s_per_user);
    pareto.series[0].y.push_back(p.metrics.output_tok_s_per_gpu);
  }
  d.charts.push_back(std::move(pareto));
  report::Chart cache{"cache", "Cache of one user", "bar", "", "GiB", false, true, {}, {{"GiB", {}, {}}}};
  const auto bar = [&](std::string what, double bytes) {
    cache.categories.push_back(std::move(what));
    cache.series[0].y.push_back(bytes / kGibi);
  };
  bar(a.model.name, a.memory.bytes);
  if (a.comparison) bar(a.comparison->name, a.comparison->bytes_of_one_user);
  if (a.memory.gqa_bytes > 0) bar("GQA-8, bf16", a.memory.gqa_bytes);
  if (a.memory.mha_bytes > 0) bar("multi-head, bf16", a.memory.mha_bytes);
  d.charts.push_back(std::move(cache));
  report::Chart step{"step", "Decode step by term", "bar", "", "ms", false, false, {}, {{"ms", {}, {}}}};
  for (const auto& t : a.step_terms) {
    step.categories.push_back(t.name);
    step.series[0].y.push_back(t.seconds * 1e3);
  }
  d.charts.push_back(std::move(step));
  report::Chart jevons{"jevons",
                       "Demand after the saving, by elasticity",
                       "line",
                       "elasticity",
                       "after / before",
                       false,
                       true,
                       {},
                       {{"tokens", {}, {}}, {"compute", {}, {}}, {"cache memory", {}, {}}}};
  for (double e = 0; e <= 3.001; e += 0.1) {
    market::Saving s = a.saving;
    s.eps_low = s.eps_high = e;
    const auto v = market::verdict(s);
    const double y[] = {v.tokens, v.compute, v.hbm};
    for (std::size_t i = 0; i < 3; ++i) {
      jevons.series[i].x.push_back(e);
      jevons.series[i].y.push_back(y[i]);
    }
  }
  d.charts.push_back(std::move(jevons));
}

}  // namespace

Document page_of(const Answers& a) {
  Document d;
  d.title = a.scenario.title;
  d.origin_file = a.scenario.file.ends_with(".yaml") ? a.scenario.file.substr(0, a.scenario.file.size() - 5) : a.scenario.file;
  d.version = std::string(version());
  if (!a.feasible()) {
    d.answer = {{"Memory", memory_line(a)}, {"No", a.why_not}};
    d.tables = {model_table(a), plan_table(a, true)};
    d.notes = {a.nearest_change};
    return d;
  }
  d.answer = {{"Memory", memory_line(a)}, {"Cost", cost_line(a)}, {"Jevons", jevons_line(a)}};
  d.tables = {model_table(a), plan_table(a, false), simulated_table(a), step_table(a), cost_table(a)};
  if (a.scenario.settings.boolean("savings.ledger")) d.tables.push_back(ledger_table(a));
  if (a.fleet) d.tables.push_back(fleet_table(a));
  put_energy(
      d, a.energy,
      fmt::format("prompts included, and idle time: {:.0f} % of paid hours in use.", 100 * a.scenario.settings.number("cost.utilization")));
  d.tables.push_back(demand_table(a));
  d.tables.push_back(plan_table(a, true));
  add_values(d, a);
  add_charts(d, a);
  add_facts(d, a);
  d.notes = {fmt::format("Binds: {} of {}.", binding_of(a.plan, a.best()), step::name(a.placement()))};
  if (a.borrowed)
    d.notes.push_back(fmt::format("{} has no kernel measurements: constants are borrowed from H100 and H200, and the band is wider.",
                                  a.subject.chip.thing->name));
  if (!a.operand_note.empty()) d.notes.push_back(a.operand_note + ".");
  if (a.scenario.skipped_rows > 0)
    d.notes.push_back(fmt::format("{} rows of the trace could not be read and are left out.", a.scenario.skipped_rows));
  if (a.theta)
    d.notes.push_back(fmt::format("theta = {:.2f}: a 1 % smaller cache makes output {:.2f} % cheaper at the re-optimised deployment.",
                                  *a.theta, *a.theta));
  d.notes.push_back(
      "Latency and throughput are simulated for users who come back at once, all with the same lengths: no bursts, no idle hours.");
  d.notes.push_back("The three inputs that move $/Mtok of all tokens most:");
  for (std::size_t i = 0; i < std::min<std::size_t>(3, a.levers.size()); ++i) {
    d.notes.push_back(fmt::format("  {}. {}: {} to {}", i + 1, a.levers[i].name, money(a.levers[i].usd_low), money(a.levers[i].usd_high)));
  }
  return d;
}

}  // namespace jevons::engine
