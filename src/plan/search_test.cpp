// The planner against the whole truth: small spaces, every point of them simulated.
#include "plan/search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "plan/question.hpp"
#include "plan/shape_bound.hpp"
#include "traffic/generate.hpp"

namespace jevons::plan {
namespace {

struct Case {
  model::Model model;
  Knobs knobs;
  Budget budget;
  Ask ask;
  Space space;
};

// One random question about a small space. Draws are named by the round, so that each can be run alone.
class Maker {
 public:
  Maker(const catalog::Catalog& facts, std::uint64_t round) : facts_{facts}, random_(Seed{7}, round, Draw::test, 3) {}
  Case make();

 private:
  int whole(int low, int high) { return low + int(random_.uniform() * (high - low + 1)); }
  bool chance(double p) { return random_.uniform() < p; }
  template <class T>
  T any(std::initializer_list<T> of) {
    return *(of.begin() + whole(0, int(of.size()) - 1));
  }
  const catalog::Catalog& facts_;
  Stream random_;
};

Case Maker::make() {
  Case c;
  const bool experts = chance(0.4);
  c.model = *model::parse_entry((*facts_.find_model(experts ? "qwen3-30b-a3b" : any({"llama-3.1-8b", "qwen3-8b"})))->json, "x");
  const double output = whole(1, 40);
  traffic::ClassSpec users;
  users.input = traffic::Fixed{double(whole(1, 1500))};
  users.output = traffic::Fixed{output};
  const bool drawn = chance(0.2);
  if (drawn) users.input = traffic::lognormal_of(400, 0.8), users.output = traffic::lognormal_of(20, 0.6);
  const bool shared = chance(0.2);
  if (shared) users.shared_prompt_tokens = 16 * whole(1, 30);
  for (const auto* name : {"h100-sxm", "a100-80g-sxm"}) {
    if (!c.knobs.chips.empty() && chance(0.6)) break;
    serve::EnginePolicy p = serve::defaults_of(any({serve::Engine::vllm, serve::Engine::sglang, serve::Engine::trtllm}));
    p.max_num_seqs = whole(1, 8);
    p.max_num_batched_tokens = std::max(p.max_num_seqs, whole(64, 1200));
    if (p.chunk > 0) p.chunk = whole(64, 1200);
    p.host_constant = chance(0.5) ? 20'000'000 : 0;
    p.block_size = 16;
    c.knobs.chips.push_back({.thing = *facts_.find(catalog::Section::accelerator, name),
                             .usd_per_s = 0.001 * whole(1, 3),
                             .watts = 100.0 * whole(5, 12),
                             .policies = {p}});
  }
  c.knobs.tp = {1, 2};
  c.knobs.split = chance(0.3) ? Split::allowed : Split::none;
  if (chance(0.25)) c.knobs.drafts = {0, 1};
  c.budget.accelerators = whole(1, 4);
  c.ask.objective = Objective(whole(0, int(Objective::fewest_accelerators)));
  c.ask.closed = chance(0.7);
  c.ask.equal_requests = !drawn;
  c.ask.gap = any({0.0, 0.0, 0.01, 0.1});
  c.ask.threads = 1;
  for (const auto metric : {Slo::Metric::ttft, Slo::Metric::tpot, Slo::Metric::e2e}) {
    if (!chance(0.6)) continue;
    Slo s{metric, chance(0.4) ? std::optional(any({0.5, 0.9, 0.99})) : std::nullopt, 0};
    s.seconds = metric == Slo::Metric::ttft   ? 0.02 + 0.6 * random_.uniform()
                : metric == Slo::Metric::tpot ? 0.004 + 0.03 * random_.uniform()
                                              : 0.1 + random_.uniform();
    c.ask.slo.push_back(s);
  }
  users.arrivals.rate_per_s = std::exp(4 * random_.uniform());
  const bool closed = c.ask.closed;
  if (c.ask.closed && !shared && chance(0.4)) {  // users who come back, in the engine's cache or not
    Load load{.users = users, .prefix_hit_rate = chance(0.6) ? random_.uniform() : 0, .warmup_rounds = whole(1, 3), .rounds = whole(2, 10)};
    if (load.prefix_hit_rate > 0 && !experts && chance(0.5)) {  // a cache that is too small for all, and host memory behind it
      c.knobs.memory_fraction = 0.3;
      c.knobs.host_gib = {0, 2};
    }
    c.ask.rounds = load.rounds;
    c.ask.workload = [load](int concurrency) { return closed_load(load, concurrency); };
  } else {
    c.ask.workload = [users, closed, shared](int concurrency) -> Result<traffic::Workload> {
      traffic::GenerateSpec spec;
      spec.num_requests = closed ? traffic::benchmark_requests(concurrency) : 120;
      spec.block_tokens = shared ? 16 : 0;
      spec.max_context = 8192;
      spec.classes.push_back(users);
      traffic::Workload w;
      JEVONS_TRY(w.requests, traffic::generate(spec, {3}));
      if (closed) w.load = traffic::ClosedLoad{.concurrency = concurrency};
      return w;
    };
  }
  c.space = *space_of(facts_, c.model, c.knobs, c.budget, closed, drawn ? 8192 : 3000, 1);
  c.ask.choices = std::move(c.space.choices);
  c.ask.shapes = std::move(c.space.shapes);
  return c;
}

TEST(Search, NeverBeatenByMoreThanItsGap) {
  const auto facts = catalog::Catalog::builtin();
  std::size_t spaces = 0, feasible = 0, pruned = 0;
  for (std::uint64_t round = 0; round < 240; ++round) {
    Case c = Maker(facts, round).make();
    if (c.ask.shapes.empty()) continue;
    ++spaces;
    const Search found = *search(c.ask), all = *exhaustive(c.ask);
    EXPECT_EQ(found.screened(), all.simulated) << round;
    EXPECT_EQ(found.left, 0u) << round;
    pruned += found.cannot_meet + found.bounded_out;
    ASSERT_EQ(found.best.has_value(), all.best.has_value()) << round;
    if (!all.best) continue;
    ++feasible;
    const double truth = all.points[*all.best].score, answer = found.points[*found.best].score;
    EXPECT_LE(truth, answer * (1 + found.gap) * (1 + 1e-12)) << round;
    EXPECT_LE(found.gap, c.ask.gap + 1e-12) << round;
    EXPECT_GE(truth, answer) << round;  // the answer is one of them
  }
  EXPECT_GT(spaces, 200u);
  EXPECT_GT(feasible, 100u);
  EXPECT_GT(pruned, 500u);
}

TEST(Search, BoundsHoldAtEveryPoint) {
  const auto facts = catalog::Catalog::builtin();
  std::size_t seen = 0, ruled_out = 0;
  double tightest = 0;
  for (std::uint64_t round = 1000; round < 1100; ++round) {
    Case c = Maker(facts, round).make();
    if (c.ask.shapes.empty()) continue;
    const Search all = *exhaustive(c.ask);
    std::vector<Demand> demands;
    for (const Point& p : all.points) demands.push_back(demand_of(*c.ask.workload(p.concurrency)));
    const Bounds bounds(c.ask, demands);
    for (const Point& p : all.points) {
      Point q{.shape = p.shape, .concurrency = p.concurrency};
      bounds.look(q);
      ++seen;
      if (q.state == Point::State::cannot_meet) {
        EXPECT_FALSE(p.feasible) << round << ' ' << p.concurrency;
        ++ruled_out;
        continue;
      }
      if (!p.feasible) continue;
      EXPECT_LE(p.score, q.bound * (1 + 1e-9)) << round << ' ' << p.concurrency;
      bounds.look_closer(q);
      EXPECT_LE(p.score, q.bound * (1 + 1e-9)) << round << ' ' << p.concurrency << " closer";
      EXPECT_LE(p.metrics.output_tok_s_per_user, q.user_bound * (1 + 1e-9)) << round;
      if (c.ask.objective != Objective::fewest_accelerators) tightest = std::max(tightest, p.score / q.bound);
    }
  }
  EXPECT_GT(seen, 800u);
  EXPECT_GT(ruled_out, 100u);
  EXPECT_GT(tightest, 0.9);  // bounds that never come near would prove nothing
}

TEST(Search, SameAnswerOnOneAndMoreThreads) {
  const auto facts = catalog::Catalog::builtin();
  for (std::uint64_t round = 2000; round < 2010; ++round) {
    std::vector<Search> found;
    for (const int threads : {1, 2, 5}) {
      Case c = Maker(facts, round).make();
      c.ask.threads = threads;
      if (!c.ask.shapes.empty()) found.push_back(*search(c.ask));
    }
    for (std::size_t i = 1; i < found.size(); ++i) {
      ASSERT_EQ(found[i].points.size(), found[0].points.size());
      EXPECT_EQ(found[i].best, found[0].best);
      EXPECT_EQ(found[i].gap, found[0].gap);
      for (std::size_t k = 0; k < found[0].points.size(); ++k) {
        EXPECT_EQ(found[i].points[k].state, found[0].points[k].state);
        EXPECT_EQ(found[i].points[k].score, found[0].points[k].score);
      }
    }
  }
}

TEST(Space, TensorParallelismStaysInsideTheDomain) {
  const auto facts = catalog::Catalog::builtin();
  const auto m = *model::parse_entry((*facts.find_model("deepseek-v3"))->json, "x");
  const auto chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, "h200-sxm"));
  for (const auto& p : placements(m, chip, {}, 64)) EXPECT_LE(p.tp, 8);
  const auto given = placements(m, chip, {.tp = {3, 6}, .dp = {1}}, 64);  // sizes given are tried as they are
  EXPECT_TRUE(std::any_of(given.begin(), given.end(), [](const auto& p) { return p.tp == 6; }));
}

