#include "engine/links.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace jevons::engine {

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

plan::Question question_of(const catalog::Catalog& catalog, Answers& a) {
  if (a.scenario.limits.max_accelerators == 0) {
    const auto& l = a.scenario.limits;
    const int given = l.tp.value_or(1) * l.dp.value_or(1) * l.pp.value_or(1);
    a.scenario.limits.max_accelerators = std::max(given, int(std::min(64.0, a.subject.chip.scaleup_domain.value_or(1))));
  }
  plan::Question q{&catalog,          &a.subject,   a.scenario.workload,
                   a.scenario.limits, a.hour.total, a.scenario.settings.number("cost.utilization")};
  const auto engine = catalog.find(catalog::Section::efficiency, "engine-memory");
  if (engine) q.workload.host_constant = (*engine)->get<Seconds>("host_constant")->value.value();
  return q;
}

Result<void> look_into_the_step(const catalog::Catalog& catalog, Answers& a) {
  const plan::Candidate& best = a.plan.best();
  JEVONS_TRY(const step::StepTime time, step::StepTime::make(catalog, a.subject, best.placement));
  a.band = time.constants().band;
  a.borrowed = time.constants().borrowed;
  a.operand_note = time.operand_note;
  JEVONS_TRY(const catalog::Thing* memory, catalog.find(catalog::Section::efficiency, "engine-memory"));
  a.constants = {time.constants().thing, memory};
  a.step_terms =
      time.terms({best.state.batch * (1 + a.scenario.workload.draft_tokens), a.scenario.workload.isl + a.scenario.workload.osl / 2, 0, 0});
  return {};
}

Result<std::optional<Comparison>> compare(const catalog::Catalog& catalog, const Answers& a, const plan::Question& question) {
  if (a.scenario.compare_with.empty()) return std::optional<Comparison>{};
  JEVONS_TRY(const model::Model other, load_model(catalog, a.scenario.compare_with));
  JEVONS_TRY(const step::Subject subject,
             make_subject(catalog, other, a.scenario, a.scenario.settings.text("weights"), a.scenario.settings.text("kv_cache_dtype")));
  Comparison c{.name = other.name};
  c.bytes_of_one_user = model::cache_stored(subject.cache, a.scenario.context);
  c.decode_flops = model::decode_linear_flops(subject.parameters) + model::decode_attention_flops(other, a.scenario.context).total();
  plan::Question q = question;
  q.subject = &subject;
  JEVONS_TRY(plan::Plan p, plan::cheapest(q));
  if (p.status != plan::Status::optimal && !a.scenario.settings.has("limits.max_accelerators")) {
    q.limits.max_accelerators *= 8;  // it may need more room than the model itself
    JEVONS_TRY(p, plan::cheapest(q));
  }
  if (p.status == plan::Status::optimal) c.best = p.best();
  return std::optional<Comparison>{std::move(c)};
}

std::optional<Fleet> fleet_of(const catalog::Catalog& catalog, const Answers& a) {
  if (a.scenario.request_rate <= 0) return std::nullopt;
  const plan::Candidate& best = a.plan.best();
  Fleet f;
  const double utilization = a.scenario.settings.number("cost.utilization");
  f.replicas = std::ceil(a.scenario.request_rate / (best.state.requests_per_s * utilization) - 1e-9);
  f.accelerators = f.replicas * best.placement.accelerators();
  f.scaleup = fabric::scaleup_bill(catalog, *a.subject.chip.thing, f.accelerators);
  f.power = a.hour.power * f.accelerators;
  f.per_year = a.hour.total * Seconds{kHoursPerYear * 3600 * f.accelerators};
  f.output_tokens_per_day = a.scenario.request_rate * a.scenario.workload.osl * 86400;
  f.joules_per_output_token = f.power.value() / (a.scenario.request_rate * a.scenario.workload.osl);
  return f;
}

market::Saving saving_of(const Answers& a, std::string& what) {
  const Settings& s = a.scenario.settings;
  market::Saving v{.eps_low = s.number("market.elasticity_low"),
                   .eps_high = s.number("market.elasticity_high"),
                   .pass_through = s.number("market.pass_through"),
                   .supply_feedback = s.number("market.supply_feedback")};
  const double now = a.plan.best().usd_per_output_mtok;
  double before = now, bytes_before = a.memory.bytes;
  if (a.comparison && a.comparison->best) {
    what = fmt::format("against {}, each at its own cheapest deployment", a.comparison->name);
    before = a.comparison->best->usd_per_output_mtok;
    bytes_before = a.comparison->bytes_of_one_user;
  } else if (a.ledger.all_off.usd_per_output_mtok && !a.ledger.rows.empty()) {
    what = "all techniques of the ledger against none";
    before = *a.ledger.all_off.usd_per_output_mtok;
    bytes_before = a.ledger.all_off.cache_bytes_per_user;
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
  const double now = to_usd_per_mtok(a.plan.best().cost.blended);
  std::vector<Lever> out{
      {fmt::format("step times, 90 % band of {:.0f} %", a.band * 100), now * (1 - a.band), now / (1 - std::min(0.9, a.band))}};
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
