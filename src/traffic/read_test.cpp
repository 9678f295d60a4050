#include "traffic/read.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdio>
#include <filesystem>

#include "base/random.hpp"
#include "traffic/generate.hpp"
#include "traffic/write.hpp"

namespace jevons::traffic {
namespace {

Trace read(std::string_view text, const ReadOptions& options = {}) {
  auto t = parse_trace(text, "t", options);
  if (!t) throw std::runtime_error(t.error().message());
  return std::move(*t);
}
Error refused(std::string_view text, const ReadOptions& options = {}) {
  const auto t = parse_trace(text, "t", options);
  if (t) throw std::runtime_error("was read");
  return t.error();
}

TEST(Read, Azure2023And2024) {
  const Trace t = read(
      "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 23:59:59.9799600,4808,10\r\n2023-11-17 00:00:00.0319600,3180,8\r\n2024-05-10 00:00:00.009930+00:00,110,27");
  EXPECT_EQ(t.format, Format::azure);
  EXPECT_EQ(t.requests.arrival[1], 52'000'000);
  // 2023-11-16 to 2024-05-10 is 176 days, 0.97003 s short of a second boundary: 176·86400 s − 86399.97996 s + 0.00993 s
  EXPECT_EQ(t.requests.arrival[2], 176 * 86400 * kNsPerSecond - 86'399'979'960'000 + 9'930'000);
  EXPECT_EQ(t.requests.input_tokens, (std::vector<std::int32_t>{4808, 3180, 110}));
  EXPECT_TRUE(t.requests.tenants.empty());
}

TEST(Read, BurstGptInBothLayoutsWithModelsAsTenants) {
  const Trace one = read("Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1,2,3,API log\n");
  EXPECT_EQ(one.requests.arrival, (std::vector<SimTime>{0, 40 * kNsPerSecond}));
  EXPECT_EQ(one.requests.tenants[one.requests.tenant[1]].name, "GPT-4");
  const Trace three = read("Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Log Type\n5.25,ab,2,GPT-4,4,5,\"Conversation, log\"\n");
  EXPECT_EQ(three.requests.output_tokens[0], 5);
}

TEST(Read, MooncakeIdsBecomeRuns) {
  const Trace t = read("{\"timestamp\": 3000, \"input_length\": 1500, \"output_length\": 7, \"hash_ids\": [0, 14, 15]}\n"
                       "{\"timestamp\": 3500.5, \"input_length\": 512, \"output_length\": 1, \"hash_ids\": [9]}\n");
  EXPECT_EQ(t.requests.arrival, (std::vector<SimTime>{0, 500'500'000}));
  EXPECT_EQ(t.requests.prefix.block_tokens, 512);
  ASSERT_EQ(t.requests.prefix.of(0).size(), 2u);
  EXPECT_EQ(t.requests.prefix.of(0)[1].first, 14u);
  EXPECT_EQ(t.requests.prefix.of(0)[1].count, 2u);
  const Trace bailian = read(R"({"chat_id": 1, "parent_chat_id": -1, "timestamp": 61.5, "input_length": 30, "output_length": 4, "type": "text", "turn": 1, "hash_ids": [5, 6]})");
  EXPECT_EQ(bailian.requests.prefix.block_tokens, 16);
}

TEST(Read, AiperfExportIsSortedByStartAndFailuresAreBadRows) {
  const auto row = [](const char* start, const char* osl) {
    return std::string(R"({"metadata": {"session_num": 1, "request_start_ns": )") + start +
           R"(, "benchmark_phase": "profiling"}, "metrics": {"input_sequence_length": {"value": 550, "unit": "tokens"}, "output_sequence_length": {"value": )" + osl +
           R"(, "unit": "tokens"}}, "error": null})" + "\n";
  };
  const std::string failed =
      R"({"metadata": {"request_start_ns": 5, "benchmark_phase": "profiling"}, "metrics": {"error_isl": {"value": 550, "unit": "tokens"}}, "error": {"code": 499}})" "\n";
  const Trace t = read(row("1759813207650000000", "9") + row("1759813207532900363", "8") + failed, {.skip_bad_rows = true});
  EXPECT_EQ(t.format, Format::aiperf);
  EXPECT_EQ(t.requests.output_tokens, (std::vector<std::int32_t>{8, 9}));
  EXPECT_EQ(t.requests.arrival, (std::vector<SimTime>{0, 117'099'637}));
  EXPECT_EQ(t.skipped, 1u);
  EXPECT_EQ(t.problems[0].line, 3);
}

TEST(Read, GuidellmReportSaysWhichBenchmark) {
  const std::string one = R"({"requests": {"successful": [{"request_start_time": 1700000002.5, "prompt_tokens": 10, "output_tokens": 3},
    {"request_start_time": 1700000001.25, "prompt_tokens": 11, "output_tokens": 4}], "incomplete": [], "errored": []}})";
  const Trace t = read("{\n \"metadata\": {},\n \"benchmarks\": [" + one + "]}\n");
  EXPECT_EQ(t.format, Format::guidellm);
  EXPECT_EQ(t.requests.input_tokens, (std::vector<std::int32_t>{11, 10}));
  EXPECT_EQ(t.requests.arrival[1], 1'250'000'000);
  EXPECT_NE(refused("{\"benchmarks\": [" + one + "," + one + "]}").what.find("2 benchmarks"), std::string::npos);
  EXPECT_EQ(read("{\"benchmarks\": [" + one + "," + one + "]}", {.benchmark = 1}).requests.size(), 2u);
}

