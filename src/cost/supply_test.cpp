#include "cost/supply.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace jevons::cost {
namespace {

const catalog::Catalog& builtin() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}
const catalog::Thing& chip(std::string_view name) { return **builtin().find(catalog::Section::accelerator, name); }

// 476,190 GB200 of 186 GB: 88.57 PB of 3,750 PB a year; a tenth of that is 375 PB a year: 12 months and 0.236 years.
// 476,190 / 16 = 29,762 wafers of a million: 15 months and 0.298 years.
TEST(Supply, GigawattByHand) {
  const auto c = *campus(builtin(), **builtin().find(catalog::Section::datacenter, "gigawatt-campus"));
  std::vector<const catalog::Fact*> facts;
  const auto limits = supply(builtin(), c, facts);
  const auto of = [&](std::string_view what) {
    return *std::find_if(limits.begin(), limits.end(), [&](const auto& l) { return l.what == what; });
  };
  EXPECT_NEAR(of("HBM").need, 476190 * 0.186e-3, 1e-6);
  EXPECT_NEAR(of("HBM").ready_years(), 1 + 476190 * 0.186e-3 / 375, 1e-3);
  EXPECT_NEAR(of("advanced packaging").ready_years(), 1.25 + 476190 / 16.0 / 100000, 1e-3);
  EXPECT_EQ(limits[0].what, "grid connection");  // 45 months
  for (std::size_t i = 1; i < limits.size(); ++i) EXPECT_GE(limits[i - 1].ready_years(), limits[i].ready_years());
  // After 1.1 years a tenth of a year's HBM: 37.5 PB, 201,612 accelerators.
  EXPECT_NEAR(*of("HBM").accelerators_by(1.1, c.accelerators), 37.5 / 0.186e-3, 30);
  EXPECT_FALSE(of("HBM").accelerators_by(2, c.accelerators));
  EXPECT_EQ(*limits[0].accelerators_by(2, c.accelerators), 0);
  EXPECT_FALSE(facts.empty());
}

// What China makes of memory and packages nobody publishes: needed, but neither early nor late.
TEST(Supply, WhatIsNotPublishedIsUnknown) {
  auto c = *campus(builtin(), **builtin().find(catalog::Section::datacenter, "gigawatt-campus"));
  c.fleet = {{.accelerator = "ascend-910c", .accelerators = 1000}};
  std::vector<const catalog::Fact*> facts;
  const auto limits = supply(builtin(), c, facts);
  const auto own = std::find_if(limits.begin(), limits.end(), [](const auto& l) { return l.unknown(); });
  ASSERT_NE(own, limits.end());
  EXPECT_EQ(own->need, 1000);
  EXPECT_EQ(std::count_if(limits.begin(), limits.end(), [](const auto& l) { return l.unknown(); }), 1);
}

// TPP: H100 16 x 989 = 15,824; H20 16 x 148 = 2,368 but 4 TB/s; B200 16 x 2,250 = 36,000; RTX 4090 8 x 660 (int8) = 5,280; L20 below 2,000.
TEST(Export, ByPerformanceAndBandwidth) {
  std::vector<const catalog::Fact*> facts;
  const auto to = [&](std::string_view name, std::string_view country) { return export_of(builtin(), chip(name), country, facts); };
  EXPECT_NEAR(to("h100-sxm", "china").performance, 15832, 20);
  EXPECT_EQ(to("h100-sxm", "china").shipment, Shipment::licence);
  EXPECT_EQ(to("h200-sxm", "china").shipment, Shipment::licence);
  EXPECT_EQ(to("h20-96g", "china").shipment, Shipment::licence);
  EXPECT_EQ(to("b200-sxm", "china").shipment, Shipment::denied);
  EXPECT_EQ(to("gb300-nvl72", "china").shipment, Shipment::denied);
  EXPECT_EQ(to("rtx-4090", "china").shipment, Shipment::licence);
  EXPECT_EQ(to("l20", "china").shipment, Shipment::free);
  EXPECT_EQ(to("ascend-910c", "china").shipment, Shipment::domestic);
  EXPECT_EQ(to("b200-sxm", "eu").shipment, Shipment::free);
  EXPECT_EQ(to("b200-sxm", "us").shipment, Shipment::domestic);
  EXPECT_EQ(to("b200-sxm", "").shipment, Shipment::unknown);
}

}  // namespace
}  // namespace jevons::cost
