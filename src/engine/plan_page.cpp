#include "engine/plan_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"

namespace jevons::engine {
namespace {

using plan::Point;
using plan::Shape;

const report::Origin kSimulated{"simulated", "serve::measure over serve::simulate, of the point that plan::search chose",
                                "docs/planner.md; docs/glossary.md"};
const report::Origin kSearch{"derived", "plan::search in src/plan/search.cpp", "docs/planner.md"};

std::optional<double> usd_per_mtok(const Point& p, const Shape& s) {
  if (s.usd_per_s <= 0 || p.metrics.output_tok_s <= 0) return std::nullopt;
  return s.usd_per_s / p.metrics.output_tok_s * 1e6;
}
report::Cell maybe(const std::optional<double>& v) { return v ? report::Cell(*v) : report::Cell(std::monostate{}); }

std::string load_of(const Point& p) { return p.concurrency > 0 ? fmt::format("{} in flight", p.concurrency) : "open load"; }

std::string engine_of(const plan::Ask& ask, const Shape& s) {
  const auto& d = ask.choices[s.parts.front().choice].replica->design();
  std::string out(serve::name(d.policy.engine));
  if (d.draft_tokens > 0) out += fmt::format(", {} draft token{}", d.draft_tokens, d.draft_tokens == 1 ? "" : "s");
  if (d.host_gib > 0) out += fmt::format(", {:g} GiB of host memory for cache", d.host_gib);
  return out;
}

// A shape in a table: only what differs between the choices of this question.
std::string short_name(const plan::Ask& ask, const Shape& s) {
  const auto differs = [&](auto&& of) {
    return std::any_of(ask.choices.begin(), ask.choices.end(), [&](const plan::Choice& c) { return of(c) != of(ask.choices.front()); });
  };
  const bool chips = differs([](const plan::Choice& c) { return c.chip; });
  const bool weights = differs([](const plan::Choice& c) { return c.replica->design().subject->weights.name; });
  const bool caches = differs([](const plan::Choice& c) { return c.replica->design().subject->cache_format; });
  const bool limits = differs([](const plan::Choice& c) { return c.replica->design().policy.max_num_seqs; }) ||
                      differs([](const plan::Choice& c) { return c.replica->design().policy.step_tokens(); });
  std::string out;
  for (const plan::Part& p : s.parts) {
    const plan::Choice& c = ask.choices[p.choice];
    const plan::Design& d = c.replica->design();
    if (!out.empty()) out += " + ";
    out += fmt::format("{}{} {}", p.replicas,
                       p.role == serve::Role::both      ? "x"
                       : p.role == serve::Role::prefill ? "P"
                                                        : "D",
                       step::name(d.placement));
    if (chips) out += " " + c.chip;
    if (weights) out += fmt::format(" {}", d.subject->weights.name);
    if (caches) out += fmt::format(" kv-{}", model::name(d.subject->cache_format));
    if (limits) out += fmt::format(" {}/{}", d.policy.max_num_seqs, d.policy.step_tokens());
    if (d.draft_tokens > 0) out += fmt::format(" d{}", d.draft_tokens);
    if (d.host_gib > 0) out += fmt::format(" +{:g}", d.host_gib);
  }
  if (differs([](const plan::Choice& c) { return c.replica->design().policy.engine; }))
    out += fmt::format(" {}", serve::name(ask.choices[s.parts.front().choice].replica->design().policy.engine));
  return out;
}

std::string space_line(const plan::Answer& a) {
  const plan::Search& f = a.found;
  std::string out = fmt::format("{} candidates screened: {} cannot meet the limits, {} cannot win, {} simulated ({} requests)",
                                format_number(double(f.screened()), 9), format_number(double(f.cannot_meet), 9),
                                format_number(double(f.bounded_out), 9), f.simulated, format_number(f.requests, 9));
  if (f.left > 0 && !a.ask.steady) out += fmt::format("; {} left when the effort was spent", format_number(double(f.left), 9));
  if (a.space.do_not_fit > 0) out += fmt::format("; {} kinds of replica do not fit", a.space.do_not_fit);
  return out;
}

std::string gap_line(const plan::Answer& a) {
  const plan::Search& f = a.found;
  if (a.ask.steady)
    return fmt::format("nothing in this space is better by more than {:.2g} %, if latency and throughput grow with concurrency",
                       f.likely_gap * 100);
  std::string out = fmt::format("proved: nothing in this space is better by more than {:.2g} %", f.gap * 100);
  if (f.likely_gap < f.gap)
    out += fmt::format(" ({:.2g} % if latency grows with concurrency; more --effort proves more)", f.likely_gap * 100);
  return out;
}

std::string knee_line(const Point& p, const plan::Search& f) {
  std::string out = fmt::format("saturates at {:.4g} req/s at most", f.capacity_rps);
  if (p.concurrency > 0) out += fmt::format("; from {:.3g} in flight on more of them mostly wait", f.knee);
  return out + fmt::format("; runs at {:.0f} % of that", 100 * p.metrics.requests_per_s / f.capacity_rps);
}

report::Table margin_table(const std::vector<Margin>& margins) {
  const report::Origin origin{"simulated", "the plan made anew with the change, on a fine grid of concurrencies", "docs/planner.md"};
  report::Table t{"shadow_prices",
                  "What more is worth: the plan made anew with it",
                  {{"what", "one more", "{}", {}},
                   {"step", "tried\nwith", "{:.3g}", origin},
                   {"unit", "unit", "{}", {}},
                   {"gain_percent", "objective\nbetter by %", "{:+.2f}", origin},
                   {"usd_per_unit_year", "worth $ a year\nper unit", "{:.2f}", origin}},
                  {},
                  {},
                  true};
  for (const Margin& m : margins)
    t.rows.push_back({m.what, m.step, m.unit, maybe(m.gain ? std::optional(*m.gain * 100) : std::nullopt), maybe(m.usd_per_year)});
  t.notes = {"Worth: the gain times what an accelerator costs a year (what the deployment costs, for limits). 0: it does not bind."};
  return t;
}

// The best deployment on each chip, bought for another million.
report::Table million_table(const plan::Answer& a) {
  const plan::Search& f = a.found;
  report::Table t{"million",
                  "What $1M more buys, by what each chip's best deployment does",
                  {{"deployment", "deployment", "{}", {}},
                   {"accelerators_owned", "bought:\nGPUs", "{:.1f}", kSearch},
                   {"tok_s_owned", "output\ntok/s", "{:.0f}", kSimulated},
                   {"accelerators_year", "paid for a\nyear: GPUs", "{:.1f}", kSearch},
                   {"tok_s_year", "output\ntok/s", "{:.0f}", kSimulated}},
                  {},
                  {},
                  true};
  std::vector<std::string> seen;
  for (const std::size_t i : finalists(f, f.points.size())) {
    const Shape& s = a.ask.shapes[f.points[i].shape];
    std::string chips;
    for (const plan::Part& p : s.parts) chips += a.ask.choices[p.choice].chip + " ";
    if (std::find(seen.begin(), seen.end(), chips) != seen.end() || s.usd_per_s <= 0) continue;
    seen.push_back(chips);
    const double each = f.points[i].metrics.output_tok_s_per_gpu, year = s.usd_per_s * kHoursPerYear * 3600 / s.accelerators;
    const auto owned = s.capital > 0 ? std::optional(1e6 / s.capital * s.accelerators) : std::nullopt;
    t.rows.push_back(
        {short_name(a.ask, s), maybe(owned), maybe(owned ? std::optional(*owned * each) : owned), 1e6 / year, 1e6 / year * each});
  }
  return t;
}

report::Table finalist_table(const plan::Answer& a, const std::vector<std::size_t>& rows, std::string name, std::string title) {
  report::Table t{std::move(name),
                  std::move(title),
                  {{"deployment", "deployment", "{}", {}},
                   {"concurrency", "in\nflight", "{:.0f}", kSearch},
                   {"gpus", "GPUs", "{:.0f}", kSearch},
                   {"tok_s_per_gpu", "tok/s\n/GPU", "{:.1f}", kSimulated},
                   {"tok_s_per_user", "tok/s\n/user", "{:.1f}", kSimulated},
                   {"ttft_ms", "TTFT\nms", "{:.1f}", kSimulated},
                   {"tpot_ms", "TPOT\nms", "{:.2f}", kSimulated},
                   {"usd_per_output_mtok", "$/Mtok", "{:.4f}", kSimulated},
                   {"goodput_rps_per_gpu", "good\nr/s/GPU", "{:.3f}", kSimulated},
                   {"tok_s_per_watt", "tok/s\n/W", "{:.3f}", kSimulated}},
                  {},
                  {},
                  true};
  for (const std::size_t i : rows) {
    const Point& p = a.found.points[i];
    const Shape& s = a.ask.shapes[p.shape];
    const serve::Metrics& m = p.metrics;
    t.rows.push_back({short_name(a.ask, s), p.concurrency > 0 ? report::Cell(double(p.concurrency)) : report::Cell(),
                      double(s.accelerators), m.output_tok_s_per_gpu, m.output_tok_s_per_user, m.ttft.mean * 1e3, m.tpot.mean * 1e3,
                      maybe(usd_per_mtok(p, s)), maybe(m.goodput_rps ? std::optional(*m.goodput_rps / s.accelerators) : std::nullopt),
                      maybe(s.watts > 0 ? std::optional(m.output_tok_s / s.watts) : std::nullopt)});
  }
  return t;
}

void put_values(report::Document& d, const plan::Answer& a) {
  const plan::Search& f = a.found;
  const Point& p = *a.best();
  const Shape& s = a.shape(p);
  const serve::Metrics& m = p.metrics;
  const auto put = [&](std::string path, std::string unit, std::optional<double> v, const report::Origin& o = kSimulated) {
    d.values.push_back({std::move(path), "", std::move(unit), v, o});
  };
  put("best.accelerators", "", s.accelerators, kSearch);
  put("best.concurrency", "", p.concurrency > 0 ? std::optional(double(p.concurrency)) : std::nullopt, kSearch);
  put("best.output_tok_s_per_gpu", "tok/s", m.output_tok_s_per_gpu);
  put("best.output_tok_s_per_user", "tok/s", m.output_tok_s_per_user);
  put("best.requests_per_s", "req/s", m.requests_per_s);
  put("best.ttft_mean_ms", "ms", m.ttft.mean * 1e3);
  put("best.ttft_p99_ms", "ms", m.ttft.p99 * 1e3);
  put("best.tpot_mean_ms", "ms", m.tpot.mean * 1e3);
  put("best.tpot_p99_ms", "ms", m.tpot.p99 * 1e3);
  put("best.usd_per_output_mtok", "USD/Mtok", usd_per_mtok(p, s));
  put("best.goodput_rps", "req/s", m.goodput_rps);
  put("best.watts", "W", s.watts > 0 ? std::optional(s.watts) : std::nullopt, kSearch);
  put("best.capital_usd", "USD", s.capital > 0 ? std::optional(s.capital) : std::nullopt, kSearch);
  put("search.screened", "", double(f.screened()), kSearch);
  put("search.cannot_meet", "", double(f.cannot_meet), kSearch);
  put("search.bounded_out", "", double(f.bounded_out), kSearch);
  put("search.simulated", "", double(f.simulated), kSearch);
  put("search.left", "", double(f.left), kSearch);
  put("search.gap", "", f.gap, kSearch);
  put("search.gap_if_latency_grows_with_concurrency", "", f.likely_gap, kSearch);
}

report::Chart frontier_chart(const plan::Answer& a, bool money) {
  const plan::Search& f = a.found;
  report::Chart c{money ? "usd_against_interactivity" : "frontier",
                  money ? "Cost against interactivity, simulated points" : "Throughput against interactivity, simulated points",
                  "scatter",
                  "output tok/s per user",
                  money ? "$ per million output tokens" : "output tok/s per GPU",
                  false,
                  false,
                  {},
                  {{"frontier", {}, {}}, {"feasible", {}, {}}, {"beyond the limits", {}, {}}}};
  for (std::size_t i = 0; i < f.points.size(); ++i) {
    const Point& p = f.points[i];
    if (p.state != Point::State::simulated || p.metrics.finished == 0) continue;
    const auto y = money ? usd_per_mtok(p, a.ask.shapes[p.shape]) : std::optional(p.metrics.output_tok_s_per_gpu);
    if (!y) continue;
    const bool front = std::find(f.frontier.begin(), f.frontier.end(), i) != f.frontier.end();
    auto& series = c.series[front ? 0 : p.feasible ? 1 : 2];
    series.x.push_back(p.metrics.output_tok_s_per_user);
    series.y.push_back(*y);
  }
  std::erase_if(c.series, [](const auto& s) { return s.x.empty(); });
  return c;
}

}  // namespace

std::string shape_name(const plan::Ask& ask, const Shape& s) {
  std::string out;
  for (const plan::Part& p : s.parts) {
    const plan::Choice& c = ask.choices[p.choice];
    const step::Subject& subject = *c.replica->design().subject;
    if (!out.empty()) out += " + ";
    out += fmt::format("{} x {} {}", p.replicas, c.chip, step::name(c.replica->design().placement));
    if (p.role != serve::Role::both) out += p.role == serve::Role::prefill ? " prefill" : " decode";
    out += fmt::format(" {}", subject.weights.name);
    if (subject.cache_format != model::CacheFormat::bf16) out += fmt::format("/kv {}", model::name(subject.cache_format));
  }
  return out;
}

std::string search_note(const plan::Answer& a) { return fmt::format("{}; {}.", space_line(a), gap_line(a)); }

std::vector<std::size_t> finalists(const plan::Search& f, std::size_t most) {
  std::vector<std::size_t> all, out;
  for (std::size_t i = 0; i < f.points.size(); ++i) {
    if (f.points[i].feasible) all.push_back(i);
  }
  std::stable_sort(all.begin(), all.end(), [&](std::size_t a, std::size_t b) { return f.points[a].score > f.points[b].score; });
  for (const std::size_t i : all) {
    const bool seen = std::any_of(out.begin(), out.end(), [&](std::size_t j) { return f.points[j].shape == f.points[i].shape; });
    if (!seen) out.push_back(i);
    if (out.size() == most) break;
  }
  return out;
}

std::string binding_of(const plan::Answer& a, const Point& p) {
  if (p.concurrency == 0) return "accelerators: fewer of them were not enough or not better";
  const Point* next = nullptr;
  for (const Point& x : a.found.points) {
    if (x.shape == p.shape && x.concurrency > p.concurrency && (next == nullptr || x.concurrency < next->concurrency)) next = &x;
  }
  if (next == nullptr) {
    const plan::Replica& r = *a.ask.choices[a.shape(p).parts.back().choice].replica;
    return r.sequences() < r.design().policy.max_num_seqs ? "cache capacity" : "max-num-seqs";
  }
  if (next->state == Point::State::simulated) return next->feasible ? "saturation" : next->violated;
  return next->state == Point::State::cannot_meet ? "latency limits" : "saturation";
}

report::Document page_of_plan(const PlanQuestion& q, const plan::Answer& a, const std::vector<Margin>& margins) {
  const plan::Search& f = a.found;
  const Point& p = *a.best();
  const Shape& s = a.shape(p);
  const serve::Metrics& m = p.metrics;
  report::Document d;
  d.version = std::string(version());
  d.title = fmt::format("{} on up to {} accelerators: best {}", q.model->name, q.budget.accelerators,
                        a.ask.objective == plan::Objective::pareto ? "tok/s/GPU and the frontier" : plan::name(a.ask.objective));
  std::string run = fmt::format("{} ({}), {}", shape_name(a.ask, s), engine_of(a.ask, s), load_of(p));
  const int units = q.budget.accelerators / s.accelerators;
  if (a.ask.closed && units > 1) run += fmt::format("; {} of these fill {} accelerators", units, units * s.accelerators);
  d.answer = {
      {"Run", run},
      {"Speed", fmt::format("{:.4g} output tok/s per accelerator, {:.3g} per user; TTFT {} (p99 {}), TPOT {} (p99 {})",
                            m.output_tok_s_per_gpu, m.output_tok_s_per_user, format_seconds(m.ttft.mean), format_seconds(m.ttft.p99),
                            format_seconds(m.tpot.mean), format_seconds(m.tpot.p99))},
      {"Cost", usd_per_mtok(p, s) ? fmt::format("${:.4g} per million output tokens, input included, while busy", *usd_per_mtok(p, s))
                                  : "null: " + fmt::format("{}", fmt::join(q.unpriced, "; "))},
      {"Binds", binding_of(a, p)},
      {"Knee", knee_line(p, f)},
      {"Search", space_line(a)},
      {"Gap", gap_line(a)}};
  const auto rows = finalists(f, std::size_t(q.settings.integer("finalists")));
  d.tables.push_back(finalist_table(a, rows, "finalists", "Finalists, each at its best simulated load"));
  if (a.ask.objective == plan::Objective::pareto)
    d.tables.push_back(finalist_table(a, f.frontier, "frontier", "Frontier: no simulated point is better for user and accelerator both"));
  if (!margins.empty()) d.tables.push_back(margin_table(margins));
  if (const auto t = million_table(a); !t.rows.empty()) d.tables.push_back(t);
  std::vector<std::size_t> simulated;
  for (std::size_t i = 0; i < f.points.size(); ++i) {
    if (f.points[i].state == Point::State::simulated) simulated.push_back(i);
  }
  auto all = finalist_table(a, simulated, "simulated", "Every simulated point");
  all.columns.push_back({"violated", "violated", "{}", {}});
  for (std::size_t k = 0; k < simulated.size(); ++k) all.rows[k].push_back(f.points[simulated[k]].violated);
  all.page = false;
  d.tables.push_back(std::move(all));
  d.charts.push_back(frontier_chart(a, false));
  if (s.usd_per_s > 0) d.charts.push_back(frontier_chart(a, true));
  put_values(d, a);
  for (const auto& u : q.unpriced) d.notes.push_back(u);
  const auto& time = a.ask.choices[s.parts.front().choice].replica->time();
  d.notes.push_back(fmt::format(
      "Step times are right within {:.0f} % nine times of ten{}; docs/planner.md says how bounds and gap are proved.",
      time.constants().band * 100, time.constants().borrowed ? " (nobody measured this chip: constants of another generation)" : ""));
  return d;
}

namespace {

WhyNot why_no_shape(const plan::Question& q, const plan::Answer& a) {
  const plan::Space& space = a.space;
  if (space.do_not_fit > 0 && a.ask.choices.empty())
    return {"memory binds: " + space.no_fit,
            {"More accelerators (--max-gpus), a smaller weight format (--weights), or a chip with more memory."}};
  if (space.over_budget > 0)
    return {fmt::format("the budget binds: every deployment that can be built is over it; the nearest, {}", space.over),
            {fmt::format("{:.3g} times that limit would do, all others as they are.", std::ceil(space.over_by * 100) / 100)}};
  const auto least = [](const std::vector<int>& sizes) { return sizes.empty() ? 1 : *std::min_element(sizes.begin(), sizes.end()); };
  const int split = q.knobs.split == plan::Split::only ? 2 : 1;  // a pool for prompts and one for answers
  const int taken = least(q.knobs.tp) * least(q.knobs.dp) * least(q.knobs.pp) * q.knobs.replicas.value_or(1) * split;
  if (taken > q.budget.accelerators)
    return {fmt::format("the accelerators allowed bind: the sizes given take {} of them", taken),
            {fmt::format("--max-gpus {} would do.", taken)}};
  return {"no placement of the sizes given divides the model's heads, experts and layers within the accelerators allowed",
          {"Leave --tp, --dp, --ep or --pp to the planner, or raise --max-gpus."}};
}

WhyNot why_no_plan(const plan::Question& q, const plan::Answer& a) {
  const auto excess = [&](const Point& p) {
    double worst = 1;
    for (std::size_t k = 0; k < p.latency.size(); ++k) worst = std::max(worst, p.latency[k] / q.terms.slo[k].seconds);
    return worst + (p.metrics.load == serve::Load::saturated ? 1e9 : 0) + (p.metrics.rejected > 0 ? 1e12 : 0);
  };
  const Point* nearest = nullptr;
  for (const Point& p : a.found.points) {
    if (p.state == Point::State::simulated && (nearest == nullptr || excess(p) < excess(*nearest))) nearest = &p;
  }
  if (nearest == nullptr) return {"no deployment meets the limits", {}};
  WhyNot w{fmt::format("{} binds. The nearest is {} ({})", nearest->violated, shape_name(a.ask, a.shape(*nearest)), load_of(*nearest)), {}};
  std::vector<std::string> needed;
  for (std::size_t k = 0; k < nearest->latency.size(); ++k) {
    const plan::Slo& s = q.terms.slo[k];
    if (nearest->latency[k] > s.seconds)
      needed.push_back(
          fmt::format("a {} of {:.4g} ms instead of {:.4g} ms", plan::name(s), std::ceil(nearest->latency[k] * 1e4) / 10, s.seconds * 1e3));
  }
  if (!needed.empty()) w.change.push_back(fmt::format("It would do with {}.", fmt::join(needed, " and ")));
  if (nearest->metrics.load == serve::Load::saturated)
    w.change.push_back(fmt::format("It serves {:.4g} req/s at most; more accelerators (--max-gpus) or a lower --request-rate would do.",
                                   nearest->metrics.requests_per_s));
  return w;
}

}  // namespace

WhyNot why_not(const plan::Question& q, const plan::Answer& a) { return a.ask.shapes.empty() ? why_no_shape(q, a) : why_no_plan(q, a); }

report::Document page_without_plan(const PlanQuestion& q, const plan::Answer& a) {
  const WhyNot why = why_not(q, a);
  report::Document d;
  d.version = std::string(version());
  d.title = fmt::format("{} on up to {} accelerators", q.model->name, q.budget.accelerators);
  d.answer = {{"Infeasible", why.binds}};
  if (!a.ask.shapes.empty()) d.answer.push_back({"Search", space_line(a)});
  d.notes = why.change;
  return d;
}

}  // namespace jevons::engine
