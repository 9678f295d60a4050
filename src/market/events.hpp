#pragma once
// Price changes as natural experiments, and professions as adoption thresholds: two read-outs of the catalogue beside the model.
#include <optional>
#include <string>
#include <vector>

#include "market/history.hpp"

namespace jevons::market {

/// One price change: how much, and what the vendor's series did around it.
struct PriceEvent {
  std::string date, vendor, change, note;
  std::optional<double> price_ratio;           // after over before in the named mix; nothing when a price is not known
  std::optional<double> growth_before, growth_after;  // ln/yr of the series between the reports around the event
  std::optional<double> ratio_of_use;          // first report at least a month after, over the last before
  std::optional<double> arc_elasticity;        // if all of that were the price: an upper bound, or lower for a rise
};
Result<std::vector<PriceEvent>> price_events(const catalog::Catalog& catalog, const History& h);

struct Vertical {
  std::string name, segment, basis;
  double tokens_per_task = 0, value_usd = 0, spread = 1, overhead_usd = 0, overhead_decline = 0;
  /// Share of its tasks worth more than tokens and overhead, at a token price (USD per token) years after the anchor.
  double share(double usd_per_token, double years) const;
};
Result<std::vector<Vertical>> read_verticals(const catalog::Catalog& catalog);

}  // namespace jevons::market
