#include "engine/forecast_chain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"
#include "engine/plan_page.hpp"
#include "savings/ledger.hpp"

namespace jevons::engine {
namespace {

// Accuracy that a forecast needs of each plan: prices and tiers are assumed within tens of per cent.
constexpr double kGap = 0.03;
constexpr int kRounds = 3, kMostAccelerators = 16;  // of one replica

// A tier's model on its accelerator, asked for one segment's workload.
Result<savings::Frame> question(const catalog::Catalog& catalog, const model::Model& model, const step::Subject& subject,
                                const TierChoice& tier, const market::Segment& segment, UsdPerSecond hour) {
  savings::Frame f{.question = {.catalog = &catalog, .model = &model}};
  f.osl = std::fmax(2, std::round(segment.output * segment.request_tokens));
  f.isl = std::fmax(16, std::round(segment.request_tokens - f.osl));
  plan::Question& q = f.question;
  serve::EnginePolicy policy = serve::defaults_of(serve::Engine::vllm);
  policy.max_num_seqs = 1024;
  policy.max_num_batched_tokens = 8192;
  JEVONS_TRY(const step::Served served, step::Served::read(catalog));
  policy.host_constant = traffic::SimTime(served.host_request(serve::name(policy.engine)) * double(traffic::kNsPerSecond));
  q.knobs.chips = {{.thing = subject.chip.thing, .usd_per_s = hour.value(), .policies = {policy}}};
  q.knobs.dp = {1};  // attention ranks side by side would have to be simulated one by one, for less than a forecast can tell
  q.budget.accelerators = std::min(kMostAccelerators, int(subject.chip.scaleup_domain.value_or(1)));
  plan::Load load;
  load.prefix_hit_rate = segment.cached / (segment.fresh + segment.cached);
  if (load.prefix_hit_rate > 0) q.knobs.routings = {serve::Routing::prefix_aware};
  load.warmup_rounds = 2;
  load.rounds = q.terms.rounds = kRounds;
  load.block_tokens = policy.block_size;
  load.users.input = traffic::Fixed{f.isl};
  load.users.output = traffic::Fixed{f.osl};
  q.terms.workload = [load](int c) { return plan::closed_load(load, std::max(1, c)); };
  q.terms.slo = {{plan::Slo::Metric::tpot, {}, tier.tpot_s}};
  q.terms.gap = kGap;
  q.terms.steady = true;
  q.max_context = std::int64_t(f.isl + f.osl);
  return f;
}

}  // namespace

Result<std::array<TierChoice, market::kTiers>> read_tiers(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::demand, "tiers"));
  const auto& rows = thing->series;
  std::array<TierChoice, market::kTiers> out;
  for (std::size_t j = 0; j < market::kTiers; ++j) {
    std::size_t r = 0;
    while (r < rows.rows() && rows.text(r, "tier") != market::kTierNames[j]) ++r;
    if (r == rows.rows()) return bad_input(fmt::format("{} {}", thing->file, market::kTierNames[j]), "has no row", "one row per tier");
    const auto at = [&](std::string_view column) { return rows.number(r, column).value_or(0); };
    out[j] = {std::string(market::kTierNames[j]),
              std::string(rows.text(r, "model")),
              std::string(rows.text(r, "accelerator")),
              at("tpot_ms") / 1e3,
              at("fresh") * 1e-6,
              at("cached") * 1e-6,
              at("output") * 1e-6};
  }
  return out;
}

Result<TierResources> plan_tiers(const catalog::Catalog& catalog, const std::array<TierChoice, market::kTiers>& tiers,
                                 const market::Segments& segments, bool with_theta, const Progress& progress) {
  JEVONS_TRY(const catalog::Thing* h100, catalog.find(catalog::Section::accelerator, "h100-sxm"));
  const double h100_rate = catalog::accelerator(*h100).peak_fp8->value.value();
  TierResources out;
  for (std::size_t j = 0; j < market::kTiers; ++j) {
    const TierChoice& tier = tiers[j];
    const std::string place = fmt::format("tiers.{}", tier.tier);
    JEVONS_TRY(const model::Model m, load_model(catalog, tier.model));
    JEVONS_TRY(const step::Subject subject, make_subject(catalog, m, tier.accelerator));
    JEVONS_TRY(const cost::GpuHour hour, cost::gpu_hour(catalog, subject.chip, cost::Basis::owner));
    const auto rate = subject.chip.peak_fp8    ? subject.chip.peak_fp8
                      : subject.chip.peak_int8 ? subject.chip.peak_int8
                                               : subject.chip.peak_bf16;
    if (!rate)
      return bad_input(place, fmt::format("{} has no known peak rate", tier.accelerator),
                       "an accelerator with peak_fp8, peak_int8 or peak_bf16");
    const double h100e = rate->value.value() / h100_rate;
    const double memory = subject.chip.memory->value.value();
    for (std::size_t s = 0; s < market::kSegments; ++s) {
      if (progress) progress(double(j * market::kSegments + s) / double(market::kTiers * market::kSegments), "planning tiers");
      JEVONS_TRY(const savings::Frame f, question(catalog, m, subject, tier, segments[s], hour.total));
      JEVONS_TRY(const plan::Answer p, plan::answer(f.question));
      if (p.best() == nullptr)
        return bad_input(
            place,
            fmt::format("{} on {} cannot serve {}: {}", tier.model, tier.accelerator, segments[s].name, why_not(f.question, p).binds),
            "a deployment that fits", "name a smaller model, more memory or a slower tpot for this tier");
      const double tokens = f.isl + f.osl;
      const double seconds = p.shape(*p.best()).accelerators / p.best()->metrics.requests_per_s / tokens;  // of one accelerator, per token
      TierResource row{segments[s].name, tier.tier, tier.model, tier.accelerator};
      row.usd_per_mtok = seconds * hour.total.value() * 1e6;
      row.h100e_seconds_per_mtok = seconds * h100e * 1e6;
      row.hbm_byte_seconds_per_token = seconds * memory;
      const double cached = segments[s].cached / (segments[s].fresh + segments[s].cached);
      const double linear = model::decode_linear_flops(subject.parameters);
      row.flops_per_token = linear * (f.isl * (1 - cached) + f.osl) / tokens;
      if (with_theta) {
        // At the optimum a small change of the placement is worth nothing (envelope theorem): only the load is chosen anew.
        const step::Placement& best = p.ask.choices[p.shape(*p.best()).parts.front().choice].replica->design().placement;
        savings::Frame near = f;
        near.question.knobs.tp = {best.tp};
        near.question.knobs.pp = {best.pp};
        near.question.knobs.ep = {best.ep};
        near.question.budget.accelerators = best.accelerators();
        JEVONS_TRY(row.theta, savings::elasticity(near, savings::Input::cache_bytes));
      }
      out.push_back(std::move(row));
    }
  }
  return out;
}

market::Resources resources_of(const TierResources& rows, const std::array<TierChoice, market::kTiers>& tiers,
                               const market::Segments& segments) {
  market::Resources out{};
  for (const auto& row : rows) {
    for (std::size_t s = 0; s < market::kSegments; ++s) {
      for (std::size_t j = 0; j < market::kTiers; ++j) {
        if (row.segment != segments[s].name || row.tier != tiers[j].tier) continue;
        const auto& x = segments[s];
        out[s][j] = {x.fresh * tiers[j].fresh + x.cached * tiers[j].cached + x.output * tiers[j].output, row.h100e_seconds_per_mtok * 1e-6,
                     row.hbm_byte_seconds_per_token, row.flops_per_token};
      }
    }
  }
  return out;
}

}  // namespace jevons::engine
