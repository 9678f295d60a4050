#include "engine/links.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "engine/plan_page.hpp"
#include "savings/counterfactual.hpp"
#include "serve/shares.hpp"

namespace jevons::engine {
namespace {

constexpr int kWarmUp = 2;   // requests of each user before one counts: a steady state, not a burst from idle
constexpr int kRounds = 4;   // that count: all are alike
constexpr int kStretch = 8;  // times the accelerators, for what does not fit the question's own

constexpr double kLedgerGap = 0.03;

void put_load(plan::Question& q, const Answers& a) {
  plan::Load load;
  load.prefix_hit_rate = a.scenario.settings.number("workload.prefix_hit_rate");
  load.warmup_rounds = kWarmUp;
  load.rounds = q.terms.rounds = kRounds;
  load.block_tokens = q.knobs.chips.front().policies.front().block_size;
  load.users.input = traffic::Fixed{a.scenario.isl};
  load.users.output = traffic::Fixed{a.scenario.osl};
  q.terms.workload = [load](int c) { return plan::closed_load(load, std::max(1, c)); };
}

}  // namespace

MemoryOfOneUser memory_of_one_user(const Answers& a) {
  const auto n = a.scenario.context;
  const auto bf16 = model::cache_groups(a.model, model::CacheFormat::bf16);
  MemoryOfOneUser m;
  m.bytes = model::cache_stored(a.subject.cache, n);
  m.bytes_bf16 = model::cache_stored(bf16, n);
  m.growth = model::cache_slope(a.subject.cache);
  m.fixed = model::cache_fixed(a.subject.cache);
  m.transient = model::compressor_state(a.model);
  const model::Model gqa = savings::with_gqa(a.model, 8);
  if (gqa.kinds.size() != a.model.kinds.size() || !(gqa.kinds[0].layer == a.model.kinds[0].layer)) {
    m.gqa_bytes = model::cache_stored(gqa, model::CacheFormat::bf16, n);
    m.mha_bytes = model::cache_stored(savings::with_gqa(a.model, 0), model::CacheFormat::bf16, n);
  }
  return m;
}

Result<cost::GpuHour> price_of_an_hour(const catalog::Catalog& catalog, const Answers& a) {
  const Settings& s = a.scenario.settings;
  if (!s.has("cost.usd_per_gpu_hour")) return cost::gpu_hour(catalog, a.subject.chip, a.scenario.basis);
  cost::GpuHour g;
  g.basis = a.scenario.basis;
  JEVONS_TRY(g.power, cost::all_in_power(catalog, a.subject.chip, g.facts));
  g.total = usd_per_hour(s.number("cost.usd_per_gpu_hour"));
  g.how = "given by you";
  return g;
}

Result<plan::Question> question_of(const Context& context, const Answers& a) {
  const catalog::Catalog& catalog = context.catalog;
  const Settings& s = a.scenario.settings;
  plan::Question q;
  q.catalog = &catalog;
  q.model = &a.model;
  serve::EnginePolicy policy = serve::defaults_of(serve::Engine::vllm);
  policy.max_num_seqs = std::int32_t(s.integer("limits.max_num_seqs"));
  policy.max_num_batched_tokens = std::max(std::int32_t(s.integer("limits.max_num_batched_tokens")), policy.max_num_seqs);
  JEVONS_TRY(const step::Served served, step::Served::read(catalog));
  policy.host_constant = traffic::SimTime(served.host_request(serve::name(policy.engine)) * double(traffic::kNsPerSecond));
  q.knobs.chips = {{.thing = a.subject.chip.thing, .usd_per_s = a.hour.total.value(), .watts = a.hour.power.value(), .policies = {policy}}};
  q.knobs.weights = {s.text("weights")};
  q.knobs.caches = {s.text("kv_cache_dtype")};
  const auto fix = [&](std::vector<int>& sizes, std::string_view path) {
    if (s.has(path)) sizes = {int(s.integer(path))};
  };
  fix(q.knobs.tp, "placement.tp");
  fix(q.knobs.pp, "placement.pp");
  fix(q.knobs.dp, "placement.dp");
  fix(q.knobs.ep, "placement.ep");
  // A user's prefix lies on one rank.
  if (s.number("workload.prefix_hit_rate") > 0) q.knobs.routings = {serve::Routing::prefix_aware};
  fix(q.knobs.drafts, "speculation.draft_tokens");
  if (s.has("speculation.acceptance_length")) q.knobs.acceptance_length = s.number("speculation.acceptance_length");
  if (s.has("limits.gpu_memory_utilization")) q.knobs.memory_fraction = s.number("limits.gpu_memory_utilization");
  const auto first = [](const std::vector<int>& v) { return v.empty() ? 1 : v[0]; };
  const int given = first(q.knobs.tp) * first(q.knobs.dp) * first(q.knobs.pp);
  q.budget.accelerators = s.has("limits.max_accelerators")
                              ? int(s.integer("limits.max_accelerators"))
                              : std::max(given, int(std::min(64.0, a.subject.chip.scaleup_domain.value_or(1))));
  put_load(q, a);
  q.max_context = std::int64_t(a.scenario.isl + a.scenario.osl);
  for (const auto& [path, metric] : {std::pair{"slo.ttft", plan::Slo::Metric::ttft}, {"slo.tpot", plan::Slo::Metric::tpot}}) {
    if (s.has(path)) q.terms.slo.push_back({metric, {}, s.number(path) / 1e3});
  }
  q.terms.steady = true;
  q.terms.stop = context.stop;
  q.terms.progress = context.progress;
  return q;
}

Result<void> choose_deployment(Answers& a) {
  JEVONS_TRY(a.plan, plan::answer(a.question));
  if (a.plan.ask.shapes.empty() && a.plan.space.do_not_fit > 0 && !a.scenario.settings.has("placement.pp")) {
    a.question.knobs.pp.clear();  // every power of two
    JEVONS_TRY(a.plan, plan::answer(a.question));
  }
  if (a.feasible()) return {};
  const WhyNot why = why_not(a.question, a.plan);
  a.why_not = why.binds;
  a.nearest_change = fmt::format("{}", fmt::join(why.change, " "));
  return {};
}

Result<void> price_the_tokens(const catalog::Catalog& catalog, Answers& a) {
  const plan::Shape& shape = a.plan.shape(a.best());
  const serve::Deployment d = plan::deployment_of(a.plan.ask, shape);
  JEVONS_TRY(const traffic::Workload load, a.question.terms.workload(a.best().concurrency));
  JEVONS_TRY(const serve::Simulation sim, serve::simulate(d, load));
  serve::Shares shares = serve::shares_of(sim, d, load);
  // What users do before they count is taken off: the same run, ended there.
  const traffic::Workload before = plan::leading_rows(load, plan::uncounted(load));
  JEVONS_TRY(const serve::Simulation warming, serve::simulate(d, before));
  const serve::Shares w = serve::shares_of(warming, d, before);
  const double n = double(load.requests.size() - before.requests.size());
  const cost::RequestTime time{std::max(0.0, shares.times.fresh - w.times.fresh) / n,
                               std::max(0.0, shares.times.cached - w.times.cached) / n,
                               std::max(0.0, shares.times.output - w.times.output) / n};
  a.cost = cost::token_cost(UsdPerSecond{shape.usd_per_s}, a.best().metrics.requests_per_s, a.scenario.settings.number("cost.utilization"),
                            time, (shares.tokens.fresh - w.tokens.fresh) / n, (shares.tokens.cached - w.tokens.cached) / n, a.scenario.osl);
  a.usd_per_output_mtok = a.cost.per_request.value() / a.scenario.osl * kMega;
  std::vector<Worked> worked;
  for (std::size_t k = 0; k < d.pools.size(); ++k)
    worked.push_back({&a.subject.chip, work_of(d, sim, k) - work_of(d, warming, k), double(d.pools[k].accelerators) / d.pools[k].ranks});
  const Settings& s = a.scenario.settings;
  JEVONS_TRY(a.energy, energy_of(catalog, s.text("site.region"), s.text("site.class"), worked, Tokens{n * a.scenario.osl},
                                 s.number("cost.utilization")));
  return {};
}

Result<void> look_into_the_step(const catalog::Catalog& catalog, Answers& a) {
  const step::StepTime& time = a.replica().time();
  JEVONS_TRY(const evidence::Bands bands, evidence::read_bands(catalog));
  JEVONS_TRY(const step::ServedBlocks blocks, step::served_blocks(catalog));
  const serve::Metrics& m = a.best().metrics;
  const std::string_view chip = a.subject.chip.thing->name;
  const std::string block = step::block_key(a.model.name, chip, a.replica().design().subject->engine, a.subject.weights.name, "current");
  const auto regime = evidence::regime_of({a.model.name, chip, block}, m.preemptions > 0 || m.kv_peak > 0.9, evidence::seen_in(blocks));
  const evidence::Interval output = bands[std::size_t(regime)].output_tok_s;
  a.known = evidence::name(regime);
  a.band = {1 / output.high, 1 / output.low};
  if (time.constants().borrowed) {  // nobody measured this chip
    const double keep = 1 - time.constants().band;
    a.band = {std::min(a.band.low, keep), std::max(a.band.high, 1 / keep)};
    a.known = "constants of another generation";
  }
  a.borrowed = time.constants().borrowed;
  a.operand_note = time.operand_note;
  JEVONS_TRY(const catalog::Thing* memory, catalog.find(catalog::Section::efficiency, "engine-memory"));
  a.constants = {time.constants().thing, memory};
  const double batch = std::max(1.0, a.best().metrics.mean_batch * a.placement().dp);
  a.step_terms = time.terms({batch * (1 + a.replica().design().draft_tokens), a.scenario.isl + a.scenario.osl / 2, 0, 0});
  return {};
}

Result<std::optional<Comparison>> compare(const catalog::Catalog& catalog, const Answers& a) {
  if (a.scenario.compare_with.empty()) return std::optional<Comparison>{};
  JEVONS_TRY(const model::Model other, load_model(catalog, a.scenario.compare_with));
  JEVONS_TRY(const step::Subject subject,
             make_subject(catalog, other, a.scenario, a.scenario.settings.text("weights"), a.scenario.settings.text("kv_cache_dtype")));
  Comparison c{.name = other.name};
  c.bytes_of_one_user = model::cache_stored(subject.cache, a.scenario.context);
  c.decode_flops = model::decode_linear_flops(subject.parameters) + model::decode_attention_flops(other, a.scenario.context).total();
  plan::Question q = a.question;
  q.model = &other;
  JEVONS_TRY(plan::Answer p, plan::answer(q));
  if (p.best() == nullptr && !a.scenario.settings.has("limits.max_accelerators")) {
    q.budget.accelerators *= kStretch;  // it may need more room than the model itself
    JEVONS_TRY(p, plan::answer(q));
  }
  if (p.best() != nullptr)
    c.usd_per_output_mtok =
        p.shape(*p.best()).usd_per_s / p.best()->metrics.output_tok_s * kMega / a.scenario.settings.number("cost.utilization");
  return std::optional<Comparison>{std::move(c)};
}

Result<void> take_savings_apart(Answers& a) {
  savings::Frame frame{a.question, a.scenario.isl, a.scenario.osl};
  frame.question.terms.gap = kLedgerGap;
  std::vector<savings::LeverInUse> levers = savings::levers_in_use(frame);
  // How it is deployed is the planner's business, not a technique of the model or its formats.
  std::erase_if(levers, [](const auto& l) { return l.lever == savings::Lever::wide_ep || l.lever == savings::Lever::batching; });
  if (a.scenario.settings.boolean("savings.ledger")) {
    JEVONS_TRY(a.ledger, savings::ledger(frame, levers, kStretch));
    JEVONS_TRY(a.unused, savings::unused(frame));
    JEVONS_TRY(a.with_multi_head, savings::with_multi_head(frame));
  }
  JEVONS_TRY(a.theta, savings::elasticity(frame, savings::Input::cache_bytes));
  return {};
}

std::optional<Fleet> fleet_of(const catalog::Catalog& catalog, const Answers& a) {
  if (a.scenario.request_rate <= 0) return std::nullopt;
  Fleet f;
  const double utilization = a.scenario.settings.number("cost.utilization");
  f.replicas = std::ceil(a.scenario.request_rate / (a.best().metrics.requests_per_s * utilization) - 1e-9);
  f.accelerators = f.replicas * a.placement().accelerators();
  f.scaleup = fabric::scaleup_bill(catalog, *a.subject.chip.thing, f.accelerators);
  f.power = a.hour.power * f.accelerators;
  f.per_year = a.hour.total * Seconds{kHoursPerYear * 3600 * f.accelerators};
  f.output_tokens_per_day = a.scenario.request_rate * a.scenario.osl * 86400;
  return f;
}

market::Saving saving_of(const Answers& a, std::string& what) {
  const Settings& s = a.scenario.settings;
  market::Saving v{.eps_low = s.number("market.elasticity_low"),
                   .eps_high = s.number("market.elasticity_high"),
                   .pass_through = s.number("market.pass_through"),
                   .supply_feedback = s.number("market.supply_feedback")};
  const double now = a.usd_per_output_mtok;
  double before = now, bytes_before = a.memory.bytes;
  if (a.comparison && a.comparison->usd_per_output_mtok) {
    what = fmt::format("against {}, each at its own cheapest deployment", a.comparison->name);
    before = *a.comparison->usd_per_output_mtok;
    bytes_before = a.comparison->bytes_of_one_user;
  } else if (a.ledger.all_off.best && a.ledger.all_on.best && !a.ledger.shares.empty()) {
    what = "all techniques of the ledger against none";
    before = now * a.ledger.all_off.best->usd_per_mtok / a.ledger.all_on.best->usd_per_mtok;
    bytes_before = a.ledger.all_off.bytes_per_user;
  } else if (a.theta) {
    what = fmt::format("cache bytes halved, at theta {:.2f}", *a.theta);
    before = now / std::max(1e-6, std::pow(0.5, *a.theta));
    bytes_before = a.memory.bytes * 2;
  }
  v.cost_ratio = now / before;
  v.compute_ratio = now / before;  // same chip and price: accelerator time per token moves with cost
  v.hbm_ratio = a.memory.bytes / bytes_before;
  return v;
}

std::vector<Lever> levers_of(const Answers& a) {
  const double now = to_usd_per_mtok(a.cost.blended);
  std::vector<Lever> out{{fmt::format("throughput, 90 % band ({})", a.known), now * a.band.low, now * a.band.high}};
  const double used = a.scenario.settings.number("cost.utilization");
  out.push_back({fmt::format("share of paid hours in use, 0.3 to 0.9 (assumed {:.1f})", used), now * used / 0.9, now * used / 0.3});
  const auto part = [&](std::string_view key, UsdPerSecond share, bool inverse) {
    for (const auto* f : a.hour.facts) {
      if (f->key != key || !f->has_range || share.value() == 0) continue;
      const double low = inverse ? f->value / f->high : f->low / f->value, high = inverse ? f->value / f->low : f->high / f->value;
      const double weight = share / a.hour.total;
      out.push_back(
          {fmt::format("{} {} ({})", f->thing, f->key, f->text), now * (1 + weight * (low - 1)), now * (1 + weight * (high - 1))});
    }
  };
  part("price", a.hour.it_capital, false);
  part("system_over_chip", a.hour.it_capital, false);
  part("site_capex", a.hour.site_capital, false);
  part("electricity", a.hour.electricity, false);
  part("rental_3yr", a.hour.total, false);
  part("price_contract", a.hour.total, false);
  part("price_on_demand", a.hour.total, false);
  // Rate and life act through the recovery factor of the IT capital.
  const auto fact = [&](std::string_view key) -> const catalog::Fact* {
    const auto it = std::find_if(a.hour.facts.begin(), a.hour.facts.end(), [&](const auto* f) { return f->key == key; });
    return it == a.hour.facts.end() ? nullptr : *it;
  };
  if (const auto *rate = fact("cost_of_capital"), *life = fact("it_life"); rate != nullptr && life != nullptr) {
    const double year = kHoursPerYear * 3600, weight = a.hour.it_capital / a.hour.total;
    const auto at = [&](double r, double n) {
      return now * (1 + weight * (cost::capital_recovery(r, n / year) / cost::capital_recovery(rate->value, life->value / year) - 1));
    };
    out.push_back({fmt::format("cost of capital ({})", rate->text), at(rate->low, life->value), at(rate->high, life->value)});
    out.push_back({fmt::format("life of the hardware ({})", life->text), at(rate->value, life->high), at(rate->value, life->low)});
  }
  std::stable_sort(out.begin(), out.end(), [](const Lever& x, const Lever& y) { return x.usd_high - x.usd_low > y.usd_high - y.usd_low; });
  return out;
}

}  // namespace jevons::engine
