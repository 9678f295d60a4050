#include "serve/lockstep.hpp"

#include <algorithm>

namespace jevons::serve {

Lockstep::Lockstep(std::vector<Replica*> ranks, const step::StepForm& form, const EnginePolicy& policy)
    : ranks_{std::move(ranks)}, form_{form}, policy_{policy}, loads_(ranks_.size()) {}

void Lockstep::arrive(std::uint32_t rank, RequestId r, SimTime now) {
  Replica& x = *ranks_[rank];
  const bool unused = x.steps_ == 0;
  const bool may_change = x.enter(r);
  if (x.outcomes_.status[r] == Status::rejected) return;
  if (steps_ == 0) {
    if (!woken_) end_ = std::max(end_, instant_of(now));
    woken_ = true;
  } else if (unused || may_change) {
    interrupt(now);
  }
}

void Lockstep::interrupt(SimTime now) {
  if (steps_ <= 1) return;
  const auto before = run(steps_ - 1, instant_of(now - 1) - start_);
  if (before.steps + 1 < steps_) go(before.steps + 1, before.ticks + decode_step(before.steps));
}

void Lockstep::wake(SimTime now, const Replica& rank) {
  if (steps_ > 0) return interrupt(now);
  if (rank.landed_.empty() && rank.waiting_ == 0) return;
  if (!woken_) end_ = std::max(end_, instant_of(now));
  woken_ = true;
}

void Lockstep::landed(std::uint32_t rank, RequestId r, SimTime now) {
  ranks_[rank]->land(r);
  wake(now, *ranks_[rank]);
}

void Lockstep::release(std::uint32_t rank, RequestId r, SimTime now) {
  ranks_[rank]->let_go(r);
  wake(now, *ranks_[rank]);
}

void Lockstep::come_no_more(std::uint32_t rank, RequestId r, SimTime now) {
  ranks_[rank]->give_up(r, steps_ > 1 ? run(steps_ - 1, instant_of(now - 1) - start_).steps : 0);
  wake(now, *ranks_[rank]);
}

void Lockstep::fail(SimTime now, std::vector<RequestId>& lost) {
  if (steps_ > 1) {
    const auto done = run(steps_ - 1, instant_of(now - 1) - start_);
    if (done.steps > 0) {
      go(done.steps, done.ticks);
      for (Replica* x : ranks_) {
        if (x->steps_ > 0) x->elapse(done.steps, end_);
      }
    }
  }
  for (Replica* x : ranks_) x->drop_all(now, lost);
  end_ = std::max(start_, instant_of(now));
  steps_ = 0;
  woken_ = false;
  waited_ = batching_waited_ = 0;
}

void Lockstep::advance(std::vector<RequestId>& finished) {
  for (Replica* x : ranks_) {
    x->end_ = end_;
    x->settle(finished);
  }
  start_ = end_;
  woken_ = false;
  if (policy_.adp_balance) {
    if (steps_ > 1) waited_ = all_decode() ? std::int32_t((waited_ + steps_ - 1) % policy_.adp_timeout_iters) : 0;
    const bool hold = holds();
    for (Replica* x : ranks_) x->hold_ = hold;
  }
  for (Replica* x : ranks_) x->begin();
  if (!any_active()) {  // a decision that only preempted: what it sent back may start again
    for (Replica* x : ranks_) x->hold_ = false;
    for (Replica* x : ranks_) x->schedule_now();
  }
  steps_ = 0;
  for (Replica* x : ranks_) x->steps_ = 0;
  read_loads();
  const step::Ticks first = first_step();
  std::int64_t steps = INT64_MAX;
  for (Replica* x : ranks_) {
    x->pace_ = {true, first, first};
    x->look_ahead();
    const std::int64_t own = x->current_.active ? x->equal_steps() : x->waiting_ == 0 ? INT64_MAX : 1;
    steps = std::min(steps, own);
  }
  if (!any_active()) return;
  if (steps == 1)
    go(1, first);
  else
    go(steps, run(steps, Replica::kForever).ticks);
}

// TensorRT-LLM pyexecutor/scheduler/scheduler.py _balance_adp_context_requests: prompts start on every rank in the same step, as ranks that
// have none wait anyway. The count of passes goes on while nobody has any.
bool Lockstep::holds() {
  bool all_context = true, any_context = false;
  for (const Replica* x : ranks_) {
    const bool context = x->has_context();
    all_context = all_context && context;
    any_context = any_context || context;
  }
  if (all_context) {
    waited_ = 0;
    if (!all_decode()) return false;
    batching_waited_ = batching_waited_ < policy_.adp_batching_wait_iters ? batching_waited_ + 1 : 0;
    return batching_waited_ > 0;
  }
  ++waited_;
  if (waited_ >= policy_.adp_timeout_iters || !all_decode()) waited_ = 0;
  return any_context && waited_ > 0;
}

bool Lockstep::any_active() const {
  return std::any_of(ranks_.begin(), ranks_.end(), [](const Replica* x) { return x->current_.active; });
}

bool Lockstep::all_decode() const {
  return std::all_of(ranks_.begin(), ranks_.end(), [](const Replica* x) { return x->decoding_ > 0; });
}

void Lockstep::read_loads() {
  largest_ = 0;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const auto& c = ranks_[i]->current_;
    loads_[i] = {c.decodes, c.sum, ranks_[i]->step_ * c.decodes};
    largest_ = std::max(largest_, c.decodes);
  }
}

