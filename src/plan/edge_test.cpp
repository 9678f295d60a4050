#include "plan/edge.hpp"

#include <gtest/gtest.h>

namespace jevons::plan {
namespace {

EdgeQuestion phone() {
  EdgeQuestion q;
  q.device = {0.5, 0.05, 100, 0.00001};
  q.cloud = {0.2, 0.02, 0, 0.001};
  q.round_trip_s = 0.1;
  q.requests_per_day = 50;
  q.private_share = 0.2;
  q.offline_share = 0.1;
  q.eligible_share = 0.7;
  return q;
}

TEST(Edge, CheaperSideTakesWhatItMay) {
  EdgeQuestion q = phone();
  EdgeAnswer a = split_edge(q);
  ASSERT_TRUE(a.feasible);
  EXPECT_DOUBLE_EQ(a.device_share, 0.7);
  EXPECT_DOUBLE_EQ(a.least_share, 1 - 0.8 * 0.9);
  EXPECT_DOUBLE_EQ(a.usd_per_day, 50 * (0.7 * 0.00001 + 0.3 * 0.001));
  EXPECT_DOUBLE_EQ(a.mean_ttft_s, 0.7 * 0.5 + 0.3 * 0.3);
  q.device.usd = 1;
  a = split_edge(q);
  EXPECT_DOUBLE_EQ(a.device_share, 0.28);
  EXPECT_EQ(a.binding, EdgeBinding::must_stay);
}

TEST(Edge, BatteryCapsAndRefuses) {
  EdgeQuestion q = phone();
  q.battery_joules = 2000;  // 20 of 50 requests
  EdgeAnswer a = split_edge(q);
  ASSERT_TRUE(a.feasible);
  EXPECT_DOUBLE_EQ(a.device_share, 0.4);
  EXPECT_EQ(a.binding, EdgeBinding::battery);
  EXPECT_DOUBLE_EQ(a.joules_per_day, 2000);
  q.battery_joules = 1000;  // 10 of the 14 that must stay
  a = split_edge(q);
  EXPECT_FALSE(a.feasible);
  EXPECT_NE(a.explanation.find("Wh a day would do"), std::string::npos);
}

TEST(Edge, LimitsChooseTheSide) {
  EdgeQuestion q = phone();
  q.private_share = q.offline_share = 0;
  q.tpot_s = 0.03;  // the device is too slow
  EXPECT_DOUBLE_EQ(split_edge(q).device_share, 0);
  q = phone();
  q.ttft_s = 0.6, q.round_trip_s = 0.9, q.eligible_share = 1;  // the network is too far
  EXPECT_DOUBLE_EQ(split_edge(q).device_share, 1);
  q.eligible_share = 0.9;
  EXPECT_FALSE(split_edge(q).feasible);
}

}  // namespace
}  // namespace jevons::plan
