#include "fabric/collectives.hpp"

#include <cmath>

namespace jevons::fabric {

double random_destinations(double ranks, double top_k) { return ranks * (1 - std::pow(1 - 1 / ranks, top_k)); }

double dispatch_copies(double ranks, double top_k) {
  if (ranks <= 1) return 0;
  return random_destinations(ranks, top_k) * (ranks - 1) / ranks;
}

Seconds all_to_all_time(Seconds alpha, BytesPerSecond beta, double tokens_per_rank, Bytes row, double ranks, double top_k) {
  if (ranks <= 1) return Seconds{0};
  return alpha + row * (tokens_per_rank * dispatch_copies(ranks, top_k)) / beta;
}

Seconds ring_all_reduce(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha) {
  return 2 * ring_all_gather(n, bytes, bandwidth, alpha);
}
Seconds ring_all_gather(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha) {
  JEVONS_ENSURE(n >= 1);
  return (n - 1.0) * alpha + ((n - 1.0) / n) * (bytes / bandwidth);
}
Seconds tree_all_reduce(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha) {
  JEVONS_ENSURE(n >= 1);
  if (n == 1) return {};
  return 2 * std::log2(double(n)) * alpha + 2 * (bytes / bandwidth);
}
Seconds in_switch_all_reduce(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha) {
  JEVONS_ENSURE(n >= 1);
  if (n == 1) return {};
  return 2 * alpha + bytes / bandwidth;
}
Seconds all_to_all(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha) {
  JEVONS_ENSURE(n >= 1);
  if (n == 1) return {};
  return alpha + ((n - 1.0) / n) * (bytes / bandwidth);
}
Seconds all_reduce_across(int n_in, int n_out, Bytes bytes, BytesPerSecond across, Seconds alpha) {
  JEVONS_ENSURE(n_in >= 1);
  return ring_all_reduce(n_out, bytes / double(n_in), across, alpha);
}
Seconds hierarchical_all_reduce(int n_in, int n_out, Bytes bytes, BytesPerSecond inside, BytesPerSecond across, Seconds alpha_in,
                                Seconds alpha_out) {
  return 2 * ring_all_gather(n_in, bytes, inside, alpha_in) + all_reduce_across(n_in, n_out, bytes, across, alpha_out);
}
Seconds point_to_point(Bytes bytes, BytesPerSecond bandwidth, double efficiency, Seconds alpha) {
  JEVONS_ENSURE(efficiency > 0 && efficiency <= 1);
  return alpha + bytes / (bandwidth * efficiency);
}
Seconds exposed_transfer(Seconds transfer, Seconds prefill, int layers) {
  JEVONS_ENSURE(layers >= 1);
  return max(Seconds{}, transfer - prefill * (1.0 - 1.0 / layers));
}

std::optional<Fit> measured_fit(const catalog::Catalog& catalog, std::string_view accelerator, std::string_view op, int ranks,
                                std::string_view dtype) {
  for (const auto* t : catalog.things(catalog::Section::collective)) {
    const auto& rows = t->series;
    for (std::size_t r = 0; r < rows.rows(); ++r) {
      if (rows.text(r, "accelerator") != accelerator || rows.text(r, "op") != op || rows.text(r, "dtype") != dtype ||
          rows.number(r, "ranks") != ranks)
        continue;
      return Fit{Seconds{rows.number(r, "alpha_us").value() * 1e-6}, BytesPerSecond{rows.number(r, "beta_gb_per_s").value() * kGiga},
                 rows.number(r, "mean_abs_error_pct").value_or(0) / 100};
    }
  }
  return std::nullopt;
}

Seconds fitted_time(const Fit& f, std::string_view op, int ranks, Bytes per_rank) {
  const double traffic = (op == "all_reduce" ? 2.0 : 1.0) * (ranks - 1.0) / ranks;
  return f.alpha + per_rank * traffic / f.beta;
}

}  // namespace jevons::fabric
