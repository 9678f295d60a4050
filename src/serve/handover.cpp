// Prompts computed on one replica and decoded on another, and what is lost when a replica dies.
//
// Rules: SGLang disaggregation/decode.py (DecodePreallocQueue: blocks for the whole sequence so far are reserved before its cache is asked
// for; DecodeTransferQueue: it joins the batch once its cache is there) and prefill.py (blocks are freed when the transfer is done); vLLM
// distributed/kv_transfer/kv_connector/v1/nixl_connector.py and core/sched/scheduler.py (WAITING_FOR_REMOTE_KVS: outside the running
// batch, only what the local prefix cache lacks is fetched; request_finished: delayed freeing on the side of the prompt).
#include <algorithm>

#include "serve/replica.hpp"
#include "serve/simulate.hpp"

namespace jevons::serve {

Handover handover_of(const step::Subject& receiver, const step::Placement& placement) {
  Handover h;
  for (const auto& g : receiver.cache) {
    const double ranks = step::rank_share(g, placement) * placement.tp;
    h.bytes_per_token += ranks * model::cache_slope(std::span(&g, 1));
    h.bytes_fixed += ranks * model::cache_fixed(std::span(&g, 1));
  }
  return h;
}

// The prompt is done: out of the batch, but its blocks stay until another replica has read them.
void Replica::keep(Slot s) {
  unlink(s);
  slots_[s].loading = true;
  loading_.push_back(s);
  outcomes_.prefilled[slots_[s].id] = ns_of(end_);
  outcomes_.holder[slots_[s].id] = std::uint16_t(model_.index);
  ++count_.finished;
  finished_->push_back(slots_[s].id);
}

void Replica::release(RequestId r, SimTime now) {
  let_go(r);
  wake(now);
}
void Replica::landed(RequestId r, SimTime now) {
  land(r);
  wake(now);
}

void Replica::come_no_more(RequestId r, SimTime now) {
  const auto& c = current_;
  const auto limit = instant_of(now - 1) - start_;
  give_up(r, steps_ > 1 ? model_.form->run(c.decodes, c.sum, step_ * c.decodes, steps_ - 1, limit).steps : 0);
  wake(now);
}

void Replica::let_go(RequestId r) {
  const auto it = std::find_if(loading_.begin(), loading_.end(), [&](Slot s) { return slots_[s].id == r; });
  if (it == loading_.end()) return;  // the holder died meanwhile
  const Slot s = *it;
  loading_.erase(it);
  give_back(s);
  spare_.push_back(s);
  outcomes_.holder[r] = Outcomes::kNobody;
  full_ = blocked_ = false;
}

// The cache that a request waited for is lost: it computes its prompt here, when its turn comes. `steps` of the planned ones have ended.
void Replica::give_up(RequestId r, std::int64_t steps) {
  const auto it = std::find_if(loading_.begin(), loading_.end(), [&](Slot s) { return slots_[s].id == r; });
  if (it == loading_.end()) return;  // still in the queue
  const Slot s = *it;
  loading_.erase(it);
  if (steps_ > 0) count_.peak_blocks = std::max(count_.peak_blocks, pool_.total() - pool_.free() + growth(steps));
  std::erase_if(fetches_, [r](const Fetch& f) { return f.id == r; });
  give_back(s);
  spare_.push_back(s);
  enqueue(r, true);
  full_ = blocked_ = false;
}

void Replica::take_fetches(std::vector<Fetch>& out) {
  out.insert(out.end(), fetches_.begin(), fetches_.end());
  fetches_.clear();
}

void Replica::land(RequestId r) {
  const auto it = std::find_if(loading_.begin(), loading_.end(), [&](Slot s) { return slots_[s].id == r; });
  JEVONS_ENSURE(it != loading_.end());
  landed_.push_back(*it);
  loading_.erase(it);
  Running& x = slots_[landed_.back()];
  x.computed = x.target;
  if (prefixes_) remember(landed_.back(), x.computed);
}

// Something changed that a decision may look at: the next one comes at once if the replica is idle, else at the end of a running step.
void Replica::wake(SimTime now) {
  if (steps_ > 0) return interrupt(now, false);
  if (landed_.empty() && waiting_ == 0) return;
  if (!woken_) end_ = std::max(end_, instant_of(now));
  woken_ = true;
}

// Landed sequences join the batch as far as there are places, before anybody else.
void Replica::join_landed() {
  std::size_t n = 0;
  while (n < landed_.size() && running_ < policy_.max_num_seqs) {
    const Slot s = landed_[n++];
    slots_[s].loading = false;
    slots_[s].order = admissions_++;
    append(s);
    Composition none;
    start_decoding(s, none);
    JEVONS_ENSURE(none.retiring.empty());  // a request without further outputs is not handed over
  }
  landed_.erase(landed_.begin(), landed_.begin() + std::ptrdiff_t(n));
}

void Replica::fail(SimTime now, std::vector<RequestId>& lost) {
  if (steps_ > 1) {
    const auto done = run(steps_ - 1, instant_of(now - 1) - start_);
    elapse(done.steps, start_ + done.ticks);
  }
  drop_all(now, lost);
}

// The first `steps` of the planned ones have handed out their tokens, until `end`.
void Replica::elapse(std::int64_t steps, Instant end) {
  if (steps == 0) return;
  steps_ = steps;
  end_ = end;
  account(growth(steps - 1));
  pool_.take(growth(steps));
  compose(steps);
  count_.peak_blocks = std::max(count_.peak_blocks, pool_.total() - pool_.free());
  start_ = end;
}

// What the running step and the one fixed after it would have made is not there.
void Replica::drop_all(SimTime now, std::vector<RequestId>& lost) {
  const bool running = steps_ > 0, fixed = running && policy_.lag > 0;
  const std::int64_t last = composed_ - (running && current_.decodes > 0) - (fixed && pending_.decodes > 0);
  const auto drop = [&](Slot s) {
    Running& r = slots_[s];
    const auto comes = [&](const Composition& c) {
      return std::find(c.first_tokens.begin(), c.first_tokens.end(), r.id) != c.first_tokens.end();
    };
    const bool started = !r.loading && r.computed == r.target && !(running && comes(current_)) && !(fixed && comes(pending_));
    if (started) {
      const std::int64_t cached = std::max(r.target * unit_, r.anchor + std::min(last, r.last) * step_);
      outcomes_.made[r.id] =
          std::int32_t(std::min<std::int64_t>(cached / unit_ - requests_.input_tokens[r.id] + 1, requests_.output_tokens[r.id] - 1));
    }
    outcomes_.finished[r.id] = ns_of(start_);  // of its last token, as in preempt()
    lost.push_back(r.id);
    spare_.push_back(s);
  };
  for (const Slot s : landed_) slots_[s].loading = false;  // their first token is out
  for (Slot s = first_; s != kNoSlot; s = slots_[s].next) drop(s);
  for (const Slot s : loading_) drop(s);
  for (const Slot s : landed_) drop(s);
  for (const Coming& f : fetching_) drop(f.slot);
  for (const RequestId r : current_.gone) {
    outcomes_.made[r] = requests_.output_tokens[r] - 1;
    lost.push_back(r);
  }
  const auto drop_line = [&](Line& line) {
    for (RequestId r = line.first; line.size > 0; --line.size, r = outcomes_.link[r]) lost.push_back(r);
  };
  for (Line& line : lines_) drop_line(line);
  drop_line(inbox_);
  reset(now);
}

// As new, with an empty cache; what it counted stays.
void Replica::reset(SimTime now) {
  const std::int64_t evicted = pool_.evicted();
  pool_ = BlockPool(pool_.total());
  if (tiers_ != nullptr) {  // the host dies with its accelerators; what a remote store keeps is not found again (a new start)
    tiers_ = std::make_unique<Tiers>(model_.tiers);
    if (tiers_->write_back()) pool_.report_to(&forgotten_);
  }
  count_.evicted_blocks += evicted;
  first_ = last_ = partial_ = kNoSlot;
  running_ = waiting_ = decoding_ = 0;
  waiting_tokens_ = anchors_ = 0;
  steps_ = 0;
  loading_.clear();
  landed_.clear();
  fetches_.clear();
  fetching_.clear();
  forgotten_.clear();
  dozing_ = false;
  if (lanes_ > 1) {
    slots_of_adapters_ = {std::int32_t(lanes_ - 1), policy_.max_loras, policy_.max_cpu_loras};
    heads_.assign(heads_.size(), Tournament(lanes_));
  }
  due_.clear();
  std::fill(phase_.begin(), phase_.end(), 0);
  current_.clear();
  pending_.clear();
  end_ = std::max(end_, instant_of(now));
  woken_ = blocked_ = preempted_ = held_ = hold_ = full_ = pushed_ = false;
  recv_count_ = batch_waited_ = 0;
  new_token_ratio_ = ratio_.first;
  in_flight_ = nullptr;
  pace_ = {};
}

}  // namespace jevons::serve
