#include "base/units.hpp"

#include <gtest/gtest.h>

namespace jevons {
namespace {

double value(std::string_view text, Dim dim) {
  const auto m = parse_measure(text);
  EXPECT_TRUE(m.has_value()) << text;
  EXPECT_EQ(m->dim, dim) << text;
  return m->value;
}

TEST(Units, WhatFactsUse) {
  EXPECT_DOUBLE_EQ(value("3.35 TB/s", {.byte = 1, .second = -1}), 3.35e12);
  EXPECT_DOUBLE_EQ(value("141 GiB", {.byte = 1}), 141 * 1073741824.0);
  EXPECT_DOUBLE_EQ(value("400 Gbit/s", {.byte = 1, .second = -1}), 50e9);
  EXPECT_DOUBLE_EQ(value("989 TFLOPS", {.flop = 1, .second = -1}), 989e12);
  EXPECT_DOUBLE_EQ(value("1.80 USD/h", {.second = -1, .usd = 1}), 0.0005);
  EXPECT_DOUBLE_EQ(value("0.072 USD/kWh", {.usd = 1, .joule = -1}), 2e-8);
  EXPECT_DOUBLE_EQ(value("2.1 kW", {.second = -1, .joule = 1}), 2100);
  EXPECT_DOUBLE_EQ(value("3.5 us", {.second = 1}), 3.5e-6);
  EXPECT_DOUBLE_EQ(value("3 USD/Mtok", {.token = -1, .usd = 1}), 3e-6);
  EXPECT_DOUBLE_EQ(value("12 %", {}), 0.12);
  EXPECT_DOUBLE_EQ(value("11.3 MUSD/MW", {.second = 1, .usd = 1, .joule = -1}), 11.3);
  EXPECT_DOUBLE_EQ(value("0.78", {}), 0.78);
}

TEST(Units, RefusesWhatIsNotAMeasure) {
  for (const auto* bad : {"", "fast", "nan", "inf W", "3 parsecs", "1e400 B", "3 TB//q"}) EXPECT_FALSE(parse_measure(bad)) << bad;
}

TEST(Units, WritesForPeople) {
  EXPECT_EQ(format_bytes(5.28e9), "4.92 GiB");
  EXPECT_EQ(format_bytes(576), "576 B");
  EXPECT_EQ(format_si(3.35e12, "B/s"), "3.35 TB/s");
  EXPECT_EQ(format_seconds(0.0123), "12.3 ms");
  EXPECT_EQ(format_number(1234567.8), "1,234,568");
  EXPECT_EQ(format_number(0.01234), "0.0123");
  EXPECT_EQ(format_number(-1234.5, 5), "-1,234.5");
}

}  // namespace
}  // namespace jevons
