#include "market/lattice.hpp"

#include <array>

#include "base/portable_math.hpp"
#include "base/result.hpp"

namespace jevons::market {
namespace {

constexpr std::array<std::uint32_t, kLatticeDimensions> kGenerator{
    1,      182667, 469891, 498753, 110745, 446247, 250185, 118627, 245333, 283199, 408519, 391023, 246327, 126539, 399185, 461527, 300343,
    69681,  516695, 436179, 106383, 238523, 413283, 70841,  47719,  300129, 113029, 123925, 410745, 211325, 17489,  511893, 40767,  186077,
    519471, 255369, 101819, 243573, 66189,  152143, 503455, 113217, 132603, 463967, 297717, 157383, 224015, 502917, 36237,  94049};

std::uint32_t reversed(std::uint32_t x) {
  x = (x << 16) | (x >> 16);
  x = ((x & 0x00FF00FFu) << 8) | ((x >> 8) & 0x00FF00FFu);
  x = ((x & 0x0F0F0F0Fu) << 4) | ((x >> 4) & 0x0F0F0F0Fu);
  x = ((x & 0x33333333u) << 2) | ((x >> 2) & 0x33333333u);
  return ((x & 0x55555555u) << 1) | ((x >> 1) & 0x55555555u);
}

}  // namespace

Lattice::Lattice(Seed seed) {
  for (std::size_t d = 0; d < kLatticeDimensions; ++d) shift_.push_back(Stream(seed, 0, Draw::market, d).uniform());
}

double Lattice::at(std::uint64_t point, std::size_t dimension) const {
  JEVONS_ASSERT(dimension < kLatticeDimensions && point < (1u << 20));
  const std::uint32_t turned = reversed(std::uint32_t(point)) * kGenerator[dimension];  // modulo 2^32: the fraction times 2^32
  const double x = double(turned) * 0x1p-32 + shift_[dimension];
  return x >= 1 ? x - 1 : x;
}

double Lattice::normal(std::uint64_t point, std::size_t dimension) const {
  const double u = at(point, dimension);
  return normal_quantile(u <= 0 ? 0x1p-53 : u);
}

}  // namespace jevons::market
