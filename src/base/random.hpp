#pragma once
// Named random streams: each draw belongs to (seed, replication, purpose, entity), so a draw added in one place moves no other.
#include <cmath>
#include <cstdint>

namespace jevons {

__extension__ typedef unsigned __int128 Uint128;
__extension__ typedef __int128 Int128;

struct Seed {
  std::uint64_t value = 1;
};

/// What a stream is for. Append only: the number is part of every result.
enum class Draw : std::uint64_t {
  arrival = 1,
  input_length,
  output_length,
  prefix,
  session,
  think_time,
  route,
  failure,
  repair,
  acceptance,
  imbalance,
  tool,
  tenant,
  branch,
  adapter,
  sample,
  market,
  test
};

/// SplitMix64 in counter form. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
class Stream {
 public:
  constexpr Stream(Seed seed, std::uint64_t replication, Draw purpose, std::uint64_t entity)
      : key_{mix(mix(mix(mix(seed.value) + replication) + std::uint64_t(purpose)) + entity)} {}
  /// The raw generator from a given state, as published: the first output for state 0 is 0xE220A8397B1DCDAF.
  static constexpr Stream raw(std::uint64_t state) {
    Stream s;
    s.key_ = state;
    return s;
  }

  constexpr std::uint64_t bits() { return mix(key_ + kGolden * ++drawn_); }
  constexpr double uniform() { return double(bits() >> 11) * 0x1p-53; }  // [0, 1)
  constexpr std::uint64_t below(std::uint64_t n) {                       // [0, n), Lemire's multiply-shift
    return std::uint64_t((Uint128(bits()) * n) >> 64);
  }
  double exponential() { return -std::log1p(-uniform()); }  // mean 1
  /// Standard normal by inversion-free polar-less Box-Muller; uses two draws.
  double normal() {
    const double u = 1.0 - uniform(), v = uniform();
    return std::sqrt(-2.0 * std::log(u)) * std::cos(6.283185307179586477 * v);
  }

 private:
  constexpr Stream() = default;
  static constexpr std::uint64_t kGolden = 0x9E3779B97F4A7C15ull;
  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
  std::uint64_t key_ = 0, drawn_ = 0;
};

}  // namespace jevons
