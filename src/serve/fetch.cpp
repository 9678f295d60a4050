// Prompts whose blocks lie in a tier beyond the accelerator's memory: fetch or compute again, wait, go on.
//
// Rules: vLLM v1 core/sched/scheduler.py. What the accelerator's own cache lacks is asked of the connector (get_num_new_matched_tokens);
// blocks are allocated at once, the request waits outside the batch (WAITING_FOR_REMOTE_KVS) while others go on, and takes its turn before
// the queue when its blocks are here. Here all blocks of the prompt are allocated at once, so that what was fetched can always start.
#include <algorithm>

#include "serve/replica.hpp"

namespace jevons::serve {

// What the accelerator has just forgotten goes to the next tier.
void Replica::pass_on() {
  for (const auto& f : forgotten_) tiers_->evicted({f.id, f.low, f.high}, now_, count_);
  forgotten_.clear();
}

// The blocks that a run of equal steps took, each at its decision: their links know when.
void Replica::take_step_by_step() {
  now_ = start_;
  std::int64_t taken = 0;
  for (std::int64_t k = 1; k < steps_; ++k) {
    now_ += decode_step(k - 1);
    const std::int64_t all = growth(k);
    take(all - taken);
    taken = all;
  }
  now_ = end_;
}

// Which parts of the prompt beyond `w.hit` to fetch: as many as make the prompt ready soonest, the rest being computed. Returns how many
// of pieces_.
std::size_t Replica::plan_fetch(RequestId r, const Want& w) {
  pieces_.clear();
  std::int64_t rest = (w.target - 1) / policy_.block_size, skip = w.hit.blocks;
  bool found = true;
  for (const auto& run : requests_.prefix.of(r)) {
    const std::int64_t length = std::int64_t(run.count) * extent_cells_, end = std::min(length, rest);
    std::int64_t at = std::min(skip, end);
    skip -= at;
    rest -= end;
    while (at < end && found) {
      const auto piece = tiers_->find(content(r, run), at, end, now_);
      found = piece.blocks > 0;
      at += piece.blocks;
      if (found) pieces_.push_back(piece);
    }
    if (!found || rest == 0) break;
  }
  if (tiers_->policy() == FetchPolicy::always || pieces_.empty()) return pieces_.size();
  const auto compute = [&](std::int64_t from) {
    return model_.form->token_time(int(w.target - from)) + model_.form->position_time(w.target) - model_.form->position_time(from);
  };
  std::int64_t from = w.found;
  Instant soonest = now_ + compute(from);
  std::size_t best = 0;
  for (std::size_t n = 1; n <= pieces_.size(); ++n) {
    from += pieces_[n - 1].blocks * policy_.block_size;
    const Instant ready = tiers_->arrival(pieces_, n, now_) + compute(from);
    if (ready < soonest) soonest = ready, best = n;
  }
  return best;
}

// False: nothing to fetch.
bool Replica::start_fetch(RequestId r, const Want& w) {
  const std::size_t n = plan_fetch(r, w);
  if (n == 0) return false;
  pop(r);
  const Slot s = new_slot();
  Running& x = slots_[s];
  x.id = r;
  x.target = w.target;
  x.computed = std::int32_t(w.found);
  x.anchor = x.last = 0;
  x.shared = w.hit.blocks;
  x.decoding = false;
  x.loading = x.reserved = true;
  x.extents.clear();
  x.capped = w.capped;
  x.held_blocks = policy_.admission == Admission::whole_request ? w.whole : 0;
  if (w.hit.blocks > 0) hold_prefix(x);
  const std::int64_t blocks = x.held_blocks > 0 ? w.whole : x.capped + cells(std::int64_t(w.target) * unit_);
  Coming f{s, 0, tiers_->fetch(pieces_, n, now_), false};
  for (std::size_t i = 0; i < n; ++i) {
    const std::int64_t tokens = pieces_[i].blocks * policy_.block_size;
    f.tokens += tokens;
    count_.tier_tokens[std::size_t(pieces_[i].tier)] += tokens;
  }
  count_missed(n);
  take(blocks - w.hit.blocks);
  fetching_.push_back(f);
  ++count_.admitted;
  ++count_.fetches;
  count_.cached_tokens += w.found;
  count_.fetch_ticks += f.done - now_;
  if (outcomes_.preemptions[r] == 0 && outcomes_.made[r] == 0) outcomes_.cached[r] = std::int32_t(w.found + f.tokens);
  return true;
}

// Parts that a tier has, from number n on, and that are computed all the same.
void Replica::count_missed(std::size_t n) {
  for (; n < pieces_.size(); ++n) count_.tier_recomputed += pieces_[n].blocks * policy_.block_size;
}

// What has come by now can be found by others.
void Replica::land_fetched() {
  for (Coming& f : fetching_) {
    if (f.here || f.done > now_) continue;
    f.here = true;
    slots_[f.slot].computed += std::int32_t(f.tokens);
    remember(f.slot, slots_[f.slot].computed);
  }
}

// Requests whose blocks are here take their turn before the queue. False: some wait, and so does the queue.
bool Replica::join_fetched(Composition& c, int& budget) {
  land_fetched();
  bool open = true;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < fetching_.size(); ++i) {
    const Coming f = fetching_[i];
    Running& x = slots_[f.slot];
    const std::int64_t rest = x.target - x.computed;
    bool joins = f.here && open;
    if (joins && running_ == policy_.max_num_seqs) {
      blocked_ = true;
      joins = open = false;
    } else if (joins && (budget <= 0 || (!policy_.chunked_prefill && rest > budget))) {
      held_ = true;
      joins = open = false;
    } else if (joins && lanes_ > 1 && !has_slot(x.id)) {
      held_ = true;
      joins = false;
    }
    if (!joins) {
      fetching_[kept++] = f;
      continue;
    }
    x.loading = false;
    x.order = admissions_++;
    append(f.slot);
    if (lanes_ > 1) join_adapter(x.id, c);
    if (outcomes_.preemptions[x.id] == 0 && outcomes_.made[x.id] == 0) outcomes_.scheduled[x.id] = ns_of(start_);
    const int n = int(std::min<std::int64_t>(rest, budget));
    push(f.slot, n, c, false);
    budget -= n;
  }
  fetching_.resize(kept);
  return open;
}

// The next decision is due when a fetch ends: a run of steps stops there, an idle replica wakes.
void Replica::await_fetches() {
  Instant next = kForever;
  for (const Coming& f : fetching_) {
    if (!f.here) next = std::min(next, f.done);
  }
  if (next == kForever) return;
  if (steps_ > 0) return interrupt(ns_of(next), false);
  end_ = std::max(start_, next);
  woken_ = dozing_ = true;
}

}  // namespace jevons::serve
