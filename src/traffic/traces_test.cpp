// The shipped readers against the statistics published beside the traces, and the prefix cache counted as published there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "base/stats.hpp"
#include "traffic/prefix_count.hpp"
#include "traffic/read.hpp"

namespace jevons::traffic {
namespace {

const std::string kShared = JEVONS_SOURCE_DIR "/../shared/";

#define SKIP_WITHOUT(path)                                                                                     \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs the recorded trace " << (path) << ", which is not here"

struct Stats {
  double duration_s, rate, gap_cv, dispersion;
  Summary input, output;
};
Summary of(const std::vector<std::int32_t>& v) {
  std::vector<double> d(v.begin(), v.end());
  return summarize(d);
}
Stats stats(const Requests& r) {
  Stats s{};
  s.duration_s = double(r.arrival.back() - r.arrival.front()) * 1e-9;
  s.rate = double(r.size()) / s.duration_s;
  double sum = 0, squares = 0;
  for (std::size_t i = 1; i < r.size(); ++i) {
    const double gap = double(r.arrival[i] - r.arrival[i - 1]) * 1e-9;
    sum += gap;
    squares += gap * gap;
  }
  const double n = double(r.size() - 1), mean = sum / n;
  s.gap_cv = std::sqrt(squares / n - mean * mean) / mean;
  std::vector<double> windows(std::size_t(s.duration_s / 10.0) + 1, 0.0);
  for (SimTime t : r.arrival) ++windows[std::size_t(double(t) * 1e-10)];
  const double average = std::accumulate(windows.begin(), windows.end(), 0.0) / double(windows.size());
  for (double w : windows) s.dispersion += (w - average) * (w - average) / double(windows.size()) / average;
  s.input = of(r.input_tokens);
  s.output = of(r.output_tokens);
  return s;
}

struct Published {
  const char* file;
  Format format;
  std::size_t rows;
  double duration_s, rate, cv, dispersion, in_mean, in_p50, in_p99, out_mean, out_p50, out_p99;
};
// shared/traces/README.md, "Summary statistics"
const Published kPublished[] = {
    {"azure2023_code.csv", Format::azure, 8819, 3436, 2.567, 13.15, 71.3, 2048, 1469, 7436, 28, 13, 251},
    {"azure2023_conv.csv", Format::azure, 19366, 3502, 5.530, 1.09, 4.0, 1155, 1020, 4142, 211, 129, 601},
    {"mooncake_conversation.jsonl", Format::mooncake, 12031, 3537, 3.401, 3.03, 2.1, 12035, 6909, 85400, 343, 350, 1119},
    {"mooncake_synthetic.jsonl", Format::mooncake, 3993, 1022, 3.907, 1.01, 1.4, 15325, 11587, 66456, 149, 69, 768},
    {"burstgpt3_first110.csv", Format::burstgpt, 110, 32349, 0.0034, 1.75, NAN, 1132, 367, 13055, 198, 100, 860},
};

TEST(Traces, HaveThePublishedStatistics) {
  for (const Published& p : kPublished) {
    const std::string path = kShared + "traces/" + p.file;
    SKIP_WITHOUT(path);
    SCOPED_TRACE(p.file);
    const auto trace = read_trace(path, {.skip_bad_rows = true});
    ASSERT_TRUE(trace) << trace.error().message();
    EXPECT_EQ(trace->format, p.format);
    EXPECT_EQ(trace->rows, p.rows);
    EXPECT_EQ(trace->skipped, 0u) << trace->problems[0].message();
    const Stats s = stats(trace->requests);
    EXPECT_NEAR(s.duration_s, p.duration_s, 1.0);
    EXPECT_NEAR(s.rate, p.rate, 0.0006);
    EXPECT_NEAR(s.gap_cv, p.cv, 0.01);
    if (!std::isnan(p.dispersion)) { EXPECT_NEAR(s.dispersion, p.dispersion, 0.06); }
    EXPECT_NEAR(s.input.mean, p.in_mean, 0.51);
    EXPECT_NEAR(s.input.p50, p.in_p50, 0.51);
    EXPECT_NEAR(s.input.p99, p.in_p99, 1.0);
    EXPECT_NEAR(s.output.mean, p.out_mean, 0.51);
    EXPECT_NEAR(s.output.p50, p.out_p50, 0.51);
    EXPECT_NEAR(s.output.p99, p.out_p99, 1.0);
  }
}

TEST(Traces, PrefixHitsAgainstCacheSize) {
  struct Case {
    const char* file;
    std::uint64_t blocks, distinct;
    double unlimited;
    std::vector<double> percent;  // at 0.1, 1, 3, 10, 30, 50 M tokens
  };
  const std::vector<double> mtokens{0.1, 1, 3, 10, 30, 50};
  const Case cases[] = {{"mooncake_conversation.jsonl", 288500, 182790, 36.6, {4.2, 5.3, 13.6, 28.5, 35.9, 36.4}},
                        {"mooncake_synthetic.jsonl", 121877, 0, 64.0, {1.1, 14.0, 30.9, 56.7, 64.0, 64.0}}};
  for (const Case& c : cases) {
    const std::string path = kShared + "traces/" + c.file;
    SKIP_WITHOUT(path);
    const auto trace = read_trace(path);
    ASSERT_TRUE(trace) << trace.error().message();
    const HitCurve curve = count_prefix_hits(trace->requests);
    EXPECT_EQ(curve.blocks, c.blocks);
    if (c.distinct) { EXPECT_EQ(curve.distinct, c.distinct); }
    EXPECT_EQ(curve.unlimited_hits(), curve.blocks - curve.distinct);
    EXPECT_NEAR(100 * curve.rate(curve.unlimited_hits()), c.unlimited, 0.05);  // the published figure has one decimal
    for (std::size_t i = 0; i < mtokens.size(); ++i) {
      EXPECT_NEAR(100 * curve.rate(curve.hits(std::uint64_t(mtokens[i] * 1e6 / 512))), c.percent[i], 0.06) << mtokens[i] << " M tokens";
    }
  }
}

TEST(Traces, AgentSessionsKeepTheirReuseAndTheirOrder) {
  const std::string path = kShared + "traces/agentic_claudecode_requests.csv";
  SKIP_WITHOUT(path);
  const auto strict = read_trace(path);
  ASSERT_FALSE(strict);  // 27 recorded rows have no output
  EXPECT_GT(strict.error().line, 1);
  const auto trace = read_trace(path, {.skip_bad_rows = true});
  ASSERT_TRUE(trace) << trace.error().message();
  EXPECT_EQ(trace->format, Format::agentic);
  EXPECT_EQ(trace->rows, 49334u);
  EXPECT_FALSE(trace->timed);
  const Requests& r = trace->requests;
  EXPECT_EQ(r.sessions.count(), 710u);
  const Summary input = of(r.input_tokens), output = of(r.output_tokens);
  EXPECT_NEAR(input.mean, 122379, 250);  // published over all rows, 0.05 % of which are skipped here
  EXPECT_NEAR(input.p50, 103659, 150);
  EXPECT_NEAR(output.mean, 440, 1);
  EXPECT_NEAR(output.p50, 216, 1);
  // The reader numbers new blocks in order, so the highest identity tells how many there were.
  double blocks = 0;
  BlockId distinct = 0;
  for (const BlockRun& run : r.prefix.run) {
    blocks += run.count;
    distinct = std::max(distinct, run.first + run.count);
  }
  EXPECT_NEAR(blocks, 94.3e6, 0.1e6);
  EXPECT_NEAR(100 * (1 - double(distinct) / blocks), 96.3, 0.05);
  std::vector<double> waits;
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (!r.sessions.parents(RequestId(i)).empty()) waits.push_back(double(r.sessions.wait[i]) * 1e-9);
    for (RequestId p : r.sessions.parents(RequestId(i))) ASSERT_LT(p, i);
  }
  const Summary wait = summarize(waits);
  EXPECT_NEAR(wait.p50, 10, 0.5);
  EXPECT_NEAR(wait.p90, 162, 8);
}

TEST(Traces, LogsOfRealRuns) {
  for (const char* gpu : {"RTX4090", "RTXPRO6000"}) {
    const std::string path = kShared + "measured/vllm_runs/llmservingsim_vllm_" + gpu + "_Llama-3.1-8B_requests.jsonl";
    SKIP_WITHOUT(path);
    const auto trace = read_trace(path);
    ASSERT_TRUE(trace) << trace.error().message();
    EXPECT_EQ(trace->format, Format::vllm_run);
    EXPECT_EQ(trace->requests.size(), 300u);
    ASSERT_TRUE(trace->measured);
    EXPECT_EQ(trace->requests.arrival[0], 0);
    EXPECT_EQ(trace->measured->queued[0], 0);
    EXPECT_NEAR(double(trace->requests.arrival.back()) * 1e-9, 30, 5);  // 300 at 10 a second
    for (std::size_t i = 0; i < 300; ++i) ASSERT_LT(trace->measured->queued[i], trace->measured->first_token[i]);
  }
}

}  // namespace
}  // namespace jevons::traffic
