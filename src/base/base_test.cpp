#include <gtest/gtest.h>

#include <type_traits>

#include "base/quantity.hpp"
#include "base/random.hpp"
#include "base/result.hpp"
#include "base/stats.hpp"

namespace jevons {
namespace {

TEST(Quantity, DimensionsFollowTheArithmetic) {
  static_assert(std::is_same_v<decltype(Tokens{} * BytesPerToken{}), Bytes>);
  static_assert(std::is_same_v<decltype(Bytes{} / BytesPerSecond{}), Seconds>);
  static_assert(std::is_same_v<decltype(Watts{} * Seconds{} * UsdPerJoule{}), Usd>);
  static_assert(std::is_same_v<decltype(Bytes{} / Bytes{}), double>);
  static_assert(sizeof(Bytes) == sizeof(double) && std::is_trivially_copyable_v<Bytes>);
  EXPECT_DOUBLE_EQ((Bytes{6.7e9} / BytesPerSecond{3.35e12}).value(), 2e-3);
}

template <class A, class B>
concept Addable = requires(A a, B b) { a + b; };
TEST(Quantity, MixingUnitsDoesNotCompile) {
  static_assert(Addable<Bytes, Bytes>);
  static_assert(!Addable<Bytes, Tokens>);
  static_assert(!Addable<Seconds, double>);
  static_assert(!std::is_convertible_v<double, Bytes>);
}

TEST(Stream, MatchesPublishedFirstOutputs) {
  // SplitMix64 reference outputs for state 0 (Vigna, splitmix64.c).
  Stream s = Stream::raw(0);
  EXPECT_EQ(s.bits(), 0xE220A8397B1DCDAFull);
  EXPECT_EQ(s.bits(), 0x6E789E6AA1B965F4ull);
  EXPECT_EQ(s.bits(), 0x06C45D188009454Full);
}

TEST(Stream, StreamsAreIndependentOfEachOther) {
  Stream a{Seed{7}, 0, Draw::arrival, 0}, b{Seed{7}, 0, Draw::input_length, 0}, again{Seed{7}, 0, Draw::arrival, 0};
  const auto first = a.bits();
  EXPECT_NE(first, b.bits());
  EXPECT_EQ(first, again.bits());
}

TEST(Stream, MomentsAreRight) {
  Stream s{Seed{1}, 0, Draw::test, 0};
  double mean_uniform = 0, mean_exp = 0, var_normal = 0;
  const int n = 200000;
  for (int i = 0; i < n; ++i) {
    mean_uniform += s.uniform() / n;
    mean_exp += s.exponential() / n;
    const double z = s.normal();
    var_normal += z * z / n;
  }
  EXPECT_NEAR(mean_uniform, 0.5, 0.003);  // standard error 0.00065
  EXPECT_NEAR(mean_exp, 1.0, 0.01);       // standard error 0.0022
  EXPECT_NEAR(var_normal, 1.0, 0.015);    // standard error 0.0032
}

TEST(Stats, QuantilesInterpolateLikeNumpy) {
  std::vector<double> v{4, 1, 3, 2};
  const Summary s = summarize(v);  // sorted 1 2 3 4; numpy.quantile(.., 0.9) = 3.7
  EXPECT_DOUBLE_EQ(s.mean, 2.5);
  EXPECT_DOUBLE_EQ(s.p50, 2.5);
  EXPECT_DOUBLE_EQ(s.p90, 3.7);
  EXPECT_EQ(s.n, 4u);
}

TEST(Error, MessageNamesPlaceWhatExpectedAndHint) {
  const Error e{ErrorCode::bad_input, "a.yaml", 12, "workload.isl", "-5 is negative", "tokens >= 1", "give isl: 1000"};
  EXPECT_EQ(e.message(), "a.yaml:12 workload.isl: -5 is negative\n  expected: tokens >= 1\n  hint: give isl: 1000");
}

Result<int> half(int x) {
  if (x % 2 != 0) return bad_input("x", "odd");
  return x / 2;
}
Result<int> quarter(int x) {
  JEVONS_TRY(const int h, half(x));
  return half(h);
}
TEST(Error, TryPassesErrorsOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_FALSE(quarter(6));
  EXPECT_THROW(JEVONS_ENSURE(1 == 2), InternalError);
}

}  // namespace
}  // namespace jevons
