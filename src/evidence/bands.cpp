#include "evidence/bands.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::evidence {
namespace {

constexpr std::string_view kNames[] = {"seen block", "seen engine and format", "new model", "new chip", "near the KV limit"};
constexpr std::size_t kEnough = 20, kEnoughNearLimit = 8;

Interval interval_of(std::vector<double> r) {
  std::sort(r.begin(), r.end());
  // Conformal ranks: each tail holds 5 % of n + 1.
  const double n = double(r.size());
  const auto low = std::size_t(std::max(1.0, std::floor(0.05 * (n + 1)))), high = std::size_t(std::min(n, std::ceil(0.95 * (n + 1))));
  return {std::exp(r[low - 1]), std::exp(r[high - 1])};
}

}  // namespace

std::string_view name(Regime r) { return kNames[std::size_t(r)]; }

Result<Bands> read_bands(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::efficiency, "served-bands"));
  Bands out;
  const catalog::Series& s = t->series;
  for (std::size_t row = 0; row < s.rows(); ++row) {
    const auto at = std::find(std::begin(kNames), std::end(kNames), s.text(row, "regime"));
    if (at == std::end(kNames)) return bad_input(std::string(t->file), "unknown regime '" + std::string(s.text(row, "regime")) + "'");
    const auto number = [&](std::string_view column) { return s.number(row, column).value_or(1); };
    out[std::size_t(at - std::begin(kNames))] = {{{number("tpot_low"), number("tpot_high")},
                                                  {number("ttft_low"), number("ttft_high")},
                                                  {number("output_low"), number("output_high")}},
                                                 number("cases")};
  }
  return out;
}

Seen seen_in(const step::ServedBlocks& blocks) {
  Seen seen;
  for (const auto& [key, factors] : blocks) {
    seen.blocks.insert(key);
    const auto model = key.find('/'), chip = key.find('/', model + 1);
    seen.models.insert(key.substr(0, model));
    seen.chips.insert(key.substr(model + 1, chip - model - 1));
  }
  return seen;
}

Regime regime_of(const Deployed& d, bool near_limit, const Seen& seen) {
  if (near_limit) return Regime::near_limit;
  if (!seen.chips.contains(d.accelerator)) return Regime::new_chip;
  if (!seen.models.contains(d.model)) return Regime::new_model;
  return seen.blocks.contains(d.block) ? Regime::seen_block : Regime::seen_engine_format;
}

MetricBands band_of(const Prediction& p, const MetricBands& regime) {
  const auto about = [](const Interval& band, const Interval& capacity) {
    return Interval{band.low * capacity.low, band.high * capacity.high};
  };
  MetricBands out = regime;
  out.tpot = about(regime.tpot, p.capacity.tpot);
  out.ttft = about(regime.ttft, p.capacity.ttft);
  out.output_tok_s = about(regime.output_tok_s, p.capacity.output_tok_s);
  return out;
}

Residual residual_of(const Prediction& p, Regime regime) {
  const Case& c = *p.of;
  const auto beyond = [](double ratio, const Interval& capacity) {
    return ratio > capacity.high ? std::log(ratio / capacity.high) : ratio < capacity.low ? std::log(ratio / capacity.low) : 0;
  };
  Residual r{regime, {}, {}, {}};
  if (c.tpot_s && *c.tpot_s > 0) r.tpot = beyond(*c.tpot_s / p.tpot_s, p.capacity.tpot);
  if (c.ttft_usable && c.ttft_s && *c.ttft_s > 0) r.ttft = beyond(*c.ttft_s / p.ttft_s, p.capacity.ttft);
  if (const auto measured = measured_output(c)) r.output_tok_s = beyond(*measured / p.output_tok_s, p.capacity.output_tok_s);
  return r;
}

Bands bands_of(std::span<const Residual> residuals) {
  // A regime without enough residuals of its own borrows from the next less known, in the end from all.
  constexpr std::size_t kNext[] = {1, 2, 3, kRegimes, kRegimes};
  Bands out;
  for (std::size_t regime = 0; regime < kRegimes; ++regime) {
    const auto pick = [&](std::optional<double> Residual::* metric, double* n) {
      std::vector<double> r;
      for (std::size_t from = regime;;) {
        for (const Residual& x : residuals) {
          if ((from == kRegimes || std::size_t(x.regime) == from) && (x.*metric)) r.push_back(*(x.*metric));
        }
        if (r.size() >= (Regime(from) == Regime::near_limit ? kEnoughNearLimit : kEnough) || from == kRegimes) break;
        from = kNext[from];
        r.clear();
      }
      if (n != nullptr) *n = double(r.size());
      return r.empty() ? Interval{} : interval_of(std::move(r));
    };
    MetricBands& b = out[regime];
    b.tpot = pick(&Residual::tpot, &b.cases);
    b.ttft = pick(&Residual::ttft, nullptr);
    b.output_tok_s = pick(&Residual::output_tok_s, nullptr);
  }
  // A nearly full cache makes nothing surer.
  MetricBands& near = out[std::size_t(Regime::near_limit)];
  for (const MetricBands& b : out) {
    if (b.cases < kEnough) continue;
    for (const auto metric : {&Intervals::tpot, &Intervals::ttft, &Intervals::output_tok_s}) {
      (near.*metric).low = std::min((near.*metric).low, (b.*metric).low);
      (near.*metric).high = std::max((near.*metric).high, (b.*metric).high);
    }
  }
  return out;
}

}  // namespace jevons::evidence
