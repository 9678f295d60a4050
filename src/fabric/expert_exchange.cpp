#include "fabric/expert_exchange.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::fabric {
namespace {

constexpr double kPeersPerBlock = 8, kMicro = 1e-6;

}  // namespace

double balanced_destinations(double ranks, double top_k) { return std::min(ranks, top_k); }

std::optional<ExchangeKernel> exchange_kernel(const catalog::Catalog& catalog, std::string_view accelerator, std::string_view op) {
  const auto t = catalog.find(catalog::Section::collective, "trtllm-two-sided");
  const auto chip = catalog.find(catalog::Section::accelerator, accelerator);
  if (!t || !chip) return std::nullopt;
  const auto link = (*chip)->get<BytesPerSecond>("scaleup_bandwidth");
  if (!link) return std::nullopt;
  const auto& rows = (*t)->series;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    if (rows.text(r, "accelerator") != accelerator || rows.text(r, "op") != op) continue;
    const auto n = [&](std::string_view key) { return rows.number(r, key).value(); };
    ExchangeKernel k;
    k.floor = Seconds{n("floor_us") * kMicro};
    k.destination = Seconds{n("destination_us") * kMicro};
    k.field = Seconds{n("field_us") * kMicro};
    k.row = Seconds{n("row_us") * kMicro};
    k.field_row = Seconds{n("field_row_us") * kMicro};
    k.destination_per_byte = n("destination_us_per_kb") * kMicro / kKilo;
    k.row_per_byte = n("row_us_per_kb") * kMicro / kKilo;
    k.blocks = n("blocks");
    k.block_rate = BytesPerSecond{n("blocks_gb_per_s") * kGiga};
    k.link = link->value;
    k.header = Bytes{n("header_kb") * kKilo};
    k.power = n("power");
    k.spill = n("spill");
    k.spill_at = Bytes{n("spill_mb") * kMega};
    k.error = n("median_error_pct") / 100;
    return k;
  }
  return std::nullopt;
}

Seconds exchange_time(const ExchangeKernel& k, const Exchange& x) {
  JEVONS_ENSURE(x.ranks >= 1 && x.destinations > 0 && x.destinations <= x.ranks + 1e-9);
  if (x.ranks <= 1) return {};
  const double bytes = x.row.value(), more = x.fields - 1.0;
  const double width = std::ceil(x.ranks / kPeersPerBlock);
  const double channels = std::max(1.0, std::floor(k.blocks / width));
  // Rows read once and written at each destination.
  const double filled = x.tokens * bytes * (x.destinations + 1);
  const double spill = 1 + k.spill / (1 + std::pow(k.spill_at.value() / std::max(filled, 1.0), 4));
  const double warp = x.destinations / x.ranks / channels * (k.row.value() + more * k.field_row.value() + bytes * k.row_per_byte) * spill;
  const double copies = x.destinations * (x.ranks - 1) / x.ranks * (bytes + k.header.value());
  const double blocks = copies / (k.block_rate.value() * channels * width / k.blocks);
  const double link = copies / k.link.value();
  const double slowest = std::max({warp, blocks, link});
  const auto share = [&](double part) { return std::pow(part / slowest, k.power); };
  const double token = slowest * std::pow(share(warp) + share(blocks) + share(link), 1 / k.power);
  return k.floor + x.destinations * (k.destination + Seconds{bytes * k.destination_per_byte}) + more * k.field + Seconds{x.tokens * token};
}

}  // namespace jevons::fabric
