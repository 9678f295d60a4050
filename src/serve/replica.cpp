#include "serve/replica.hpp"

#include <algorithm>

namespace jevons::serve {
namespace {

std::uint32_t lanes_of(const EnginePolicy& policy, const traffic::Requests& requests) {
  if (!policy.enable_lora || requests.adapter.empty()) return 1;
  return std::uint32_t(*std::max_element(requests.adapter.begin(), requests.adapter.end()) + 2);
}

}  // namespace

Replica::Replica(const EnginePolicy& policy, const ReplicaModel& model, const traffic::Requests& requests, Outcomes& outcomes,
                 DurationHistogram& itl)
    : policy_{policy},
      model_{model},
      requests_{requests},
      outcomes_{outcomes},
      // vLLM block_pool.py: block 0 is the null block, never handed out.
      pool_{model.blocks - (policy.engine == Engine::vllm && model.blocks > 0 ? 1 : 0)},
      prefixes_{policy.enable_prefix_caching && requests.prefix.known()},
      unit_{model.form->unit()},
      step_{model.step_tokens},
      cell_{std::int64_t(policy.block_size) * model.form->unit()},
      extent_cells_{prefixes_ ? requests.prefix.block_tokens / policy.block_size : 1},
      lanes_{lanes_of(policy, requests)},
      slots_of_adapters_{std::int32_t(lanes_ - 1), policy.max_loras, policy.max_cpu_loras},
      itl_{itl} {
  JEVONS_ENSURE(!prefixes_ || requests.prefix.block_tokens % policy.block_size == 0);
  slots_.reserve(std::size_t(policy.max_num_seqs));
  due_.reserve(std::size_t(policy.max_num_seqs));
  phase_.resize(std::size_t(cell_));
  for (Composition* c : {&current_, &pending_}) {
    c->first_tokens.reserve(std::size_t(policy.max_num_seqs));
    c->retiring.reserve(std::size_t(policy.max_num_seqs));
  }
  std::vector<std::int32_t> priorities;
  if (policy.queue == Queue::priority && !requests.tenant.empty()) {  // a tenant alone has no rows of its own
    for (const auto& t : requests.tenants) priorities.push_back(t.priority);
    std::sort(priorities.begin(), priorities.end());
    priorities.erase(std::unique(priorities.begin(), priorities.end()), priorities.end());
    for (const auto& t : requests.tenants) {
      level_of_.push_back(std::uint32_t(std::lower_bound(priorities.begin(), priorities.end(), t.priority) - priorities.begin()));
    }
  }
  if (prefixes_) {  // places that a fuller batch would else make later
    constexpr std::size_t kReady = 256;
    for (Slot s = Slot(std::min(kReady, std::size_t(policy.max_num_seqs))); s-- > 0;) {
      slots_.emplace_back().extents.reserve(4);
      spare_.push_back(Slot(slots_.size() - 1));
    }
  }
  if (model_.tiers.any()) {
    JEVONS_ENSURE(prefixes_);
    tiers_ = std::make_unique<Tiers>(model_.tiers);
    if (tiers_->write_back()) pool_.report_to(&forgotten_);
  }
  const std::size_t levels = std::max<std::size_t>(1, priorities.size());
  lines_.resize(levels * lanes_);
  if (lanes_ > 1) {
    heads_.assign(levels, Tournament(lanes_));
    place_.resize(requests.size());
  }
  // SGLang scheduler.py init: min(0.7·conservativeness, 1), down to 0.14 of that over 600 decode steps.
  ratio_.first = std::min(kRatio, std::int64_t(policy.new_token_ratio * policy.schedule_conservativeness * double(kRatio)));
  ratio_.least = ratio_.first * 14 / 100;
  ratio_.decay = (ratio_.first - ratio_.least) / 600;
  new_token_ratio_ = ratio_.first;
}

void Replica::Composition::clear() {
  active = false;
  decodes = prefill_tokens = 0;
  sum = attention = extra = 0;
  first_tokens.clear();
  retiring.clear();
  gone.clear();
}

void Replica::arrive(RequestId r, SimTime now) {
  const bool idle = steps_ == 0;
  const bool may_change = enter(r);
  if (outcomes_.status[r] == Status::rejected) return;
  if (idle) {
    if (dozing_)
      end_ = std::min(end_, std::max(start_, instant_of(now)));
    else if (!woken_)
      end_ = std::max(end_, instant_of(now));
    woken_ = true;
    dozing_ = false;
  } else if (may_change) {
    interrupt(now, true);
  }
}

// The first decision at or after `now` (that looks for new requests) can differ, so the run of equal steps ends there.
void Replica::interrupt(SimTime now, bool at_look) {
  if (steps_ <= 1) return;
  auto before = run(steps_ - 1, instant_of(now - 1) - start_);
  const std::int64_t look = at_look ? looks_after(before.steps + 1) - 1 : before.steps;
  if (look + 1 >= steps_) return;
  if (look > before.steps) before = run(look, kForever);
  steps_ = before.steps + 1;
  end_ = start_ + before.ticks + decode_step(before.steps);
}

// The step k after the first of a run of equal ones, and as many of them as fit.
step::Ticks Replica::decode_step(std::int64_t k) const {
  return model_.form->decode_time(current_.decodes, current_.sum + step_ * current_.decodes * k) + current_.extra;
}
step::StepForm::Run Replica::run(std::int64_t steps, Instant limit) const {
  return model_.form->run(current_.decodes, current_.sum, step_ * current_.decodes, steps, limit, current_.extra);
}

// Rejects or queues a request; true if it may change the coming decisions.
bool Replica::enter(RequestId r) {
  outcomes_.replica[r] = std::uint16_t(model_.index);
  const std::int64_t input = requests_.input_tokens[r], output = outputs_of(r);
  const std::int64_t most = input + output - 1;  // the last token is never cached
  const bool too_long = policy_.max_model_len > 0 && input + requests_.output_tokens[r] > policy_.max_model_len;
  const bool too_wide = !policy_.chunked_prefill && input > policy_.max_num_batched_tokens;
  if (too_long || too_wide || cells(most * unit_ + step_ - unit_) + capped(r) > pool_.total()) {
    outcomes_.status[r] = Status::rejected;
    ++count_.rejected;
    return false;
  }
  const bool leads = steps_ == 0 || policy_.recv_interval == 1 ? enqueue(r, false) : post(r);
  return !blocked_ || leads || policy_.recv_interval > 1 || lanes_ > 1;  // with adapters, one behind may go first
}

// The first of the coming decisions, from number n on, that looks for new requests.
std::int64_t Replica::looks_after(std::int64_t n) const {
  const std::int64_t r = policy_.recv_interval;
  return n + (r - (recv_count_ + n) % r) % r;
}

void Replica::advance(std::vector<RequestId>& finished) {
  settle(finished);
  begin();
  look_ahead();
  steps_ = equal_steps();
  if (steps_ == 0) return await_fetches();
  end_ = start_ + (steps_ == 1 ? time_of(current_) : run(steps_, kForever).ticks);
  if (!fetching_.empty()) await_fetches();
}

// The planned steps have run: their tokens are there.
void Replica::settle(std::vector<RequestId>& finished) {
  finished_ = &finished;
  now_ = end_;
  dozing_ = false;
  if (steps_ > 0) {
    const std::int64_t taken = steps_ > 1 ? growth(steps_ - 1) : 0;
    account(taken);
    if (steps_ > 1) {  // decisions between were all the same: everything decodes on
      if (tiers_ != nullptr && tiers_->write_back())
        take_step_by_step();
      else
        pool_.take(taken);
      compose(steps_ - 1);
      recv_count_ = std::int32_t((recv_count_ + steps_ - 1) % policy_.recv_interval);
      new_token_ratio_ = std::max(new_token_ratio_ - (steps_ - 1) * ratio_.decay, ratio_.least);
      if (policy_.lag > 0) pending_.sum = anchors_ + (composed_ - 1) * step_ * decoding_;
      count_.peak_blocks = std::max(count_.peak_blocks, pool_.total() - pool_.free());
    }
    outputs(current_);
  }
  start_ = end_;
  woken_ = false;
}

// The step that starts now.
void Replica::begin() {
  if (policy_.lag == 0) return schedule_now();
  // vLLM core.py step_with_batch_queue, SGLang event_loop_overlap: the step after the one that starts now is fixed now.
  std::swap(current_, pending_);
  if (!current_.active) schedule_now();
}

void Replica::look_ahead() {
  if (policy_.lag == 0) return;
  if (current_.active)
    schedule(pending_, &current_);
  else
    pending_.clear();
}

// A decision that only preempted leaves an empty step, which takes no time: the engine decides again.
void Replica::schedule_now() {
  do {
    schedule(current_, nullptr);
    if (!current_.active && inbox_.size > 0) recv_count_ = policy_.recv_interval;  // idle passes take no time: it looks at once
  } while (!current_.active && (preempted_ || inbox_.size > 0));
}

// How many steps until a decision can differ from "everything decodes on".
std::int64_t Replica::equal_steps() const {
  if (!current_.active) return 0;
  const bool same = current_.plain() && (policy_.lag == 0 || (pending_.plain() && pending_.decodes == current_.decodes)) && !preempted_ &&
                    !held_ && (waiting_ == inbox_.size || blocked_);
  if (!same) return 1;
  std::int64_t steps = due_.front().last - composed_;
  if (inbox_.size > 0) steps = std::min(steps, looks_after(1));
  return 1 + growth_limit(std::min(steps, model_.longest_run) - 1);
}

step::Ticks Replica::time_of(const Composition& c) const {
  return c.extra + (c.prefill_tokens > 0 ? model_.form->mixed_time(c.decodes, c.sum, c.prefill_tokens, c.attention)
                                         : model_.form->decode_time(c.decodes, c.sum));
}

void Replica::account(std::int64_t taken) {
  const Composition& c = current_;
  const Int128 ticks = end_ - start_;
  const std::int64_t g = step_ * c.decodes;
  count_.steps += steps_;
  count_.busy += ticks;
  count_.sequence_ticks += ticks * c.decodes;
  count_.decodes += steps_ * c.decodes;
  if (c.extra != 0) count_.adapter_ticks += Int128(steps_) * c.extra;
  count_.context_sum += Int128(steps_) * c.sum + Int128(g) * (Int128(steps_) * (steps_ - 1) / 2);
  if (c.prefill_tokens > 0) {
    ++count_.prefill_steps;
    count_.prefill_tokens += c.prefill_tokens;
    count_.prefill_busy += ticks;
    if (c.decodes > 0) count_.decode_busy += std::min(ticks, Int128(model_.form->decode_time(c.decodes, c.sum)));
  } else {
    count_.decode_busy += ticks;
  }
  twice_block_ticks_ += ticks * (2 * (pool_.total() - pool_.free()) + taken);
  if (c.decodes == 0) return;
  if (steps_ == 1)
    itl_.add(step::Ticks(ticks), c.decodes);
  else if (pace_.set)
    itl_.add_run(pace_.first, pace_.last, steps_, c.decodes);
  else
    itl_.add_run(decode_step(0), decode_step(steps_ - 1), steps_, c.decodes);
}

void Replica::outputs(Composition& c) {
  const SimTime now = ns_of(end_);
  for (const RequestId r : c.first_tokens) {
    if (model_.role == Role::prefill && requests_.output_tokens[r] > outcomes_.made[r] + 1) continue;  // handed out where it goes on
    if (outcomes_.first_token[r] == 0)
      outcomes_.first_token[r] = now;
    else  // resumed after a preemption, at which `finished` noted its last token
      itl_.add((now - outcomes_.finished[r]) << step::kTickBits, 1);
  }
  if (!c.retiring.empty()) full_ = false;
  for (const Slot s : c.retiring) {
    if (model_.role == Role::prefill && requests_.output_tokens[slots_[s].id] > outcomes_.made[slots_[s].id] + 1) {
      keep(s);
      continue;
    }
    finish(slots_[s].id);
    free_slot(s);
  }
  for (const RequestId r : c.gone) finish(r);
}

void Replica::finish(RequestId r) {
  outcomes_.finished[r] = ns_of(end_);
  outcomes_.status[r] = Status::finished;
  ++count_.finished;
  finished_->push_back(r);
}

Counters Replica::counters() const {
  Counters c = count_;
  c.evicted_blocks += pool_.evicted();
  return c;
}

// New blocks that `steps` more steps of all decoding sequences need: whole rounds need one each, the rest those whose last block fills.
std::int64_t Replica::growth(std::int64_t steps) const {
  if (policy_.admission == Admission::whole_request) return 0;
  const std::int64_t parts = steps * step_;
  const std::int64_t rounds = parts < cell_ ? 0 : parts / cell_, rest = parts - rounds * cell_;
  std::int64_t blocks = rounds * decoding_, at = full_phase_;
  for (std::int64_t v = 0; v < rest; ++v, at = at == 0 ? cell_ - 1 : at - 1) blocks += phase_[std::size_t(at)];
  return blocks;
}

// Decode compositions pass by; the phase of the sequences whose last block is full moves with them.
void Replica::compose(std::int64_t steps) {
  composed_ += steps;
  const std::int64_t parts = steps * step_;
  full_phase_ -= parts < cell_ ? parts : parts % cell_;
  if (full_phase_ < 0) full_phase_ += cell_;
}

// The most of `steps` steps whose new blocks are there.
std::int64_t Replica::growth_limit(std::int64_t steps) const {
  if (decoding_ * (steps * step_ / cell_ + 1) <= pool_.free() || growth(steps) <= pool_.free()) return steps;
  std::int64_t fits = 0, too_many = steps;
  while (too_many - fits > 1) {
    const std::int64_t middle = fits + (too_many - fits) / 2;
    (growth(middle) <= pool_.free() ? fits : too_many) = middle;
  }
  return fits;
}

}  // namespace jevons::serve
