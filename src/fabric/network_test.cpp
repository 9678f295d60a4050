#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "catalog/loader.hpp"
#include "fabric/comparison.hpp"
#include "fabric/drawing.hpp"
#include "fabric/times.hpp"
#include "fabric/topology.hpp"

namespace jevons::fabric {
namespace {

BytesPerSecond tbit(double v) { return BytesPerSecond{v * 1e12 / 8}; }
const catalog::Catalog& builtin() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}
const catalog::Thing& fabric_of(std::string_view name) { return **builtin().find(catalog::Section::fabric, name); }
Result<PartsList> list_of(std::string_view name) {
  auto n = network(builtin(), fabric_of(name));
  if (!n) return fail(n.error());
  return parts_list(*n);
}
Network clos(double endpoints, double bandwidth, double capacity, double radix, int tiers, double planes = 1) {
  Network n;
  n.name = "test";
  n.endpoints = endpoints;
  n.endpoint_bandwidth = tbit(bandwidth);
  n.switch_capacity = tbit(capacity);
  n.radix = radix;
  n.tiers = tiers;
  n.planes = planes;
  return n;
}

// Every design whose inputs are published must give the counts that are published, tier by tier.
TEST(NamedSystems, FormulaGivesThePublishedCounts) {
  int seen = 0;
  for (const auto* t : builtin().things(catalog::Section::fabric)) {
    const auto list = list_of(t->name);
    if (!list || t->attribute("shape") == "torus") continue;
    if (const auto chips = t->number("switch_chips")) {
      EXPECT_EQ(list->switch_chips, *chips) << t->name;
      ++seen;
    }
    if (const auto l1 = t->number("switch_chips_l1")) {
      EXPECT_EQ(list->chips_by_tier[0], *l1) << t->name;
    }
    if (const auto l2 = t->number("switch_chips_l2")) {
      EXPECT_EQ(list->chips_by_tier[1], *l2) << t->name;
    }
    if (const auto per = t->number("endpoints_per_switch_chip")) {
      EXPECT_NEAR(list->endpoints_per_chip, *per, 1e-3) << t->name;
    }
    if (const auto sum = t->get<BytesPerSecond>("aggregate_bandwidth_both_directions")) {
      EXPECT_NEAR(list->aggregate / sum->value, 1, 0.01) << t->name;
    }
    const auto modules = t->number("optical_modules");
    if (modules && *modules > 0) {
      EXPECT_EQ(list->optical_modules, *modules) << t->name;
    }
  }
  EXPECT_GE(seen, 10);
}

TEST(NamedSystems, Nvl72) {
  const auto l = list_of("gb200-nvl72");
  ASSERT_TRUE(l) << l.error().message();
  EXPECT_EQ(l->trays, 9);  // 9 trays of 2
  EXPECT_EQ(l->hops, 1);
  EXPECT_EQ(l->ports_used, 72);
  EXPECT_EQ(copper_pairs(72, tbit(7.2), tbit(0.2)), 5184);
  EXPECT_EQ(list_of("kyber-nvl144")->trays, 12);  // 12 blades of 6
}

TEST(NamedSystems, UnpublishedIsSaid) {
  const auto e = list_of("gb200-nvl36x2").error();
  EXPECT_EQ(e.code, ErrorCode::unsupported);
  EXPECT_NE(e.what.find("not known"), std::string::npos);
}

// UPN512 against the same domain on 28.8T chips, by hand at 6.4 Tbit/s: one tier: 32 chips, 512 x 6.4 x 2 / 0.8 = 8,192 modules of 800G.
// Two tiers: planes of 400G: 16; leaf holds 36 of 72 ports: ceil(512 / 36) = 15 leaves and 8 spines a plane: 240 + 128.
TEST(Upn512, OneOpticalTierAgainstTwoElectrical) {
  auto n = *network(builtin(), fabric_of("upn512"));
  const auto one = parts_list(n);
  ASSERT_TRUE(one) << one.error().message();
  EXPECT_EQ(one->switch_chips, 32);
  EXPECT_EQ(one->optical_modules, 8192);
  EXPECT_NEAR(media_power(*one)->value(), 8192 * 8.5, 1e-6);      // 70 kW of LPO
  EXPECT_NEAR(one->power.value(), 8192 * 8.5 + 32 * 1000, 1e-6);  // and 32 chips at the assumed 1 kW
  EXPECT_EQ(one->unknown.size(), 1u);                             // the failure rate of the chips
  const auto two = parts_list(clos(512, 6.4, 28.8, 72, 2, 16));
  EXPECT_EQ(two->chips_by_tier[0], 240);
  EXPECT_EQ(two->chips_by_tier[1], 128);
  EXPECT_NEAR(two->switching / one->switching, 3, 1e-12);
}

// By hand, upn512 against upn512-two-tier-dsp: links 8,192 x 8.5 W against 4,096 cables x 2 x 0.15 W + 8,192 x 15.5 W = 128,204.8 W: 45.7
// %. Fabric: + 32 x 1,000 W against + 384 x 281 W: 1 - 101,632 / 236,108.8 = 57.0 %. At the ends of the ranges: (8,192 x 9 + 32 x 1,200)
// against (4,096 x 2 x 0.1 + 8,192 x 14 + 384 x 197): 1 - 112,128 / 191,155.2 = 41.3 %.
TEST(Upn512, SavingsByHand) {
  const auto a = design(builtin(), fabric_of("upn512")), b = design(builtin(), fabric_of("upn512-two-tier-dsp"));
  ASSERT_TRUE(a) << a.error().message();
  ASSERT_TRUE(b) << b.error().message();
  EXPECT_EQ(b->centre.chips_by_tier[0], 256);  // 16 racks x 16 planes
  EXPECT_EQ(b->centre.chips_by_tier[1], 128);  // 16 planes x ceil(16 x 32 / 72)
  EXPECT_EQ(b->centre.cables, 4096);
  EXPECT_EQ(b->centre.optical_modules, 8192);
  const auto s = savings(*a, *b);
  EXPECT_EQ(s[0].what, "power of links");
  EXPECT_NEAR(*s[0].centre, 1 - 69632 / 128204.8, 1e-9);
  EXPECT_NEAR(*s[2].centre, 1 - 101632 / 236108.8, 1e-9);
  EXPECT_NEAR(*s[2].low, 1 - 112128 / 191155.2, 1e-9);
  EXPECT_LT(*s[2].low, *s[2].centre);
  EXPECT_GT(*s[2].high, *s[2].centre);
  EXPECT_EQ(*s[4].centre, 0);    // as many modules
  EXPECT_EQ(*s[5].centre, 0.5);  // half the runs
}

TEST(NamedSystems, EveryNameOfTheFamilyIsThere) {
  // GTC 2025 counted dies, GTC 2026 packages: 72, 144, 576 endpoints are packages here.
  for (const auto& [name, endpoints, chips] :
       {std::tuple{"gb200-nvl72", 72, 18}, std::tuple{"vr-nvl144", 72, 36}, std::tuple{"kyber-nvl144", 144, 72},
        std::tuple{"rubin-ultra-nvl576-2025", 144, 72}, std::tuple{"gb200-nvl576", 576, 432}, std::tuple{"rubin-ultra-nvl576", 576, 864}}) {
    const auto n = network(builtin(), fabric_of(name));
    ASSERT_TRUE(n) << name << n.error().message();
    EXPECT_EQ(n->endpoints, endpoints) << name;
    EXPECT_EQ(parts_list(*n)->switch_chips, chips) << name;
  }
  EXPECT_EQ(fabric_of("nvl576").attribute("compare_with"), "gb200-nvl576, kyber-nvl144, rubin-ultra-nvl576");
}

// 2,048 x 400G on 128 ports: 32 leaves of 64, 16 spines; 2,048 NIC modules of 400G, 1,024 + 2 x 1,024 of 800G.
// 48 kW + 2,048 x 9 + 3,072 x 15.5 W.
TEST(NamedSystems, RailOptimised) {
  const auto l = list_of("rail-optimised-2048");
  ASSERT_TRUE(l) << l.error().message();
  EXPECT_EQ(l->chips_by_tier[0], 32);
  EXPECT_EQ(l->chips_by_tier[1], 16);
  EXPECT_EQ(l->optical_modules, 2048 + 3 * 1024);
  EXPECT_NEAR(l->power.value(), 48000 + 2048 * 9 + 3072 * 15.5, 1e-9);
  EXPECT_EQ(list_of("rail-only-1024")->switch_chips, 8);
}

TEST(Drawing, IsAnSvgOfTheTrueCounts) {
  for (const auto* t : builtin().things(catalog::Section::fabric)) {
    const auto n = network(builtin(), *t);
    if (!n) continue;
    const auto l = parts_list(*n);
    ASSERT_TRUE(l) << t->name << l.error().message();
    const std::string svg = topology_svg(*n, *l);
    EXPECT_TRUE(svg.starts_with("<svg")) << t->name;
    EXPECT_TRUE(svg.ends_with("</svg>\n")) << t->name;
    EXPECT_LT(svg.size(), 200000u) << t->name;
    EXPECT_EQ(svg.find("nan"), std::string::npos) << t->name;
  }
  const auto n = *network(builtin(), fabric_of("gb200-nvl576"));
  const std::string svg = topology_svg(n, *parts_list(n));
  EXPECT_NE(svg.find("tier 1: 288 switch chips"), std::string::npos);
  EXPECT_NE(svg.find("tier 2: 144 switch chips"), std::string::npos);
}

TEST(Collectives, BoundsAndFitsOfASystem) {
  const auto n = *network(builtin(), fabric_of("gb200-nvl72"));
  const auto times = collective_times(builtin(), n, *parts_list(n), Bytes{64 * kMebi});
  double ring = 0, in_switch = 0, dispatch = 0;
  for (const auto& t : times) {
    if (t.how == "ring, bound" && t.operation == "all-reduce") ring = t.time.value();
    if (t.how == "in the switch, bound") in_switch = t.time.value();
    if (t.operation == "expert dispatch" && dispatch == 0) dispatch = t.time.value();
  }
  EXPECT_NEAR(ring, 2.0 * 71 / 72 * 64 * kMebi / 900e9, 1e-12);
  EXPECT_NEAR(in_switch, 64 * kMebi / 900e9, 1e-12);
  EXPECT_NEAR(dispatch, 40.9e-6, 0.07 * 40.9e-6);  // measured at EP64, 128 tokens a rank, balanced: 5 % more copies
}

// 4,096 endpoints of 800G, 64 a leaf: of 64 steps of a ring 63 take one switch (600 ns), one the whole path.
TEST(Collectives, RingsRunAlongTheLeaves) {
  catalog::Store store;
  const auto thing = catalog::load_file(store, catalog::Section::fabric, JEVONS_SOURCE_DIR "/src/fabric/testdata/lab-b300.yaml");
  const auto n = *network(builtin(), **thing);
  const auto list = *parts_list(n);
  const double step = (63 * 600e-9 + list.latency->value()) / 64;
  for (const auto& t : collective_times(builtin(), n, list, Bytes{64 * kMebi})) {
    if (t.operation != "all-gather") continue;
    EXPECT_NEAR(t.time.value(), 4095 * step + 4095.0 / 4096 * 64 * kMebi / 100e9, 1e-9);
  }
}

TEST(Clos, HandCounts) {
  // k = 64 three-tier fat tree: 65,536 hosts, 5 k^2 / 4 = 5,120 switches: 2,048 + 2,048 + 1,024 (Al-Fares 2008).
  const auto fat = parts_list(clos(65536, 0.4, 25.6, 64, 3));
  ASSERT_TRUE(fat) << fat.error().message();
  EXPECT_EQ(fat->switch_chips, 5120);
  EXPECT_EQ(fat->chips_by_tier[2], 1024);
  EXPECT_EQ(fat->hops, 5);
  EXPECT_EQ(fat->links, 3 * 65536);
  // Oversubscribed 3:1, k = 64: 48 down and 16 up: 1,024 / 48 -> 22 leaves, 22 x 16 / 64 -> 6 spines.
  Network o = clos(1024, 0.4, 25.6, 64, 2);
  o.oversubscription = 3;
  const auto thin = parts_list(o);
  EXPECT_EQ(thin->chips_by_tier[0], 22);
  EXPECT_EQ(thin->chips_by_tier[1], 6);
  EXPECT_NEAR(thin->bisection.value(), 1024 * 50e9 / 2 / 3, 1);
}

TEST(Clos, Reach) {
  EXPECT_EQ(reach(64, 3), 65536);
  EXPECT_EQ(reach(512, 1), 512);
  EXPECT_EQ(reach(512, 2), 131072);
  EXPECT_EQ(reach(72, 3), 93312);
  EXPECT_EQ(reach(64, 2, 3), 48 * 64);  // 48 down ports a leaf, 64 leaves a spine
  EXPECT_EQ(reach(512, 1, 1, 6), 85);   // six ports each
}

TEST(Clos, TooLargeSaysWhatWouldFit) {
  const auto bad = parts_list(clos(576, 7.2, 28.8, 72, 1, 18));
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().what.find("the limit is 72"), std::string::npos);
  EXPECT_NE(bad.error().hint.find("2 tiers"), std::string::npos);
  EXPECT_NE(bad.error().hint.find("576 ports"), std::string::npos);
  EXPECT_NE(parts_list(clos(72, 14.4, 28.8, 72, 1, 18)).error().hint.find("36 planes"), std::string::npos);  // two ports of each plane
  EXPECT_FALSE(parts_list(clos(8, 1, 1, 0, 1)));
  EXPECT_FALSE(parts_list(clos(8, 1, 0, 8, 1)));
  EXPECT_FALSE(parts_list(clos(0, 1, 1, 8, 1)));
  EXPECT_FALSE(parts_list(clos(8, 1, 1, 8, 7)));
  EXPECT_FALSE(parts_list(clos(8.5, 1, 1, 8, 1)));
  EXPECT_FALSE(parts_list(clos(8, 1, 1, 7.5, 1)));
  // A leaf of 40 with 40 uplinks does not fit 64 ports: at most 32.
  Network crowded = clos(1024, 0.4, 25.6, 64, 2);
  crowded.endpoints_per_leaf = 40;
  EXPECT_NE(parts_list(crowded).error().expected.find("at most 32"), std::string::npos);
  crowded.endpoints_per_leaf = 8;  // 128 leaves under spines of 64 ports
  EXPECT_NE(parts_list(crowded).error().what.find("the limit is 64"), std::string::npos);
  Network far = clos(8, 0.8, 6.4, 8, 1);
  far.endpoint_end = *medium(builtin(), "dac-800g");
  far.first_link_m = 3;
  EXPECT_NE(parts_list(far).error().what.find("reaches 2 m"), std::string::npos);
  far.first_link_m = 2;
  far.endpoint_end->price = Usd{-1};
  EXPECT_FALSE(parts_list(far));
}

