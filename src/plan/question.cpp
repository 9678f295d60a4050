#include "plan/question.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::plan {

Result<Answer> answer(const Question& q) {
  Answer a;
  JEVONS_TRY(a.space, space_of(*q.catalog, *q.model, q.knobs, q.budget, q.terms.closed, q.max_context, q.terms.threads));
  static_cast<Terms&>(a.ask) = q.terms;
  a.ask.choices = std::move(a.space.choices);
  a.ask.shapes = std::move(a.space.shapes);
  if (a.ask.shapes.empty()) return a;
  JEVONS_TRY(a.found, search(a.ask));
  return a;
}

Result<traffic::Workload> open_load(const Load& load, std::size_t requests) {
  traffic::GenerateSpec spec;
  spec.num_requests = requests;
  spec.classes.push_back(load.users);
  if (load.users.shared_prompt_tokens > 0) spec.block_tokens = load.block_tokens;
  traffic::Workload w;
  JEVONS_TRY(w.requests, traffic::generate(spec, load.seed));
  return w;
}

Result<traffic::Workload> closed_load(const Load& load, int concurrency) {
  const int warm = load.prefix_hit_rate > 0 ? std::max(2, load.warmup_rounds) : load.warmup_rounds;
  const std::size_t users = std::size_t(concurrency), before = std::size_t(warm) * users;
  JEVONS_TRY(traffic::Workload w, open_load(load, std::size_t(load.rounds) * users + before));
  w.load = traffic::ClosedLoad{.concurrency = std::int32_t(concurrency), .uncounted = before};
  // First answers grow from user to user, so that they end one by one: each then comes back at a time of its own.
  for (std::size_t u = 0; before > 0 && u < users; ++u) {
    std::int32_t& output = w.requests.output_tokens[u];
    output = std::int32_t((std::size_t(output) * (u + 1) + users - 1) / users);
  }
  if (load.prefix_hit_rate <= 0) return w;
  traffic::Prefixes& p = w.requests.prefix;
  p.block_tokens = load.block_tokens;
  p.offset.push_back(0);
  for (std::size_t r = 0; r < w.requests.size(); ++r) {  // rows start in turn: one of each user, round after round
    const auto blocks = std::uint32_t(w.requests.input_tokens[r] * load.prefix_hit_rate / load.block_tokens);
    if (blocks > 0) p.run.push_back({traffic::BlockId(r % users + 1) << 32, blocks});
    p.offset.push_back(p.run.size());
  }
  return w;
}

}  // namespace jevons::plan
