#include "catalog/keys.hpp"

#include <gtest/gtest.h>

namespace jevons::catalog {
namespace {

constexpr OptionSpec kKeys[] = {{.path = "shape", .help = "an attribute"},
                                {.path = "endpoints", .unit = "count", .help = "how many"},
                                {.path = "speed", .unit = "bit/s", .help = "how fast"},
                                {.path = "power", .unit = "W", .help = "instead of endpoints"}};

const Catalog& builtin() {
  static const auto c = Catalog::builtin();
  return c;
}
const Thing& upn() { return **builtin().find(Section::fabric, "upn512"); }

TEST(Keys, SettingsLieOverTheThing) {
  Store store;
  Settings given(kKeys);
  ASSERT_TRUE(given.set("speed", "800 Gbit/s", "--set"));
  ASSERT_TRUE(given.set("shape", "torus", "--set"));
  const auto t = with_settings(store, upn(), kKeys, given);
  ASSERT_TRUE(t) << t.error().message();
  EXPECT_EQ((*t)->find("speed")->value, 100e9);
  EXPECT_EQ((*t)->find("speed")->source, "given with --set");
  EXPECT_EQ((*t)->attribute("shape"), "torus");
  EXPECT_EQ((*t)->find("endpoints")->value, 512);  // the others stay
  EXPECT_EQ(upn().find("speed"), nullptr);
}

TEST(Keys, ASettingDropsWhatItReplaces) {
  Store store;
  Settings given(kKeys);
  ASSERT_TRUE(given.set("power", "1 kW", "--set"));
  constexpr Drops kDrops[] = {{"power", "endpoints"}};
  EXPECT_EQ((*with_settings(store, upn(), kKeys, given, kDrops))->find("endpoints"), nullptr);
  ASSERT_TRUE(given.set("endpoints", "5", "--set"));  // both were asked for
  EXPECT_EQ((*with_settings(store, upn(), kKeys, given, kDrops))->find("endpoints")->value, 5);
}

TEST(Keys, WrongUnitsAndUnknownKeysAreRefused) {
  Store store;
  Settings given(kKeys);
  ASSERT_TRUE(given.set("speed", "800 W", "--set"));
  EXPECT_NE(with_settings(store, upn(), kKeys, given).error().expected.find("bit/s"), std::string::npos);
  ASSERT_TRUE(given.set("speed", "fast", "--set"));
  EXPECT_FALSE(with_settings(store, upn(), kKeys, given));

  constexpr OptionSpec kOther[] = {{.path = "endpoints", .unit = "W", .help = "not a count"}};
  EXPECT_EQ(check_units(upn(), kOther).error().key, "endpoints");
  EXPECT_GT(check_units(upn(), kOther).error().line, 0);
  constexpr OptionSpec kFact[] = {{.path = "switch", .unit = "count", .help = "stated as an attribute there"}};
  EXPECT_NE(check_units(upn(), kFact).error().what.find("is a fact"), std::string::npos);

  Fact slip = *upn().find("endpoints");
  slip.key = "enpoints";
  Thing t = upn();
  t.facts = std::span(&slip, 1);
  EXPECT_NE(check_known(builtin(), t, kKeys).error().hint.find("endpoints"), std::string::npos);
  EXPECT_TRUE(check_known(builtin(), upn(), kKeys));
}

}  // namespace
}  // namespace jevons::catalog
