#include "engine/forecast_chain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"

namespace jevons::engine {
namespace {

// A tier's model on its accelerator, asked for one segment's workload.
Result<plan::Question> question(const catalog::Catalog& catalog, const step::Subject& subject, const TierChoice& tier,
                                const market::Segment& segment, UsdPerSecond hour) {
  plan::Question q{&catalog, &subject, {}, {}, hour, 1.0};
  q.workload.osl = std::fmax(2, std::round(segment.output * segment.request_tokens));
  q.workload.isl = std::fmax(16, std::round(segment.request_tokens - q.workload.osl));
  q.workload.prefix_hit_rate = segment.cached / (segment.fresh + segment.cached);
  q.workload.chunk = 8192;
  q.limits.tpot_s = tier.tpot_s;
  q.limits.max_accelerators = int(std::min(64.0, subject.chip.scaleup_domain.value_or(1)));
  JEVONS_TRY(const catalog::Thing* engine, catalog.find(catalog::Section::efficiency, "engine-memory"));
  q.workload.host_constant = engine->get<Seconds>("host_constant")->value.value();
  return q;
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
      JEVONS_TRY(const plan::Question q, question(catalog, subject, tier, segments[s], hour.total));
      JEVONS_TRY(const plan::Plan p, plan::cheapest(q));
      if (p.status != plan::Status::optimal)
        return bad_input(place, fmt::format("{} on {} cannot serve {}: {}", tier.model, tier.accelerator, segments[s].name, p.explanation),
                         "a deployment that fits", "name a smaller model, more memory or a slower tpot for this tier");
      const plan::Candidate& best = p.best();
      const double tokens = q.workload.isl + q.workload.osl;
      const double seconds = (best.cost.per_request / hour.total).value() / tokens;  // of one accelerator, per token
      TierResource row{segments[s].name, tier.tier, tier.model, tier.accelerator};
      row.usd_per_mtok = best.cost.per_request.value() / tokens * 1e6;
      row.h100e_seconds_per_mtok = seconds * h100e * 1e6;
      row.hbm_byte_seconds_per_token = seconds * memory;
      const double fresh = q.workload.isl * (1 - q.workload.prefix_hit_rate);
      const double linear = model::decode_linear_flops(subject.parameters);
      row.flops_per_token = linear * (fresh + q.workload.osl) / tokens;
      if (with_theta) {
        JEVONS_TRY(row.theta, savings::theta_cache(q));
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
