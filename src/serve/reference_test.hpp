#pragma once
// One replica, one step at a time, one block at a time: the engine's rules written out with the plainest containers. Slow on purpose.
// The simulator must give the same integers.
#include <algorithm>
#include <deque>
#include <list>
#include <map>
#include <vector>

#include "serve/replica.hpp"

namespace jevons::serve::reference {

/// All blocks in order of last use, as cached extents (of which the first `used` blocks are in use) and runs without content.
class Cache {
 public:
  struct Entry {
    bool content = false;
    traffic::BlockId id = 0;
    std::int64_t blocks = 0, used = 0;
    int holders = 0;
  };
  using Ref = std::list<Entry>::iterator;

  explicit Cache(std::int64_t n) : total{n} { give(n); }
  std::int64_t free() const {
    std::int64_t sum = 0;
    for (const Entry& e : queue) sum += e.blocks - e.used;
    return sum;
  }
  void take(std::int64_t n) {
    for (; n > 0; --n) {
      const Ref e = std::find_if(queue.begin(), queue.end(), [](const Entry& x) { return x.blocks > x.used; });
      --e->blocks;
      if (e->content) ++evicted;
      if (e->blocks > 0) continue;
      if (e->content) known.erase(e->id);
      queue.erase(e);
    }
  }
  void give(std::int64_t n) { queue.push_back({false, 0, n}); }
  void hold(Ref e, std::int64_t n) {
    ++e->holders;
    e->used = std::max(e->used, n);
  }
  void release(Ref e) {
    if (--e->holders > 0) return;
    e->used = 0;
    queue.splice(queue.end(), queue, e);
  }
  Ref create(traffic::BlockId id, std::int64_t n) {
    queue.push_back({true, id, n, n, 1});
    return known[id] = std::prev(queue.end());
  }
  std::int64_t extend(Ref e, std::int64_t n) {
    if (e->holders != 1) return 0;
    const std::int64_t more = n - e->used;
    give(e->blocks - e->used);
    e->blocks = e->used = n;
    return more;
  }

  std::int64_t total, evicted = 0;
  std::list<Entry> queue;
  std::map<traffic::BlockId, Ref> known;
};

struct Job {
  RequestId id;
  std::int64_t prompt, output;
  std::int64_t made = 0;              // outputs scheduled
  std::int64_t target = 0, done = 0;  // prefill: tokens to push, pushed
  std::int64_t parts = 0;             // decoding: tokens in cache, 1/unit
  std::int64_t left = 0;              // decode steps to schedule
  std::int64_t blocks = 0, shared = 0;
  bool decoding = false, retiring = false, gone = false;
  std::vector<std::pair<bool, Cache::Ref>> extents;
};

struct Step {
  std::vector<Job*> decodes, completed, retiring;
  std::int64_t sum = 0;
  int prefill = 0;
  step::Ticks attention = 0;
  bool active() const { return !decodes.empty() || prefill > 0; }
};

class Stepper {
 public:
  Stepper(const EnginePolicy& p, const ReplicaModel& m, const traffic::Requests& q)
      : policy{p},
        model{m},
        requests{q},
        cache{m.blocks - (p.engine == Engine::vllm ? 1 : 0)},
        unit{m.form->unit()},
        cell{p.block_size * unit} {
    out.resize(q.size());
    for (RequestId r = 0; r < q.size(); ++r) jobs.push_back({r, q.input_tokens[r], q.output_tokens[r]});
  }

  void run() {
    Step current, next;
    Instant now = 0;
    bool idle = true;
    for (;;) {
      deliver(ns_of(now), idle);
      if (policy.lag == 0) {
        current = schedule_now(now);
      } else {
        current = next.active() ? std::move(next) : schedule_now(now);
        next = current.active() ? schedule(now) : Step{};
      }
      idle = !current.active();
      if (idle) {
        if (arrived == requests.size()) break;
        now = std::max(now, instant_of(requests.arrival[arrived]));
        continue;
      }
      now += duration(current);
      count(current);
      emit(current, ns_of(now));
    }
    counters.evicted_blocks = cache.evicted;
  }

  Outcomes out;
  Counters counters;
  std::vector<RequestId> order;  // in which requests finished

