#pragma once
// One replica, one step at a time, one block at a time: the engine's rules written out with the plainest containers. Slow on purpose.
// The simulator must give the same integers.
#include <algorithm>
#include <deque>
#include <vector>

#include "serve/reference_state_test.hpp"

namespace jevons::serve::reference {

class Stepper : private State {
 public:
  using State::counters, State::out;
  Stepper(const EnginePolicy& p, const ReplicaModel& m, const traffic::Requests& q) : State{p, m, q} {
    cache.forgets = [this](Content id, std::int64_t block) { tiers.evicted(id, block, clock); };
  }

  void run() {
    Step current, next;
    Instant now = 0;
    bool idle = true;
    for (;;) {
      deliver(ns_of(now), idle);
      current = next.active() ? std::move(next) : schedule_now(now);
      next = policy.lag > 0 && current.active() ? schedule(now) : Step{};
      idle = !current.active();
      if (idle) {
        Instant next_event = arrived < requests.size() ? instant_of(requests.arrival[arrived]) : kForever;
        for (const Coming& f : coming) next_event = f.here ? next_event : std::min(next_event, f.done);
        if (next_event == kForever) break;
        now = std::max(now, next_event);
        continue;
      }
      now += duration(current);
      count(current);
      clock = now;
      emit(current, ns_of(now));
    }
    counters.evicted_blocks = cache.evicted;
  }

 private:
  void deliver(SimTime now, bool idle) {
    for (; arrived < requests.size() && requests.arrival[arrived] <= now; ++arrived) {
      Job& j = jobs[arrived];
      const bool long_ = policy.max_model_len > 0 && j.prompt + j.output > policy.max_model_len;
      const bool wide = !policy.chunked_prefill && j.prompt > policy.max_num_batched_tokens;
      if (long_ || wide || whole(&j) > cache.total)
        out.status[arrived] = Status::rejected, ++counters.rejected;
      else
        idle || policy.recv_interval == 1 ? enqueue(&j, false) : inbox.push_back(&j);
    }
  }
  void enqueue(Job* j, bool front) {
    auto at = std::find_if(waiting.begin(), waiting.end(), [&](Job* o) { return front ? level(o) >= level(j) : level(o) > level(j); });
    waiting.insert(at, j);
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
    j->retiring ? void(j->gone = true) : adapters.leave(j->adapter);
    release(j);
    j->decoding = false;
    full = false;
    if (j->gone) return;
    if (!policy.chunked_prefill && j->prompt + j->made > policy.max_num_batched_tokens) {
      out.status[j->id] = Status::rejected;
      ++counters.rejected;
      return;
    }
    estimates() ? waiting.push_back(j) : enqueue(j, true);
  }
  void retract() {
    if (growth(1) <= cache.free()) return;
    const auto decoding = [this] {
      std::vector<Job*> all;
      std::copy_if(running.begin(), running.end(), std::back_inserter(all), [](const Job* j) { return j->decoding; });
      return all;
    };
    for (auto all = decoding(); all.size() > 1 && growth(20) > cache.free(); all = decoding()) {
      preempt(*std::min_element(all.begin(), all.end(), [&](const Job* a, const Job* b) {
        const std::int64_t x = a->parts - a->prompt * unit, y = b->parts - b->prompt * unit;
        return x != y ? x < y : a->prompt > b->prompt;
      }));
    }
    std::int64_t made = 0, most = 0;
    for (const Job* j : decoding()) made += (j->parts - j->prompt * unit) / unit + 21, most += j->output;
    if (most > 0) ratio = std::min(kGiga, made * kGiga / most);
  }
  Job* victim() const {
    return *std::max_element(running.rbegin(), running.rend(), [&](Job* a, Job* b) { return level(a) < level(b); });
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
    clock = now;
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
      if (!preempted && join(s, budget)) admit(s, budget);
      if (s.prefill == 0) decode(s, budget);
    } else {
      if (policy.queue == Queue::priority) {  // room for all first: which of them is least urgent does not depend on the loop's position
        while (needed(budget) > cache.free()) preempt(victim());
      }
      decode(s, budget);
      chunk(s, budget);
      if (!preempted && join(s, budget) && !holds(s, budget)) admit(s, budget);
    }
    if (!adapters.users.empty()) s.extra += model.lora.any + step::Ticks(adapters.users.size()) * model.lora.each;
    for (const Job* j : s.retiring) adapters.leave(j->adapter);
    pushed = s.prefill > 0;
    counters.peak_blocks = std::max(counters.peak_blocks, cache.total - cache.free());
    counters.peak_running = std::max<std::int64_t>(counters.peak_running, std::int64_t(running.size()));
    return s;
  }
  std::int64_t needed(std::int64_t budget) const {
    std::int64_t n = growth(1);
    for (const Job* j : running) budget -= j->decoding ? 1 : 0;
    for (const Job* j : running) {
      if (j->done < j->target) n += more(j, (j->done + std::min(j->target - j->done, budget)) * unit);
    }
    return n;
  }
  // Takes the blocks for j, preempting others for them; false: j itself had to go.
  bool take(Job* j, std::int64_t need) {
    while (need > cache.free()) {
      Job* v = victim();
      preempt(v);
      if (v == j) return false;
    }
    cache.take(need);
    j->blocks += need;
    return true;
  }

