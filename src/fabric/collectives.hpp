#pragma once
// Times of collective operations inside one scale-up domain, alpha-beta form.
#include "base/quantity.hpp"

namespace jevons::fabric {

/// Measured all-reduce inside CUDA graphs at one group size: alpha + beta s + kink min(s, 1 MB), s bytes per rank.
struct AllReduce {
  Seconds alpha{}, beta_per_mb{}, kink_per_mb{};
};
Seconds all_reduce_time(const AllReduce& a, Bytes per_rank);

/// Share of a rank's routed copies that leave it: ep (1 - (1 - 1/ep)^k) (ep - 1)/ep, one copy per destination rank.
/// Source: validated against GB200 dispatch at EP 16 to 64 within 4 %.
double dispatch_copies(double ranks, double top_k);

/// Expert-parallel dispatch or combine: alpha + V/beta with V = tokens per rank x row bytes x dispatch_copies.
Seconds all_to_all_time(Seconds alpha, BytesPerSecond beta, double tokens_per_rank, Bytes row, double ranks, double top_k);

}  // namespace jevons::fabric