TEST(Read, ShareGptTextNeedsATokenSizeAndGrowsAContext) {
  const std::string text = R"([{"id": "x", "conversations": [{"from": "human", "value": "12345678"}, {"from": "gpt", "value": "1234"},
    {"from": "human", "value": "1234"}, {"from": "gpt", "value": "12345678"}]}, {"id": "y", "conversations": [{"from": "gpt", "value": "hello"}]}])";
  EXPECT_NE(refused(text).what.find("tokenizer"), std::string::npos);
  const Trace t = read(text, {.skip_bad_rows = true, .text_bytes_per_token = 4});
  EXPECT_EQ(t.skipped, 1u);
  EXPECT_FALSE(t.timed);
  EXPECT_EQ(t.requests.input_tokens, (std::vector<std::int32_t>{2, 4}));  // 8 bytes; then question, answer and question: 8 + 4 + 4
  EXPECT_EQ(t.requests.output_tokens, (std::vector<std::int32_t>{1, 2}));
  EXPECT_EQ(t.requests.sessions.count(), 1u);
  EXPECT_EQ(t.requests.sessions.parents(1)[0], 0u);
}

TEST(Read, OwnCsv) {
  const Trace t = read("arrival_s,input_tokens,output_tokens,tenant,priority,session,wait_s,adapter\n0.5,10,5,a,1,s,,\n0.5,20,6,a,1,s,2.5,3\n1,30,7,b,0,,,\n");
  const Requests& r = t.requests;
  EXPECT_EQ(r.arrival, (std::vector<SimTime>{500'000'000, 500'000'000, kNsPerSecond}));
  EXPECT_EQ(r.sessions.count(), 2u);
  EXPECT_EQ(r.sessions.wait[1], 2'500'000'000);
  EXPECT_TRUE(r.sessions.parents(2).empty());
  EXPECT_EQ(r.adapter, (std::vector<std::int32_t>{-1, 3, -1}));
  EXPECT_EQ(r.tenants[r.tenant[2]].name, "b");
  EXPECT_EQ(refused("input_tokens,output_tokens,temperature\n").key, "temperature");
}

TEST(Read, GzipIsToldByContent) {
  const std::string path = JEVONS_BINARY_DIR "/traffic_read_test.csv";
  gzFile f = gzopen(path.c_str(), "wb");
  gzputs(f, "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n");
  gzclose(f);
  const auto t = read_trace(path);
  ASSERT_TRUE(t) << t.error().message();
  EXPECT_EQ(t->requests.input_tokens[0], 4808);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 9);  // cut inside the stream
  EXPECT_FALSE(read_trace(path));
  std::filesystem::remove(path);
  EXPECT_EQ(read_trace("/nonexistent/x.csv").error().code, ErrorCode::io);
}

// --- bad input ---

const std::string kHead = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n";

