#include "market/events.hpp"

#include <fmt/format.h>

#include <cmath>

#include "market/segments.hpp"

namespace jevons::market {
namespace {

// USD per Mtok of a mix, from the list price of a model at a date; a missing cached price is the fresh one.
std::optional<double> listed(const catalog::Series& prices, std::string_view vendor, std::string_view model, std::string_view date,
                             bool agent) {
  for (std::size_t r = 0; r < prices.rows(); ++r) {
    if (prices.text(r, "vendor") != vendor || prices.text(r, "model") != model || prices.text(r, "date") != date) continue;
    const auto in = prices.number(r, "input"), out = prices.number(r, "output");
    if (!in || !out) return std::nullopt;
    const double cached = prices.number(r, "cached").value_or(*in);
    return agent ? 0.09 * *in + 0.9 * cached + 0.01 * *out : 0.75 * *in + 0.25 * *out;
  }
  return std::nullopt;
}

void around(PriceEvent& e, const History& h, std::string_view series, double at) {
  std::vector<const Observation*> reports;
  for (const auto& o : h.observations) {
    if (h.services[o.service].series == series && !o.weak) reports.push_back(&o);
  }
  std::size_t after = 0;
  while (after < reports.size() && reports[after]->at < at + 1.0 / 12) ++after;
  std::size_t before = after;
  while (before > 0 && reports[before - 1]->at > at + 0.01) --before;
  const auto growth = [&](std::size_t a, std::size_t b) { return (reports[b]->ln_tokens - reports[a]->ln_tokens) / (reports[b]->at - reports[a]->at); };
  if (before >= 2) e.growth_before = growth(before - 2, before - 1);
  if (before == 0 || after == reports.size()) return;
  e.growth_after = growth(before - 1, after);
  const double ln_use = reports[after]->ln_tokens - reports[before - 1]->ln_tokens;
  e.ratio_of_use = std::exp(ln_use);
  if (e.price_ratio && *e.price_ratio != 1) e.arc_elasticity = -ln_use / std::log(*e.price_ratio);
}

}  // namespace

Result<std::vector<PriceEvent>> price_events(const catalog::Catalog& catalog, const History& h) {
  JEVONS_TRY(const catalog::Thing* events, catalog.find(catalog::Section::demand, "price-events"));
  JEVONS_TRY(const catalog::Thing* prices, catalog.find(catalog::Section::demand, "list-prices"));
  std::vector<PriceEvent> out;
  const auto& rows = events->series;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    PriceEvent e{std::string(rows.text(r, "date")), std::string(rows.text(r, "vendor")), {}, std::string(rows.text(r, "note"))};
    const std::string before(rows.text(r, "before")), after(rows.text(r, "after"));
    e.change = before.empty() || before == after ? after : before + " to " + after;
    const bool agent = rows.text(r, "mix") == "agent";
    e.price_ratio = rows.number(r, "given_ratio");
    if (!e.price_ratio && !before.empty()) {
      const auto old = listed(prices->series, e.vendor, before, rows.text(r, "before_date"), agent);
      const auto now = listed(prices->series, e.vendor, after, rows.text(r, "after_date"), agent);
      if (old && now) e.price_ratio = *now / *old;
    }
    JEVONS_TRY(const double at, years_of(e.date));
    around(e, h, rows.text(r, "series"), at);
    out.push_back(std::move(e));
  }
  return out;
}

double Vertical::share(double usd_per_token, double years) const {
  const double cost = tokens_per_task * usd_per_token + overhead_usd * std::exp(-overhead_decline * years);
  return std::exp(log_above(std::log(cost / value_usd) / spread));
}

Result<std::vector<Vertical>> read_verticals(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::demand, "verticals"));
  const auto& rows = thing->series;
  std::vector<Vertical> out;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    const auto at = [&](std::string_view column) { return rows.number(r, column).value_or(0); };
    Vertical v{std::string(rows.text(r, "vertical")), std::string(rows.text(r, "segment")), std::string(rows.text(r, "basis")),
               at("tokens_per_task"), at("value_usd"), at("spread"), at("overhead_usd"), at("overhead_decline")};
    if (!(v.tokens_per_task > 0 && v.value_usd > 0 && v.spread > 0 && v.overhead_usd > 0))
      return bad_input(fmt::format("{} {}", thing->file, v.name), "a quantity that is not positive", "values above 0");
    out.push_back(std::move(v));
  }
  return out;
}

}  // namespace jevons::market