// What the step that starts now takes.
step::Ticks Lockstep::first_step() const {
  int prefill = 0, most = 0, decodes = 0;
  step::Ticks attention = 0;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const auto& c = ranks_[i]->current_;
    const Load& l = loads_[i];
    prefill += c.prefill_tokens;
    most = std::max(most, c.prefill_tokens);
    decodes += l.batch;
    const step::Ticks cached = l.batch > 0 ? form_.decode_time(l.batch, l.sum) - form_.base_time(l.batch) : 0;
    attention = std::max(attention, cached + c.attention);
  }
  const step::Ticks step = form_.base_time(largest_) + attention;
  if (prefill == 0) return step;
  return std::max(form_.prefill_floor(), step + form_.token_time(largest_ + most) - form_.token_time(largest_) +
                                             form_.shared_time(decodes + prefill) - form_.shared_time(decodes));
}

// The step k after the first of a run of equal ones.
step::Ticks Lockstep::decode_step(std::int64_t k) const {
  step::Ticks attention = 0;
  for (const Load& l : loads_) {
    if (l.batch > 0) attention = std::max(attention, form_.decode_time(l.batch, l.sum + l.growth * k) - form_.base_time(l.batch));
  }
  return form_.base_time(largest_) + attention;
}

// StepForm::run for the slowest of the ranks in each step.
step::StepForm::Run Lockstep::run(std::int64_t steps, Instant limit) const {
  step::StepForm::Run out;
  while (out.steps < steps) {
    // Until a rank enters its next segment or overtakes the slowest one, the step time rises evenly.
    std::int64_t n = steps - out.steps;
    step::Ticks slowest = -1, rise = 0;
    const auto at = [&](const Load& l, step::Ticks& time, step::Ticks& slope) {
      const std::int64_t sum = l.sum + l.growth * out.steps;
      const auto segments = form_.decode(l.batch);
      std::size_t i = segments.size() - 1;
      while (segments[i].from > sum) --i;
      time = segments[i].base + segments[i].slope * (sum - segments[i].from) - form_.base_time(l.batch);
      slope = segments[i].slope * l.growth;
      return i + 1 < segments.size() && l.growth > 0 ? (segments[i + 1].from - sum + l.growth - 1) / l.growth : steps;
    };
    step::Ticks time = 0, slope = 0;
    for (const Load& l : loads_) {
      if (l.batch == 0) continue;
      n = std::min(n, at(l, time, slope));
      if (time > slowest || (time == slowest && slope > rise)) slowest = time, rise = slope;
    }
    for (const Load& l : loads_) {
      if (l.batch == 0) continue;
      at(l, time, slope);
      if (slope > rise) n = std::min<std::int64_t>(n, (slowest - time) / (slope - rise) + 1);
    }
    const step::Ticks first = form_.base_time(largest_) + slowest;
    const auto total = [&](std::int64_t k) { return Int128(first) * k + Int128(rise) * (Int128(k) * (k - 1) / 2); };
    if (out.ticks + total(n) > limit) {
      std::int64_t fits = 0, too_many = n;
      while (too_many - fits > 1) {
        const std::int64_t middle = fits + (too_many - fits) / 2;
        (out.ticks + total(middle) <= limit ? fits : too_many) = middle;
      }
      return {out.steps + fits, out.ticks + total(fits)};
    }
    out.ticks += total(n);
    out.steps += n;
  }
  return out;
}

void Lockstep::go(std::int64_t steps, Instant ticks) {
  steps_ = steps;
  end_ = start_ + ticks;
  for (Replica* x : ranks_) {
    x->steps_ = x->current_.active ? steps : 0;
    x->end_ = end_;
    if (steps > 1) x->pace_.last = decode_step(steps - 1);
  }
}

}  // namespace jevons::serve