  void decode(Step& s, std::int64_t& budget) {
    if (estimates()) retract();
    for (std::size_t i = 0; i < running.size(); ++i) {
      Job* j = running[i];
      if (!j->decoding) continue;
      if (!take(j, more(j, j->parts + model.step_tokens))) break;
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

  void chunk(Step& s, std::int64_t& budget) {  // one prompt at a time is pushed in part
    const auto part = std::find_if(running.begin(), running.end(), [](const Job* j) { return j->done < j->target; });
    if (part == running.end() || budget <= 0) return;
    Job* j = *part;
    const std::int64_t n = std::min(j->target - j->done, budget);
    if (!take(j, more(j, (j->done + n) * unit))) return;
    push(j, n, s);
    budget -= n;
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
      const std::int64_t blocks = reserves() ? whole(j) : j->capped + ceil(n * unit);
      if (n <= 0 || n > budget - tokens || blocks > free || places-- == 0) break;
      tokens += n;
      free -= blocks;
    }
    if (tokens == 0) return false;
    const bool enough = double(tokens + std::int64_t(s.decodes.size())) >= policy.batch_wait_ratio * policy.max_num_batched_tokens;
    held = enough || held >= policy.batch_wait_iters ? 0 : held + 1;
    return held > 0;
  }

  void admit(Step& s, std::int64_t& budget) {
    if (waiting.empty() || (full && !running.empty())) return;
    full = false;
    std::int64_t expected = 0;
    for (const Job* j : running) expected += j->decoding ? std::min<std::int64_t>(j->left * model.step_tokens / unit, 4096) * ratio : 0;
    for (auto at = waiting.begin(); at != waiting.end() && budget > 0;) {
      full = estimates();
      if (int(running.size()) == policy.max_num_seqs) return;
      Job* j = *at;
      if (!adapters.fits(j->adapter)) {
        ++at;
        continue;
      }
      const std::int64_t target = j->prompt + j->made;
      std::int64_t rest = (target - 1) / policy.block_size, hit = 0, unused = 0;
      std::vector<std::pair<Cache::Ref, std::int64_t>> found;
      for (const auto& run : prefixes() ? requests.prefix.of(j->id) : std::span<const traffic::BlockRun>{}) {
        const auto e = cache.known.find({j->adapter, run.first});
        if (e == cache.known.end() || rest == 0) break;
        const std::int64_t n = std::min({e->second->blocks, blocks_in(run), rest});
        found.push_back({e->second, n});
        hit += n;
        rest -= n;
        unused += std::max<std::int64_t>(0, n - e->second->used);
        if (n < blocks_in(run)) break;
      }
      const std::int64_t cached = hit * policy.block_size, fresh = target - cached;
      const std::int64_t n = std::min(fresh, budget);
      const std::int64_t first = j->capped + ceil((cached + n) * unit);
      const std::int64_t asked = reserves() ? whole(j) : by_prompt() ? j->capped + ceil(target * unit) : first;
      const std::int64_t may_need = fresh + std::min<std::int64_t>(j->output - j->made, 4096);
      const bool too_many = estimates() && may_need * kGiga >= cache.free() * policy.block_size * kGiga - expected;
      const bool fits = asked - hit + unused <= cache.free() && !(too_many && !running.empty());
      std::int64_t missed = 0;
      const auto pieces = fits ? fetched(j, target, hit, missed) : std::vector<Piece>{};
      if (pieces.empty() && !policy.chunked_prefill && fresh > budget) {
        full = false;
        return;
      }
      if (!fits) return;
      counters.tier_recomputed += missed;
      full = false;
      counters.adapter_passed += pieces.empty() && at != waiting.begin();
      at = waiting.erase(at);
      for (const auto& [e, used] : found) {
        cache.hold(e, used);
        j->extents.push_back({true, e});
      }
      j->target = target;
      j->done = cached;
      j->blocks = pieces.empty() && !reserves() ? first : asked;
      j->shared = hit;
      Coming f{j, 0, clock + tiers.wait(pieces, clock)};
      for (const Piece& p : pieces) {
        const std::int64_t tokens = tiers.fetch(p, clock) * policy.block_size;
        counters.tier_tokens[p.tier] += tokens;
        f.tokens += tokens;
      }
      cache.take(j->blocks - hit);
      ++counters.admitted;
      counters.cached_tokens += cached;
      if (out.preemptions[j->id] == 0) out.cached[j->id] = std::int32_t(cached + f.tokens);
      if (!pieces.empty()) {
        ++counters.fetches;
        counters.fetch_ticks += f.done - clock;
        coming.push_back(f);
        continue;
      }
      expected += (may_need - n) * kGiga;
      start(j, n, s);
      budget -= n;
    }
  }

  void start(Job* j, std::int64_t n, Step& s) {
    running.push_back(j);
    if (out.preemptions[j->id] == 0) out.scheduled[j->id] = ns_of(clock);
    s.extra += adapters.join(j->adapter, model.lora, counters);
    push(j, n, s);
  }

  // Those whose blocks have come, before the queue; false: some cannot start, and nobody behind them.
  bool join(Step& s, std::int64_t& budget) {
    for (Coming& f : coming) {
      if (f.here || f.done > clock) continue;
      f.here = true;
      f.job->done += f.tokens;
      remember(f.job, f.job->done);
    }
    for (auto f = coming.begin(); f != coming.end();) {
      if (!f->here || !adapters.fits(f->job->adapter)) {
        ++f;
        continue;
      }
      const std::int64_t rest = f->job->target - f->job->done, n = std::min(rest, budget);
      if (int(running.size()) == policy.max_num_seqs || budget <= 0 || (!policy.chunked_prefill && rest > budget)) return false;
      start(f->job, n, s);
      budget -= n;
      f = coming.erase(f);
    }
    return true;
  }

  // What to fetch of a prompt beyond its first `hit` blocks: until the prompt is there soonest, the rest computed. missed: tokens that a
  // tier has besides.
  std::vector<Piece> fetched(const Job* j, std::int64_t target, std::int64_t hit, std::int64_t& missed) {
    std::vector<std::pair<Content, std::int64_t>> prompt;  // block by block
    for (const auto& run : prefixes() && model.tiers.any() ? requests.prefix.of(j->id) : std::span<const traffic::BlockRun>{}) {
      for (std::int64_t b = 0; b < blocks_in(run) && std::int64_t(prompt.size()) < (target - 1) / policy.block_size; ++b)
        prompt.push_back({{j->adapter, run.first}, b});
    }
    const auto all = tiers.find(prompt, hit, clock);
    std::size_t best = 0;
    Instant soonest = kForever;
    for (std::size_t n = 0; n <= all.size(); ++n) {
      const std::vector<Piece> some(all.begin(), all.begin() + std::ptrdiff_t(n));
      std::int64_t from = hit * policy.block_size;
      for (const Piece& p : some) from += std::int64_t(p.blocks.size()) * policy.block_size;
      const Instant ready = tiers.wait(some, clock) + model.form->token_time(int(target - from)) + model.form->position_time(target) -
                            model.form->position_time(from);
      if (ready < soonest || model.tiers.fetch == FetchPolicy::always) soonest = ready, best = n;
    }
    for (std::size_t n = best; n < all.size(); ++n) missed += std::int64_t(all[n].blocks.size()) * policy.block_size;
    return {all.begin(), all.begin() + std::ptrdiff_t(best)};
  }

  void remember(Job* j, std::int64_t tokens) {
    if (!prefixes()) return;
    std::int64_t begin = 0;
    std::size_t k = 0;
    for (const auto& run : requests.prefix.of(j->id)) {
      const std::int64_t wanted = std::min(tokens / policy.block_size - begin, blocks_in(run));
      if (wanted <= 0) return;
      if (k == j->extents.size()) {
        if (cache.known.contains({j->adapter, run.first})) {
          j->extents.push_back({false, {}});
        } else {
          j->extents.push_back({true, cache.create({j->adapter, run.first}, wanted)});
          j->shared += wanted;
        }
      } else if (auto& [own, e] = j->extents[k]; own && wanted > e->blocks) {
        j->shared += cache.extend(e, wanted);
      }
      tiers.computed({j->adapter, run.first}, wanted, clock);
      begin += blocks_in(run);
      ++k;
    }
  }
};

}  // namespace jevons::serve::reference