TEST(Media, CablesAndModules) {
  Network n = clos(64, 0.8, 51.2, 64, 1);
  n.endpoint_end = *medium(builtin(), "dac-800g");
  auto l = parts_list(n);
  EXPECT_EQ(l->cables, 64);
  EXPECT_NEAR(l->power.value(), 64 * 2 * 0.15, 1e-9);  // both ends
  n.endpoint_end = n.leaf_end = *medium(builtin(), "opt-800g-lpo");
  l = parts_list(n);
  EXPECT_EQ(l->optical_modules, 128);
  EXPECT_NEAR(l->price.value(), 128 * 800, 1e-9);
  EXPECT_FALSE(medium(builtin(), "tomahawk6"));
}

TEST(Torus, Counts) {
  Network t = clos(4096, 1.2, 0, 0, 1);
  t.shape = Shape::torus;
  t.dimensions = {16, 16, 16};
  const auto l = parts_list(t);
  ASSERT_TRUE(l) << l.error().message();
  EXPECT_EQ(l->links, 3 * 4096);
  EXPECT_EQ(l->hops, 24);
  EXPECT_NEAR(l->bisection.value(), 2.0 * 256 * 25e9, 1);  // 2 x 16^2 links of 0.2 Tbit/s
  EXPECT_EQ(l->switch_chips, 0);
  t.dimensions = {16, 16};
  EXPECT_FALSE(parts_list(t));
}

