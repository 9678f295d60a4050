#include "savings/replanned.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "savings/attribution.hpp"
#include "savings/counterfactual.hpp"

namespace jevons::savings {
namespace {

constexpr int kFine = 96;  // concurrencies for each factor of two, where small changes must show

// The frame with the levers of `mask` on and the others replaced.
struct Changed {
  model::Model model;
  plan::Knobs knobs;
};
Changed changed(const Frame& f, const std::vector<LeverInUse>& levers, std::size_t mask) {
  Changed c{*f.model, f.knobs};
  const auto off = [&](Lever l) {
    for (std::size_t i = 0; i < levers.size(); ++i) {
      if (levers[i].lever == l) return (mask >> i & 1) == 0;
    }
    return false;
  };
  if (off(Lever::sparsity)) c.model = without_sparsity(c.model);
  if (off(Lever::windows)) c.model = without_windows(c.model);
  if (off(Lever::attention)) c.model = with_gqa(c.model, 8);
  if (off(Lever::cache_format)) c.knobs.caches = {"bf16"};
  if (off(Lever::weight_format)) c.knobs.weights = {"bf16"};
  if (off(Lever::speculation)) c.knobs.drafts = {0};
  if (off(Lever::split)) c.knobs.split = plan::Split::none;
  if (off(Lever::wide_ep)) c.knobs.ep = {1};
  for (plan::Chip& chip : c.knobs.chips) {
    for (auto& p : chip.policies) {
      if (off(Lever::prefix_cache)) p.enable_prefix_caching = false;
      if (off(Lever::batching)) p.max_num_seqs = 1;
    }
  }
  return c;
}

Best describe(const Frame& f, const plan::Ask& ask, const plan::Point& p) {
  const plan::Shape& shape = ask.shapes[p.shape];
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
  b.cache_bytes_per_user = model::cache_stored(s.cache, std::int64_t(f.isl + f.osl));
  const double context = f.isl + f.osl / 2, batch = std::max(1.0, m.mean_batch * r.design().placement.dp);
  b.hbm_bytes_per_token =
      (model::cache_read(s.cache, std::int64_t(context)) + model::step_weight_bytes(*s.model, s.weight_bytes, batch) / batch) / r.yield();
  b.flops_per_token = model::decode_linear_flops(s.parameters) + model::decode_attention_flops(*s.model, std::int64_t(context)).total() +
                      model::prefill_flops(*s.model, s.parameters, std::int64_t(f.isl)).total() / f.osl * (1 - m.cache_hit_rate);
  b.accelerator_s_per_token = shape.accelerators / m.output_tok_s;
  b.joules_per_token = shape.watts / m.output_tok_s;
  b.usd_per_accelerator_s = shape.usd_per_s / shape.accelerators;
  b.bandwidth = s.chip.hbm_bandwidth->value.value();
  b.peak = s.chip.peak_bf16->value.value();
  b.users_per_accelerator = m.e2e.mean * m.requests_per_s / shape.accelerators;  // Little
  return b;
}

Result<World> plan_anew(const Frame& f, const model::Model& m, const plan::Knobs& knobs, int per_octave, double gap) {
  World w;
  JEVONS_TRY(plan::Space space, plan::space_of(*f.catalog, m, knobs, f.budget, f.ask.closed, f.max_context, f.ask.threads));
  plan::Ask ask = asked_alike(f.ask);
  ask.objective = plan::Objective::usd_per_mtok;
  ask.per_octave = per_octave;
  ask.gap = gap;
  ask.choices = std::move(space.choices);
  ask.shapes = std::move(space.shapes);
  if (ask.shapes.empty()) {
    w.why_not = space.no_fit.empty() ? "no deployment within the budget" : "memory: " + space.no_fit;
    return w;
  }
  JEVONS_TRY(const plan::Search found, plan::search(ask));
  if (found.best)
    w.best = describe(f, ask, found.points[*found.best]);
  else
    w.why_not = "no deployment meets the limits";
  return w;
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

plan::Ask asked_alike(const plan::Ask& x) {
  plan::Ask a;
  a.catalog = x.catalog;
  a.objective = x.objective;
  a.slo = x.slo;
  a.workload = x.workload;
  a.closed = x.closed;
  a.equal_requests = x.equal_requests;
  a.max_concurrency = x.max_concurrency;
  a.per_octave = x.per_octave;
  a.threads = x.threads;
  a.gap = x.gap;
  a.max_simulated = x.max_simulated;
  a.stop = x.stop;
  return a;
}

std::vector<LeverInUse> levers_in_use(const Frame& f) {
  std::vector<LeverInUse> out;
  const model::Model& m = *f.model;
  const auto other = [](const model::Model& a, const model::Model& b) {
    return a.kinds.size() != b.kinds.size() ||
           !std::equal(a.kinds.begin(), a.kinds.end(), b.kinds.begin(), [](const auto& x, const auto& y) { return x.layer == y.layer; });
  };
  const auto any_kind = [&](auto&& test) {
    return std::any_of(m.kinds.begin(), m.kinds.end(), [&](const auto& k) { return test(k.layer); });
  };
  const bool csa = any_kind([](const model::Layer& l) { return std::holds_alternative<model::Csa>(l.attention); });
  const bool experts = any_kind([](const model::Layer& l) { return l.moe.has_value(); });
  if (other(with_gqa(m, 8), m))
    out.push_back({Lever::attention, csa ? "compressed attention" : "latent attention (MLA)", "GQA-8, heads of 128"});
  if (other(without_sparsity(m), m)) out.push_back({Lever::sparsity, "sparse attention (top-k)", "dense attention"});
  if (other(without_windows(m), m)) out.push_back({Lever::windows, "sliding windows", "full attention in every layer"});
  const auto only = [](const std::vector<std::string>& v, std::string_view x) { return v.size() == 1 && v[0] == x; };
  const bool native_cache = only(f.knobs.caches, "native") && model::resolve(m, model::CacheFormat::native) == model::CacheFormat::bf16;
  if (!only(f.knobs.caches, "bf16") && !native_cache) out.push_back({Lever::cache_format, "KV cache quantization", "cache in bf16"});
  const bool native_weights = only(f.knobs.weights, "native") && m.native_weights == "bf16";
  if (!only(f.knobs.weights, "bf16") && !native_weights) out.push_back({Lever::weight_format, "weight quantization", "weights in bf16"});
  const auto sample = f.ask.workload(f.ask.closed ? 1 : 0);
  if (sample && sample->requests.prefix.known()) out.push_back({Lever::prefix_cache, "prefix caching", "prompts computed anew"});
  if (std::any_of(f.knobs.drafts.begin(), f.knobs.drafts.end(), [](int d) { return d > 0; }))
    out.push_back({Lever::speculation, "speculation (MTP)", "one token a step"});
  if (f.knobs.split != plan::Split::none) out.push_back({Lever::split, "prefill and decode pools", "one pool"});
  if (experts && (f.knobs.ep.empty() || f.knobs.ep.back() > 1))
    out.push_back({Lever::wide_ep, "expert parallelism", "experts split like the rest"});
  out.push_back({Lever::batching, "continuous batching", "one sequence a rank"});
  return out;
}

Result<ReplannedLedger> replanned_ledger(const Frame& f, const std::vector<LeverInUse>& levers) {
  ReplannedLedger l;
  const std::size_t n = std::size_t{1} << levers.size(), all = n - 1;
  std::vector<World> worlds(n);
  std::vector<double> usd(n), bytes(n);
  for (std::size_t mask = 0; mask < n; ++mask) {
    const Changed c = changed(f, levers, mask);
    JEVONS_TRY(worlds[mask], plan_anew(f, c.model, c.knobs, f.ask.per_octave, f.ask.gap));
    ++l.plans;
    if (worlds[mask].best)
      usd[mask] = -worlds[mask].best->usd_per_mtok;
    else
      ++l.infeasible;
    // Bytes do not depend on the deployment: they are counted where none is feasible too.
    JEVONS_TRY(const model::CacheFormat format, model::parse_cache_format(c.knobs.caches.front()));
    const auto groups = model::cache_groups(c.model, model::resolve(c.model, format));
    bytes[mask] = -std::log(model::cache_stored(groups, std::int64_t(f.isl + f.osl)));
    if (f.ask.progress) f.ask.progress(double(mask + 1) / double(n) * 0.9, "planning without techniques");
    if (f.ask.stop != nullptr && f.ask.stop->load()) break;
  }
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

Result<std::vector<Elasticity>> elasticities(const Frame& f) {
  constexpr double kPart = 0.1;
  std::vector<Elasticity> out;
  const auto of = [&](std::string name, auto&& change) -> Result<void> {
    std::optional<double> cost[2];
    for (const int side : {0, 1}) {
      plan::Knobs k = f.knobs;
      change(k.change, side == 0 ? 1 - kPart : 1 + kPart);
      JEVONS_TRY(const World w, plan_anew(f, *f.model, k, kFine, 0.002));
      if (w.best) cost[side] = w.best->usd_per_mtok;
    }
    std::optional<double> e;
    if (cost[0] && cost[1]) e = std::log(*cost[1] / *cost[0]) / std::log((1 + kPart) / (1 - kPart));
    out.push_back({std::move(name), e});
    return {};
  };
  const auto chip = catalog::accelerator(*f.knobs.chips.front().thing);
  const double memory = chip.memory ? chip.memory->value.value() : 0;
  JEVONS_CHECK(of("KV bytes", [](plan::Change& c, double x) { c.cache_bytes = x; }));
  JEVONS_CHECK(of("HBM capacity", [&](plan::Change& c, double x) { c.memory = memory * (x - 1); }));
  JEVONS_CHECK(of("HBM bandwidth", [](plan::Change& c, double x) { c.bandwidth = x; }));
  JEVONS_CHECK(of("peak FLOP/s", [](plan::Change& c, double x) { c.flops = x; }));
  JEVONS_CHECK(of("network bandwidth", [](plan::Change& c, double x) { c.links = x; }));
  return out;
}

std::optional<double> rebound_threshold(double theta) {
  if (theta <= 0) return std::nullopt;
  if (theta >= 2) return 0.0;
  return std::log(2) / -std::log(1 - theta / 2);
}

}  // namespace jevons::savings
