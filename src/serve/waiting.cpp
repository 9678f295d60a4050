// Who waits, in what order, and whose adapter has a slot.
#include "serve/replica.hpp"

namespace jevons::serve {

// True if the request is now the head of a queue that was not empty.
bool Replica::enqueue(RequestId r, bool front) {
  const std::uint32_t l = line_of(r);
  Line& line = lines_[l];
  bool leads = waiting_ > 0;
  for (std::uint32_t i = 0; i < l; ++i) leads = leads && lines_[i].size == 0;
  leads = leads && (front || line.size == 0);
  if (line.size == 0) {
    line.first = line.last = r;
  } else if (front) {
    outcomes_.link[r] = line.first;
    line.first = r;
  } else {
    outcomes_.link[line.last] = r;
    line.last = r;
  }
  ++line.size;
  ++waiting_;
  waiting_tokens_ += requests_.input_tokens[r];
  if (lanes_ > 1) {
    place_[r] = front ? --first_place_ : next_place_++;
    changed(l);
  }
  return leads;
}

// Arrived between two looks for new requests.
bool Replica::post(RequestId r) {
  if (inbox_.size == 0)
    inbox_.first = r;
  else
    outcomes_.link[inbox_.last] = r;
  inbox_.last = r;
  ++inbox_.size;
  ++waiting_;
  waiting_tokens_ += requests_.input_tokens[r];
  return false;
}

// The first waiting request that may join the batch. vLLM scheduler.py: with max_loras adapters in it, requests of other ones are skipped
// and keep their places. kNobody: all wait for a slot.
RequestId Replica::first_of_lines() const {
  if (lanes_ == 1) {
    for (const Line& line : lines_) {
      if (line.size > 0) return line.first;
    }
    throw_internal("a waiting request is in a line");
  }
  for (std::uint32_t level = 0; level < heads_.size(); ++level) {
    const Line* lines = lines_.data() + level * lanes_;
    if (!slots_of_adapters_.full()) {
      if (heads_[level].first_key() != INT64_MAX) return lines[heads_[level].first()].first;
      continue;
    }
    RequestId best = lines[0].size > 0 ? lines[0].first : kNobody;
    for (const std::int32_t a : slots_of_adapters_.active()) {
      const Line& line = lines[a + 1];
      if (line.size > 0 && (best == kNobody || place_[line.first] < place_[best])) best = line.first;
    }
    if (best != kNobody) return best;
  }
  return kNobody;
}

// Whether somebody ahead of r waits.
bool Replica::passes(RequestId r) const {
  for (std::uint32_t l = 0; l < level(r); ++l) {
    if (heads_[l].first_key() != INT64_MAX) return true;
  }
  return heads_[level(r)].first_key() < place_[r];
}

void Replica::pop(RequestId r) {
  Line& line = lines_[line_of(r)];
  waiting_tokens_ -= requests_.input_tokens[r];
  line.first = outcomes_.link[r];
  --line.size;
  --waiting_;
  if (lanes_ > 1) changed(line_of(r));
}

void Replica::changed(std::uint32_t l) { heads_[l / lanes_].set(l % lanes_, lines_[l].size > 0 ? place_[lines_[l].first] : INT64_MAX); }

// Requests that arrived since the last look join the queue.
void Replica::receive() {
  recv_count_ = 0;
  if (inbox_.size == 0) return;
  Line& line = lines_[0];
  if (line.size == 0)
    line.first = inbox_.first;
  else
    outcomes_.link[line.last] = inbox_.first;
  line.last = inbox_.last;
  line.size += inbox_.size;
  inbox_.size = 0;
}

// The step's adapters add to it; then those that it ends with leave their slots to others.
void Replica::charge_adapters(Composition& c) {
  const auto active = step::Ticks(slots_of_adapters_.active().size());
  if (active > 0) c.extra += model_.lora.any + active * model_.lora.each;
  for (const Slot s : c.retiring) leave_slot(slots_[s].id);
}
void Replica::join_adapter(RequestId r, Composition& c) {
  if (adapter(r) == traffic::kNoAdapter) return;
  const auto fetch = slots_of_adapters_.join(adapter(r));
  count_.adapter_loads += fetch.load;
  count_.adapter_reads += fetch.read;
  c.extra += (fetch.load ? model_.lora.load : 0) + (fetch.read ? model_.lora.read : 0);
}
bool Replica::has_slot(RequestId r) const {
  const auto& active = slots_of_adapters_.active();
  return adapter(r) == traffic::kNoAdapter || !slots_of_adapters_.full() ||
         std::find(active.begin(), active.end(), adapter(r)) != active.end();
}
void Replica::leave_slot(RequestId r) {
  if (adapter(r) != traffic::kNoAdapter) slots_of_adapters_.leave(adapter(r));
}

}  // namespace jevons::serve
