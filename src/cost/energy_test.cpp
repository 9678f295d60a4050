#include "cost/energy.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "cost/gpu_hour.hpp"

namespace jevons::cost {
namespace {

const catalog::Catalog& builtin() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}
catalog::Accelerator chip(std::string_view name) { return catalog::accelerator(**builtin().find(catalog::Section::accelerator, name)); }

// H100 by hand: board 700 W, all in 1,730 W at a PUE of 1.16: 1,491.4 W of IT, 791.4 W around the chip.
// Idle: (0.15 x 700 + 0.6 x 791.4) x 1.16 = 672.6 W. Prefill all the time: (665 + 791.4) x 1.16 = 1,689.4 W.
// Decode at batch 128: (602 + 791.4) x 1.16 = 1,616.3 W; at batch 1: (301 + 791.4) x 1.16 = 1,267.2 W.
TEST(Energy, HandWorkedH100) {
  const auto band = power_model(builtin(), chip("h100-sxm"));
  ASSERT_TRUE(band) << band.error().message();
  const double rest = 1730 / 1.16 - 700;
  EXPECT_NEAR(power_at(band->centre, {0, 0, 1}).value(), (105 + 0.6 * rest) * 1.16, 1e-9);
  EXPECT_NEAR(power_at(band->centre, {1, 0, 1}).value(), (665 + rest) * 1.16, 1e-9);
  EXPECT_NEAR(power_at(band->centre, {0, 1, 128}).value(), (602 + rest) * 1.16, 1e-9);
  EXPECT_NEAR(power_at(band->centre, {0, 1, 1}).value(), (301 + rest) * 1.16, 1e-9);
  // Half of the doublings, half of the way.
  EXPECT_NEAR(power_at(band->centre, {0, 1, std::sqrt(128.0)}).value(), (451.5 + rest) * 1.16, 1e-9);
  // 1,000 tokens a second at half decode, half idle: joules are the mean of the two powers over the tokens; 381 g/kWh.
  const auto e = token_energy(*band, {0, 0.5, 128}, TokensPerSecond{1000}, 381 / 3.6e6);
  const double watts = 0.5 * (602 + rest) * 1.16 + 0.5 * (105 + 0.6 * rest) * 1.16;
  EXPECT_NEAR(e.centre.joules.value(), watts / 1000, 1e-12);
  EXPECT_NEAR(*e.centre.gco2, watts / 1000 * 381 / 3.6e6, 1e-15);
  EXPECT_FALSE(e.centre.litres);
  EXPECT_LT(e.low.joules, e.centre.joules);
  EXPECT_GT(e.high.joules, e.centre.joules);
}

TEST(Energy, NeverAboveNameplateAndRisesWithLoad) {
  for (const auto* t : builtin().things(catalog::Section::accelerator)) {
    const auto band = power_model(builtin(), catalog::accelerator(*t));
    if (!band) continue;
    double last = 0;
    for (double busy = 0; busy <= 1.0001; busy += 0.125) {
      const double w = power_at(band->centre, {0.3 * busy, 0.7 * busy, 64}).value();
      EXPECT_GT(w, last) << t->name;
      last = w;
    }
    std::vector<const catalog::Fact*> facts;
    const Watts all_in = *all_in_power(builtin(), catalog::accelerator(*t), facts);
    const Watts board = catalog::accelerator(*t).tdp->value;
    if (all_in > board * 1.16) {
      EXPECT_LE(last, all_in.value()) << t->name;
    }
  }
}

// DeepSeek's day: 73.7 thousand input and 14.8 thousand output tokens a second of an H800 node, prefill and decode nodes apart. Published
// (derived from a 10.2 kW node, PUE 1.10 to 1.35): 2.1e-4 to 2.6e-4 Wh an output token on decode nodes. The band must meet that range.
TEST(Energy, DeepSeekDecodeNodes) {
  const auto band = power_model(builtin(), chip("h800-sxm"));
  ASSERT_TRUE(band) << band.error().message();
  const auto e = token_energy(*band, {0, 1, 128}, TokensPerSecond{14800.0 / 8});
  const auto& published = *(*builtin().find(catalog::Section::datacenter, "token-energy"))->find("deepseek_out");
  EXPECT_LT(e.low.joules.value(), published.high);
  EXPECT_GT(e.high.joules.value(), published.low);
  EXPECT_NEAR(e.centre.joules.value() / published.value, 1, 0.25);
}

TEST(Energy, Grids) {
  EXPECT_NEAR(*grid_of(builtin(), "Germany")->gco2_per_joule * 3.6e6, 381, 1e-9);
  EXPECT_FALSE(grid_of(builtin(), "germany")->litres_per_joule);
  EXPECT_NEAR(*grid_of(builtin(), "sweden")->gco2_per_joule * 3.6e6, 36, 1e-9);
  EXPECT_NE(grid_of(builtin(), "gremany").error().hint.find("germany"), std::string::npos);
}

// Two kinds of accelerator share the tokens: joules add up, and so does the time behind the mean power.
TEST(Energy, PartsAddUp) {
  const auto a = *power_model(builtin(), chip("h100-sxm")), b = *power_model(builtin(), chip("h200-sxm"));
  const Load busy{0.2, 0.7, 32}, idle{};
  const std::array<Powered, 2> parts{{{a, busy, Seconds{30}}, {b, idle, Seconds{10}}}};
  const auto e = token_energy(parts, Tokens{1000}, 381 / 3.6e6);
  const double joules = power_at(a.centre, busy).value() * 30 + power_at(b.centre, idle).value() * 10;
  EXPECT_NEAR(e.centre.joules.value(), joules / 1000, 1e-12);
  EXPECT_NEAR(e.power.value(), joules / 40, 1e-9);
  EXPECT_NEAR(*e.centre.gco2, joules / 1000 * 381 / 3.6e6, 1e-15);
  EXPECT_LT(e.centre.of_busiest, 1);
}

TEST(Energy, SiteClasses) {
  const auto c = site_class_of(builtin(), "AI-liquid");
  ASSERT_TRUE(c) << c.error().message();
  EXPECT_NEAR(*c->pue, 1.16, 1e-12);
  EXPECT_NEAR(*c->litres_per_joule * 3.6e6, 0.27, 1e-12);
  EXPECT_NE(site_class_of(builtin(), "modula").error().hint.find("modular"), std::string::npos);
}

TEST(Energy, PueAndWater) {
  const auto lean = power_model(builtin(), chip("h100-sxm"), 1.1), heavy = power_model(builtin(), chip("h100-sxm"), 1.56);
  const Load load{0.3, 0.4, 32};
  EXPECT_NEAR(power_at(heavy->centre, load) / power_at(lean->centre, load), 1.56 / 1.1, 1e-12);
  EXPECT_FALSE(power_model(builtin(), chip("h100-sxm"), 0.9));
  // 4.5 L behind a kWh at the meter, 0.27 L for a kWh of IT: 4.5 + 0.27 / 1.1 a kWh at the meter.
  const auto e = token_energy(*lean, load, TokensPerSecond{1}, std::nullopt, 4.5 / 3.6e6, 0.27 / 3.6e6);
  EXPECT_NEAR(*e.centre.litres / e.centre.joules.value() * 3.6e6, 4.5 + 0.27 / 1.1, 1e-12);
}

}  // namespace
}  // namespace jevons::cost
