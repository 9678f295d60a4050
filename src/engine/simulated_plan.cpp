// The plan's deployment under its own load, request by request.
#include <algorithm>
#include <cmath>

#include "engine/links.hpp"
#include "serve/metrics.hpp"
#include "step/form_of.hpp"
#include "traffic/laws.hpp"

namespace jevons::engine {
namespace {

using traffic::RequestId;
constexpr int kRounds = 10;  // calls of each user after its first, which finds no prefix and is not counted

// Users who come back: each is a chain of calls with the same prefix, one after the other. Lengths spread by a fifth either way, so that
// requests do not run in lock-step.
traffic::Requests returning_users(const serve::Workload& w, int users, std::int32_t block) {
  traffic::Requests q;
  Stream input({1}, 0, Draw::input_length, 0), output({1}, 0, Draw::output_length, 0);
  const auto prefix = std::int64_t(w.isl * w.prefix_hit_rate) / block;  // whole blocks
  if (prefix > 0) {
    q.prefix.block_tokens = block;
    q.prefix.offset.push_back(0);
  }
  q.sessions.offset.push_back(0);
  const double fresh = std::max(1.0, w.isl - double(prefix * block));
  for (int u = 0; u < users; ++u) {
    q.sessions.first.push_back(RequestId(q.arrival.size()));
    for (int i = 0; i <= kRounds; ++i) {
      if (i > 0) q.sessions.parent.push_back(RequestId(q.arrival.size() - 1));
      q.sessions.offset.push_back(std::uint32_t(q.sessions.parent.size()));
      q.sessions.wait.push_back(0);
      q.arrival.push_back(0);
      q.input_tokens.push_back(std::int32_t(prefix * block) + traffic::draw_count(traffic::Uniform{0.8 * fresh, 1.2 * fresh}, input));
      q.output_tokens.push_back(traffic::draw_count(traffic::Uniform{0.8 * w.osl, 1.2 * w.osl}, output));
      if (prefix == 0) continue;
      q.prefix.run.push_back({traffic::BlockId(u + 1) << 32, std::uint32_t(prefix)});
      q.prefix.offset.push_back(q.prefix.run.size());
    }
  }
  q.sessions.first.push_back(RequestId(q.arrival.size()));
  return q;
}

}  // namespace

Result<std::optional<serve::Metrics>> simulate_the_plan(const catalog::Catalog& catalog, const Answers& a) {
  const plan::Candidate& best = a.plan.best();
  const serve::Workload& w = a.scenario.workload;
  const step::Placement& p = best.placement;
  serve::EnginePolicy policy = serve::defaults_of(serve::Engine::vllm);
  const int users = std::max(1, int(std::floor(best.state.concurrency)));
  policy.max_num_seqs = std::clamp(users, 1, int(a.scenario.limits.max_num_seqs));
  policy.max_num_batched_tokens = std::max(int(w.chunk), policy.max_num_seqs);
  policy.host_constant = traffic::SimTime(w.host_constant * 1e9);
  traffic::Workload load{returning_users(w, users, policy.block_size),
                         traffic::ClosedLoad{.concurrency = users, .by_session = true, .count_first_calls = false}};
  std::int64_t longest = 1;
  for (std::size_t i = 0; i < load.requests.size(); ++i)
    longest = std::max(longest, std::int64_t(load.requests.input_tokens[i]) + load.requests.output_tokens[i]);
  JEVONS_TRY(const step::StepTime time, step::StepTime::make(catalog, a.subject, p));
  const bool speculates = w.draft_tokens > 0;
  const step::StepForm form = step::form_of(time, {.max_batch = policy.max_num_seqs,
                                                   .max_tokens = policy.max_num_batched_tokens,
                                                   .max_context = longest,
                                                   .tokens_per_sequence = 1 + int(w.draft_tokens),
                                                   .unit = speculates ? 100 : 1,
                                                   .prefill_floor = time.prefill_floor()});
  const serve::CacheBlocks cache = serve::cache_blocks(a.subject, p, policy.block_size);
  serve::Deployment d;
  d.routing = w.prefix_hit_rate > 0 ? serve::Routing::prefix_aware : serve::Routing::least_outstanding;
  d.pools = {{.policy = policy,
              .form = &form,
              .blocks = cache.blocks,
              .step_tokens = speculates ? std::int32_t(std::lround(w.tokens_per_step * 100)) : 1,
              .accelerators = p.accelerators(),
              .ranks = p.dp,
              .capped = cache.capped}};
  JEVONS_TRY(const serve::Simulation sim, serve::simulate(d, load));
  return std::optional(serve::measure(sim, d, load));
}

}  // namespace jevons::engine
