#include "plan/tenants.hpp"

#include <gtest/gtest.h>

namespace jevons::plan {
namespace {

TEST(Tenants, DayAndNightShareUnits) {
  // Two tenants of 10 req/s, swinging fully, twelve hours apart: each alone peaks at 20 req/s (20 units of 1 req/s), together they are
  // flat.
  const TenantLoad day{"day", "m", false, 10, 1, 12, 1, 2}, night{"night", "m", false, 10, 1, 0, 1, 2};
  const FleetSharing f = share_fleet({day, night});
  EXPECT_DOUBLE_EQ(f.dedicated_total, 80);
  EXPECT_DOUBLE_EQ(f.shared_total, 40);
  EXPECT_DOUBLE_EQ(f.shared_use, 1);
  EXPECT_DOUBLE_EQ(f.dedicated_use, 0.5);
}

TEST(Tenants, BatchFillsValleys) {
  // 10 req/s ± 100 % leaves half of 20 units free over the day: batch of 6 req/s fits without another accelerator, one of 14 does not.
  const TenantLoad chat{"chat", "m", false, 10, 1, 15, 1, 1};
  TenantLoad batch{"batch", "other", true, 6, 0, 0, 1, 1};
  FleetSharing f = share_fleet({chat, batch});
  EXPECT_DOUBLE_EQ(f.shared_total, 20);
  EXPECT_DOUBLE_EQ(f.dedicated_total, 26);
  batch.rate_mean = 14;
  f = share_fleet({chat, batch});
  EXPECT_GT(f.shared_total, 20);
  EXPECT_LE(f.shared_total, f.dedicated_total);
}

// Of a fleet of ten units the interactive tenant leaves 10 - ceil(5 (1 + cos)) in each hour; batch work of 2 units a day's mean takes its
// part of that room, hour by hour, and all of it in a day.
TEST(Tenants, BatchRunsWhenThereIsRoom) {
  const TenantLoad chat{"chat", "m", false, 5, 1, 12, 1, 1}, batch{"batch", "m", true, 2, 0, 0, 1, 1};
  const FleetSharing f = share_fleet({chat, batch});
  EXPECT_EQ(f.shared_total, 10);
  double done = 0;
  for (int h = 0; h < kHours; ++h) {
    EXPECT_EQ(f.room[std::size_t(h)], 10 - f.interactive[std::size_t(h)]);
    done += rate_at(batch, f, h);
  }
  EXPECT_NEAR(done, 2 * kHours, 1e-9);
  EXPECT_EQ(rate_at(batch, f, 12), 0);  // noon holds all ten
  EXPECT_NEAR(rate_at(chat, f, 12), 10, 1e-12);
  EXPECT_EQ(units_at({chat, batch}, f, "m", 1, 12), 10);
  EXPECT_EQ(units_at({chat, batch}, f, "m", 1, 0), 10);  // at midnight all of them do batch work
}

TEST(Tenants, AloneIsDedicated) {
  const FleetSharing f = share_fleet({{"one", "m", false, 3, 0.5, 9, 2, 8}});
  EXPECT_DOUBLE_EQ(f.dedicated_total, 24);  // 4.5 req/s of 2 each: 3 units of 8
  EXPECT_DOUBLE_EQ(f.shared_total, 24);
  EXPECT_DOUBLE_EQ(f.interactive[9], 24);
  EXPECT_DOUBLE_EQ(f.interactive[21], 8);  // 1.5 req/s: one unit
}

}  // namespace
}  // namespace jevons::plan
