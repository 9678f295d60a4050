#include "evidence/calibrate.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "evidence/bench_json.hpp"
#include "evidence/calibrate_runs.hpp"
#include "evidence/case_run.hpp"
#include "step/operator_fits.hpp"

namespace jevons::evidence {
namespace {

const catalog::Catalog& book() {
  static const catalog::Catalog c = catalog::Catalog::builtin();
  return c;
}
catalog::Accelerator chip(std::string_view name) { return catalog::accelerator(**book().find(catalog::Section::accelerator, name)); }

const std::string kHeader = "accelerator,operator,format,kv_cache,m,n,k,sequences,tokens,heads,kv_heads,ranks,bytes,time_us\n";

// The message of a table that is refused; "" when it is taken.
std::string refusal(const std::string& csv) {
  const auto r = read_operator_table(book(), csv, "t.csv");
  return r ? "" : r.error().message();
}

TEST(OperatorTable, SaysRowColumnValueAndReason) {
  EXPECT_EQ(refusal(kHeader + "h100-sxm,gemm,bf16,,16,4096,4096,,,,,,,16.5\n"), "");
  EXPECT_NE(refusal(kHeader + "h100-sxm,gemm,bf16,,16,4096,4096,,,,,,,-16.5\n").find("t.csv:2 time_us: -16.5 is not above 0"),
            std::string::npos);
  EXPECT_NE(refusal(kHeader + "h100-sxm,gemm,bf16,,16,4096,4096,,,,,,,fast\n").find("t.csv:2 time_us: 'fast' is not a number"),
            std::string::npos);
  EXPECT_NE(refusal(kHeader + "h100-sxm,gemm,bf16,,16,,4096,,,,,,,16.5\n").find("t.csv:2 n: is empty"), std::string::npos);
  EXPECT_NE(refusal(kHeader + "h100,gem,bf16,,16,4096,4096,,,,,,,16.5\n").find("t.csv:2 "), std::string::npos);
  EXPECT_NE(refusal(kHeader + "h100-sxm,gem,bf16,,16,4096,4096,,,,,,,16.5\n").find("operator: 'gem' is no operator"), std::string::npos);
  EXPECT_NE(refusal(kHeader + "h100-sxm,gemm,bf17,,16,4096,4096,,,,,,,16.5\n").find("format: 'bf17'"), std::string::npos);
  EXPECT_NE(refusal("accelerator,operator,m,n,k,time_ms\n").find("t.csv:1 time_ms: unit 'ms' of time"), std::string::npos);
  EXPECT_NE(refusal("accelerator,operator,m,n,q,time_us\n").find("unknown column 'q'"), std::string::npos);
  EXPECT_NE(refusal(kHeader).find("no rows"), std::string::npos);
}

TEST(OperatorTable, RefusesWhatTheChipCannotDo) {
  // 2 x 4,096^3 FLOP in 100 us are 1,374 TFLOPS; the H100's dense bf16 peak is 989.
  EXPECT_NE(refusal(kHeader + "h100-sxm,gemm,bf16,,4096,4096,4096,,,,,,,100\n").find("100 us means 1374 TFLOPS, above the chip's 989"),
            std::string::npos);
  // A cache of 64 x 8,192 tokens x 8 heads x 256 numbers x 2 bytes is 2.1 GB: at least 641 us at 3.35 TB/s.
  EXPECT_NE(refusal(kHeader + "h100-sxm,decode-attention,bf16,bf16,,,,64,8192,64,8,,,600\n").find("above the chip's 3.35"),
            std::string::npos);
  EXPECT_EQ(refusal(kHeader + "h100-sxm,decode-attention,bf16,bf16,,,,64,8192,64,8,,,700\n"), "");
  // Nanoseconds: 16.5 us become 16.5 ms.
  EXPECT_NE(refusal(kHeader + "h100-sxm,gemm,bf16,,16,4096,4096,,,,,,,16500\n").find("times the data sheet's bound"), std::string::npos);
}

// Products as a machine would time them whose floors take 1.4, memory 1.1 and multiplication 1.25 times as long as the built-in curve.
std::vector<MeasuredOperator> slower_products(std::string_view accelerator) {
  const auto c = chip(accelerator);
  auto curve = *step::gemm_curve({&book(), &c, "trtllm"}, "bf16");
  curve.floor *= 1.4;
  curve.deep *= 1.4;
  curve.rows *= 1.4;
  curve.per_byte *= 1.1;
  curve.quantise *= 1.1;
  curve.per_flop *= 1.25;
  std::vector<MeasuredOperator> rows;
  for (const double m : {1, 16, 64, 256, 1024, 4096}) {
    for (const double n : {512, 2048, 4096, 8192}) {
      for (const double k : {1024, 4096, 8192}) {
        MeasuredOperator o;
        o.accelerator = accelerator;
        o.format = o.kv_cache = "bf16";
        o.m = m;
        o.n = n;
        o.k = k;
        o.seconds = gemm_time(curve, m, n, k).value();
        rows.push_back(o);
      }
    }
  }
  return rows;
}

struct Overlay {
  std::filesystem::path folder;
  explicit Overlay(const std::vector<File>& files) : folder(std::filesystem::temp_directory_path() / "jevons_calibrate_test") {
    std::filesystem::remove_all(folder);
    EXPECT_TRUE(write_files(folder.string(), files));
  }
  ~Overlay() { std::filesystem::remove_all(folder); }
};

TEST(CalibrateOperators, FindsTheFactorsAndItsOverlayAnswers) {
  const auto rows = slower_products("h100-sxm");
  const auto made = calibrate_operators(book(), rows, {"a machine", "2026-11-28", false});
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_EQ(made->groups.size(), 1u);
  const auto& g = made->groups[0];
  EXPECT_TRUE(g.kept);
  EXPECT_NEAR(g.floor, 1.4, 0.02);
  EXPECT_NEAR(g.stream, 1.1, 0.01);
  EXPECT_NEAR(g.compute, 1.25, 0.01);
  EXPECT_GT(g.before_median, 0.1);
  EXPECT_LT(g.after_median, 0.01);
  const Overlay overlay(made->overlay);
  const auto mine = catalog::Catalog::with_overlay(overlay.folder.string());
  ASSERT_TRUE(mine) << mine.error().message();
  const auto c = catalog::accelerator(**mine->find(catalog::Section::accelerator, "h100-sxm"));
  // Whatever engine is asked for, the measured curve answers; other chips and formats stay.
  for (const std::string_view engine : {"trtllm", "vllm", ""}) {
    const auto curve = *step::gemm_curve({&*mine, &c, engine}, "bf16");
    EXPECT_EQ(curve.evidence.engine, "measured");
    for (const auto& o : rows) EXPECT_NEAR(gemm_time(curve, o.m, o.n, o.k).value() / o.seconds, 1, 0.01);
  }
  EXPECT_EQ(step::gemm_curve({&*mine, &c, "trtllm"}, "fp8-block")->evidence.engine, "trtllm");
  // The constants of a step follow: 1.25 times the time of a large product is 0.8 of the share.
  const auto theirs = [](const catalog::Catalog& from, std::string_view thing, std::string_view key) {
    return (*from.find(catalog::Section::efficiency, thing))->find(key)->value;
  };
  EXPECT_GT(theirs(*mine, "hopper", "gemm_floor_bf16"), theirs(book(), "hopper", "gemm_floor_bf16"));
  EXPECT_LT(theirs(*mine, "hopper", "gemm_fraction_bf16"), theirs(book(), "hopper", "gemm_fraction_bf16"));
  EXPECT_EQ(theirs(*mine, "hopper", "gemm_fraction_fp8"), theirs(book(), "hopper", "gemm_fraction_fp8"));
}

TEST(CalibrateOperators, ChipsWithoutTablesGetTheirOwn) {
  const auto made = calibrate_operators(book(), slower_products("mi300x"), {"a machine", "2026-11-28", false});
  ASSERT_TRUE(made) << made.error().message();
  const Overlay overlay(made->overlay);
  const auto mine = catalog::Catalog::with_overlay(overlay.folder.string());
  ASSERT_TRUE(mine) << mine.error().message();
  const auto c = catalog::accelerator(**mine->find(catalog::Section::accelerator, "mi300x"));
  const auto curve = *step::gemm_curve({&*mine, &c, {}}, "bf16");
  EXPECT_EQ(curve.evidence.accelerator, "mi300x");
  EXPECT_EQ(curve.evidence.widen, 1);
}

TEST(CalibrateOperators, WhatIsMetAlreadyStays) {
  auto rows = slower_products("h100-sxm");
  const auto c = chip("h100-sxm");
  const auto curve = *step::gemm_curve({&book(), &c, {}}, "bf16");
  for (auto& o : rows) o.seconds = gemm_time(curve, o.m, o.n, o.k).value();
  const auto made = calibrate_operators(book(), rows, {"a machine", "2026-11-28", false});
  ASSERT_TRUE(made);
  EXPECT_TRUE(made->overlay.empty());
  ASSERT_EQ(made->notes.size(), 1u);
  rows.resize(5);
  const auto few = calibrate_operators(book(), rows, {"a machine", "2026-11-28", false});
  ASSERT_TRUE(few);
  EXPECT_NE(few->notes.at(0).find("at least 10"), std::string::npos);
}

TEST(CalibrateOperators, OneChipAtATime) {
  auto rows = slower_products("h100-sxm");
  const auto other = slower_products("b200-sxm");
  rows.insert(rows.end(), other.begin(), other.end());
  const auto made = calibrate_operators(book(), rows, {"two machines", "2026-11-28", false});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("one chip at a time"), std::string::npos);
}

Case deployment() {
  Case d;
  d.model = "llama-3.1-8b";
  d.accelerator = "h100-sxm";
  d.engine = "vllm";
  return d;
}

const std::string kBench =
    R"({"backend": "vllm", "model_id": "x", "num_prompts": 80, "request_rate": "inf", "max_concurrency": 8, "completed": 80,
        "total_input_tokens": 81920, "total_output_tokens": 10240, "mean_ttft_ms": 80.5, "mean_tpot_ms": 8.25})";

