#include <gtest/gtest.h>

#include "fabric/collectives.hpp"

namespace jevons::fabric {
namespace {

TEST(Collectives, AllReduceAndDispatch) {
  // 5 us + 6 us/MB x 2 MB + 3 us/MB x min(2, 1) MB = 20 us.
  const AllReduce a{Seconds{5e-6}, Seconds{6e-6}, Seconds{3e-6}};
  EXPECT_NEAR(all_reduce_time(a, Bytes{2e6}).value(), 20e-6, 1e-15);
  // Published table of copies for k = 8.
  EXPECT_NEAR(dispatch_copies(4, 8), 2.70, 0.005);
  EXPECT_NEAR(dispatch_copies(8, 8), 4.5947, 0.00005);  // 8 x (1 - (7/8)^8) x 7/8; the table prints 4.60
  EXPECT_NEAR(dispatch_copies(64, 8), 7.46, 0.005);
  EXPECT_EQ(dispatch_copies(1, 8), 0);
  // GB200 EP64 dispatch of 1,024 tokens, width 7168 bf16: 222 us measured; alpha 12 us, beta 500 GB/s.
  EXPECT_NEAR(all_to_all_time(Seconds{12e-6}, BytesPerSecond{500e9}, 1024, Bytes{7168 * 2.0}, 64, 8).value(), 222e-6, 0.07 * 222e-6);
}

TEST(Collectives, ClosedFormsByHand) {
  const BytesPerSecond b{100e9};
  const Seconds a{1e-6};
  // Ring of 8, 8 MB: 14 steps of 1 us and 2 x 7/8 x 80 us = 154 us; all-gather half of it.
  EXPECT_NEAR(ring_all_reduce(8, Bytes{8e6}, b, a).value(), 154e-6, 1e-12);
  EXPECT_NEAR(ring_all_gather(8, Bytes{8e6}, b, a).value(), 77e-6, 1e-12);
  EXPECT_NEAR(tree_all_reduce(8, Bytes{8e6}, b, a).value(), 6e-6 + 160e-6, 1e-12);
  EXPECT_NEAR(in_switch_all_reduce(8, Bytes{8e6}, b, a).value(), 82e-6, 1e-12);
  EXPECT_NEAR(all_to_all(8, Bytes{8e6}, b, a).value(), 71e-6, 1e-12);
  // One group is a plain ring, groups of one too.
  EXPECT_NEAR(hierarchical_all_reduce(8, 1, Bytes{8e6}, b, b, a, a).value(), 154e-6, 1e-12);
  EXPECT_NEAR(hierarchical_all_reduce(1, 8, Bytes{8e6}, b, b, a, a).value(), 154e-6, 1e-12);
  // 8 inside at 100 GB/s, 4 across at 10 GB/s on 1 MB each: 154 us + 6 us + 1.5 x 100 us.
  EXPECT_NEAR(hierarchical_all_reduce(8, 4, Bytes{8e6}, b, BytesPerSecond{10e9}, a, a).value(), 310e-6, 1e-12);
  EXPECT_EQ(ring_all_reduce(1, Bytes{8e6}, b, a).value(), 0);
  EXPECT_NEAR(point_to_point(Bytes{8e6}, b, 0.8, a).value(), 101e-6, 1e-12);
  // 10 layers, prefill 100 us: 90 us of the transfer hide.
  EXPECT_NEAR(exposed_transfer(Seconds{120e-6}, Seconds{100e-6}, 10).value(), 30e-6, 1e-12);
  EXPECT_EQ(exposed_transfer(Seconds{50e-6}, Seconds{100e-6}, 10).value(), 0);
}

TEST(Collectives, MeasuredFitsAreFoundAndNotStretched) {
  const auto c = catalog::Catalog::builtin();
  const auto f = measured_fit(c, "h100-sxm", "all_reduce", 8);
  ASSERT_TRUE(f);
  EXPECT_NEAR(f->beta.value(), 374e9, 1);
  // 17.5 us + 2 x 7/8 x 512 MiB / 374 GB/s.
  EXPECT_NEAR(fitted_time(*f, "all_reduce", 8, Bytes{512 * kMebi}).value(), 2.5296e-3, 1e-6);
  EXPECT_FALSE(measured_fit(c, "h100-sxm", "all_reduce", 72));
}

}  // namespace
}  // namespace jevons::fabric