TEST(Mesh, EightAcceleratorsFullyJoined) {
  Network m = clos(8, 7 * 0.6144, 0, 0, 1);  // MI355X: 7 links of 76.8 GB/s
  m.shape = Shape::mesh;
  const auto l = parts_list(m);
  EXPECT_EQ(l->links, 28);
  EXPECT_NEAR(l->bisection.value(), 16 * 76.8e9, 1);
}

RC_GTEST_PROP(Clos, MoreNeverCostsLess, ()) {
  const int tiers = *rc::gen::inRange(1, 4);
  const double radix = 2 * *rc::gen::inRange(4, 64);
  const double limit = reach(radix, tiers);
  const double n = *rc::gen::inRange(1, int(limit));
  const auto a = parts_list(clos(n, 0.4, 0.4 * radix, radix, tiers)), b = parts_list(clos(n + 1, 0.4, 0.4 * radix, radix, tiers));
  RC_ASSERT(a && b);
  RC_ASSERT(a->switch_chips <= b->switch_chips);
  // Never fewer chips than the capacity the design must switch.
  RC_ASSERT(b->switch_chips * radix * 50e9 >= (b->switching).value() * (1 - 1e-9));
  RC_ASSERT(!parts_list(clos(limit + 1, 0.4, 0.4 * radix, radix, tiers)));
}