TEST(BenchJson, MeansFromTotals) {
  const auto c = read_bench_json(kBench, "b.json", deployment());
  ASSERT_TRUE(c) << c.error().message();
  EXPECT_EQ(c->isl, 1024);
  EXPECT_EQ(c->osl, 128);
  EXPECT_EQ(c->concurrency, 8);
  EXPECT_EQ(c->num_requests, 80u);
  EXPECT_DOUBLE_EQ(*c->ttft_s, 0.0805);
  EXPECT_DOUBLE_EQ(*c->tpot_s, 0.00825);
}

TEST(BenchJson, RefusesWithTheField) {
  const auto refused = [](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    const auto c = read_bench_json(text, "b.json", deployment());
    return c ? std::string() : c.error().message();
  };
  EXPECT_NE(refused(kBench, "\"completed\": 80", "\"completed\": 0").find("b.json completed: 0"), std::string::npos);
  EXPECT_NE(refused(kBench, "\"mean_ttft_ms\": 80.5, ", "").find("b.json mean_ttft_ms: is missing"), std::string::npos);
  EXPECT_NE(refused(kBench, "\"inf\"", "4.0").find("request_rate: 4.0"), std::string::npos);
  EXPECT_NE(refused(kBench, "{", "[").find("not readable"), std::string::npos);
}

