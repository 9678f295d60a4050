#include <gtest/gtest.h>

#include "fabric/collectives.hpp"
#include "fabric/expert_exchange.hpp"

namespace jevons::fabric {
namespace {

TEST(Collectives, AllReduceAndDispatch) {
  // 5 us + 9 us x 2/(2 + 1) + 3 us/MB x 2 MB = 17 us; twice the floor and half of the rest: 10 + 6.
  const MeasuredCollective a{5e-6, 9e-6, 1e6, 3e-12};
  EXPECT_NEAR(collective_time(a, Bytes{2e6}).value(), 17e-6, 1e-15);
  EXPECT_NEAR(collective_time(a, Bytes{2e6}, 2, 0.5).value(), 16e-6, 1e-15);
  // Published table of copies for k = 8.
  EXPECT_NEAR(dispatch_copies(4, 8), 2.70, 0.005);
  EXPECT_NEAR(dispatch_copies(8, 8), 4.5947, 0.00005);  // 8 x (1 - (7/8)^8) x 7/8; the table prints 4.60
  EXPECT_NEAR(dispatch_copies(64, 8), 7.46, 0.005);
  EXPECT_EQ(dispatch_copies(1, 8), 0);
  // GB200 EP64 dispatch of 1,024 tokens, width 7168 bf16: 222 us measured; alpha 12 us, beta 500 GB/s.
  EXPECT_NEAR(all_to_all_time(Seconds{12e-6}, BytesPerSecond{500e9}, 1024, Bytes{7168 * 2.0}, 64, 8).value(), 222e-6, 0.07 * 222e-6);
}

TEST(Collectives, ExpertExchangeByHand) {
  ExchangeKernel k;
  k.floor = Seconds{10e-6};
  k.destination = Seconds{0.25e-6};
  k.destination_per_byte = 0.01e-9;
  k.row = Seconds{1e-6};
  k.row_per_byte = 0.1e-9;
  k.field = Seconds{0.5e-6};
  k.field_row = Seconds{0.6e-6};
  k.blocks = 38;
  k.block_rate = BytesPerSecond{760e9};
  k.link = BytesPerSecond{1e30};
  k.header = Bytes{1000};
  k.power = 200;  // the slowest alone decides
  // 2 ranks: 38 channels, one warp a peer: 10 + 2 x (0.25 + 0.1) + 380 x (1 + 1)/38 us = 30.7 us.
  const Bytes row{10e3};
  EXPECT_NEAR(exchange_time(k, {380, row, 1, 2, 2}).value(), 30.7e-6, 1e-8);
  // A second field adds 0.5 us and 0.6 us a row: 31.2 + 6 us.
  EXPECT_NEAR(exchange_time(k, {380, row, 2, 2, 2}).value(), 37.2e-6, 1e-8);
  // 64 ranks: a channel is 8 blocks wide, so 4 channels of 38/8; 32 of 38 blocks send, at 640 GB/s: 10 + 8 x 0.35 us +
  // 380 x 8 x 63/64 x 11 kB / 640 GB/s = 12.8 + 51.4 us; a warp alone would need 380 x 8/64/4 x 2 = 23.75 us.
  EXPECT_NEAR(exchange_time(k, {380, row, 1, 64, 8}).value(), 12.8e-6 + 380 * 8 * 63.0 / 64 * 11e3 / 640e9, 1e-8);
  // A slow link decides: 380 x 7.875 x 11 kB / 100 GB/s.
  k.link = BytesPerSecond{100e9};
  EXPECT_NEAR(exchange_time(k, {380, row, 1, 64, 8}).value(), 12.8e-6 + 380 * 7.875 * 11e3 / 100e9, 1e-8);
  EXPECT_EQ(exchange_time(k, {380, row, 1, 1, 1}).value(), 0);
  EXPECT_NEAR(random_destinations(2, 2), 1.5, 1e-12);  // both experts on one rank half of the time
  EXPECT_EQ(balanced_destinations(4, 8), 4);
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
