// What goes into each step: the engines' scheduling rules on Replica's state.
#include <algorithm>

#include "serve/replica.hpp"

namespace jevons::serve {

// vLLM v1 core/sched/scheduler.py schedule(): running requests first, in order of admission, then waiting ones within the token budget
// and only if nothing was preempted. TensorRT-LLM in-flight batching is the same with whole prompts. SGLang
// (schedule_batch.py, schedule_policy.py PrefillAdder) pushes prompts in steps of their own, before it decodes.
void Replica::schedule(Composition& c, Composition* in_flight) {
  c.clear();
  in_flight_ = in_flight;
  preempted_ = blocked_ = held_ = false;
  if (!landed_.empty()) join_landed();
  // SGLang scheduler_recv_skipper.py: a pass that pushed prompts counts 1000, any other 1; new requests are looked for at the interval.
  recv_count_ += pushed_ ? 1000 : 1;
  if (recv_count_ >= policy_.recv_interval) receive();
  int budget = policy_.step_tokens();
  if (hold_) {
    schedule_decodes(c, budget);
    held_ = true;
  } else if (policy_.prefill_first) {
    schedule_chunk(c, budget);
    if (!preempted_) schedule_waiting(c, budget);
    if (c.prefill_tokens == 0) schedule_decodes(c, budget);
  } else {
    schedule_decodes(c, budget);
    schedule_chunk(c, budget);
    if (!preempted_) schedule_waiting(c, budget);
  }
  c.active = c.decodes > 0 || c.prefill_tokens > 0;
  if (lanes_ > 1) charge_adapters(c);
  pushed_ = c.prefill_tokens > 0;
  count_.peak_blocks = std::max(count_.peak_blocks, pool_.total() - pool_.free());
  count_.peak_running = std::max<std::int64_t>(count_.peak_running, running_);
}

// Tokens that the prompt pushed in part gets of what the decoding sequences leave.
int Replica::partial_tokens(int budget) const {
  if (partial_ == kNoSlot) return 0;
  return std::max(0, std::min(slots_[partial_].target - slots_[partial_].computed, budget));
}

// Blocks that the next chunk of the prompt pushed in part needs.
std::int64_t Replica::chunk_blocks(int tokens) const {
  if (tokens == 0 || policy_.admission == Admission::whole_request || slots_[partial_].reserved) return 0;
  const std::int64_t done = slots_[partial_].computed;
  return cells((done + tokens) * unit_) - cells(done * unit_);
}

void Replica::schedule_chunk(Composition& c, int& budget) {
  if (partial_ == kNoSlot || budget <= 0) return;
  const int n = partial_tokens(budget);
  while (chunk_blocks(n) > pool_.free()) {
    preempt(victim());
    if (partial_ == kNoSlot) return;
  }
  push(partial_, n, c);
  budget -= n;
}

void Replica::schedule_decodes(Composition& c, int& budget) {
  if (policy_.queue == Queue::priority) {  // room for all first: who is least urgent does not depend on the loop's position
    while (growth(1) + chunk_blocks(policy_.prefill_first ? 0 : partial_tokens(budget - decoding_)) > pool_.free()) preempt(victim());
  }
  std::int64_t need = growth(1);
  if (need > pool_.free() && policy_.admission == Admission::estimate) {
    retract();
    need = growth(1);
  }
  if (need <= pool_.free())
    take(need);
  else
    take_in_order();
  if (decoding_ == 0) return;
  new_token_ratio_ = std::max(new_token_ratio_ - ratio_.decay, ratio_.least);
  c.decodes = decoding_;
  c.sum = anchors_ + composed_ * step_ * decoding_;
  compose(1);
  budget -= decoding_;
  retire_due(c);
}

// Too few blocks for all: the engine's loop over running requests, which preempts the last one whenever one finds no block.
void Replica::take_in_order() {
  for (Slot s = first_; s != kNoSlot; s = slots_[s].next) {
    if (!slots_[s].decoding) continue;
    const std::int64_t cached = slots_[s].anchor + composed_ * step_;
    const std::int64_t need = cells(cached + step_) - cells(cached);
    while (need > pool_.free()) {
      const Slot v = victim();
      preempt(v);
      if (v == s) return;
    }
    take(need);
  }
}

// SGLang schedule_batch.py retract_decode: requests with the fewest outputs (of these the longest prompts) go back to the end of the queue
// until the rest can decode kRetractSteps more; the share of outputs to expect is set anew.
void Replica::retract() {
  const auto made = [this](const Running& r) { return r.anchor + composed_ * step_ - std::int64_t(requests_.input_tokens[r.id]) * unit_; };
  while (decoding_ > 1 && growth(kRetractSteps) > pool_.free()) {
    Slot least = kNoSlot;
    for (Slot s = first_; s != kNoSlot; s = slots_[s].next) {
      const Running& r = slots_[s];
      if (!r.decoding) continue;
      const bool fewer = least == kNoSlot || made(r) < made(slots_[least]) ||
                         (made(r) == made(slots_[least]) && requests_.input_tokens[r.id] > requests_.input_tokens[slots_[least].id]);
      if (fewer) least = s;
    }
    preempt(least);
  }
  std::int64_t outputs = 0, longest = 0;
  for (Slot s = first_; s != kNoSlot; s = slots_[s].next) {
    if (!slots_[s].decoding) continue;
    outputs += made(slots_[s]) / unit_ + 1 + kRetractSteps;
    longest += requests_.output_tokens[slots_[s].id];
  }
  if (longest > 0) new_token_ratio_ = std::min(kRatio, outputs * kRatio / longest);
}

// SGLang schedule_policy.py PrefillAdder: tokens that the running requests are still expected to need, in 1/kRatio tokens.
std::int64_t Replica::expected_tokens() const {
  std::int64_t sum = 0;
  for (Slot s = first_; s != kNoSlot; s = slots_[s].next) {
    const Running& r = slots_[s];
    if (r.decoding) sum += std::min<std::int64_t>((r.last - composed_) * step_ / unit_, kClipNewTokens);
  }
  return sum * new_token_ratio_;
}

// TensorRT-LLM py_executor.py _waiting_requests: beside decodes, context waits for more of it, up to a number of passes.
bool Replica::waits_for_more(const Composition& c, int budget) {
  if (policy_.batch_wait_iters == 0 || c.decodes == 0 || c.prefill_tokens > 0) return false;
  std::int64_t tokens = 0, free = pool_.free();
  int places = policy_.max_num_seqs - running_;
  RequestId r = lines_[0].first;
  for (int i = lines_[0].size; i > 0 && places > 0; --i, --places, r = outcomes_.link[r]) {
    const Want want = wanted(r, int(budget - tokens));
    if (want.tokens == 0 || want.blocks > free) break;
    tokens += want.tokens;
    free -= want.blocks;
  }
  if (tokens == 0) return false;
  if (batch_waited_ >= policy_.batch_wait_iters ||
      double(tokens + c.decodes) >= policy_.batch_wait_ratio * policy_.max_num_batched_tokens) {
    batch_waited_ = 0;
    return false;
  }
  ++batch_waited_;
  return held_ = true;
}

// Whether prompt tokens would be pushed now, if nothing held them back.
bool Replica::has_context() const {
  if (partial_ != kNoSlot) return true;
  if (waiting_ == inbox_.size || running_ == policy_.max_num_seqs) return false;
  const Want w = wanted(first_waiting(), policy_.max_num_batched_tokens - decoding_);
  return w.tokens > 0 && w.blocks <= pool_.free();
}

void Replica::schedule_waiting(Composition& c, int& budget) {
  if (!fetching_.empty() && !join_fetched(c, budget)) return;
  if (waiting_ == inbox_.size) return;
  if (full_ && running_ > 0) {
    blocked_ = true;
    return;
  }
  full_ = false;
  if (waits_for_more(c, budget)) return;
  expected_ = policy_.admission == Admission::estimate ? expected_tokens() : 0;
  while (waiting_ > inbox_.size && budget > 0) {
    if (running_ == policy_.max_num_seqs) {
      blocked_ = true;
      break;
    }
    const RequestId r = first_waiting();
    if (r == kNobody) {
      blocked_ = true;
      break;
    }
    if (!admit(r, c, budget)) break;
  }
  full_ = blocked_ && policy_.admission == Admission::estimate;  // SGLang batch_is_full: not tried again before a request ends
}

// What admitting a request in this step would push and take; no tokens: it does not fit the budget.
Replica::Want Replica::wanted(RequestId r, int budget) const {
  Want w;
  w.target = requests_.input_tokens[r] + outcomes_.made[r];
  // vLLM kv_cache_manager.py get_computed_blocks: full blocks only, and never the last token, whose output is wanted.
  w.hit = prefixes_ ? look_up(r, w.target - 1) : Hit{};
  w.found = w.hit.blocks * policy_.block_size;
  const std::int64_t fresh = w.target - w.found;
  w.fetched = elsewhere(r);
  w.tokens = int(w.fetched ? fresh : std::min<std::int64_t>(fresh, budget));
  w.capped = capped(r);
  w.now = cells((w.found + w.tokens) * unit_) + w.capped;
  w.whole = cells((std::int64_t(requests_.input_tokens[r]) + outputs_of(r) - 1) * unit_ + step_ - unit_) + w.capped;
  const std::int64_t asked = policy_.admission == Admission::whole_request                 ? w.whole
                             : policy_.admission == Admission::prompt || tiers_ != nullptr ? cells(w.target * unit_) + w.capped
                                                                                           : w.now;
  w.blocks = asked - w.hit.blocks + w.hit.unused;
  if (!policy_.chunked_prefill && fresh > budget && !w.fetched) w.tokens = 0;
  w.expected = fresh + std::min<std::int64_t>(outputs_of(r) - outcomes_.made[r], kClipNewTokens);
  return w;
}

// Admits the head of the queue if its blocks are there; false: the queue waits.
bool Replica::admit(RequestId r, Composition& c, int& budget) {
  const Want w = wanted(r, budget);
  const bool too_many =
      policy_.admission == Admission::estimate && w.expected * kRatio >= pool_.free() * policy_.block_size * kRatio - expected_;
  const bool fits = w.blocks <= pool_.free() && (!too_many || running_ == 0);
  if (tiers_ != nullptr && fits && start_fetch(r, w)) return true;
  if (w.tokens == 0) return false;
  if (!fits) {
    blocked_ = true;
    return false;
  }
  if (tiers_ != nullptr) count_missed(0);
  expected_ += (w.expected - w.tokens) * kRatio;
  if (lanes_ > 1) {
    count_.adapter_passed += passes(r);
    join_adapter(r, c);
  }
  pop(r);
  const Slot s = new_slot();
  Running& x = slots_[s];
  x.id = r;
  x.order = admissions_++;
  x.target = w.target;
  x.computed = std::int32_t(w.found);
  x.anchor = x.last = 0;
  x.shared = w.hit.blocks;
  x.decoding = false;
  x.loading = w.fetched;
  x.reserved = false;
  x.extents.clear();
  x.capped = w.capped;
  x.held_blocks = policy_.admission == Admission::whole_request ? w.whole : 0;
  if (w.hit.blocks > 0) hold_prefix(x);
  take((x.held_blocks > 0 ? w.whole : w.now) - w.hit.blocks);
  ++count_.admitted;
  count_.cached_tokens += w.fetched ? 0 : w.found;
  if (outcomes_.preemptions[r] == 0 && outcomes_.made[r] == 0 && !w.fetched) {
    outcomes_.scheduled[r] = ns_of(start_);
    outcomes_.cached[r] = std::int32_t(w.found);
  }
  if (w.fetched) {
    loading_.push_back(s);
    fetches_.push_back({r, std::int32_t(w.target - w.found)});
    return true;
  }
  append(s);
  push(s, w.tokens, c, false);
  budget -= w.tokens;
  return true;
}

Replica::Slot Replica::new_slot() {
  if (spare_.empty()) {
    slots_.emplace_back();
    if (prefixes_) slots_.back().extents.reserve(4);
    return Slot(slots_.size() - 1);
  }
  const Slot s = spare_.back();
  spare_.pop_back();
  return s;
}

void Replica::append(Slot s) {
  slots_[s].previous = last_;
  slots_[s].next = kNoSlot;
  (last_ == kNoSlot ? first_ : slots_[last_].next) = s;
  last_ = s;
  ++running_;
}

void Replica::unlink(Slot s) {
  const Running& r = slots_[s];
  (r.previous == kNoSlot ? first_ : slots_[r.previous].next) = r.next;
  (r.next == kNoSlot ? last_ : slots_[r.next].previous) = r.previous;
  --running_;
}

// The next n tokens of a prompt join the step; with the last of them comes the first output token.
void Replica::push(Slot s, int n, Composition& c, bool allocate) {
  Running& r = slots_[s];
  const std::int64_t before = r.computed;
  r.computed += n;
  if (allocate && r.held_blocks == 0 && !r.reserved) take(cells(r.computed * unit_) - cells(before * unit_));
  c.prefill_tokens += n;
  c.attention += model_.form->position_time(r.computed) - model_.form->position_time(before);
  if (prefixes_) remember(s, r.computed);
  partial_ = r.computed < r.target ? s : kNoSlot;
  if (partial_ == s) return;
  c.first_tokens.push_back(r.id);
  start_decoding(s, c);
}

// The prompt is in the cache: all outputs but the first follow, one decode step each.
void Replica::start_decoding(Slot s, Composition& c) {
  Running& r = slots_[s];
  const std::int64_t rest = outputs_of(r.id) - (r.target - requests_.input_tokens[r.id]) - 1;
  const std::int64_t steps = (rest * unit_ + step_ - 1) / step_;
  r.anchor = r.target * unit_ - composed_ * step_;
  r.last = composed_ + steps;
  if (steps == 0) {
    c.retiring.push_back(s);
    return;
  }
  r.decoding = true;
  ++decoding_;
  anchors_ += r.anchor;
  ++phase_of(r);
  due_.push_back({r.last, r.order, s});
  std::push_heap(due_.begin(), due_.end());
}

std::int32_t& Replica::phase_of(const Running& r) {
  const std::int64_t m = r.anchor % cell_;
  return phase_[std::size_t(m < 0 ? m + cell_ : m)];
}

void Replica::retire_due(Composition& c) {
  while (!due_.empty() && due_.front().last == composed_) {
    const Slot s = due_.front().slot;
    std::pop_heap(due_.begin(), due_.end());
    due_.pop_back();
    leave_decoding(s);
    c.retiring.push_back(s);
  }
}

void Replica::leave_decoding(Slot s) {
  Running& r = slots_[s];
  r.decoding = false;
  --decoding_;
  anchors_ -= r.anchor;
  --phase_of(r);
}

// vLLM: FCFS preempts the last admitted, priority the least urgent (the latest of these).
Replica::Slot Replica::victim() const {
  JEVONS_ENSURE(last_ != kNoSlot);
  Slot worst = last_;
  if (model_.role == Role::prefill) return partial_;  // a finished prompt is kept for another replica
  if (policy_.queue == Queue::fcfs) return worst;
  for (Slot s = slots_[last_].previous; s != kNoSlot; s = slots_[s].previous) {
    if (level(slots_[s].id) > level(slots_[worst].id)) worst = s;
  }
  return worst;
}

// Preemption by recomputation: blocks are freed, prompt and outputs so far are pushed again later (vLLM scheduler.py _preempt_request).
void Replica::preempt(Slot s) {
  Running& r = slots_[s];
  const RequestId id = r.id;
  ++count_.preemptions;
  ++outcomes_.preemptions[id];
  preempted_ = true;
  full_ = false;
  if (in_flight_ != nullptr) {  // its last token may be on the way: then it finishes without its blocks
    auto& retiring = in_flight_->retiring;
    if (const auto it = std::find(retiring.begin(), retiring.end(), s); it != retiring.end()) {
      retiring.erase(it);
      in_flight_->gone.push_back(id);
      free_slot(s);
      return;
    }
  }
  leave_slot(id);
  if (r.decoding) {
    note_outputs(r);
    outcomes_.finished[id] = ns_of(start_ + (in_flight_ == nullptr ? 0 : pace_.set ? pace_.first : time_of(*in_flight_)));
    due_.erase(std::find_if(due_.begin(), due_.end(), [s](const Due& d) { return d.slot == s; }));
    std::make_heap(due_.begin(), due_.end());
    leave_decoding(s);
  }
  if (partial_ == s) partial_ = kNoSlot;
  free_slot(s);
  if (!policy_.chunked_prefill && requests_.input_tokens[id] + outcomes_.made[id] > policy_.max_num_batched_tokens) {
    outcomes_.status[id] = Status::rejected;  // prompt and outputs can never be pushed in one step again
    ++count_.rejected;
    finished_->push_back(id);
    return;
  }
  enqueue(id, policy_.admission != Admission::estimate);
}

// Outputs that a decoding sequence has made, by the decision at hand.
void Replica::note_outputs(const Running& r) {
  const std::int64_t cached = r.anchor + composed_ * step_;
  outcomes_.made[r.id] =
      std::int32_t(std::min<std::int64_t>(cached / unit_ - requests_.input_tokens[r.id] + 1, requests_.output_tokens[r.id] - 1));
}

std::int64_t Replica::blocks_of(const Running& r) const {
  if (r.held_blocks > 0) return r.held_blocks;
  if (r.loading || (r.reserved && r.computed < r.target)) return r.capped + cells(r.target * unit_);
  return r.capped + cells(r.computed < r.target ? r.computed * unit_ : r.anchor + std::min(composed_, r.last) * step_);
}

void Replica::free_slot(Slot s) {
  give_back(s);
  unlink(s);
  spare_.push_back(s);
}

// The blocks of a sequence are free again; what they hold can be found until they are taken.
void Replica::give_back(Slot s) {
  Running& r = slots_[s];
  const std::int64_t blocks = blocks_of(r);
  if (prefixes_) remember(s, r.computed < r.target || r.loading ? r.computed : (r.anchor + std::min(composed_, r.last) * step_) / unit_);
  // From the tail on, so that the start of a prefix is forgotten last (vLLM single_type_kv_cache_manager.py free).
  pool_.give(blocks - r.shared);
  for (auto it = r.extents.rbegin(); it != r.extents.rend(); ++it) {
    if (*it != BlockPool::kNone) pool_.release(*it);
  }
}

// Leading blocks of the prompt that are cached, at most `tokens` tokens of them.
Replica::Hit Replica::look_up(RequestId r, std::int64_t tokens) const {
  Hit hit;
  std::int64_t rest = tokens / policy_.block_size;
  for (const auto& run : requests_.prefix.of(r)) {
    const BlockPool::Index i = pool_.find(content(r, run));
    if (i == BlockPool::kNone || rest <= 0) break;
    const std::int64_t length = std::int64_t(run.count) * extent_cells_;
    const std::int64_t n = std::min({pool_.valid(i), length, rest});
    hit.blocks += n;
    hit.unused += std::max<std::int64_t>(0, n - pool_.used(i));
    rest -= n;
    if (n < length) break;
  }
  return hit;
}

void Replica::hold_prefix(Running& x) {
  std::int64_t rest = x.shared;
  for (const auto& run : requests_.prefix.of(x.id)) {
    if (rest == 0) return;
    const std::int64_t n = std::min(std::int64_t(run.count) * extent_cells_, rest);
    x.extents.push_back(pool_.find(content(x.id, run)));
    pool_.hold(x.extents.back(), n);
    rest -= n;
  }
}

std::int32_t Replica::cached_tokens(RequestId r) const {
  return prefixes_ ? std::int32_t(look_up(r, requests_.input_tokens[r] - 1).blocks) * policy_.block_size : 0;
}

// Full blocks of the first `tokens` tokens become findable (vLLM block_pool.py cache_full_blocks).
void Replica::remember(Slot s, std::int64_t tokens) {
  Running& r = slots_[s];
  std::int64_t begin = 0;  // engine blocks before this run
  const std::int64_t full = tokens / policy_.block_size;
  std::size_t k = 0;
  for (const auto& run : requests_.prefix.of(r.id)) {
    const std::int64_t length = std::int64_t(run.count) * extent_cells_;
    const std::int64_t wanted = std::min(full - begin, length);
    if (wanted <= 0) return;
    if (k == r.extents.size()) {
      const bool known = pool_.find(content(r.id, run)) != BlockPool::kNone;  // another made it meanwhile: this copy stays without content
      r.extents.push_back(known ? BlockPool::kNone : pool_.create(content(r.id, run), wanted));
      if (!known) r.shared += wanted;
    } else if (r.extents[k] != BlockPool::kNone) {
      if (wanted > pool_.valid(r.extents[k])) r.shared += pool_.extend(r.extents[k], wanted);
    }
    if (tiers_ != nullptr) tiers_->computed(content(r.id, run), wanted, now_, count_);
    begin += length;
    ++k;
  }
}

}  // namespace jevons::serve