TEST(ReadBad, EveryBadRowIsNamedByLineAndReason) {
  const struct {
    std::string row;
    const char* reason;
  } cases[] = {
      {"2023-11-16 18:17:02.9799600,1,1\n", "before the row above"},
      {"2023-11-16 18:17:04.9799600,0,1\n", "0 tokens"},
      {"2023-11-16 18:17:04.9799600,5,-3\n", "-3 tokens"},
      {"2023-11-16 18:17:04.9799600,5000000000000,3\n", "5000000000000 tokens"},
      {"2023-11-16 18:17:04.9799600,99999999999999999999999,3\n", "99999999999999999999999"},
      {"2023-11-16 18:17:04.9799600,1000,25\n", "1000 input + 25 output"},
      {"2023-11-16 18:17:04.9799600,1000\n", "2 columns"},
      {"2023-11-16 18:17:04.9799600,1,2,3\n", "4 columns"},
      {"2023-11-16 18:17:04.9799600,1.5,2\n", "'1.5'"},
      {"2023-02-30 18:17:04.9799600,1,2\n", "'2023-02-30"},
      {"yesterday,1,2\n", "'yesterday'"},
      {"2023-11-16 18:17:04.97,1\r,2\n", "carriage return"},
      {"2023-11-16 18:17", "the last line has no end"},
      {std::string(1 << 20, 'x') + "\n", "1 columns"},
      {"2023-11-16 18:17:04.9799600," + std::string(1 << 20, '7') + ",2\n", "…"},
  };
  for (const auto& c : cases) {
    const std::string text = kHead + "2023-11-16 18:17:04.0,1,1\n" + c.row;
    const ReadOptions strict{.max_context = 1024};
    std::string body = text;
    body.replace(body.find("4808"), 4, "1014");
    const Error e = refused(body, strict);
    EXPECT_EQ(e.line, 4) << c.reason;
    EXPECT_EQ(e.file, "t");
    EXPECT_NE((e.key + e.what).find(c.reason), std::string::npos) << e.message();
    EXPECT_LT(e.message().size(), 500u);
    const Trace t = read(body, {.skip_bad_rows = true, .max_context = 1024});
    EXPECT_EQ(t.requests.size(), 2u);
    EXPECT_EQ(t.rows, 3u);
    EXPECT_EQ(t.skipped, 1u);
    ASSERT_EQ(t.problems.size(), 1u);
    EXPECT_EQ(t.problems[0].line, 4);
  }
}

TEST(ReadBad, BadJsonLines) {
  const std::string good = R"({"timestamp": 0, "input_length": 1024, "output_length": 5, "hash_ids": [0, 1]})" "\n";
  const struct {
    std::string row;
    const char* reason;
  } cases[] = {
      {R"({"timestamp": 1, "input_length": 1024, "output_le)", "the last line has no end"},
      {R"({"timestamp": 1, "output_length": 5, "hash_ids": [0, 1]})" "\n", "missing"},
      {R"({"timestamp": 1, "input_length": "many", "output_length": 5, "hash_ids": [0, 1]})" "\n", "many"},
      {R"({"timestamp": 1, "input_length": 10, "output_length": 5, "hash_ids": [0, 1]})" "\n", "2 blocks"},
      {R"({"timestamp": 1, "input_length": 1000, "output_length": 5, "hash_ids": [0, -1]})" "\n", "-1"},
      {R"({"timestamp": 1e300, "input_length": 10, "output_length": 5, "hash_ids": []})" "\n", "1e+300"},
      {R"({"timestamp": null, "input_length": 10, "output_length": 5, "hash_ids": []})" "\n", "missing"},
      {R"({"timestamp": 1, "input_length": 10, "output_length": 5, "hash_ids": []} trailing)" "\n", "not JSON"},
      {"[1, 2]\n", "not an object"},
      {"\xff\xfe\n", "not JSON"},
  };
  for (const auto& c : cases) {
    const Error e = refused(good + good + c.row);
    EXPECT_EQ(e.line, 3) << c.reason;
    EXPECT_NE((e.key + e.what).find(c.reason), std::string::npos) << e.message();
    EXPECT_EQ(read(good + c.row + (c.row.ends_with('\n') ? good : ""), {.skip_bad_rows = true}).skipped, 1u);
  }
}

