#pragma once
// Times of collective operations: closed forms of volume and latency, and the measured curves that step times use.
#include "base/quantity.hpp"
#include "base/result.hpp"
#include "catalog/catalog.hpp"

namespace jevons::fabric {

/// A measured collective at one group size: floor + kink s/(s + kink_bytes) + per_byte s, s bytes per rank; the kink is a change of
/// protocol. Reduction inside the switch is in the measurement where the kernel uses it.
struct MeasuredCollective {
  double floor = 0, kink = 0, kink_bytes = 1, per_byte = 0;  // seconds, seconds, bytes, seconds a byte
};
/// latency, size: factors on the floor and on what grows with the bytes.
inline Seconds collective_time(const MeasuredCollective& c, Bytes per_rank, double latency = 1, double size = 1) {
  const double s = per_rank.value();
  return Seconds{c.floor * latency + (c.kink * s / (s + c.kink_bytes) + c.per_byte * s) * size};
}

/// Distinct ranks a token goes to when its top_k experts live on ranks at random: ep (1 - (1 - 1/ep)^k); the rank's own counts.
double random_destinations(double ranks, double top_k);
/// Of those the other ranks: random_destinations (ep - 1)/ep, one copy a rank.
double dispatch_copies(double ranks, double top_k);

/// Expert-parallel dispatch or combine: alpha + V/beta with V = tokens per rank x row bytes x dispatch_copies.
Seconds all_to_all_time(Seconds alpha, BytesPerSecond beta, double tokens_per_rank, Bytes row, double ranks, double top_k);

/// Textbook times of n ranks. bytes: per rank (the full gathered size for all-gather and reduce-scatter). bandwidth: one direction.
/// alpha: latency of one step. Requires n >= 1; one rank takes no time.
/// Source: Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", IJHPCA 19(1), 2005.
Seconds ring_all_reduce(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha);
Seconds ring_all_gather(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha);
Seconds tree_all_reduce(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha);
/// Reduction inside the switch (NVLS, SHARP): each byte leaves and enters a rank once. A bound: H100 reaches 56 % of it at 512 MiB.
Seconds in_switch_all_reduce(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha);
Seconds all_to_all(int n, Bytes bytes, BytesPerSecond bandwidth, Seconds alpha);
/// What an all-reduce of `bytes` takes beyond the one inside each of n_out domains of n_in ranks: the n_in-th part, reduced across.
Seconds all_reduce_across(int n_in, int n_out, Bytes bytes, BytesPerSecond across, Seconds alpha);
/// Reduce-scatter among n_in, all-reduce of the n_in-th part among n_out, all-gather among n_in.
Seconds hierarchical_all_reduce(int n_in, int n_out, Bytes bytes, BytesPerSecond inside, BytesPerSecond across, Seconds alpha_in,
                                Seconds alpha_out);
/// Point to point; efficiency: share of `bandwidth` reached, in (0, 1].
Seconds point_to_point(Bytes bytes, BytesPerSecond bandwidth, double efficiency, Seconds alpha);
/// What is left of a cache transfer that is sent layer by layer while prefill still runs.
Seconds exposed_transfer(Seconds transfer, Seconds prefill, int layers);

/// alpha + traffic / beta fits of measured collectives, rows of catalog/collectives/<library>.yaml: `traffic` is 2 (n-1)/n bytes for
/// all-reduce, (n-1)/n for the others. op: all_reduce, all_gather, reduce_scatter, all_to_all, custom_all_reduce (vLLM's kernel, traffic
/// as all_reduce). Nothing where it was not measured: latencies at 2 to 8 ranks do not extend to 72.
struct Fit {
  Seconds alpha{};
  BytesPerSecond beta{};
  double error = 0;  // mean absolute error of the fit; 0 where it is derived
};
std::optional<Fit> measured_fit(const catalog::Catalog& catalog, std::string_view accelerator, std::string_view op, int ranks,
                                std::string_view dtype = "fp16");
Seconds fitted_time(const Fit& f, std::string_view op, int ranks, Bytes per_rank);

}  // namespace jevons::fabric
