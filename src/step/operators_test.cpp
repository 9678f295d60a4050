#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>

#include "step/operator_fits.hpp"

namespace jevons::step {
namespace {

const catalog::Catalog& book() {
  static const catalog::Catalog c = catalog::Catalog::builtin();
  return c;
}
catalog::Accelerator chip(std::string_view name) { return catalog::accelerator(**book().find(catalog::Section::accelerator, name)); }

constexpr std::array<std::string_view, 9> kMeasured{"a100-80g-sxm", "h100-sxm",    "h200-sxm", "b200-sxm",    "b300-sxm",
                                                    "gb200-nvl72",  "gb300-nvl72", "l40s",     "rtx-pro-6000"};
constexpr std::array<std::string_view, 6> kFormats{"bf16", "fp8", "fp8-block", "nvfp4", "int8", "int4-weight-only"};

double peak_of(const catalog::Accelerator& c, std::string_view format) {
  const auto& p = format.starts_with("fp8") ? c.peak_fp8 : format == "nvfp4" ? c.peak_fp4 : format == "int8" ? c.peak_int8 : c.peak_bf16;
  return p->value.value();
}

// Every curve of the catalogue, one after the other.
template <class F>
void each_gemm(F f) {
  for (const auto name : kMeasured) {
    const auto c = chip(name);
    for (const std::string_view engine : {"trtllm", "vllm"}) {
      for (const auto format : kFormats) {
        const auto curve = gemm_curve({&book(), &c, engine}, format);
        if (curve) f(c, format, *curve);
      }
    }
  }
}

// A floor, tiles of 128 x 128 over 100 multiprocessors at 10 FLOP/ns each, everything else off: 1,000 FLOP/ns in all.
GemmCurve plain_gemm() {
  GemmCurve c{};
  c.weight_bytes = c.operand_bytes = 2;
  c.per_byte = 1e-12;
  c.per_flop = 1e-10;
  c.multiprocessors = 100;
  c.floor = 3e-6;
  c.deep_half = 1;
  c.cache_bytes = 1;
  c.cache_rate = 1;
  c.wave = 1;
  c.tiles[0] = {128, 128};
  c.tile_count = 1;
  return c;
}

TEST(GemmTime, ByHand) {
  // 1,280 x 1,280 outputs are 100 tiles, one wave: 2 x 128 x 128 x 1,000 FLOP at 10 FLOP/ns = 3,276.8 us.
  // Bytes: 2 x 1,000 x 1,280 x 2 + 1,280^2 x 2 = 8,396,800 at 1 B/ps = 8.4 us, lost in the fourth power.
  EXPECT_NEAR(gemm_time(plain_gemm(), 1280, 1280, 1000).value(), 3279.8e-6, 1e-8);
  // One more row opens a second wave of ten tiles, paid in full.
  EXPECT_NEAR(gemm_time(plain_gemm(), 1281, 1280, 1000).value(), 6556.6e-6, 1e-8);
  // A single row of a 4,096 x 4,096 weight: 33.6 MB, 33.6 us; 32 tiles in one wave would be 13.4 ms at this low rate.
  auto fast = plain_gemm();
  fast.per_flop = 1e-16;
  EXPECT_NEAR(gemm_time(fast, 1, 4096, 4096).value(), 3e-6 + 33.57e-6, 2e-8);
}

TEST(GemmTime, BenchmarkKeepsSmallWeightsInCacheAndCountsLaunch) {
  auto c = plain_gemm();
  c.per_flop = 1e-16;
  c.launch = 2e-6;
  c.cache_bytes = 1e9;
  c.cache_rate = 0.25;
  EXPECT_NEAR(gemm_time(c, 1, 4096, 4096, Setting::step).value(), 1e-6 + 33.57e-6, 2e-8);
  EXPECT_NEAR(gemm_time(c, 1, 4096, 4096, Setting::benchmark).value(), 3e-6 + 33.57e-6 / 4, 5e-8);
}

RC_GTEST_PROP(GemmTime, NeverBeatsTheRooflineAndGrows, ()) {
  const double m = *rc::gen::inRange(1, 20000), n = *rc::gen::inRange(64, 20000), k = *rc::gen::inRange(64, 20000);
  each_gemm([&](const catalog::Accelerator& c, std::string_view format, const GemmCurve& g) {
    for (const Setting setting : {Setting::step, Setting::benchmark}) {
      const double t = gemm_time(g, m, n, k, setting).value();
      RC_ASSERT(t >= 2 * m * n * k / peak_of(c, format));
      RC_ASSERT(gemm_time(g, m + 1, n, k, setting).value() >= t);
      RC_ASSERT(gemm_time(g, m, n + 64, k, setting).value() >= t);
      RC_ASSERT(gemm_time(g, m, n, k + 64, setting).value() >= t);
    }
    RC_ASSERT(gemm_time(g, m, n, k).value() >= n * k * g.weight_bytes / c.hbm_bandwidth->value.value());
  });
}

RC_GTEST_PROP(ContextAttention, NeverBeatsThePeakAndGrows, ()) {
  const double b = *rc::gen::inRange(1, 64), n = *rc::gen::inRange(1, 40000), h = *rc::gen::inRange(1, 128);
  const double cached = *rc::gen::inRange(0, 100000), window = *rc::gen::inRange(1, 20000);
  for (const auto name : kMeasured) {
    const auto c = chip(name);
    for (const auto family : {AttentionFamily::gqa, AttentionFamily::naive_mla}) {
      const auto curve = *context_curve({&book(), &c, {}}, family, "bf16", "bf16");
      const auto time = [&](const ContextShape& s) { return context_attention_time(curve, s).value(); };
      const ContextShape s{.sequences = b, .tokens = n, .heads = h};
      RC_ASSERT(time(s) >= b * h * n * n * (curve.qk_dim + curve.v_dim) / c.peak_bf16->value.value());
      RC_ASSERT(time({.sequences = b + 1, .tokens = n, .heads = h}) >= time(s));
      RC_ASSERT(time({.sequences = b, .tokens = n + 1, .heads = h}) >= time(s));
      RC_ASSERT(time({.sequences = b, .tokens = n, .cached = cached, .heads = h}) >= time(s));
      RC_ASSERT(time({.sequences = b, .tokens = n, .cached = cached, .heads = h, .window = window}) <=
                time({.sequences = b, .tokens = n, .cached = cached, .heads = h}));
    }
  }
}

TEST(ContextAttention, WindowByHand) {
  // Four queries, window 2, nothing cached: the continuous mean of min(i, 2) over 0..4 is (2 x 1 + 2 x 2) / 4 = 1.5 keys.
  ContextCurve c{};
  c.per_flop = 1;
  c.multiprocessors = 1;
  c.qk_dim = c.v_dim = 0.5;
  c.wave = 1;
  EXPECT_DOUBLE_EQ(context_attention_time(c, {.tokens = 4, .window = 2}).value(), 1.5 * 128 * 2);
  EXPECT_DOUBLE_EQ(context_attention_time(c, {.tokens = 4}).value(), 2.0 * 128 * 2);
  // Two queries after ten cached tokens and a window of 4 see four keys each.
  EXPECT_DOUBLE_EQ(context_attention_time(c, {.tokens = 2, .cached = 10, .window = 4}).value(), 4.0 * 128 * 2);
}

RC_GTEST_PROP(DecodeAttention, NeverReadsFasterThanMemoryAndGrows, ()) {
  const double b = *rc::gen::inRange(1, 1024), n = *rc::gen::inRange(1, 200000), h = *rc::gen::inRange(8, 128), g = *rc::gen::inRange(1, 8);
  for (const auto name : kMeasured) {
    const auto c = chip(name);
    for (const std::string_view kv : {"bf16", "fp8"}) {
      const auto d = *decode_curve({&book(), &c, {}}, kv);
      const double t = decode_attention_time(d, {.sequences = b, .keys = n, .heads = h, .kv_heads = g}).value();
      RC_ASSERT(t >= b * n * g * 256 * d.kv_bytes / c.hbm_bandwidth->value.value());
      RC_ASSERT(decode_attention_time(d, {.sequences = b + 1, .keys = n, .heads = h, .kv_heads = g}).value() >= t);
      RC_ASSERT(decode_attention_time(d, {.sequences = b, .keys = n + 1, .heads = h, .kv_heads = g}).value() >= t);
      const auto m = *mla_decode_curve({&book(), &c, {}}, kv);
      const double u = mla_decode_time(m, b, n, h).value();
      RC_ASSERT(u >= b * n * 576 * m.kv_bytes / c.hbm_bandwidth->value.value());
      RC_ASSERT(u >= b * n * h * 2 * 1088 / c.peak_bf16->value.value());
      RC_ASSERT(mla_decode_time(m, b + 1, n, h).value() >= u);
      RC_ASSERT(mla_decode_time(m, b, n + 1, h).value() >= u);
    }
  }
}

RC_GTEST_PROP(Experts, NeverBeatTheRooflineAndGrow, ()) {
  const double tokens = *rc::gen::inRange(1, 20000), k = *rc::gen::inRange(1, 9), ep = *rc::gen::element(1, 4, 8, 16);
  for (const std::string_view name : {"h100-sxm", "b200-sxm", "gb200-nvl72"}) {
    const auto c = chip(name);
    for (const std::string_view format : {"bf16", "fp8", "fp8-block", "nvfp4", "mxfp4-w4a8"}) {
      const auto curve = moe_curve({&book(), &c, {}}, format);
      if (!curve) continue;
      for (const auto routing : {Routing::balanced, Routing::skewed, Routing::very_skewed}) {
        const auto l = moe_layer(*curve, {.hidden = 4096, .width = 1536, .experts = 128, .top_k = k, .ep = ep, .routing = routing});
        const double t = moe_time(l, tokens).value();
        const std::string_view operand = format == "mxfp4-w4a8" ? "fp8" : format;
        RC_ASSERT(t >= tokens * k / ep * 6 * 4096 * 1536 / peak_of(c, operand));
        RC_ASSERT(moe_time(l, tokens + 1).value() >= t);
      }
    }
  }
}

TEST(Collectives, BetweenAndBeyondMeasuredRanks) {
  const auto c = chip("h100-sxm");
  const auto time = [&](double ranks) {
    return collective_time(*collective_curve({&book(), &c, {}}, "nccl", "all-reduce", ranks), Bytes{1e6});
  };
  EXPECT_LT(time(2).value(), time(3).value());
  EXPECT_LT(time(3).value(), time(4).value());
  EXPECT_LT(time(8).value(), time(16).value());
  EXPECT_TRUE(collective_curve({&book(), &c, {}}, "nccl", "all-reduce", 16)->extrapolated);
  EXPECT_FALSE(collective_curve({&book(), &c, {}}, "nccl", "all-reduce", 8)->extrapolated);
}

// Every accelerator of the catalogue with a bf16 rate and a bandwidth has curves, its own or borrowed.
TEST(Curves, EveryChipHasThem) {
  for (const auto* thing : book().things(catalog::Section::accelerator)) {
    const auto c = catalog::accelerator(*thing);
    if (!c.peak_bf16 || !c.hbm_bandwidth) continue;
    const CurveRequest q{&book(), &c, "vllm"};
    EXPECT_TRUE(gemm_curve(q, "bf16")) << thing->name;
    EXPECT_TRUE(context_curve(q, AttentionFamily::naive_mla, "bf16", "fp8")) << thing->name;
    EXPECT_TRUE(decode_curve(q, "fp8")) << thing->name;
    EXPECT_TRUE(mla_decode_curve(q, "bf16")) << thing->name;
    EXPECT_TRUE(moe_curve(q, "bf16")) << thing->name;
    EXPECT_TRUE(collective_curve(q, "nccl", "all-to-all", 8)) << thing->name;
    EXPECT_TRUE(exchange_curve(q, "deepep", "low-latency", "combine", 32)) << thing->name;
    EXPECT_TRUE(short_kernel_curve(q, "norm")) << thing->name;
  }
}

TEST(Curves, ChipsWithoutTablesBorrow) {
  const auto own = chip("h100-sxm"), h800 = chip("h800-sxm"), amd = chip("mi300x");
  const auto a = *gemm_curve({&book(), &own, "trtllm"}, "fp8-block"), b = *gemm_curve({&book(), &h800, "trtllm"}, "fp8-block"),
             c = *gemm_curve({&book(), &amd, "vllm"}, "bf16");
  EXPECT_EQ(a.evidence.widen, 1);
  EXPECT_EQ(b.evidence.accelerator, "h100-sxm");
  EXPECT_EQ(b.evidence.widen, 1.2);
  EXPECT_EQ(gemm_time(a, 64, 4096, 4096).value(), gemm_time(b, 64, 4096, 4096).value());
  EXPECT_EQ(c.evidence.widen, 2.5);
  EXPECT_EQ(c.evidence.engine, "vllm");
  // Half the link, about twice the time of a large message.
  const auto fast = *collective_curve({&book(), &own, {}}, "nccl", "all-reduce", 8),
             slow = *collective_curve({&book(), &h800, {}}, "nccl", "all-reduce", 8);
  EXPECT_NEAR(collective_time(slow, Bytes{1e9}) / collective_time(fast, Bytes{1e9}), 450.0 / 200, 0.02);
}

TEST(ShortKernels, FloorThenMemory) {
  const auto c = chip("h100-sxm");
  const auto norm = *short_kernel_curve({&book(), &c, {}}, "norm");
  EXPECT_EQ(norm.evidence.accelerator, "h800-sxm");
  // One token of 4,096 numbers costs the floor; 2 GB cannot be moved faster than memory.
  EXPECT_NEAR(short_kernel_time(norm, 1, Bytes{16384}).value(), norm.floor, 0.1e-6);
  EXPECT_GT(short_kernel_time(norm, 1e5, Bytes{2e9}).value(), 2e9 / c.hbm_bandwidth->value.value());
}

TEST(Curves, ErrorsSayWhatIsMissing) {
  const auto c = chip("h100-sxm");
  const auto unknown = gemm_curve({&book(), &c, {}}, "fp6");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message().find("'fp6'"), std::string::npos);
  const auto no_units = gemm_curve({&book(), &c, {}}, "nvfp4");  // Hopper has no fp4 units
  ASSERT_FALSE(no_units);
  EXPECT_NE(no_units.error().message().find("nvfp4"), std::string::npos);
}

}  // namespace
}  // namespace jevons::step