PartsList list_of_file(const std::string& name) {
  catalog::Store store;
  const auto thing = catalog::load_file(store, catalog::Section::fabric, JEVONS_SOURCE_DIR "/src/fabric/testdata/" + name);
  EXPECT_TRUE(thing) << thing.error().message();
  const auto n = network(builtin(), **thing);
  EXPECT_TRUE(n) << n.error().message();
  return *parts_list(*n);
}

// Tomahawk 5 as 128 ports of 400G. 2:1: floor(128 x 2/3) = 85 ports down and 42.5 -> 43 up: ceil(256 / 85) = 4 leaves, ceil(4 x 43 / 128) =
// 2 spines. 256 x 400G over 800G cables: 128 cables. Uplinks 256 x 400G / 2 over 800G: 64 links, 128 modules. Watts: 6 x 500 W, 128 cables
// x 2 x 0.15 W, 128 x 8.5 W = 3,000 + 38.4 + 1,088. Path: 3 x 600 ns + 64 m of flight.
TEST(Strangers, LeafAndSpineByHand) {
  const auto l = list_of_file("lab-ethernet.yaml");
  EXPECT_EQ(l.chips_by_tier[0], 4);
  EXPECT_EQ(l.chips_by_tier[1], 2);
  EXPECT_EQ(l.cables, 128);
  EXPECT_EQ(l.optical_modules, 128);
  EXPECT_NEAR(l.power.value(), 3000 + 38.4 + 1088, 1e-9);
  EXPECT_NEAR(l.latency->value(), 1.8e-6 + 64 * 4.9e-9, 1e-15);
}

