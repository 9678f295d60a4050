#pragma once
// Quasi-random points: a rank-1 lattice that can be extended point by point, randomly shifted by the seed.
#include <cstdint>
#include <vector>

#include "base/random.hpp"

namespace jevons::market {

inline constexpr std::size_t kLatticeDimensions = 50;

/// Coordinates of points `first` to `first + count` in [0, 1): one array per dimension. Any 2^m first points, m <= 20, form a lattice.
/// Source: generating vector for order-2 weights by F. Y. Kuo (lattice-32001-1024-1048576.3600 form), radical-inverse order after
/// Hickernell, Hong, L'Ecuyer, Lemieux, SIAM J. Sci. Comput. 22(3), 2000. Every number is odd, so each coordinate is stratified.
class Lattice {
 public:
  explicit Lattice(Seed seed);
  double at(std::uint64_t point, std::size_t dimension) const;
  /// The same as a standard normal score.
  double normal(std::uint64_t point, std::size_t dimension) const;

 private:
  std::vector<double> shift_;
};

}  // namespace jevons::market