// Runs "measured" by the simulator itself under constants of a slower host.
std::vector<Case> runs_under(const step::Served& served) {
  std::vector<Case> runs;
  for (const double concurrency : {1, 4, 16}) {
    Case c = deployment();
    c.id = "c" + std::to_string(int(concurrency));
    c.isl = c.nominal_isl = 512;
    c.osl = c.nominal_osl = 64;
    c.concurrency = concurrency;
    c.num_requests = std::size_t(4 * concurrency);
    const auto p = prepare(book(), c);
    if (!p) throw InternalError(p.error().message());
    const auto made = simulate(*p, served);
    c.tpot_s = made->tpot_s;
    c.ttft_s = made->ttft_s;
    runs.push_back(c);
  }
  return runs;
}

TEST(CalibrateRuns, LearnsASlowerHost) {
  auto slow = *step::Served::read(book());
  slow.value[std::size_t(step::Fit::host_step)] *= 6;
  slow.value[std::size_t(step::Fit::host_vllm)] *= 2;
  const auto made = calibrate_runs(book(), runs_under(slow), {"runs", "2026-11-28"});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_TRUE(made->improves());
  EXPECT_LT(made->after.both(), 0.6 * made->before.both());
  EXPECT_GT(made->fitted[step::Fit::host_step], made->start[step::Fit::host_step]);
  const Overlay overlay(made->overlay);
  const auto mine = catalog::Catalog::with_overlay(overlay.folder.string());
  ASSERT_TRUE(mine) << mine.error().message();
  EXPECT_NEAR((*step::Served::read(*mine))[step::Fit::host_step] / made->fitted[step::Fit::host_step], 1, 1e-4);
}

TEST(CalibrateRuns, WhatIsPredictedAlreadyDoesNotImprove) {
  const auto made = calibrate_runs(book(), runs_under(*step::Served::read(book())), {"runs", "2026-11-28"});
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_FALSE(made->improves());
}

TEST(CalibrateRuns, OneRunCannotBeHeldBack) {
  auto runs = runs_under(*step::Served::read(book()));
  runs.resize(1);
  const auto made = calibrate_runs(book(), runs, {"runs", "2026-11-28"});
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message().find("at least two runs"), std::string::npos);
}

}  // namespace
}  // namespace jevons::evidence
