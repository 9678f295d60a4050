#pragma once
// Physical quantities: a double with the exponents of byte, FLOP, second, token, USD and joule in its type.
// Explicit in, .value() out; equal dimensions divide to double. All values are in base units (bytes, not GB).

namespace jevons {

struct Dim {
  int byte = 0, flop = 0, second = 0, token = 0, usd = 0, joule = 0;
  constexpr bool operator==(const Dim&) const = default;
};
constexpr Dim operator+(Dim a, Dim b) {
  return {a.byte + b.byte, a.flop + b.flop, a.second + b.second, a.token + b.token, a.usd + b.usd, a.joule + b.joule};
}
constexpr Dim operator-(Dim a, Dim b) {
  return {a.byte - b.byte, a.flop - b.flop, a.second - b.second, a.token - b.token, a.usd - b.usd, a.joule - b.joule};
}

template <Dim D>
class Quantity {
 public:
  static constexpr Dim dim = D;
  constexpr Quantity() = default;
  constexpr explicit Quantity(double v) : value_{v} {}
  constexpr double value() const { return value_; }

  constexpr Quantity operator-() const { return Quantity{-value_}; }
  constexpr Quantity& operator+=(Quantity o) {
    value_ += o.value_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity o) {
    value_ -= o.value_;
    return *this;
  }
  constexpr Quantity& operator*=(double f) {
    value_ *= f;
    return *this;
  }
  constexpr Quantity& operator/=(double f) {
    value_ /= f;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) { return Quantity{a.value_ + b.value_}; }
  friend constexpr Quantity operator-(Quantity a, Quantity b) { return Quantity{a.value_ - b.value_}; }
  friend constexpr Quantity operator*(Quantity a, double f) { return Quantity{a.value_ * f}; }
  friend constexpr Quantity operator*(double f, Quantity a) { return Quantity{a.value_ * f}; }
  friend constexpr Quantity operator/(Quantity a, double f) { return Quantity{a.value_ / f}; }
  // Written out: a defaulted <=> makes max loops 4x slower with g++ 12.
  friend constexpr bool operator==(Quantity a, Quantity b) { return a.value_ == b.value_; }
  friend constexpr bool operator!=(Quantity a, Quantity b) { return a.value_ != b.value_; }
  friend constexpr bool operator<(Quantity a, Quantity b) { return a.value_ < b.value_; }
  friend constexpr bool operator>(Quantity a, Quantity b) { return a.value_ > b.value_; }
  friend constexpr bool operator<=(Quantity a, Quantity b) { return a.value_ <= b.value_; }
  friend constexpr bool operator>=(Quantity a, Quantity b) { return a.value_ >= b.value_; }

 private:
  double value_ = 0;
};

template <Dim A, Dim B>
constexpr auto operator*(Quantity<A> a, Quantity<B> b) {
  if constexpr (A + B == Dim{}) {
    return a.value() * b.value();
  } else {
    return Quantity<A + B>{a.value() * b.value()};
  }
}
template <Dim A, Dim B>
constexpr auto operator/(Quantity<A> a, Quantity<B> b) {
  if constexpr (A == B) {
    return a.value() / b.value();
  } else {
    return Quantity<A - B>{a.value() / b.value()};
  }
}
template <Dim B>
constexpr auto operator/(double a, Quantity<B> b) {
  return Quantity<Dim{} - B>{a / b.value()};
}
// By value: ?: on references blocked vectorisation.
template <Dim D>
constexpr Quantity<D> max(Quantity<D> a, Quantity<D> b) {
  return a < b ? b : a;
}
template <Dim D>
constexpr Quantity<D> min(Quantity<D> a, Quantity<D> b) {
  return b < a ? b : a;
}

using Bytes = Quantity<Dim{.byte = 1}>;
using Flops = Quantity<Dim{.flop = 1}>;
using Seconds = Quantity<Dim{.second = 1}>;
using Tokens = Quantity<Dim{.token = 1}>;
using Usd = Quantity<Dim{.usd = 1}>;
using Joules = Quantity<Dim{.joule = 1}>;
using Watts = Quantity<Dim{.second = -1, .joule = 1}>;
using BytesPerSecond = Quantity<Dim{.byte = 1, .second = -1}>;
using FlopsPerSecond = Quantity<Dim{.flop = 1, .second = -1}>;
using TokensPerSecond = Quantity<Dim{.second = -1, .token = 1}>;
using BytesPerToken = Quantity<Dim{.byte = 1, .token = -1}>;
using FlopsPerToken = Quantity<Dim{.flop = 1, .token = -1}>;
using SecondsPerToken = Quantity<Dim{.second = 1, .token = -1}>;
using UsdPerSecond = Quantity<Dim{.second = -1, .usd = 1}>;
using UsdPerToken = Quantity<Dim{.token = -1, .usd = 1}>;
using UsdPerJoule = Quantity<Dim{.usd = 1, .joule = -1}>;
using UsdPerByte = Quantity<Dim{.byte = -1, .usd = 1}>;
using JoulesPerToken = Quantity<Dim{.token = -1, .joule = 1}>;

inline constexpr double kKilo = 1e3, kMega = 1e6, kGiga = 1e9, kTera = 1e12, kPeta = 1e15;
inline constexpr double kKibi = 1024.0, kMebi = 1048576.0, kGibi = 1073741824.0;
inline constexpr Seconds kHour{3600.0};
inline constexpr double kHoursPerYear = 8760.0;
/// USD per second from USD per hour, USD per token from USD per million tokens: the two units prices are quoted in.
constexpr UsdPerSecond usd_per_hour(double v) { return UsdPerSecond{v / 3600.0}; }
constexpr double to_usd_per_hour(UsdPerSecond v) { return v.value() * 3600.0; }
constexpr UsdPerToken usd_per_mtok(double v) { return UsdPerToken{v / kMega}; }
constexpr double to_usd_per_mtok(UsdPerToken v) { return v.value() * kMega; }

}  // namespace jevons
