#pragma once
// What the world can deliver to a campus, when, and whether it may be shipped there.
#include <string>
#include <vector>

#include "cost/campus.hpp"

namespace jevons::cost {

/// One thing a campus needs. The first delivery comes after `lead`; then the campus gets `share` of what the world makes in a year.
struct SupplyLimit {
  std::string what, unit;
  double need = 0;                       // in `unit`; 0 for what has a lead time alone
  std::optional<double> world_per_year;  // in `unit`; nothing: only the lead time is known
  double share = 1;
  double lead_years = 0;
  /// Something is needed of which nobody publishes the output: it may limit, nobody can say when.
  bool unknown() const { return need > 0 && !world_per_year; }
  double ready_years() const { return lead_years + (world_per_year && share > 0 ? need / (*world_per_year * share) : 0); }
  /// Accelerators that this limit lets open after `years`; nothing where it does not limit them.
  std::optional<double> accelerators_by(double years, double accelerators) const;
};
/// HBM, advanced packaging, optics, transformers, switchgear and the grid, longest first. A part whose memory is not HBM needs none.
/// Facts: datacenters/supply-limits, grid_lead of the region. They are appended to `facts`.
std::vector<SupplyLimit> supply(const catalog::Catalog& catalog, const Campus& c, std::vector<const catalog::Fact*>& facts);

enum class Shipment : std::uint8_t { domestic, free, licence, denied, unknown };
std::string_view name(Shipment s);
/// May this accelerator be shipped to `country` ("us", "china", "eu")? Total processing performance is the largest of dense TFLOPS times
/// bits over the formats; performance density is not tested, because die areas are not in the catalogue: a chip between 1,600 and 4,800
/// may still be controlled. Facts: datacenters/export-rules.
struct Export {
  std::string accelerator, from;
  Shipment shipment = Shipment::unknown;
  double performance = 0;  // TPP
  std::string why;
};
Export export_of(const catalog::Catalog& catalog, const catalog::Thing& accelerator, std::string_view country,
                 std::vector<const catalog::Fact*>& facts);

}  // namespace jevons::cost
