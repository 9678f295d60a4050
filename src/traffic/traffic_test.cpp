#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/random.hpp"
#include "traffic/trace.hpp"

namespace jevons::traffic {
namespace {

std::string error_of(const std::string& text) {
  const auto t = read_trace(text, "t");
  return t ? "ok" : t.error().message();
}

TEST(Trace, ReadsBothForms) {
  const auto m = read_trace(
      "{\"timestamp\": 5, \"input_length\": 1000, \"output_length\": 10, \"hash_ids\": [1, 2]}\n{\"timestamp\": 1005, \"input_length\": "
      "600, \"output_length\": 20, \"hash_ids\": [1, 3]}\n",
      "t");
  ASSERT_TRUE(m) << m.error().message();
  const Summary s = summarize(*m);
  EXPECT_EQ(s.seconds, 1);
  EXPECT_EQ(s.input_mean, 800);
  EXPECT_EQ(s.prefix_hit_rate, 0.25);  // block 1 of the second request
  const auto a = read_trace("TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-30 23:59:59.5,10,5\r\n2023-12-01 00:00:01.0,20,7\r\n", "t");
  ASSERT_TRUE(a) << a.error().message();
  EXPECT_EQ(summarize(*a).seconds, 1.5);  // over midnight and the end of a month
}

TEST(Trace, LruByHand) {
  // Ids 1 2 3 1 2 3 with room for two: every id was pushed out before it came again; with room for three the last three hit.
  const auto t = read_trace("{\"timestamp\":0,\"input_length\":1,\"output_length\":1,\"hash_ids\":[1,2,3,1,2,3]}", "t");
  EXPECT_EQ(block_hit_rate(*t, 2), 0);
  EXPECT_EQ(block_hit_rate(*t, 3), 0.5);
  EXPECT_EQ(block_hit_rate(*t, 0), 0.5);
}

TEST(Trace, ErrorsNameRowAndReason) {
  const std::string head = "arrival_s,input_tokens,output_tokens\n";
  EXPECT_NE(error_of("").find("is empty"), std::string::npos);
  EXPECT_NE(error_of(head).find("holds no request"), std::string::npos);
  EXPECT_NE(error_of("a,b\n1,2\n").find("unknown columns"), std::string::npos);
  EXPECT_NE(error_of(head + "1,5,5\n0.5,5,5\n").find("t:3 arrival: before the row above it"), std::string::npos);
  EXPECT_NE(error_of(head + "1,0,5\n").find("t:2 input tokens: 0 tokens"), std::string::npos);
  EXPECT_NE(error_of(head + "1,5,-2\n").find("output tokens: -2"), std::string::npos);
  EXPECT_NE(error_of(head + "1,99999999,5\n").find("99999999 tokens"), std::string::npos);
  EXPECT_NE(error_of(head + "1,5\n").find("t:2: 2 cells"), std::string::npos);
  EXPECT_NE(error_of(head + "noon,5,5\n").find("t:2 arrival_s: 'noon'"), std::string::npos);
  EXPECT_NE(error_of("{\"timestamp\":0,\"input_length\":1,\"output_length\":1}\n{\"timest").find("t:2: a cut last line"),
            std::string::npos);
  EXPECT_NE(error_of("{\"timestamp\":0,\"input_length\":\"x\",\"output_length\":1}").find("input_length"), std::string::npos);
  EXPECT_NE(error_of("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-13-01 00:00:00,1,1\n").find("t:2 TIMESTAMP"), std::string::npos);
  EXPECT_NE(error_of("TIMESTAMP,ContextTokens,GeneratedTokens\n2023-01-01 00:-5:00,1,1\n").find("t:2 TIMESTAMP"), std::string::npos);
  EXPECT_NE(error_of(head + std::string(1 << 20, '9') + ",1,1\n").find("t:2"), std::string::npos);
}

// Statistics of the public traces, when they lie beside the repository (their own README states them).
Trace shared(const std::string& name, bool& absent) {
  const std::string path = JEVONS_SOURCE_DIR "/../shared/traces/" + name;
  absent = !std::filesystem::exists(path);
  if (absent) return {};
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  auto t = read_trace(text.str(), path);
  EXPECT_TRUE(t) << (t ? "" : t.error().message());
  return t ? std::move(*t) : Trace{};
}

TEST(Published, MooncakeConversation) {
  bool absent = false;
  const Trace t = shared("mooncake_conversation.jsonl", absent);
  if (absent) GTEST_SKIP() << "no traces beside the repository";
  const Summary s = summarize(t);
  EXPECT_EQ(s.requests, 12031u);
  EXPECT_NEAR(s.input_mean, 12035, 1);
  EXPECT_NEAR(s.output_mean, 343, 1);
  EXPECT_EQ(t.block_ids.size(), 288500u);
  EXPECT_NEAR(s.prefix_hit_rate, 1 - 182790.0 / 288500, 1e-12);  // 36.6 %, exactly the ids seen before
  // Hit rate against cache size, blocks of 512 tokens.
  for (const auto& [tokens, rate] : {std::pair{0.1e6, 0.042}, {1e6, 0.053}, {3e6, 0.136}, {10e6, 0.285}, {30e6, 0.359}, {50e6, 0.364}}) {
    EXPECT_NEAR(block_hit_rate(t, std::size_t(tokens / 512)), rate, 0.002) << tokens;
  }
}

TEST(Published, AzureConversation) {
  bool absent = false;
  const Trace t = shared("azure2023_conv.csv", absent);
  if (absent) GTEST_SKIP() << "no traces beside the repository";
  const Summary s = summarize(t);
  EXPECT_EQ(s.requests, 19366u);
  EXPECT_NEAR(s.requests_per_s, 5.530, 0.005);
  EXPECT_NEAR(s.input_mean, 1155, 1);
  EXPECT_NEAR(s.output_p50, 129, 1);
}

TEST(Fuzz, HostileRowsComeBack) {
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Stream random(Seed{9}, 0, Draw::test, i);
    std::string text = random.below(2) ? "arrival_s,input_tokens,output_tokens\n1,5,5\n2,6,6\n"
                                       : "{\"timestamp\":0,\"input_length\":1,\"output_length\":1,\"hash_ids\":[1,2]}\n";
    for (int n = 0; n < 3; ++n) text[random.below(text.size())] = char(random.below(256));
    (void)error_of(text);
  }
}

}  // namespace
}  // namespace jevons::traffic
