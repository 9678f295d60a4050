#pragma once
// Eight doubles at a time: exp, ln and the upper tail of the normal without branches or library calls. The same bits on any machine,
// because every lane does the same IEEE additions, products and quotients whatever the width of the registers.
#include <bit>
#include <cstdint>
#include <cstring>

namespace jevons::market {

// GCC's and Clang's vector extension: arithmetic and comparison lane by lane, in the widest registers there are.
using V = double __attribute__((vector_size(64)));
using Bits = std::uint64_t __attribute__((vector_size(64)));
inline constexpr std::size_t kWide = 8;

#define JEVONS_INLINE [[gnu::always_inline]] inline

JEVONS_INLINE V load(const double* from) {
  V v;
  std::memcpy(&v, from, sizeof v);
  return v;
}
JEVONS_INLINE void store(double* to, V v) { std::memcpy(to, &v, sizeof v); }
JEVONS_INLINE V all(double x) { return V{x, x, x, x, x, x, x, x}; }
JEVONS_INLINE V least(V a, V b) { return a < b ? a : b; }
JEVONS_INLINE V most(V a, V b) { return a > b ? a : b; }

/// e^x, |x| clamped to 700; relative error below 1e-11. x = k ln 2 + r; 2^k is made from the low bits of x/ln 2 + 1.5*2^52.
JEVONS_INLINE V lane_exp(V x) {
  x = most(least(x, all(700.0)), all(-700.0));
  const V shifted = x * 1.4426950408889634 + 0x1.8p52;
  const V k = shifted - 0x1.8p52;
  const V r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
  V p = all(1.0 / 362880);
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p * std::bit_cast<V>((std::bit_cast<Bits>(shifted) + 1023u) << 52);
}

/// ln of a positive normal number, error below 1e-12: twice the series of atanh((m - 1)/(m + 1)), m in [sqrt(1/2), sqrt(2)).
JEVONS_INLINE V lane_log(V x) {
  constexpr std::uint64_t kSqrtHalf = 0x3FE6A09E667F3BCDull;
  const Bits offset = std::bit_cast<Bits>(x) - kSqrtHalf + (1024ull << 52);
  const V m = std::bit_cast<V>((offset & 0xFFFFFFFFFFFFFull) + kSqrtHalf);
  const V e = std::bit_cast<V>((offset >> 52) | 0x4330000000000000ull) - (0x1p52 + 1024.0);
  const V s = (m - 1.0) / (m + 1.0), z = s * s;
  V p = all(2.0 / 13);
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  return e * 0x1.62e42fee00000p-1 + (2.0 * s + (s * z * p + e * 0x1.a39ef35793c76p-33));
}

/// ln(1 - Phi(z)), absolute error below 2e-7. Source of the coefficients: the Chebyshev fit of erfc in Press et al., "Numerical Recipes",
/// section 6.2 (fractional error 1.2e-7 everywhere).
JEVONS_INLINE V lane_log_above(V z) {
  const auto negative = z < 0.0;
  const V x = (negative ? -z : z) * 0.70710678118654752, t = 1.0 / (1.0 + 0.5 * x);
  V p = all(0.17087277);
  p = p * t - 0.82215223;
  p = p * t + 1.48851587;
  p = p * t - 1.13520398;
  p = p * t + 0.27886807;
  p = p * t - 0.18628806;
  p = p * t + 0.09678418;
  p = p * t + 0.37409196;
  p = p * t + 1.00002368;
  p = p * t - 1.26551223;
  const V ln = p - x * x;  // ln(erfc(x)/t)
  const V below = 1.0 - 0.5 * t * lane_exp(ln);
  const V log = lane_log(negative ? below : 0.5 * t);
  return negative ? log : log + ln;
}

}  // namespace jevons::market
