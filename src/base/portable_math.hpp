#pragma once
// log, exp and the normal quantile from IEEE additions, products, quotients and roots only: the same bits with every compiler and
// C library (libm's differ in the last place), and fast enough to draw a hundred million variates a second.
#include <bit>
#include <cmath>
#include <cstdint>

namespace jevons {

inline constexpr double kLn2High = 0x1.62e42fee00000p-1,
                        kLn2Low = 0x1.a39ef35793c76p-33;  // ln 2 in two parts, the first with trailing zeros

/// Natural logarithm of a positive normal number, within 2 units in the last place.
/// x = 2^e·m with m in [sqrt(1/2), sqrt(2)); ln m = 2·atanh(s) with s = (m − 1)/(m + 1), |s| < 0.1716, series to s^19.
inline double portable_log(double x) {
  constexpr std::uint64_t kSqrtHalf = 0x3FE6A09E667F3BCDull;
  const std::uint64_t offset = std::bit_cast<std::uint64_t>(x) - kSqrtHalf + (1024ull << 52);
  const std::uint64_t biased = offset >> 52;  // e + 1024: no signed shift or conversion, so compilers vectorise it
  const double m = std::bit_cast<double>((offset & 0xFFFFFFFFFFFFFull) + kSqrtHalf);
  const double e = std::bit_cast<double>(biased | 0x4330000000000000ull) - (0x1p52 + 1024.0);  // the integer in the last bits of 2^52
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 2.0 / 19;
  p = p * z + 2.0 / 17;
  p = p * z + 2.0 / 15;
  p = p * z + 2.0 / 13;
  p = p * z + 2.0 / 11;
  p = p * z + 2.0 / 9;
  p = p * z + 2.0 / 7;
  p = p * z + 2.0 / 5;
  p = p * z + 2.0 / 3;
  return e * kLn2High + (2.0 * s + (s * z * p + e * kLn2Low));
}

/// e^x for |x| <= 700 (clamped outside), within 2 units in the last place. x = k·ln 2 + r, |r| <= 0.3466, Taylor series to r^13.
inline double portable_exp(double x) {
  x = x > 700.0 ? 700.0 : x < -700.0 ? -700.0 : x;
  constexpr double kRound = 0x1.8p52;  // adding and subtracting it rounds to the nearest integer
  const double k = (x * 1.4426950408889634 + kRound) - kRound;
  const double r = (x - k * kLn2High) - k * kLn2Low;
  double p = 1.0;
  for (int i = 13; i >= 1; --i) p = 1.0 + p * r / i;
  return p * std::bit_cast<double>(std::uint64_t(std::int64_t(k) + 1023) << 52);
}

/// The z with Phi(z) = p, 0 < p < 1, relative error about 1e-16.
/// Source: Wichura, "Algorithm AS 241: The percentage points of the normal distribution", Applied Statistics 37(3), 1988 (PPND16).
double normal_quantile(double p);

}  // namespace jevons