// Tomahawk 6 as 128 ports of 800G, 64 down and 64 up: 4,096 / 64 = 64 leaves, 64 x 64 / 64 = 64 above, 64 x 64 / 128 = 32 on top. 4,096 AEC
// cables of two 6 W ends; two stages of 4,096 x 800G over 800G modules, two ends: 16,384 x 8.5 W. 160,000 + 49,152 + 139,264 W.
TEST(Strangers, ThreeTiersByHand) {
  const auto l = list_of_file("lab-b300.yaml");
  EXPECT_EQ(l.chips_by_tier[0], 64);
  EXPECT_EQ(l.chips_by_tier[1], 64);
  EXPECT_EQ(l.chips_by_tier[2], 32);
  EXPECT_EQ(l.cables, 4096);
  EXPECT_EQ(l.optical_modules, 16384);
  EXPECT_NEAR(l.power.value(), 348416, 1e-6);
  EXPECT_EQ(l.hops, 5);
}

// HGX H100: 18 links of 25 GB/s an accelerator, split 5, 4, 4 and 5 over four chips: 144 in all.
TEST(Clos, LinksOfUnequalPlanes) {
  const auto hgx = parts_list(*network(builtin(), fabric_of("hgx-h100")));
  ASSERT_TRUE(hgx) << hgx.error().message();
  EXPECT_EQ(hgx->links, 144);
  EXPECT_EQ(hgx->switch_chips, 4);
}

// 51.2T as 64 ports of 800G: an endpoint of 400G leaves half a port unused, split over two planes three quarters.
TEST(Clos, PortsThatAreTooFast) {
  Network n = clos(32, 0.4, 51.2, 64, 1);
  EXPECT_NEAR(port_use(n), 0.5, 1e-12);
  n.planes = 2;
  EXPECT_NEAR(port_use(n), 0.25, 1e-12);
  EXPECT_NEAR(port_use(clos(32, 0.8, 51.2, 64, 1)), 1, 1e-12);
  EXPECT_NEAR(port_use(clos(32, 1.2, 51.2, 64, 1)), 0.75, 1e-12);  // one and a half ports take two
}

// 6 links an accelerator: 192 links; 64 x 4.8T / 2 over 800G, two ends: 384 modules, 3,264 W; hops 2 + 2 + 2; bisection 2 x 16 links of
// 0.8T.
TEST(Strangers, TorusByHand) {
  const auto l = list_of_file("lab-torus.yaml");
  EXPECT_EQ(l.links, 192);
  EXPECT_EQ(l.optical_modules, 384);
  EXPECT_NEAR(l.power.value(), 384 * 8.5, 1e-9);
  EXPECT_EQ(l.hops, 6);
  EXPECT_NEAR(l.bisection.value(), 32 * 100e9, 1);
}

TEST(ScaleUp, BillOfADeployment) {
  const auto& gb200 = **builtin().find(catalog::Section::accelerator, "gb200-nvl72");
  const auto b = scaleup_bill(builtin(), gb200, 100);
  ASSERT_TRUE(b);
  EXPECT_EQ(b->domains, 2);
  EXPECT_EQ(*b->switch_chips, 36);
  EXPECT_EQ(*b->modules, 0);
}

}  // namespace
}  // namespace jevons::fabric
