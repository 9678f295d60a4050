#include <gtest/gtest.h>

#include "fabric/collectives.hpp"
#include "fabric/topology.hpp"

namespace jevons::fabric {
namespace {

BytesPerSecond tbit(double v) { return BytesPerSecond{v * 1e12 / 8}; }

TEST(Clos, PublishedSystems) {
  // NVL72: 72 x 7.2T over 28.8T chips = 18 chips, 4 accelerators a chip, 130 TB/s (SemiAnalysis 2024-07-17, NVIDIA).
  const auto nvl72 = clos_parts({72, tbit(7.2), tbit(28.8), 72, 1});
  EXPECT_EQ(nvl72->switch_chips, 18);
  EXPECT_EQ(nvl72->endpoints_per_chip, 4);
  EXPECT_NEAR(nvl72->aggregate.value() / 1e12, 129.6, 1e-9);
  EXPECT_EQ(clos_parts({72, tbit(14.4), tbit(28.8), 72, 1})->switch_chips, 36);    // VR NVL72
  EXPECT_EQ(clos_parts({144, tbit(14.4), tbit(28.8), 144, 1})->switch_chips, 72);  // Kyber NVL144
  const auto nvl576 = clos_parts({576, tbit(7.2), tbit(28.8), 72, 2});             // GB200 NVL576: 288 + 144
  EXPECT_EQ(nvl576->switch_chips, 432);
  EXPECT_NEAR(nvl576->endpoints_per_chip, 4.0 / 3, 1e-12);
  EXPECT_EQ(clos_parts({8, tbit(7.2), tbit(28.8), 72, 1})->switch_chips, 2);       // HGX B200
}

TEST(Clos, ReachOfFatTrees) {
  EXPECT_EQ(clos_reach(64, 3), 65536);
  EXPECT_EQ(clos_reach(512, 1), 512);  // UPN512: 102.4T / 200G ports in one tier
  EXPECT_EQ(clos_reach(512, 2), 131072);
  EXPECT_EQ(clos_reach(72, 3), 93312);
}

TEST(Clos, TooLargeSaysWhatWouldFit) {
  const auto bad = clos_parts({576, tbit(7.2), tbit(28.8), 72, 1});
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().what.find("the limit is 72"), std::string::npos);
  EXPECT_NE(bad.error().hint.find("2 tiers would fit"), std::string::npos);
  EXPECT_FALSE(clos_parts({8, tbit(1), tbit(1), 0, 1}));
}

TEST(Modules, OpticalAlternativeOfNvl72) {
  // 72 x 7.2T over 1.6T modules, two ends: 648 (SemiAnalysis 2024-07-17); 9 a GPU for the outer tier of NVL576.
  EXPECT_EQ(optical_modules(72, tbit(7.2), tbit(1.6), 1, false), 648);
  EXPECT_EQ(optical_modules(576, tbit(7.2), tbit(1.6), 2, true) / 576, 9);
}

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

}  // namespace
}  // namespace jevons::fabric
