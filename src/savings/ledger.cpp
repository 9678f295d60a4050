#include "savings/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <mutex>

#include "plan/parallel.hpp"
#include "savings/attribution.hpp"
#include "savings/counterfactual.hpp"

namespace jevons::savings {
namespace {

constexpr int kFine = 96;  // concurrencies for each factor of two, where small changes must show

bool differs(const model::Model& a, const model::Model& b) {
  return a.kinds.size() != b.kinds.size() ||
         !std::equal(a.kinds.begin(), a.kinds.end(), b.kinds.begin(), [](const auto& x, const auto& y) { return x.layer == y.layer; });
}

// What a combination is planned for: a model of its own and the question about it.
struct Changed {
  model::Model model;
  plan::Question question;
};
Changed changed(const Frame& f, const std::vector<LeverInUse>& levers, std::size_t mask) {
  Changed c{*f.question.model, f.question};
  plan::Knobs& k = c.question.knobs;
  const auto off = [&](Lever l) {
    for (std::size_t i = 0; i < levers.size(); ++i) {
      if (levers[i].lever == l) return (mask >> i & 1) == 0;
    }
    return false;
  };
  if (off(Lever::sparsity)) c.model = without_sparsity(c.model);
  if (off(Lever::windows)) c.model = without_windows(c.model);
  if (off(Lever::attention)) c.model = with_gqa(c.model, 8);
  if (off(Lever::cache_format)) k.caches = {"bf16"};
  if (off(Lever::weight_format)) k.weights = {"bf16"};
  if (off(Lever::speculation)) k.drafts = {0};
  if (off(Lever::cache_tiers) || off(Lever::prefix_cache)) k.host_gib = {0};
  if (off(Lever::split)) k.split = plan::Split::none;
  if (off(Lever::wide_ep)) k.ep = {1};
  for (plan::Chip& chip : k.chips) {
    for (auto& p : chip.policies) {
      if (off(Lever::prefix_cache)) p.enable_prefix_caching = false;
      if (off(Lever::batching)) p.max_num_seqs = 1;
    }
  }
  return c;
}

Best describe(const Frame& f, const plan::Answer& answer) {
  const plan::Point& p = *answer.best();
  const plan::Ask& ask = answer.ask;
  const plan::Shape& shape = answer.shape(p);
  const plan::Choice& decode = ask.choices[shape.parts.back().choice];  // prefill parts come first
  const plan::Replica& r = *decode.replica;
  const step::Subject& s = *r.design().subject;
  const serve::Metrics& m = p.metrics;
  Best b;
  b.deployment = fmt::format("{} x {}", shape.accelerators, decode.chip);
  for (const plan::Part& part : shape.parts)
    b.deployment += fmt::format(" {}{}{}", part.replicas > 1 ? fmt::format("{} x ", part.replicas) : "",
                                step::name(ask.choices[part.choice].replica->design().placement),
                                part.role == serve::Role::both      ? ""
                                : part.role == serve::Role::prefill ? " prefill"
                                                                    : " decode");
  b.usd_per_mtok = shape.usd_per_s / m.output_tok_s * 1e6;
  const double context = f.isl + f.osl / 2, batch = std::max(1.0, m.mean_batch * r.design().placement.dp);
  b.hbm_bytes_per_token =
      (model::cache_read(s.cache, std::int64_t(context)) + model::step_weight_bytes(*s.model, s.weight_bytes, batch) / batch) / r.yield();
  double found = m.cache_hit_rate;  // in the accelerator's memory or beyond it
  for (const double tier : m.tier_hit_rate) found += tier;
  b.flops_per_token = model::decode_linear_flops(s.parameters) + model::decode_attention_flops(*s.model, std::int64_t(context)).total() +
                      model::prefill_flops(*s.model, s.parameters, std::int64_t(f.isl)).total() / f.osl * (1 - found);
  b.accelerator_s_per_token = shape.accelerators / m.output_tok_s;
  b.joules_per_token = shape.watts / m.output_tok_s;
  b.usd_per_accelerator_s = shape.usd_per_s / shape.accelerators;
  b.bandwidth = s.chip.hbm_bandwidth->value.value();
  b.peak = s.chip.peak_bf16->value.value();
  b.users_per_accelerator = m.e2e.mean * m.requests_per_s / shape.accelerators;  // Little
  return b;
}

Result<World> plan_anew(const Frame& f, const model::Model& m, plan::Question q) {
  World w;
  JEVONS_TRY(const model::CacheFormat cache, model::parse_cache_format(q.knobs.caches.front()));
  w.bytes_per_user = model::cache_stored(model::cache_groups(m, model::resolve(m, cache)), std::int64_t(f.isl + f.osl));
  q.model = &m;
  q.terms.objective = plan::Objective::usd_per_mtok;
  q.terms.progress = {};
  JEVONS_TRY(const plan::Answer a, plan::answer(q));
  w.simulated = a.found.simulated;
  w.gap = a.found.gap;
  if (a.best() != nullptr)
    w.best = describe(f, a);
  else if (a.ask.shapes.empty())
    w.why_not = a.space.no_fit.empty() ? "no deployment within the budget" : "memory: " + a.space.no_fit;
  else
    w.why_not = "no deployment meets the limits";
  return w;
}

Result<World> plan_combination(const Frame& f, const std::vector<LeverInUse>& levers, std::size_t mask) {
  const Changed c = changed(f, levers, mask);
  return plan_anew(f, c.model, c.question);
}

std::vector<Factor> factors_of(const Best& a, const Best& b, bool bytes) {
  const auto row = [&](const Best& x) {
    const double work = bytes ? x.hbm_bytes_per_token : x.flops_per_token, speed = bytes ? x.bandwidth : x.peak;
    const double use = work / (x.accelerator_s_per_token * speed);  // MBU or MFU
    return std::vector<double>{x.usd_per_accelerator_s * 1e6, work, 1 / speed, 1 / use};
  };
  const std::vector<std::vector<double>> before{row(a)}, after{row(b)};
  const auto c = lmdi(before, after);
  const std::string_view names[] = {"price of an accelerator-second", bytes ? "HBM bytes per output token" : "FLOPs per output token",
                                    bytes ? "1 / bandwidth" : "1 / peak", bytes ? "1 / MBU" : "1 / MFU"};
  std::vector<Factor> out;
  for (std::size_t i = 0; i < c.size(); ++i) out.push_back({std::string(names[i]), before[0][i], after[0][i], c[i]});
  return out;
}

}  // namespace

std::vector<LeverInUse> levers_in_use(const Frame& f) {
  std::vector<LeverInUse> out;
  const model::Model& m = *f.question.model;
  const plan::Knobs& knobs = f.question.knobs;
  const auto any_kind = [&](auto&& test) {
    return std::any_of(m.kinds.begin(), m.kinds.end(), [&](const auto& k) { return test(k.layer); });
  };
  const bool csa = any_kind([](const model::Layer& l) { return std::holds_alternative<model::Csa>(l.attention); });
  const bool experts = model::has_experts(m);
  if (differs(with_gqa(m, 8), m))
    out.push_back({Lever::attention, csa ? "compressed attention" : "latent attention (MLA)", "GQA-8, heads of 128"});
  if (differs(without_sparsity(m), m)) out.push_back({Lever::sparsity, "sparse attention (top-k)", "dense attention"});
  if (differs(without_windows(m), m)) out.push_back({Lever::windows, "sliding windows", "full attention in every layer"});
  const auto only = [](const std::vector<std::string>& v, std::string_view x) { return v.size() == 1 && v[0] == x; };
  const bool native_cache = only(knobs.caches, "native") && model::resolve(m, model::CacheFormat::native) == model::CacheFormat::bf16;
  if (!only(knobs.caches, "bf16") && !native_cache) out.push_back({Lever::cache_format, "KV cache quantization", "cache in bf16"});
  const bool native_weights = only(knobs.weights, "native") && m.native_weights == "bf16";
  if (!only(knobs.weights, "bf16") && !native_weights) out.push_back({Lever::weight_format, "weight quantization", "weights in bf16"});
  const auto sample = f.question.terms.workload(f.question.terms.closed ? 1 : 0);
  if (sample && sample->requests.prefix.known()) out.push_back({Lever::prefix_cache, "prefix caching", "prompts computed anew"});
  if (std::any_of(knobs.host_gib.begin(), knobs.host_gib.end(), [](double gib) { return gib > 0; }))
    out.push_back({Lever::cache_tiers, "cache in host memory", "the accelerator's memory alone"});
  if (std::any_of(knobs.drafts.begin(), knobs.drafts.end(), [](int d) { return d > 0; }))
    out.push_back({Lever::speculation, "speculation (MTP)", "one token a step"});
  if (knobs.split != plan::Split::none) out.push_back({Lever::split, "prefill and decode pools", "one pool"});
  if (experts && (knobs.ep.empty() || knobs.ep.back() > 1))
    out.push_back({Lever::wide_ep, "expert parallelism", "experts split like the rest"});
  out.push_back({Lever::batching, "continuous batching", "one sequence a rank"});
  return out;
}

Result<Ledger> ledger(const Frame& asked, const std::vector<LeverInUse>& levers, int stretch) {
  Ledger l;
  Frame f = asked;
  const plan::Terms& terms = asked.question.terms;
  const std::size_t n = std::size_t{1} << levers.size(), all = n - 1;
  if (stretch > 1 && !levers.empty()) {
    JEVONS_TRY(World hardest, plan_combination(f, levers, 0));
    while (!hardest.best && f.question.budget.accelerators < stretch * asked.question.budget.accelerators) {
      f.question.budget.accelerators *= 2;
      l.note = fmt::format("Without these techniques no deployment of {} accelerators will do, so all are judged with up to {}",
                           asked.question.budget.accelerators, f.question.budget.accelerators);
      JEVONS_TRY(hardest, plan_combination(f, levers, 0));
    }
    if (!hardest.best && !f.question.terms.slo.empty()) {
      f.question.terms.slo.clear();
      l.note += ", and without limits on latency, which nothing would meet";
    }
  }
  std::vector<Result<World>> planned(n);
  f.question.terms.threads = 1;  // each combination on one thread, several at a time
  std::mutex telling;
  std::size_t done = 0;
  plan::for_each_index(n, terms.threads, [&](std::size_t mask) {
    if (terms.stop == nullptr || !terms.stop->load()) planned[mask] = plan_combination(f, levers, mask);
    if (!terms.progress) return;
    const std::lock_guard lock(telling);
    terms.progress(double(++done) / double(n) * 0.9, "planning without techniques");
  });
  std::vector<World> worlds;
  std::vector<double> usd(n), bytes(n);
  for (std::size_t mask = 0; mask < n; ++mask) {
    JEVONS_TRY(World w, std::move(planned[mask]));
    if (w.best)
      usd[mask] = -w.best->usd_per_mtok;
    else
      ++l.infeasible;
    if (w.best) l.gap = std::max(l.gap, w.gap);
    l.simulated += w.simulated;
    bytes[mask] = -std::log(w.bytes_per_user);
    worlds.push_back(std::move(w));
  }
  l.plans = n;
  const auto log_bytes = shapley(bytes);
  std::vector<double> share;
  if (l.infeasible == 0) share = shapley(usd);
  for (std::size_t i = 0; i < levers.size(); ++i) {
    Share s{levers[i], worlds[all & ~(std::size_t{1} << i)], {}, log_bytes[i]};
    if (!share.empty()) s.usd = share[i];
    l.shares.push_back(std::move(s));
  }
  l.all_on = worlds[all];
  l.all_off = worlds[0];
  if (l.all_on.best && l.all_off.best) {
    l.by_bytes = factors_of(*l.all_off.best, *l.all_on.best, true);
    l.by_flops = factors_of(*l.all_off.best, *l.all_on.best, false);
  }
  return l;
}

Result<std::vector<Aside>> unused(const Frame& f) {
  std::vector<Aside> out;
  const model::Model& m = *f.question.model;
  const plan::Knobs& knobs = f.question.knobs;
  const auto add = [&](Lever l, std::string name, std::string instead, const plan::Knobs& with) -> Result<void> {
    plan::Question q = f.question;
    q.knobs = with;
    JEVONS_TRY(World w, plan_anew(f, m, std::move(q)));
    out.push_back({{l, std::move(name), std::move(instead)}, std::move(w)});
    return {};
  };
  JEVONS_TRY(const model::CacheFormat cache, model::parse_cache_format(knobs.caches.front()));
  if (knobs.caches.size() == 1 && model::resolve(m, cache) == model::CacheFormat::bf16) {
    plan::Knobs k = knobs;
    k.caches = {"fp8"};
    JEVONS_CHECK(add(Lever::cache_format, "cache in fp8", "cache in bf16", k));
  }
  const std::string weights = knobs.weights.front() == "native" ? m.native_weights : knobs.weights.front();
  if (knobs.weights.size() == 1 && weights == "bf16") {
    plan::Knobs k = knobs;
    k.weights = {"fp8"};
    JEVONS_CHECK(add(Lever::weight_format, "weights in fp8", "weights in bf16", k));
  }
  if (m.mtp_count > 0 && knobs.drafts == std::vector{0}) {
    JEVONS_TRY(const catalog::Thing* acceptance, f.question.catalog->find(catalog::Section::efficiency, "acceptance"));
    plan::Knobs k = knobs;
    k.drafts = {1};
    k.acceptance_length = acceptance->number("one_draft").value_or(1);
    JEVONS_CHECK(add(Lever::speculation, fmt::format("MTP, {:.2f} a step", *k.acceptance_length), "one token a step", k));
  }
  return out;
}

Result<std::optional<World>> with_multi_head(const Frame& f) {
  const model::Model m = with_gqa(*f.question.model, 0);
  if (!differs(m, *f.question.model)) return std::optional<World>{};
  JEVONS_TRY(World w, plan_anew(f, m, f.question));
  return std::optional(std::move(w));
}

std::string_view name(Input input) {
  constexpr std::string_view names[] = {"KV bytes", "HBM capacity", "HBM bandwidth", "peak FLOP/s", "network bandwidth"};
  return names[std::size_t(input)];
}

Result<std::optional<double>> elasticity(const Frame& f, Input input) {
  constexpr double kPart = 0.1;
  std::optional<double> cost[2];
  for (const int side : {0, 1}) {
    plan::Question q = f.question;
    q.terms.per_octave = kFine;
    q.terms.gap = 0.002;
    plan::Change& c = q.knobs.change;
    double* const changes[] = {&c.cache_bytes, &c.memory, &c.bandwidth, &c.flops, &c.links};
    *changes[std::size_t(input)] = side == 0 ? 1 - kPart : 1 + kPart;
    JEVONS_TRY(const World w, plan_anew(f, *f.question.model, std::move(q)));
    if (w.best) cost[side] = w.best->usd_per_mtok;
  }
  if (!cost[0] || !cost[1]) return std::optional<double>{};
  return std::optional(std::log(*cost[1] / *cost[0]) / std::log((1 + kPart) / (1 - kPart)));
}

std::optional<double> rebound_threshold(double theta) {
  if (theta <= 0) return std::nullopt;
  if (theta >= 2) return 0.0;
  return std::log(2) / -std::log(1 - theta / 2);
}

}  // namespace jevons::savings
