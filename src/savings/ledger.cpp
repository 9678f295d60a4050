#include "savings/ledger.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>

#include "savings/attribution.hpp"
#include "savings/counterfactual.hpp"

namespace jevons::savings {
namespace {

using model::LayerKind;

template <class A>
bool has(const model::Model& m, const std::function<bool(const A&)>& test) {
  return std::any_of(m.kinds.begin(), m.kinds.end(), [&](const LayerKind& k) {
    const A* a = std::get_if<A>(&k.layer.attention);
    return a != nullptr && test(*a);
  });
}

// One counterfactual: owns what a Question only points to.
struct World {
  model::Model model;
  step::Subject subject;
  plan::Question question;
};

// Builds what depends on the model and the formats anew.
void recount(World& w, model::CacheFormat cache) {
  w.subject.model = &w.model;
  w.subject.parameters = model::parameters(w.model);
  w.subject.weight_bytes = model::weight_bytes(w.model, w.subject.parameters, w.subject.weights);
  w.subject.cache_format = cache;
  w.subject.cache = model::cache_groups(w.model, cache);
  w.question.subject = &w.subject;
}

Result<std::unique_ptr<World>> world_of(const plan::Question& q, const std::vector<Switch>& switches, std::size_t mask) {
  auto made = std::make_unique<World>(World{*q.subject->model, *q.subject, q});
  World& w = *made;
  const auto off = [&](Technique t) {
    for (std::size_t i = 0; i < switches.size(); ++i) {
      if (switches[i].technique == t) return (mask >> i & 1) == 0;
    }
    return false;
  };
  if (off(Technique::sparsity)) w.model = without_sparsity(w.model);
  if (off(Technique::windows)) w.model = without_windows(w.model);
  if (off(Technique::attention)) w.model = with_gqa(w.model, 8);
  if (off(Technique::weight_format)) {
    JEVONS_TRY(w.subject.weights, model::weight_scheme(w.model, "bf16"));
  }
  if (off(Technique::prefix_cache)) w.question.workload.prefix_hit_rate = 0;
  if (off(Technique::speculation)) w.question.workload.tokens_per_step = 1, w.question.workload.draft_tokens = 0;
  recount(w, off(Technique::cache_format) ? model::CacheFormat::bf16 : q.subject->cache_format);
  return made;
}

Result<Outcome> price(const World& w) {
  Outcome o;
  o.cache_bytes_per_user = model::cache_stored(w.subject.cache, std::int64_t(w.question.workload.isl + w.question.workload.osl));
  JEVONS_TRY(const plan::Plan p, plan::cheapest(w.question));
  if (p.status == plan::Status::optimal) {
    o.users_per_accelerator = p.best().state.concurrency / p.best().placement.accelerators();
    o.usd_per_output_mtok = p.best().usd_per_output_mtok;
  } else {
    o.why = p.explanation;
  }
  return o;
}

// What the deployment leaves unused: judged with everything else as it is.
Result<std::vector<Aside>> unused_of(const plan::Question& q) {
  std::vector<Aside> out;
  const auto with = [&](Technique t, std::string name, std::string instead,
                        const std::function<Result<void>(World&)>& change) -> Result<void> {
    World w{*q.subject->model, *q.subject, q};
    JEVONS_CHECK(change(w));
    recount(w, t == Technique::cache_format ? model::CacheFormat::fp8 : q.subject->cache_format);
    JEVONS_TRY(Outcome o, price(w));
    out.push_back({{t, std::move(name), std::move(instead)}, std::move(o)});
    return {};
  };
  if (q.subject->cache_format == model::CacheFormat::bf16) {
    JEVONS_CHECK(with(Technique::cache_format, "cache in fp8", "cache in bf16", [](World&) -> Result<void> { return {}; }));
  }
  if (q.subject->weights.name == "bf16") {
    JEVONS_CHECK(with(Technique::weight_format, "weights in fp8", "weights in bf16", [](World& w) -> Result<void> {
      JEVONS_TRY(w.subject.weights, model::weight_scheme(w.model, "fp8"));
      return {};
    }));
  }
  if (q.subject->model->mtp_count > 0 && q.workload.draft_tokens == 0) {
    JEVONS_TRY(const catalog::Thing* acceptance, q.catalog->find(catalog::Section::efficiency, "acceptance"));
    const double yield = acceptance->number("one_draft").value_or(1);
    JEVONS_CHECK(with(Technique::speculation, fmt::format("MTP, {:.2f} a step", yield), "one token a step", [&](World& w) -> Result<void> {
      w.question.workload.draft_tokens = 1;
      w.question.workload.tokens_per_step = yield;
      return {};
    }));
  }
  return out;
}

}  // namespace

std::vector<Switch> switches_of(const plan::Question& q) {
  const model::Model& m = *q.subject->model;
  std::vector<Switch> s;
  const bool csa = has<model::Csa>(m, [](const auto&) { return true; });
  if (csa || has<model::Mla>(m, [](const auto&) { return true; })) {
    s.push_back({Technique::attention, csa ? "compressed attention" : "latent attention (MLA)", "GQA-8, heads of 128"});
  }
  if (has<model::Mla>(m, [](const auto& a) { return a.indexer.has_value(); }) ||
      has<model::Gqa>(m, [](const auto& a) { return a.index_heads > 0; })) {
    s.push_back({Technique::sparsity, "sparse attention (top-k)", "dense attention"});
  }
  if (has<model::Gqa>(m, [](const auto& a) { return a.window > 0 || a.chunk > 0; }))
    s.push_back({Technique::windows, "sliding windows", "full attention in every layer"});
  if (q.subject->cache_format != model::CacheFormat::bf16)
    s.push_back({Technique::cache_format, fmt::format("cache in {}", model::name(q.subject->cache_format)), "cache in bf16"});
  if (q.subject->weights.name != "bf16")
    s.push_back({Technique::weight_format, fmt::format("weights in {}", q.subject->weights.name), "weights in bf16"});
  if (q.workload.prefix_hit_rate > 0)
    s.push_back(
        {Technique::prefix_cache, fmt::format("prefix cache, {:.0f} % hits", q.workload.prefix_hit_rate * 100), "prompts computed anew"});
  if (q.workload.draft_tokens > 0) s.push_back({Technique::speculation, "MTP", "one token a step"});
  return s;
}

Result<Ledger> ledger(const plan::Question& q, int stretch) {
  const auto switches = switches_of(q);
  const std::size_t worlds = std::size_t{1} << switches.size();
  Ledger l;
  std::vector<Outcome> outcome(worlds);
  plan::Question judged = q;
  const auto infeasible = [&] {
    return std::count_if(outcome.begin(), outcome.end(), [](const Outcome& o) { return !o.usd_per_output_mtok; });
  };
  // All combinations are judged in one space of deployments; it grows until each has an answer.
  for (const int round : {0, 1, 2}) {
    if (round == 1) {
      judged.limits.max_accelerators *= stretch;
      l.note = fmt::format("Without some techniques no deployment of {} accelerators will do, so all are judged with up to {} a replica",
                           q.limits.max_accelerators, judged.limits.max_accelerators);
    }
    if (round == 2) {
      judged.limits.ttft_s.reset();
      judged.limits.tpot_s.reset();
      l.note += fmt::format(", and without latency limits: {} of {} combinations meet them nowhere", infeasible(), worlds);
    }
    for (std::size_t mask = 0; mask < worlds; ++mask) {
      JEVONS_TRY(const auto world, world_of(judged, switches, mask));
      JEVONS_TRY(outcome[mask], price(*world));
    }
    l.plans += worlds;
    if (infeasible() == 0) break;
  }
  if (infeasible() > 0)
    l.note = fmt::format("{} of {} combinations fit no deployment of {} accelerators a replica: no shares in dollars", infeasible(), worlds,
                         judged.limits.max_accelerators);
  JEVONS_TRY(l.unused, unused_of(judged));
  if (!switches.empty() && switches[0].technique == Technique::attention) {
    World w{with_gqa(*q.subject->model, 0), *q.subject, judged};
    recount(w, q.subject->cache_format);
    JEVONS_TRY(l.with_multi_head, price(w));
  }
  l.all_on = outcome[worlds - 1];
  l.all_off = outcome[0];
  std::vector<double> bytes, usd;
  for (const auto& o : outcome) {
    bytes.push_back(-std::log(o.cache_bytes_per_user));
    if (o.usd_per_output_mtok) usd.push_back(-*o.usd_per_output_mtok);
  }
  const auto byte_share = shapley(bytes);
  std::vector<double> usd_share;
  if (usd.size() == worlds) usd_share = shapley(usd);
  for (std::size_t i = 0; i < switches.size(); ++i) {
    Row r{switches[i], outcome[(worlds - 1) & ~(std::size_t{1} << i)], {}, byte_share[i]};
    if (!usd_share.empty()) r.shapley_usd = usd_share[i];
    l.rows.push_back(std::move(r));
  }
  return l;
}

Result<std::optional<double>> theta_cache(const plan::Question& q) {
  std::optional<double> cost[2];
  for (const int side : {0, 1}) {
    step::Subject s = *q.subject;
    for (auto& g : s.cache) g.bytes_per_entry *= side == 0 ? 0.8 : 1.2;
    plan::Question changed = q;
    changed.subject = &s;
    JEVONS_TRY(const plan::Plan p, plan::cheapest(changed));
    if (p.status == plan::Status::optimal) cost[side] = p.best().usd_per_output_mtok;
  }
  if (!cost[0] || !cost[1]) return std::optional<double>{};
  return std::optional<double>{std::log(*cost[1] / *cost[0]) / std::log(1.2 / 0.8)};
}

}  // namespace jevons::savings