TEST(Search, ConcurrenciesRiseToTheMost) {
  EXPECT_EQ(concurrencies(1, 6), (std::vector<int>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(concurrencies(8, 7), std::vector<int>{7});
  const auto all = concurrencies(1, 1024);
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_LE(all[i], std::max(all[i - 1] + 1, int(all[i - 1] * 1.1)));
}

// In steady state each shape is judged at its highest load within the limits only: nothing that is simulated in full is better.
TEST(Search, SteadyStateFindsTheBest) {
  const auto facts = catalog::Catalog::builtin();
  int spaces = 0, same = 0;
  for (std::uint64_t round = 3000; round < 3060; ++round) {
    Case c = Maker(facts, round).make();
    if (c.ask.shapes.empty() || !c.ask.closed) continue;
    c.ask.steady = true;
    const Search found = *search(c.ask), all = *exhaustive(c.ask);
    ++spaces;
    if (!all.best) {
      EXPECT_FALSE(found.best) << round;
      ++same;
      continue;
    }
    if (!found.best) continue;
    const double truth = all.points[*all.best].score, answer = found.points[*found.best].score;
    EXPECT_GE(truth, answer) << round;
    same += truth <= answer * 1.05;
  }
  EXPECT_GT(spaces, 20);
  EXPECT_GE(same, spaces * 9 / 10);
}

TEST(Load, UsersComeBackWithTheirOwnPrefix) {
  Load load{.prefix_hit_rate = 0.5, .rounds = 3};
  load.users.input = traffic::Fixed{100};
  load.users.output = traffic::Fixed{8};
  const traffic::Workload w = *closed_load(load, 4);
  ASSERT_EQ(w.requests.size(), 20u);  // two rounds of warm-up, three that count
  EXPECT_EQ(uncounted(w), 8u);
  EXPECT_EQ(std::vector(w.requests.output_tokens.begin(), w.requests.output_tokens.begin() + 5),
            (std::vector<std::int32_t>{2, 4, 6, 8, 8}));
  const Demand d = demand_of(w);
  EXPECT_DOUBLE_EQ(d.requests, 12);
  EXPECT_EQ(d.cached, 48);  // three blocks of 16 of the 50 tokens
  EXPECT_DOUBLE_EQ(d.fresh, 52);
  EXPECT_TRUE(d.equal);
  EXPECT_FALSE(d.burst);
  EXPECT_EQ(demand_of(leading_rows(w, 4)).cached, 0);  // the first of each user finds nothing
}

TEST(ExpectedTokens, ByHand) {
  EXPECT_DOUBLE_EQ(expected_tokens(0, 0.8), 1);
  EXPECT_DOUBLE_EQ(expected_tokens(1, 0.85), 1.85);
  EXPECT_NEAR(expected_tokens(3, 0.8), 1 + 0.8 + 0.64 + 0.512, 1e-12);
}

}  // namespace
}  // namespace jevons::plan