 private:
  void deliver(SimTime now, bool idle) {
    for (; arrived < requests.size() && requests.arrival[arrived] <= now; ++arrived) {
      Job& j = jobs[arrived];
      const bool long_ = policy.max_model_len > 0 && j.prompt + j.output > policy.max_model_len;
      const bool wide = !policy.chunked_prefill && j.prompt > policy.max_num_batched_tokens;
      if (long_ || wide || ceil((j.prompt + j.output - 1) * unit + model.step_tokens - unit) > cache.total) {
        out.status[arrived] = Status::rejected;
        ++counters.rejected;
      } else {
        idle || policy.recv_interval == 1 ? enqueue(&j, false) : inbox.push_back(&j);
      }
    }
  }
  int level(const Job* j) const { return policy.queue == Queue::priority ? requests.tenants[requests.tenant[j->id]].priority : 0; }
  void enqueue(Job* j, bool front) {
    auto at = std::find_if(waiting.begin(), waiting.end(), [&](Job* o) { return front ? level(o) >= level(j) : level(o) > level(j); });
    waiting.insert(at, j);
  }
  std::int64_t ceil(std::int64_t parts) const { return (parts + cell - 1) / cell; }
  bool reserves() const { return policy.admission == Admission::whole_request; }

  step::Ticks duration(const Step& s) const {
    const int b = int(s.decodes.size());
    return s.prefill > 0 ? model.form->mixed_time(b, s.sum, s.prefill, s.attention) : model.form->decode_time(b, s.sum);
  }
  void count(const Step& s) {
    const step::Ticks t = duration(s);
    const auto b = std::int64_t(s.decodes.size());
    ++counters.steps;
    counters.busy += t;
    counters.decodes += b;
    counters.sequence_ticks += Int128(t) * b;
    counters.context_sum += s.sum;
    if (s.prefill == 0) return;
    ++counters.prefill_steps;
    counters.prefill_tokens += s.prefill;
    counters.prefill_busy += t;
  }

  void emit(const Step& s, SimTime now) {
    for (Job* j : s.completed) {
      if (out.first_token[j->id] == 0) out.first_token[j->id] = now;
    }
    std::vector<Job*> last = s.retiring;  // those that kept their blocks first, then those preempted in their last step
    std::stable_partition(last.begin(), last.end(), [](Job* j) { return !j->gone; });
    for (Job* j : last) {
      if (!j->gone) full = false;
      out.finished[j->id] = now;
      out.status[j->id] = Status::finished;
      ++counters.finished;
      order.push_back(j->id);
      if (!j->gone) release(j);
    }
  }

  void release(Job* j) {
    remember(j, j->done < j->target ? j->done : j->parts / unit);
    cache.give(j->blocks - j->shared);
    for (auto e = j->extents.rbegin(); e != j->extents.rend(); ++e) {
      if (e->first) cache.release(e->second);
    }
    j->extents.clear();
    running.erase(std::find(running.begin(), running.end(), j));
  }

  void preempt(Job* j) {
    preempted = true;
    ++counters.preemptions;
    ++out.preemptions[j->id];
    if (j->retiring) j->gone = true;
    release(j);
    j->decoding = false;
    full = false;
    if (j->gone) return;
    if (estimates())
      waiting.push_back(j);
    else
      enqueue(j, true);
  }
  bool estimates() const { return policy.admission == Admission::estimate; }

