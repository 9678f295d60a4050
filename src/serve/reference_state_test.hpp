#pragma once
// What the reference stepper keeps, and sums over it.
#include <deque>

#include "serve/reference_tiers_test.hpp"

namespace jevons::serve::reference {

struct Job {
  RequestId id;
  std::int64_t prompt, output;
  std::int64_t made = 0;              // outputs scheduled
  std::int64_t target = 0, done = 0;  // prefill: tokens to push, pushed
  std::int64_t parts = 0;             // decoding: tokens in cache, 1/unit
  std::int64_t left = 0;              // decode steps to schedule
  std::int64_t blocks = 0, shared = 0, capped = 0;
  bool decoding = false, retiring = false, gone = false;
  std::int32_t adapter = traffic::kNoAdapter;
  std::vector<std::pair<bool, Cache::Ref>> extents;
};

struct Step {
  std::vector<Job*> decodes, completed, retiring;
  std::int64_t sum = 0;
  int prefill = 0;
  step::Ticks attention = 0, extra = 0;
  bool active() const { return !decodes.empty() || prefill > 0; }
};

struct Coming {
  Job* job;
  std::int64_t tokens;
  Instant done;
  bool here = false;
};

struct State {
  State(const EnginePolicy& p, const ReplicaModel& m, const traffic::Requests& q)
      : policy{p},
        model{m},
        requests{q},
        cache{m.blocks - (p.engine == Engine::vllm ? 1 : 0)},
        adapters{p},
        tiers{m.tiers, counters},
        unit{m.form->unit()},
        cell{p.block_size * unit} {
    out.resize(q.size());
    for (RequestId r = 0; r < q.size(); ++r) {
      jobs.push_back({r, q.input_tokens[r], q.output_tokens[r]});
      if (!q.adapter.empty()) jobs[r].adapter = q.adapter[r];
      jobs[r].capped = capped_blocks(m.capped, jobs[r].prompt + jobs[r].output - 1);
    }
  }

  int level(const Job* j) const { return policy.queue == Queue::priority ? requests.tenants[requests.tenant[j->id]].priority : 0; }
  std::int64_t ceil(std::int64_t parts) const { return (parts + cell - 1) / cell; }
  bool reserves() const { return policy.admission == Admission::whole_request; }
  bool by_prompt() const { return policy.admission == Admission::prompt || model.tiers.any(); }
  bool estimates() const { return policy.admission == Admission::estimate; }
  bool prefixes() const { return policy.enable_prefix_caching && requests.prefix.known(); }
  std::int64_t blocks_in(const traffic::BlockRun& run) const { return run.count * (requests.prefix.block_tokens / policy.block_size); }
  // Blocks that a request has at its end; more than now with `parts` cached; more over `steps` decode steps of all.
  std::int64_t whole(const Job* j) const { return j->capped + ceil((j->prompt + j->output - 1) * unit + model.step_tokens - unit); }
  std::int64_t more(const Job* j, std::int64_t parts) const {
    return reserves() ? 0 : std::max<std::int64_t>(0, j->capped + ceil(parts) - j->blocks);  // fetched prompts hold all of theirs before
  }
  std::int64_t growth(std::int64_t steps) const {
    std::int64_t n = 0;
    for (const Job* j : running) n += j->decoding ? more(j, j->parts + steps * model.step_tokens) : 0;
    return n;
  }

  step::Ticks duration(const Step& s) const {
    const int b = int(s.decodes.size());
    return s.extra + (s.prefill > 0 ? model.form->mixed_time(b, s.sum, s.prefill, s.attention) : model.form->decode_time(b, s.sum));
  }
  void count(const Step& s) {
    const step::Ticks t = duration(s);
    const auto b = std::int64_t(s.decodes.size());
    ++counters.steps;
    counters.busy += t;
    counters.decodes += b;
    counters.sequence_ticks += Int128(t) * b;
    counters.context_sum += s.sum;
    counters.adapter_ticks += s.extra;
    counters.decode_busy += s.prefill == 0 ? t : b == 0 ? 0 : std::min(t, model.form->decode_time(int(b), s.sum));
    if (s.prefill == 0) return;
    ++counters.prefill_steps;
    counters.prefill_tokens += s.prefill;
    counters.prefill_busy += t;
  }

  static constexpr Instant kForever = Instant{1} << 120;
  static constexpr std::int64_t kGiga = 1'000'000'000;
  const EnginePolicy policy;
  const ReplicaModel model;
  const traffic::Requests& requests;
  Cache cache;
  Adapters adapters;
  Tiers tiers;
  const std::int64_t unit, cell;
  std::vector<Job> jobs;
  std::vector<Coming> coming;  // fetching, in the order of asking
  Instant clock = 0;           // of the decision at hand
  std::vector<Job*> running;
  std::deque<Job*> waiting;
  std::size_t arrived = 0;
  bool preempted = false;  // in the last decision
  int held = 0;            // TensorRT-LLM: passes that context has waited
  // SGLang
  std::vector<Job*> inbox;
  std::int64_t passes = 0;
  bool pushed = false, full = false;
  const std::int64_t first_ratio = std::min(kGiga, std::int64_t(policy.new_token_ratio* policy.schedule_conservativeness * 1e9));
  const std::int64_t least_ratio = first_ratio * 14 / 100;
  std::int64_t ratio = first_ratio;
  Outcomes out;
  Counters counters;
};

}  // namespace jevons::serve::reference
