#pragma once
// exp, ln and the upper tail of the normal for loops that compilers vectorise: no branches, no library calls, no integer conversions.
// The same bits on any vector width, because every lane does the same IEEE additions, products and quotients.
#include <bit>
#include <cstdint>

namespace jevons::market {

/// e^x, |x| clamped to 700; relative error below 1e-13. x = k ln 2 + r; 2^k is made from the low bits of x/ln 2 + 1.5*2^52.
inline double lane_exp(double x) {
  x = x > 700.0 ? 700.0 : x;
  x = x < -700.0 ? -700.0 : x;
  const double shifted = x * 1.4426950408889634 + 0x1.8p52;
  const double k = shifted - 0x1.8p52;
  const double r = (x - k * 0x1.62e42fee00000p-1) - k * 0x1.a39ef35793c76p-33;
  double p = 1.0 / 39916800;
  p = p * r + 1.0 / 3628800;
  p = p * r + 1.0 / 362880;
  p = p * r + 1.0 / 40320;
  p = p * r + 1.0 / 5040;
  p = p * r + 1.0 / 720;
  p = p * r + 1.0 / 120;
  p = p * r + 1.0 / 24;
  p = p * r + 1.0 / 6;
  p = p * r + 0.5;
  p = p * r + 1.0;
  p = p * r + 1.0;
  return p * std::bit_cast<double>((std::bit_cast<std::uint64_t>(shifted) + 1023u) << 52);
}

/// ln of a positive normal number, relative error below 1e-13: twice the series of atanh((m - 1)/(m + 1)), m in [sqrt(1/2), sqrt(2)).
inline double lane_log(double x) {
  constexpr std::uint64_t kSqrtHalf = 0x3FE6A09E667F3BCDull;
  const std::uint64_t offset = std::bit_cast<std::uint64_t>(x) - kSqrtHalf + (1024ull << 52);
  const double m = std::bit_cast<double>((offset & 0xFFFFFFFFFFFFFull) + kSqrtHalf);
  const double e = std::bit_cast<double>((offset >> 52) | 0x4330000000000000ull) - (0x1p52 + 1024.0);
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  return e * 0x1.62e42fee00000p-1 + (2.0 * s + (s * z * p + e * 0x1.a39ef35793c76p-33));
}

/// ln(1 - Phi(z)), absolute error below 2e-7. Source of the coefficients: the Chebyshev fit of erfc in Press et al., "Numerical Recipes",
/// section 6.2 (fractional error 1.2e-7 everywhere).
inline double lane_log_above(double z) {
  const double size = z < 0 ? -z : z;
  const double x = size * 0.70710678118654752, t = 1.0 / (1.0 + 0.5 * x);
  double p = 0.17087277;
  p = p * t - 0.82215223;
  p = p * t + 1.48851587;
  p = p * t - 1.13520398;
  p = p * t + 0.27886807;
  p = p * t - 0.18628806;
  p = p * t + 0.09678418;
  p = p * t + 0.37409196;
  p = p * t + 1.00002368;
  p = p * t - 1.26551223;
  const double ln = p - x * x;  // ln(erfc(x)/t)
  const double below = 1.0 - 0.5 * t * lane_exp(ln);
  const double log = lane_log(z < 0 ? below : 0.5 * t);
  return z < 0 ? log : log + ln;
}

}  // namespace jevons::market
