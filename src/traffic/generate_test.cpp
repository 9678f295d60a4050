#include "traffic/generate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "traffic/prefix_count.hpp"

namespace jevons::traffic {
namespace {

Requests made(const GenerateSpec& spec, std::uint64_t seed = 1, std::uint64_t replication = 0) {
  auto r = generate(spec, Seed{seed}, replication);
  if (!r) throw std::runtime_error(r.error().message());
  return std::move(*r);
}
ClassSpec plain(double rate, Law input, Law output) {
  ClassSpec c;
  c.arrivals.rate_per_s = rate;
  c.input = std::move(input);
  c.output = std::move(output);
  return c;
}
double average(const std::vector<std::int32_t>& v) { return std::accumulate(v.begin(), v.end(), 0.0) / double(v.size()); }

TEST(Generate, LoneRequests) {
  const Requests r = made({{plain(4, Fixed{1000}, Uniform{100, 300})}, 100000});
  EXPECT_EQ(r.size(), 100000u);
  EXPECT_NEAR(double(r.arrival.back()) * 1e-9, 25000, 4 * 25000 / std::sqrt(1e5));
  EXPECT_TRUE(std::all_of(r.input_tokens.begin(), r.input_tokens.end(), [](int n) { return n == 1000; }));
  EXPECT_NEAR(average(r.output_tokens), 200, 4 * 58 / std::sqrt(1e5));
  EXPECT_FALSE(r.prefix.known());
  EXPECT_FALSE(r.sessions.known());
  EXPECT_TRUE(r.tenant.empty());
}

/// A signature of everything in a workload (FNV-1a over its integers).
std::uint64_t signature(const Requests& r) {
  std::uint64_t h = 0xCBF29CE484222325ull;
  const auto add = [&](const auto& column) {
    for (auto v : column) {
      for (int b = 0; b < 8; ++b) h = (h ^ ((std::uint64_t(v) >> (8 * b)) & 255)) * 0x100000001B3ull;
    }
  };
  add(r.arrival);
  add(r.input_tokens);
  add(r.output_tokens);
  add(r.tenant);
  add(r.adapter);
  add(r.prefix.offset);
  for (const BlockRun& run : r.prefix.run) add(std::array<std::uint64_t, 2>{run.first, run.count});
  add(r.sessions.first);
  add(r.sessions.offset);
  add(r.sessions.parent);
  add(r.sessions.wait);
  return h;
}

GenerateSpec agents() {
  ClassSpec chat = plain(2, LogNormal{400, 1}, LogNormal{150, 0.8});
  chat.tenant = {"chat", 0, {}};
  chat.shared_prompt_tokens = 200;
  chat.shared_prompts = 5;
  chat.adapters = 4;
  chat.session = SessionLaw{Uniform{1, 5}, LogNormal{60, 1}, Exponential{20}, {}};
  ClassSpec agent = plain(0.5, LogNormal{3000, 0.7}, LogNormal{200, 1});
  agent.tenant = {"agent", 1, {}};
  agent.session =
      SessionLaw{Uniform{3, 20}, LogNormal{500, 1.2}, LogNormal{4, 1}, {0.25, Uniform{1, 3}, Uniform{1, 4}, LogNormal{600, 0.5}, 300}};
  ClassSpec batch = plain(1, Fixed{500}, Fixed{50});
  batch.tenant = {"batch", 9, {}};
  return {{chat, agent, batch}, 20000, 16, 32768};
}

TEST(Generate, AdaptersByZipfShares) {
  ClassSpec c = plain(2, Fixed{10}, Fixed{1});
  c.adapters = 4;
  c.adapter_skew = 1;
  const Requests r = made({{c}, 120'000, 0, 0});
  std::array<double, 4> share{};
  for (const auto a : r.adapter) share[std::size_t(a)] += 1.0 / 120'000;
  for (std::size_t k = 0; k < 4; ++k) EXPECT_NEAR(share[k], 12.0 / 25 / double(k + 1), 0.005);  // 1 + 1/2 + 1/3 + 1/4 = 25/12
  c.adapters = 0;
  EXPECT_FALSE(generate({{c}, 10, 0, 0}, {1}));
}

TEST(Generate, SameSeedSameBytes) {
  EXPECT_EQ(signature(made(agents())), signature(made(agents())));
  EXPECT_NE(signature(made(agents())), signature(made(agents(), 2)));
  EXPECT_NE(signature(made(agents())), signature(made(agents(), 1, 1)));
}

// The draws use nothing that differs between compilers and C libraries, so these numbers hold for all of them. They are part of every
// simulated result: a change here changes results.
TEST(Generate, SignatureOfTheDraws) {
  EXPECT_EQ(signature(made({{plain(4, Fixed{1000}, Uniform{100, 300})}, 100000})), 3018445661697765416u);
  EXPECT_EQ(signature(made(agents())), 17344247137747291330u);
}

TEST(Generate, OneClassDoesNotMoveAnother) {
  GenerateSpec alone = agents(), more = agents();
  alone.classes.resize(1);
  more.num_requests = 3 * alone.num_requests;
  const Requests a = made(alone), b = made(more);
  std::vector<std::int32_t> in_a = a.input_tokens, in_b;
  std::vector<SimTime> at_b;
  for (std::size_t i = 0; i < b.size(); ++i) {
    if (b.tenants[b.tenant[i]].name != "chat") continue;
    in_b.push_back(b.input_tokens[i]);
    at_b.push_back(b.arrival[i]);
  }
  ASSERT_GT(in_b.size(), 5000u);
  const std::size_t n = std::min(in_a.size(), in_b.size()) - 10;
  EXPECT_TRUE(std::equal(in_a.begin(), in_a.begin() + std::ptrdiff_t(n), in_b.begin()));
  EXPECT_TRUE(std::equal(a.arrival.begin(), a.arrival.begin() + std::ptrdiff_t(n), at_b.begin()));
}

TEST(Generate, TheGraphKeepsItsPromises) {
  const Requests r = made(agents());
  const Sessions& s = r.sessions;
  ASSERT_EQ(s.first.front(), 0u);
  ASSERT_EQ(s.first.back(), r.size());
  SimTime last = 0;
  std::size_t joins = 0, branches = 0;
  for (std::size_t k = 0; k < s.count(); ++k) {
    EXPECT_TRUE(s.parents(s.first[k]).empty());
    EXPECT_GE(r.arrival[s.first[k]], last);
    last = r.arrival[s.first[k]];
    std::vector<int> children(s.first[k + 1] - s.first[k], 0);
    for (RequestId i = s.first[k]; i < s.first[k + 1]; ++i) {
      EXPECT_LE(r.input_tokens[i] + r.output_tokens[i], 32768);
      EXPECT_EQ(r.tenant[i], r.tenant[s.first[k]]);
      EXPECT_EQ(r.arrival[i], last);
      if (i > s.first[k]) {
        EXPECT_FALSE(s.parents(i).empty());
      }
      joins += s.parents(i).size() > 1;
      for (RequestId p : s.parents(i)) {
        ASSERT_GE(p, s.first[k]);
        ASSERT_LT(p, i);
        ++children[p - s.first[k]];
      }
    }
    branches += std::size_t(std::count_if(children.begin(), children.end(), [](int c) { return c > 1; }));
  }
  EXPECT_GT(joins, 100u);
  EXPECT_GT(branches, 100u);
}

// Three calls of 100 new tokens and 20 out: prompts of 100, 220, 340 tokens. In blocks of 16: prompts touch 7, 14 and 22 blocks; the
// context of call 1 holds 120/16 = 7 whole blocks, of call 2 240/16 = 15, of call 3 360/16 = 22: the prompts list 7, 14 and 22.
// Call 2 finds the 7 of call 1; call 3 finds 14, all that call 2's prompt looked up.
TEST(Generate, AConversationSeesItsOwnPast) {
  ClassSpec c = plain(1, Fixed{100}, Fixed{20});
  c.session = SessionLaw{Fixed{3}, Fixed{100}, Fixed{2.5}, {}};
  const Requests r = made({{c}, 300, 16, 0});
  EXPECT_EQ(r.sessions.count(), 100u);
  EXPECT_EQ(r.input_tokens[0], 100);
  EXPECT_EQ(r.input_tokens[1], 220);
  EXPECT_EQ(r.input_tokens[2], 340);
  EXPECT_EQ(r.sessions.wait[1], 2'500'000'000);
  const HitCurve h = count_prefix_hits(r);
  EXPECT_EQ(h.blocks, 100u * (7 + 14 + 22));
  EXPECT_EQ(h.unlimited_hits(), 100u * (7 + 14));
  // With sessions one after another, each needs only its own 14 blocks kept.
  EXPECT_EQ(h.hits(14), h.unlimited_hits());
  EXPECT_EQ(h.hits(6), 0u);
}

// Every one of n prompts starts with the same 160 tokens: 10 blocks of 16; all but the first request find them.
TEST(Generate, SharedPromptsAreShared) {
  ClassSpec c = plain(1, Fixed{100}, Fixed{1});
  c.shared_prompt_tokens = 160;
  const Requests r = made({{c}, 1000, 16, 0});
  EXPECT_EQ(r.input_tokens[5], 260);
  EXPECT_EQ(count_prefix_hits(r).unlimited_hits(), 999u * 10);
  c.shared_prompts = 7;
  EXPECT_EQ(count_prefix_hits(made({{c}, 1000, 16, 0})).unlimited_hits(), (1000u - 7) * 10);
}

TEST(Generate, RecordedReleaseIsInOrderOfTimeWithoutAGraph) {
  GenerateSpec spec = agents();
  spec.release = Release::recorded;
  const Requests r = made(spec);
  EXPECT_FALSE(r.sessions.known());
  EXPECT_TRUE(std::is_sorted(r.arrival.begin(), r.arrival.end()));
  const Requests g = made(agents());
  EXPECT_EQ(std::accumulate(r.input_tokens.begin(), r.input_tokens.end(), 0ll),
            std::accumulate(g.input_tokens.begin(), g.input_tokens.end(), 0ll));
  // What is reused within a session does not depend on the order between sessions.
  EXPECT_EQ(count_prefix_hits(r).unlimited_hits(), count_prefix_hits(g).unlimited_hits());
}

TEST(Generate, ASubAgentWorksBesideAndReportsBack) {
  ClassSpec c = plain(1, Fixed{100}, Fixed{20});
  c.session = SessionLaw{Fixed{2}, Fixed{10}, Fixed{3}, {1.0, Fixed{2}, Fixed{2}, Fixed{50}, 30}};
  const Requests r = made({{c}, 6, 0, 0});
  // main, two branches of two calls, main again
  EXPECT_EQ(r.input_tokens, (std::vector<std::int32_t>{100, 80, 110, 80, 110, 170}));
  // a branch: 30 shared + 50 task = 80; then 80 + 20 + 10 = 110. The main line: 100 + 20, two results of 20 each, 10 new = 170.
  const auto parents = [&](RequestId i) { return std::vector<RequestId>(r.sessions.parents(i).begin(), r.sessions.parents(i).end()); };
  EXPECT_EQ(parents(1), (std::vector<RequestId>{0}));
  EXPECT_EQ(parents(2), (std::vector<RequestId>{1}));
  EXPECT_EQ(parents(3), (std::vector<RequestId>{0}));
  EXPECT_EQ(parents(5), (std::vector<RequestId>{2, 4}));
  EXPECT_EQ(r.sessions.wait[2], 3 * kNsPerSecond);
  EXPECT_EQ(r.sessions.wait[5], 0);
}

TEST(Generate, ContextLimitCutsLengthsAndEndsSessions) {
  const Requests lone = made({{plain(1, Fixed{5000}, Fixed{100})}, 10, 0, 4096});
  EXPECT_EQ(lone.input_tokens[0] + lone.output_tokens[0], 4096);
  ClassSpec c = plain(1, Fixed{1000}, Fixed{100});
  c.session = SessionLaw{Fixed{1000}, Fixed{900}, Fixed{0}, {}};
  const Requests r = made({{c}, 400, 0, 4096});
  // contexts after each call: 1100, 2100, 3100, 4100 > 4096: three calls
  EXPECT_EQ(r.sessions.first[1], 3u);
}

TEST(Generate, AssignArrivalsMovesWholeSessions) {
  Requests r = made(agents());
  const auto first = r.sessions.first;
  ASSERT_TRUE(assign_arrivals(r, {1000, Constant{}, Steady{}}, Seed{1}));
  for (std::size_t s = 0; s + 1 < first.size(); ++s) {
    for (RequestId i = first[s]; i < first[s + 1]; ++i) ASSERT_EQ(r.arrival[i], SimTime(s + 1) * 1'000'000);
  }
  EXPECT_FALSE(assign_arrivals(r, {0, Constant{}, Steady{}}, Seed{1}));
}

TEST(Generate, RefusesByName) {
  const auto key = [](const GenerateSpec& s) { return generate(s, Seed{1}).error().key; };
  EXPECT_EQ(key({{}, 10}), "classes");
  EXPECT_EQ(key({{ClassSpec{}}, 0}), "num_requests");
  EXPECT_EQ(key({{ClassSpec{}}, std::size_t{1} << 40}), "num_requests");
  ClassSpec bad = plain(1, LogNormal{-1, 1}, Fixed{1});
  bad.tenant.name = "gold";
  EXPECT_EQ(key({{bad}, 1}), "gold.input");
  bad = plain(0, Fixed{1}, Fixed{1});
  EXPECT_EQ(key({{bad}, 1}), "classes[0].arrivals.rate");
  bad = plain(1, Fixed{1}, Fixed{1});
  bad.session = SessionLaw{Fixed{1}, Fixed{1}, Fixed{0}, {1.5, Fixed{1}, Fixed{1}, Fixed{1}, 0}};
  EXPECT_EQ(key({{bad}, 1}), "classes[0].session.fanout.probability");
  EXPECT_EQ(key({{ClassSpec{}}, 1, 1, 0}), "max_context");
}

}  // namespace
}  // namespace jevons::traffic