  void retract() {
    const auto need = [&](std::int64_t steps) {
      std::int64_t n = 0;
      for (const Job* j : running) n += j->decoding ? ceil(j->parts + steps * model.step_tokens) - j->blocks : 0;
      return n;
    };
    if (need(1) <= cache.free()) return;
    std::vector<Job*> decoding;
    const auto collect = [&] {
      decoding.clear();
      for (Job* j : running) {
        if (j->decoding) decoding.push_back(j);
      }
    };
    for (collect(); decoding.size() > 1 && need(20) > cache.free(); collect()) {
      preempt(*std::min_element(decoding.begin(), decoding.end(), [&](const Job* a, const Job* b) {
        const std::int64_t x = a->parts - a->prompt * unit, y = b->parts - b->prompt * unit;
        return x != y ? x < y : a->prompt > b->prompt;
      }));
    }
    std::int64_t made = 0, most = 0;
    for (const Job* j : decoding) made += (j->parts - j->prompt * unit) / unit + 21, most += j->output;
    if (most > 0) ratio = std::min(std::int64_t{1'000'000'000}, made * 1'000'000'000 / most);
  }
  Job* victim() const {
    Job* worst = running.back();
    for (auto it = running.rbegin(); it != running.rend(); ++it) {
      if (level(*it) > level(worst)) worst = *it;
    }
    return worst;
  }

  Step schedule_now(Instant now) {
    Step s;
    do {
      s = schedule(now);
      if (!s.active() && !inbox.empty()) passes = policy.recv_interval;
    } while (!s.active() && (preempted || !inbox.empty()));
    return s;
  }
  Step schedule(Instant now) {
    Step s;
    preempted = false;
    passes += pushed ? 1000 : 1;
    if (passes >= policy.recv_interval) {
      passes = 0;
      waiting.insert(waiting.end(), inbox.begin(), inbox.end());
      inbox.clear();
    }
    std::int64_t budget = policy.max_num_batched_tokens;
    if (policy.chunk > 0) budget = std::min<std::int64_t>(budget, policy.chunk);
    if (policy.prefill_first) {
      chunk(s, budget);
      if (!preempted) admit(now, s, budget);
      if (s.prefill == 0) {
        decode(s, budget);
      }
    } else {
      if (policy.queue == Queue::priority) {  // room for all first: which of them is least urgent does not depend on the loop's position
        while (needed(budget) > cache.free()) preempt(victim());
      }
      decode(s, budget);
      chunk(s, budget);
      if (!preempted && !holds(s, budget)) admit(now, s, budget);
    }
    note_peaks();
    pushed = s.prefill > 0;
    return s;
  }
  void note_peaks() {
    counters.peak_blocks = std::max(counters.peak_blocks, cache.total - cache.free());
    counters.peak_running = std::max<std::int64_t>(counters.peak_running, std::int64_t(running.size()));
  }
  std::int64_t needed(std::int64_t budget) const {
    std::int64_t n = 0;
    for (const Job* j : running) n += j->decoding ? ceil(j->parts + model.step_tokens) - j->blocks : 0, budget -= j->decoding ? 1 : 0;
    for (const Job* j : running) {
      if (j->done < j->target) n += reserves() ? 0 : ceil((j->done + std::min(j->target - j->done, budget)) * unit) - j->blocks;
    }
    return reserves() ? 0 : n;
  }

  void decode(Step& s, std::int64_t& budget) {
    if (estimates()) retract();
    for (std::size_t i = 0; i < running.size(); ++i) {
      Job* j = running[i];
      if (!j->decoding) continue;
      const std::int64_t need = reserves() ? 0 : ceil(j->parts + model.step_tokens) - j->blocks;
      bool lost = false;
      while (need > cache.free() && !lost) {
        Job* v = victim();
        preempt(v);
        lost = v == j;
      }
      if (lost) break;
      cache.take(need);
      j->blocks += need;
      s.decodes.push_back(j);
      s.sum += j->parts;
      --budget;
    }
    if (!s.decodes.empty()) ratio = std::max(ratio - (first_ratio - least_ratio) / 600, least_ratio);
    for (Job* j : s.decodes) {
      j->parts += model.step_tokens;
      j->made = std::min(j->parts / unit - j->prompt + 1, j->output - 1);
      if (--j->left == 0) retire(j, s);
    }
  }
  void retire(Job* j, Step& s) {
    j->decoding = false;
    j->retiring = true;
    s.retiring.push_back(j);
  }

  void chunk(Step& s, std::int64_t& budget) {
    for (std::size_t i = 0; i < running.size() && budget > 0; ++i) {
      Job* j = running[i];
      if (j->done == j->target) continue;
      const std::int64_t n = std::min(j->target - j->done, budget);
      const std::int64_t need = reserves() ? 0 : ceil((j->done + n) * unit) - j->blocks;
      while (need > cache.free()) {
        Job* v = victim();
        preempt(v);
        if (v == j) return;
      }
      cache.take(need);
      j->blocks += need;
      push(j, n, s);
      budget -= n;
      return;  // one prompt at a time is pushed in part
    }
  }
  void push(Job* j, std::int64_t n, Step& s) {
    s.prefill += int(n);
    s.attention += model.form->position_time(j->done + n) - model.form->position_time(j->done);
    j->done += n;
    remember(j, j->done);
    if (j->done < j->target) return;
    s.completed.push_back(j);
    j->parts = j->target * unit;
    j->made = j->target - j->prompt + 1;
    j->left = ((j->output - j->made) * unit + model.step_tokens - 1) / model.step_tokens;
    if (j->left == 0)
      retire(j, s);
    else
      j->decoding = true;
  }

  // TensorRT-LLM: would-be context of this step, without prefix cache (the scenarios with waiting have none).
  bool holds(const Step& s, std::int64_t budget) {
    if (policy.batch_wait_iters == 0 || s.decodes.empty() || s.prefill > 0) return false;
    std::int64_t tokens = 0, free = cache.free(), places = policy.max_num_seqs - std::int64_t(running.size());
    for (const Job* j : waiting) {
      const std::int64_t target = j->prompt + j->made, n = policy.chunked_prefill ? std::min(target, budget - tokens) : target;
      const std::int64_t blocks = ceil((reserves() ? j->prompt + j->output - 1 : n) * unit + (reserves() ? model.step_tokens - unit : 0));
      if (n <= 0 || n > budget - tokens || blocks > free || places-- == 0) break;
      tokens += n;
      free -= blocks;
    }
    if (tokens == 0) return false;
    const bool enough = double(tokens + std::int64_t(s.decodes.size())) >= policy.batch_wait_ratio * policy.max_num_batched_tokens;
    held = enough || held >= policy.batch_wait_iters ? 0 : held + 1;
    return held > 0;
  }

  void admit(Instant now, Step& s, std::int64_t& budget) {
    if (waiting.empty() || (full && !running.empty())) return;
    full = false;
    std::int64_t expected = 0;
    for (const Job* j : running) expected += j->decoding ? std::min<std::int64_t>(j->left * model.step_tokens / unit, 4096) * ratio : 0;
    while (!waiting.empty() && budget > 0) {
      full = estimates();
      if (int(running.size()) == policy.max_num_seqs) return;
      Job* j = waiting.front();
      const std::int64_t target = j->prompt + j->made;
      std::int64_t rest = (target - 1) / policy.block_size, hit = 0, unused = 0;
      std::vector<std::pair<Cache::Ref, std::int64_t>> found;
      if (policy.enable_prefix_caching && requests.prefix.known()) {
        for (const auto& run : requests.prefix.of(j->id)) {
          const auto e = cache.known.find(run.first);
          if (e == cache.known.end() || rest == 0) break;
          const std::int64_t length = run.count * (requests.prefix.block_tokens / policy.block_size);
          const std::int64_t n = std::min({e->second->blocks, length, rest});
          found.push_back({e->second, n});
          hit += n;
          rest -= n;
          unused += std::max<std::int64_t>(0, n - e->second->used);
          if (n < length) break;
        }
      }
      const std::int64_t cached = hit * policy.block_size, fresh = target - cached;
      if (!policy.chunked_prefill && fresh > budget) {
        full = false;
        return;
      }
      const std::int64_t n = std::min(fresh, budget);
      const std::int64_t first = ceil((cached + n) * unit), whole = ceil((j->prompt + j->output - 1) * unit + model.step_tokens - unit);
      const std::int64_t asked = reserves() ? whole : policy.admission == Admission::prompt ? ceil(target * unit) : first;
      const std::int64_t may_need = fresh + std::min<std::int64_t>(j->output - j->made, 4096), giga = 1'000'000'000;
      const bool too_many = estimates() && may_need * giga >= cache.free() * policy.block_size * giga - expected;
      if (asked - hit + unused > cache.free() || (too_many && !running.empty())) return;
      expected += (may_need - n) * giga;
      full = false;
      waiting.pop_front();
      for (const auto& [e, used] : found) {
        cache.hold(e, used);
        j->extents.push_back({true, e});
      }
      j->target = target;
      j->done = cached;
      j->blocks = reserves() ? whole : first;
      j->shared = hit;
      cache.take(j->blocks - hit);
      running.push_back(j);
      ++counters.admitted;
      counters.cached_tokens += cached;
      if (out.preemptions[j->id] == 0) {
        out.scheduled[j->id] = ns_of(now);
        out.cached[j->id] = std::int32_t(cached);
      }
      push(j, n, s);
      budget -= n;
    }
  }

  void remember(Job* j, std::int64_t tokens) {
    if (!policy.enable_prefix_caching || !requests.prefix.known()) return;
    std::int64_t begin = 0;
    std::size_t k = 0;
    for (const auto& run : requests.prefix.of(j->id)) {
      const std::int64_t length = run.count * (requests.prefix.block_tokens / policy.block_size);
      const std::int64_t wanted = std::min(tokens / policy.block_size - begin, length);
      if (wanted <= 0) return;
      if (k == j->extents.size()) {
        if (cache.known.contains(run.first)) {
          j->extents.push_back({false, {}});
        } else {
          j->extents.push_back({true, cache.create(run.first, wanted)});
          j->shared += wanted;
        }
      } else if (auto& [own, e] = j->extents[k]; own && wanted > e->blocks) {
        j->shared += cache.extend(e, wanted);
      }
      begin += length;
      ++k;
    }
  }

  const EnginePolicy policy;
  const ReplicaModel model;
  const traffic::Requests& requests;
  Cache cache;
  const std::int64_t unit, cell;
  std::vector<Job> jobs;
  std::vector<Job*> running;
  std::deque<Job*> waiting;
  std::size_t arrived = 0;
  bool preempted = false;  // in the last decision
  int held = 0;            // TensorRT-LLM: passes that context has waited
  // SGLang
  std::vector<Job*> inbox;
  std::int64_t passes = 0;
  bool pushed = false, full = false;
  const std::int64_t first_ratio =
      std::min<std::int64_t>(1'000'000'000, std::int64_t(policy.new_token_ratio* policy.schedule_conservativeness * 1e9));
  const std::int64_t least_ratio = first_ratio * 14 / 100;
  std::int64_t ratio = first_ratio;
};

}  // namespace jevons::serve::reference
