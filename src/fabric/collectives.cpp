#include "fabric/collectives.hpp"

#include <cmath>

namespace jevons::fabric {

Seconds all_reduce_time(const AllReduce& a, Bytes per_rank) {
  const double mb = per_rank.value() / kMega;
  return a.alpha + a.beta_per_mb * mb + a.kink_per_mb * std::min(mb, 1.0);
}

double dispatch_copies(double ranks, double top_k) {
  if (ranks <= 1) return 0;
  return ranks * (1 - std::pow(1 - 1 / ranks, top_k)) * (ranks - 1) / ranks;
}

Seconds all_to_all_time(Seconds alpha, BytesPerSecond beta, double tokens_per_rank, Bytes row, double ranks, double top_k) {
  if (ranks <= 1) return Seconds{0};
  return alpha + row * (tokens_per_rank * dispatch_copies(ranks, top_k)) / beta;
}

}  // namespace jevons::fabric