TEST(ReadBad, WholeFiles) {
  EXPECT_NE(refused("").what.find("empty"), std::string::npos);
  EXPECT_NE(refused("\n\n").what.find("empty"), std::string::npos);
  EXPECT_NE(refused("a,b,c\n1,2,3\n").what.find("no known format"), std::string::npos);
  EXPECT_NE(refused("TIMESTAMP,ContextTokens,GeneratedTokens\n").what.find("no requests"), std::string::npos);
  EXPECT_NE(refused("TIMESTAMP,ContextTokens,GeneratedTokens\nx\ny\n", {.skip_bad_rows = true}).what.find("no good row among 2"), std::string::npos);
  EXPECT_EQ(refused("TIMESTAMP,ContextTokens,GeneratedTokens,TIMESTAMP\n").key, "TIMESTAMP");
  EXPECT_EQ(refused("When,ContextTokens,GeneratedTokens\n", {.format = Format::azure}).key, "TIMESTAMP");
  EXPECT_NE(refused("[{\"conversations\": ", {.text_bytes_per_token = 4}).what.find("not JSON"), std::string::npos);
  EXPECT_FALSE(parse_format("csvv"));
}

TEST(ReadBad, MixedLineEndsAByteOrderMarkAndBlankLinesAreFine) {
  const Trace t = read("\xEF\xBB\xBFTIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:17:03.9,1,2\n\n2023-11-16 18:17:03.9,3,4\r\n\r\n");
  EXPECT_EQ(t.requests.input_tokens, (std::vector<std::int32_t>{1, 3}));
}

TEST(ReadBad, SessionsMustStandTogetherAndParentsComeFirst) {
  EXPECT_EQ(refused("input_tokens,output_tokens,session\n1,1,a\n1,1,b\n1,1,a\n").line, 4);
  const Error e = refused(R"({"arrival_s":0,"input_tokens":1,"output_tokens":1,"session":"s"})" "\n"
                          R"({"arrival_s":0,"input_tokens":1,"output_tokens":1,"session":"s","parents":[1]})" "\n");
  EXPECT_EQ(e.line, 2);
  EXPECT_EQ(e.key, "parents");
  // A bad row between a parent and a child is bridged.
  const Trace t = read(R"({"arrival_s":0,"input_tokens":1,"output_tokens":1,"session":"s"})" "\n"
                       R"({"arrival_s":0,"input_tokens":0,"output_tokens":1,"session":"s","parents":[0]})" "\n"
                       R"({"arrival_s":0,"input_tokens":2,"output_tokens":1,"session":"s","parents":[1]})" "\n",
                       {.skip_bad_rows = true});
  ASSERT_EQ(t.requests.size(), 2u);
  EXPECT_EQ(t.requests.sessions.parents(1)[0], 0u);
}

// Whatever the bytes, the reader answers: requests that keep its promises, or an error with a reason.
std::string broken_promise(const std::string& text, const ReadOptions& options) {
  const auto t = parse_trace(text, "fuzz", options);
  if (!t) return t.error().what.empty() ? "an error without a reason" : "";
  const Requests& r = t->requests;
  if (r.size() == 0 || r.input_tokens.size() != r.size() || r.output_tokens.size() != r.size()) return "columns of different lengths";
  for (std::size_t i = 0; i < r.size(); ++i) {
    if (r.input_tokens[i] < 1 || r.output_tokens[i] < 1) return "an empty request";
    if (i > 0 && !r.sessions.known() && r.arrival[i] < r.arrival[i - 1]) return "arrivals out of order";
  }
  if (r.prefix.known() && (r.prefix.offset.size() != r.size() + 1 || r.prefix.offset.back() != r.prefix.run.size())) return "prefix offsets";
  if (!r.sessions.known()) return "";
  if (r.sessions.first.back() != r.size() || r.sessions.wait.size() != r.size() || r.sessions.offset.size() != r.size() + 1) return "session offsets";
  for (std::size_t i = 0; i < r.size(); ++i) {
    for (RequestId p : r.sessions.parents(RequestId(i))) {
      if (p >= i) return "a parent after its child";
    }
  }
  return "";
}

