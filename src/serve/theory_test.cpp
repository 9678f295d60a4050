// Queues with known answers, and laws that every run obeys.
#include <gtest/gtest.h>

#include <cmath>
#include <queue>

#include "serve/metrics.hpp"
#include "step/linear_step.hpp"
#include "traffic/generate.hpp"

namespace jevons::serve {
namespace {

// An engine reduced to a server with `places` places: no lag, prompts of one token, every step takes kStep whatever it does.
// A request of n output tokens then holds a place for n steps.
constexpr SimTime kStep = 1000;  // ns

struct Queueing {
  traffic::Requests requests;
  std::vector<SimTime> service;
};
Queueing draw(std::size_t n, double rho, int places, const traffic::Law& steps, std::uint64_t seed) {
  const double mean_s = traffic::mean(steps) * double(kStep) * 1e-9;
  traffic::ArrivalProcess arrivals({rho * places / mean_s, {}, {}}, {seed}, 0, 0);
  Stream lengths({seed}, 0, Draw::output_length, 0);
  Queueing q;
  for (std::size_t i = 0; i < n; ++i) {
    q.requests.arrival.push_back(arrivals.next());
    q.requests.input_tokens.push_back(1);
    q.requests.output_tokens.push_back(traffic::draw_count(steps, lengths));
    q.service.push_back(q.requests.output_tokens.back() * kStep);
  }
  return q;
}

std::vector<SimTime> simulated_waits(const Queueing& q, int places) {
  EnginePolicy p = defaults_of(Engine::vllm);
  p.lag = 0;
  p.max_num_seqs = places;
  p.block_size = 4096;
  const auto form = step::form_of({.fixed = double(kStep) * 1e-9}, places, 2048);
  Deployment d;
  d.pools = {{p, &form, 1'000'000, 1, 1, 1}};
  const auto sim = *simulate(d, {q.requests, traffic::OpenLoad{}});
  std::vector<SimTime> waits;
  for (RequestId r = 0; r < q.requests.size(); ++r) {
    EXPECT_EQ(sim.outcomes.status[r], Status::finished);
    EXPECT_EQ(sim.outcomes.finished[r] - sim.outcomes.scheduled[r], q.service[r]);
    waits.push_back(sim.outcomes.scheduled[r] - q.requests.arrival[r]);
  }
  return waits;
}

// Lindley, "The theory of queues with a single server", 1952: W' = max(0, W + S − A).
TEST(Theory, OneServerIsLindleysRecursionToTheNanosecond) {
  for (const double rho : {0.3, 0.7, 0.95, 1.2}) {
    for (const traffic::Law& law :
         {traffic::Law{traffic::Fixed{500}}, traffic::Law{traffic::Exponential{500}}, traffic::Law{traffic::lognormal_of(500, 2)}}) {
      const Queueing q = draw(30'000, rho, 1, law, 3);
      const auto waits = simulated_waits(q, 1);
      SimTime w = 0;
      for (std::size_t i = 0; i < waits.size(); ++i) {
        ASSERT_EQ(waits[i], w) << rho << " request " << i;
        if (i + 1 < waits.size()) w = std::max<SimTime>(0, w + q.service[i] - (q.requests.arrival[i + 1] - q.requests.arrival[i]));
      }
    }
  }
}

// The recursion's long-run mean against theory, with the program's own arrivals and lengths: M/M/1 and M/D/1 within 1 % up to 95 % load.
// Pollaczek-Khinchine: W = rho·S/(1 − rho)·(1 + cv²)/2.
TEST(Theory, LindleysRecursionOfOurArrivalsIsPollaczekKhinchine) {
#ifndef NDEBUG
  GTEST_SKIP() << "a hundred million draws: release builds only";
#endif
  struct Row {
    double rho, cv;
    std::size_t n;
  };
  for (const Row& row :
       {Row{0.5, 1, 10'000'000}, Row{0.5, 0, 10'000'000}, Row{0.8, 2, 20'000'000}, Row{0.95, 0, 20'000'000}, Row{0.95, 1, 80'000'000}}) {
    const double s = 1;
    traffic::ArrivalProcess arrivals({row.rho / s, {}, {}}, {17}, 0, 0);
    Stream lengths({17}, 0, Draw::output_length, 0);
    const traffic::Law law = row.cv == 0   ? traffic::Law{traffic::Fixed{s}}
                             : row.cv == 1 ? traffic::Law{traffic::Exponential{s}}
                                           : traffic::Law{traffic::lognormal_of(s, row.cv)};
    double w = 0, sum = 0;
    std::vector<SimTime> times(4096);
    SimTime last = 0;
    for (std::size_t i = 0; i < row.n; i += times.size()) {
      arrivals.fill(times);
      for (const SimTime t : times) {
        w = std::max(0.0, w - double(t - last) * 1e-9);
        sum += w;
        w += row.cv == 1 ? s * traffic::draw_exponential(lengths) : traffic::draw(law, lengths);
        last = t;
      }
    }
    const double expected = row.rho * s / (1 - row.rho) * (1 + row.cv * row.cv) / 2;
    EXPECT_NEAR(sum / double(row.n), expected, expected * 0.01) << row.rho << ' ' << row.cv;
  }
}

// k places: Kiefer and Wolfowitz, "On the theory of queues with many servers", 1955: the next in line takes the place that frees first.
// Places free at step ends only, so a wait may be longer by up to a step for each place freed since the engine was last idle.
TEST(Theory, SeveralPlacesAreKieferAndWolfowitz) {
  for (const int k : {2, 8}) {
    for (const double rho : {0.6, 0.95}) {
      const Queueing q = draw(60'000, rho, k, traffic::Exponential{20'000}, 9);
      const auto waits = simulated_waits(q, k);
      std::priority_queue<SimTime, std::vector<SimTime>, std::greater<>> free;
      for (int i = 0; i < k; ++i) free.push(0);
      double theory = 0, ours = 0;
      for (std::size_t i = 0; i < waits.size(); ++i) {
        const SimTime start = std::max(q.requests.arrival[i], free.top());
        free.pop();
        free.push(start + q.service[i]);
        theory += double(start - q.requests.arrival[i]);
        ours += double(waits[i]);
      }
      EXPECT_NEAR(ours, theory, 0.01 * theory) << k << ' ' << rho;
    }
  }
}

struct Served {
  traffic::Workload workload;
  Deployment deployment;
  std::unique_ptr<step::StepForm> form;
  Simulation simulation;
};
// Poisson arrivals of mixed lengths at a quarter of what the engine can do.
Served serve_some(double rate, std::size_t n, std::int64_t blocks = 20'000, int replicas = 1) {
  traffic::GenerateSpec spec;
  auto& users = spec.classes.emplace_back();
  users.arrivals.rate_per_s = rate;
  users.input = traffic::lognormal_of(600, 1);
  users.output = traffic::Uniform{50, 300};
  spec.num_requests = n;
  spec.max_context = 6000;
  Served r{{*traffic::generate(spec, {4}), traffic::OpenLoad{}},
           {},
           std::make_unique<step::StepForm>(step::form_of(
               {.fixed = 8e-3, .per_sequence = 2e-5, .per_cached_token = 6e-8, .per_prefill_token = 5e-5, .per_pair = 1e-10}, 256, 2048)),
           {}};
  r.deployment.pools = {{defaults_of(Engine::vllm), r.form.get(), blocks, 1, replicas, 1}};
  r.simulation = *simulate(r.deployment, r.workload);
  return r;
}

TEST(Laws, TokensBlocksAndRequestsAreConserved) {
  for (const std::int64_t blocks : {600, 20'000}) {  // with and without preemption
    const Served r = serve_some(6, 4000, blocks);
    const Counters& c = r.simulation.replicas[0];
    std::int64_t output = 0, input = 0, rejected = 0;
    for (RequestId i = 0; i < r.workload.requests.size(); ++i) {
      if (r.simulation.outcomes.status[i] == Status::rejected) {
        ++rejected;
        continue;
      }
      EXPECT_EQ(r.simulation.outcomes.status[i], Status::finished);
      output += r.workload.requests.output_tokens[i];
      input += r.workload.requests.input_tokens[i];
      EXPECT_LE(r.simulation.outcomes.scheduled[i], r.simulation.outcomes.first_token[i]);
      EXPECT_LE(r.simulation.outcomes.first_token[i], r.simulation.outcomes.finished[i]);
    }
    EXPECT_EQ(c.finished + c.rejected, 4000);
    EXPECT_EQ(c.rejected, rejected);
    // Each preemption is followed by another admission, unless the request's last token was already on its way.
    EXPECT_LE(c.admitted, c.finished + c.preemptions);
    EXPECT_GE(c.admitted, c.finished + c.preemptions - c.preemptions / 50);
    // Each output token comes from a decode or from the end of an admission's prefill.
    if (c.preemptions == 0) {
      EXPECT_EQ(c.decodes + c.admitted, output);
      EXPECT_EQ(c.prefill_tokens + c.cached_tokens, input);
    } else {
      EXPECT_GT(c.prefill_tokens + c.cached_tokens, input);
    }
    EXPECT_LE(c.peak_blocks, blocks - 1);
  }
}

// Little's law per phase: the time integral of decoding sequences is the sum of decode times (each end is rounded up to a nanosecond).
TEST(Laws, LittlesLaw) {
  const Served r = serve_some(6, 4000);
  const Outcomes& o = r.simulation.outcomes;
  double decode_times = 0;
  for (RequestId i = 0; i < o.status.size(); ++i) decode_times += double(o.finished[i] - o.first_token[i]) * 1e-9;
  EXPECT_NEAR(step::seconds_of(r.simulation.replicas[0].sequence_ticks), decode_times, 4000 * 1e-9);
}

TEST(Laws, OneRequestAloneIsTheStepModel) {
  const auto form = step::form_of(
      {.fixed = 8e-3, .per_sequence = 2e-5, .per_cached_token = 6e-8, .per_prefill_token = 5e-5, .per_pair = 1e-10}, 256, 2048);
  Deployment d;
  d.pools = {{defaults_of(Engine::vllm), &form, 1000, 1, 1, 1}};
  traffic::Requests q;
  q.arrival = {5000};
  q.input_tokens = {3000};
  q.output_tokens = {101};
  const auto sim = *simulate(d, {q, traffic::OpenLoad{}});
  // Two chunks, 2048 and 952 tokens: 2·8 ms + 3000·50 us + 1e-10 s·3000·3001/2. Then 100 decode steps over 3000 … 3099 cached tokens.
  const double ttft = 2 * 8e-3 + 3000 * 5e-5 + 1e-10 * 3000 * 3001 / 2;
  const double decode = 100 * (8e-3 + 2e-5) + 6e-8 * (100 * 3000 + 99 * 100 / 2);
  EXPECT_NEAR(double(sim.outcomes.first_token[0] - 5000) * 1e-9, ttft, 1e-8);
  EXPECT_NEAR(double(sim.outcomes.finished[0] - sim.outcomes.first_token[0]) * 1e-9, decode, 1e-8);
}

TEST(Laws, MoreBandwidthIsNeverSlowerForABatchSentAtOnce) {
  SimTime before = kNever;
  for (const double slope : {2e-7, 1e-7, 5e-8, 1e-8}) {
    const auto form = step::form_of({.fixed = 8e-3, .per_cached_token = slope, .per_prefill_token = 5e-5}, 256, 2048);
    Deployment d;
    d.pools = {{defaults_of(Engine::vllm), &form, 20'000, 1, 1, 1}};
    traffic::Requests q;
    q.arrival.assign(64, 0);
    q.input_tokens.assign(64, 900);
    q.output_tokens.assign(64, 100);
    const auto sim = *simulate(d, {q, traffic::OpenLoad{}});
    EXPECT_LE(sim.end, before);
    before = sim.end;
  }
}

TEST(Laws, SameBytesTwiceAndMoreReplicasShareTheWork) {
  const Served a = serve_some(40, 3000, 20'000, 4), b = serve_some(40, 3000, 20'000, 4);
  EXPECT_EQ(a.simulation.outcomes.finished, b.simulation.outcomes.finished);
  EXPECT_EQ(requests_csv(a.simulation, a.workload), requests_csv(b.simulation, b.workload));
  for (const Counters& c : a.simulation.replicas) EXPECT_NEAR(double(c.finished), 750, 150);
}

TEST(Laws, ClosedLoadKeepsItsConcurrencyAndCountsAll) {
  Served r = serve_some(1, 160);
  r.workload.load = traffic::ClosedLoad{.concurrency = 16};
  const auto sim = *simulate(r.deployment, r.workload);
  const auto m = measure(sim, r.deployment, r.workload);
  EXPECT_EQ(m.finished, 160u);
  // In flight at every send: those sent before and not finished; never more than 16, and 16 until the rows run out.
  for (RequestId i = 16; i < 160; ++i) {
    int in_flight = 0;
    for (RequestId k = 0; k < i; ++k) in_flight += sim.outcomes.finished[k] >= sim.outcomes.issued[i];
    EXPECT_LE(in_flight, 15);
  }
  // Little: concurrency = throughput · E2E, apart from the last wave that drains.
  EXPECT_NEAR(m.requests_per_s * m.e2e.mean, 16, 2);
}

}  // namespace
}  // namespace jevons::serve
