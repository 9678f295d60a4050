#include "fabric/times.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "fabric/expert_exchange.hpp"

namespace jevons::fabric {
namespace {

constexpr double kMostRanks = 1e9, kMostMeasured = 128;
constexpr double kWidth = 7168, kTopK = 8;

// Endpoints that share a first-tier switch of every plane.
double group(const Network& n) {
  if (n.shape != Shape::clos || n.tiers == 1) return n.endpoints;
  if (n.endpoints_per_leaf) return std::min(*n.endpoints_per_leaf, n.endpoints);
  return std::clamp(reach(n.radix, 1, 1, std::ceil(n.endpoint_bandwidth / n.planes / (n.switch_capacity / n.radix) - 1e-9)) *
                        n.oversubscription / (1 + n.oversubscription),
                    1.0, n.endpoints);
}

void bounds(const Network& n, const PartsList& list, Bytes bytes, std::vector<CollectiveTime>& out) {
  const int ranks = int(n.endpoints);
  const BytesPerSecond b = n.endpoint_bandwidth;
  const Seconds a = list.latency.value_or(Seconds{});
  const auto add = [&](std::string op, std::string how, Seconds t) {
    out.push_back({std::move(op), how + ", bound", ranks, bytes, t, {}});
  };
  // A ring laid along the leaves crosses the upper tiers once a leaf: its steps take the mean of both latencies.
  const double inside = group(n);
  const Seconds one = n.switch_latency.value_or(Seconds{});
  const Seconds step = inside > 1 && inside < n.endpoints ? one * (1 - 1 / inside) + a / inside : a;
  add("all-reduce", "ring", ring_all_reduce(ranks, bytes, b, step));
  if (n.shape == Shape::clos) {
    add("all-reduce", "tree", tree_all_reduce(ranks, bytes, b, a));
    add("all-reduce", "in the switch", in_switch_all_reduce(ranks, bytes, b, a));
  }
  if (inside > 1 && inside < n.endpoints) {
    const int n_in = int(inside), n_out = int(std::ceil(n.endpoints / n_in));
    add("all-reduce", fmt::format("{} x {}", n_in, n_out), hierarchical_all_reduce(n_in, n_out, bytes, b, b / n.oversubscription, one, a));
  }
  add("all-gather", "ring", ring_all_gather(ranks, bytes, b, step));
  // Traffic of all to all crosses the bisection: half of it in each direction.
  const Seconds cut = bytes * (n.endpoints / 4) / list.bisection;
  add("all-to-all", "direct", max(all_to_all(ranks, bytes, b, a), a + cut));
}

void exchanges(const catalog::Catalog& catalog, const Network& n, std::string_view chip, const ExchangeQuestion& q,
               std::vector<CollectiveTime>& out) {
  JEVONS_ENSURE(q.format == "bf16" || q.format == "fp8" || q.format == "nvfp4");
  const double ranks = std::min(n.endpoints, q.ranks);
  const double to = q.balanced ? balanced_destinations(ranks, kTopK) : random_destinations(ranks, kTopK);
  for (const auto& [op, label] : {std::pair{"moe_dispatch", "expert dispatch"}, std::pair{"moe_combine", "expert combine"}}) {
    const auto kernel = exchange_kernel(catalog, chip, op);
    if (!kernel) continue;
    const bool narrow = std::string_view(op) == "moe_dispatch" && q.format != "bf16", scaled = narrow && q.format == "nvfp4";
    const Bytes row{kWidth * (scaled ? 0.5625 : narrow ? 1 : 2)};
    for (const double tokens : q.tokens) {
      const Seconds t = exchange_time(*kernel, {tokens, row, scaled ? 2 : 1, ranks, to});
      out.push_back(
          {label,
           fmt::format("fitted, {} ({:.0f} tokens, top 8{}, {})", chip, tokens, q.balanced ? "" : " at random", narrow ? q.format : "bf16"),
           int(ranks), row * tokens, t, kernel->error});
    }
  }
}

void measured(const catalog::Catalog& catalog, const Network& n, Bytes bytes, const ExchangeQuestion& q, std::vector<CollectiveTime>& out) {
  for (const auto* chip : catalog.things(catalog::Section::accelerator)) {
    if (chip->attribute("scaleup_system") != n.name) continue;
    const auto note = [&](std::string_view what) { return fmt::format("measured, {} ({})", chip->name, what); };
    for (const auto& [op, label] :
         {std::pair{"all_reduce", "all-reduce"}, std::pair{"all_gather", "all-gather"}, std::pair{"all_to_all", "all-to-all"}}) {
      for (int ranks = int(std::min(n.endpoints, kMostMeasured)); ranks > 1; --ranks) {
        const auto f = measured_fit(catalog, chip->name, op, ranks);
        if (!f) continue;
        out.push_back({label, note("NCCL fit"), ranks, bytes, fitted_time(*f, op, ranks, bytes), f->error});
        break;
      }
    }
    exchanges(catalog, n, chip->name, q, out);
  }
}

}  // namespace

std::vector<CollectiveTime> collective_times(const catalog::Catalog& catalog, const Network& n, const PartsList& list, Bytes bytes,
                                             const ExchangeQuestion& exchange) {
  std::vector<CollectiveTime> out;
  if (n.endpoints < 2 || n.endpoints > kMostRanks) return out;
  bounds(n, list, bytes, out);
  measured(catalog, n, bytes, exchange, out);
  return out;
}

}  // namespace jevons::fabric