TEST(ReadBad, MutilatedFilesNeverSurprise) {
  const std::vector<std::string> seeds = {
      kHead + "2023-11-16 18:17:05,1,1\n",
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,Conversation log\n45,GPT-4,1,2,3,API log\n",
      R"({"timestamp": 0, "input_length": 1024, "output_length": 5, "hash_ids": [0, 1]})" "\n" R"({"timestamp": 9, "input_length": 3, "output_length": 5, "hash_ids": [4]})" "\n",
      "arrival_s,input_tokens,output_tokens,tenant,priority,session,wait_s,adapter\n0.5,10,5,a,1,s,,\n0.5,20,6,a,1,s,2.5,3\n1,30,7,b,0,,,\n",
      "trace_id,req_idx,is_subagent,t_s,type,model,input_tokens,output_tokens,n_blocks,hit_blocks_prefix,api_time_s,ttft_s,think_time_s,stop\n"
      "a,0,0,0,n,m,640,9,10,0,1,,0,x\na,1,1,5,n,m,640,9,10,0,1,,0,x\na,2,1,9,n,m,960,9,15,10,1,,,x\na,3,0,20,n,m,1280,9,20,12,1,,3,x\n",
      R"({"arrival_s":0,"input_tokens":100,"output_tokens":1,"session":"s","block_tokens":16,"blocks":[[1,3]]})" "\n"
      R"({"arrival_s":0,"input_tokens":2,"output_tokens":1,"session":"s","parents":[0],"wait_s":0.5})" "\n",
      R"({"benchmarks": [{"requests": {"successful": [{"request_start_time": 17.5, "prompt_tokens": 10, "output_tokens": 3}]}}]})",
      R"([{"conversations": [{"from": "human", "value": "abc"}, {"from": "gpt", "value": "de"}]}])"};
  Stream random(Seed{2026}, 0, Draw::test, 0);
  for (int round = 0; round < 20000; ++round) {
    std::string text = seeds[random.below(seeds.size())];
    for (auto changes = random.below(6); changes > 0 && !text.empty(); --changes) {
      const auto at = std::size_t(random.below(text.size()));
      switch (random.below(5)) {
        case 0: text[at] = char(random.bits()); break;
        case 1: text.erase(at, std::size_t(1 + random.below(20))); break;
        case 2: text.insert(at, text.substr(at / 2, std::size_t(1 + random.below(40)))); break;
        case 3: text[at] = "0123456789-,.\"[]{}\n\r"[random.below(20)]; break;
        default: text.resize(at);
      }
    }
    const ReadOptions options{.skip_bad_rows = random.below(2) == 0, .max_context = random.below(2) ? 2048 : 0, .text_bytes_per_token = 4};
    ASSERT_EQ(broken_promise(text, options), "") << text;
  }
}

TEST(Write, RoundTripKeepsEverything) {
  ClassSpec chat;
  chat.tenant = {"a \"quoted\" name", 2, {}};
  chat.input = LogNormal{300, 1};
  chat.shared_prompt_tokens = 100;
  chat.adapters = 3;
  chat.session = SessionLaw{Uniform{1, 6}, Uniform{5, 200}, Exponential{3.5}, {0.3, Uniform{1, 3}, Uniform{1, 3}, Fixed{50}, 40}};
  ClassSpec batch;
  batch.tenant = {"batch", 5, {}};
  const auto made = generate({{chat, batch}, 500, 16, 4096}, Seed{7});
  ASSERT_TRUE(made) << made.error().message();
  const Trace back = read(to_jsonl(*made));
  const Requests &a = *made, &b = back.requests;
  EXPECT_EQ(a.arrival, b.arrival);
  EXPECT_EQ(a.input_tokens, b.input_tokens);
  EXPECT_EQ(a.output_tokens, b.output_tokens);
  EXPECT_EQ(a.adapter, b.adapter);
  EXPECT_EQ(a.sessions.first, b.sessions.first);
  EXPECT_EQ(a.sessions.parent, b.sessions.parent);
  EXPECT_EQ(a.sessions.offset, b.sessions.offset);
  EXPECT_EQ(a.sessions.wait, b.sessions.wait);
  EXPECT_EQ(a.prefix.offset, b.prefix.offset);
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(a.tenants[a.tenant[i]].name, b.tenants[b.tenant[i]].name);
  EXPECT_EQ(to_jsonl(a), to_jsonl(b));
}

}  // namespace
}  // namespace jevons::traffic
