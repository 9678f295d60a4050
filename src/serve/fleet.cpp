#include "serve/fleet.hpp"

namespace jevons::serve {

Fleet::Fleet(const Deployment& deployment, const traffic::Requests& requests, Outcomes& outcomes, DurationHistogram& itl,
             std::int64_t longest_run)
    : clock_{std::size_t(deployment.ranks())} {
  int accelerator = 0;
  for (std::uint32_t k = 0; k < deployment.pools.size(); ++k) {
    const Pool& p = deployment.pools[k];
    for (int i = 0; i < p.replicas; ++i, accelerator += p.accelerators) {
      sites_.push_back({std::uint32_t(ranks_.size()), std::uint32_t(p.ranks), k, accelerator});
      for (int j = 0; j < p.ranks; ++j) {
        const ReplicaModel model{p.form, p.blocks, p.step_tokens, std::uint32_t(owned_.size()), longest_run, p.capped, p.role, p.lora, p.tiers};
        owned_.push_back(std::make_unique<Replica>(p.policy, model, requests, outcomes, itl));
        ranks_.push_back(owned_.back().get());
        site_of_.push_back(std::uint32_t(sites_.size() - 1));
      }
      if (p.ranks > 1)
        together_.push_back(std::make_unique<Lockstep>(std::vector(ranks_.end() - p.ranks, ranks_.end()), *p.form, p.policy));
      group_.insert(group_.end(), std::size_t(p.ranks), p.ranks > 1 ? together_.back().get() : nullptr);
    }
  }
}

int Fleet::outstanding(const Site& s) const {
  int n = 0;
  for (std::uint32_t i = s.first; i < s.first + s.ranks; ++i) n += ranks_[i]->outstanding();
  return n;
}

void Fleet::set_clock(std::uint32_t player) {
  clock_.set(player, group_[player] == nullptr ? ranks_[player]->next() : group_[player]->next());
}

void Fleet::sleep_until(SimTime t) {
  for (Replica* r : ranks_) r->sleep_until(t);
  for (auto& g : together_) g->sleep_until(t);
}

void Fleet::arrive(std::uint32_t rank, RequestId r, SimTime now) {
  Lockstep* const g = group_[rank];
  g == nullptr ? ranks_[rank]->arrive(r, now) : g->arrive(rank - g->first(), r, now);
  set_clock(player(rank));
}
void Fleet::landed(std::uint32_t rank, RequestId r, SimTime now) {
  Lockstep* const g = group_[rank];
  g == nullptr ? ranks_[rank]->landed(r, now) : g->landed(rank - g->first(), r, now);
  set_clock(player(rank));
}
void Fleet::release(std::uint32_t rank, RequestId r, SimTime now) {
  Lockstep* const g = group_[rank];
  g == nullptr ? ranks_[rank]->release(r, now) : g->release(rank - g->first(), r, now);
  set_clock(player(rank));
}
void Fleet::come_no_more(std::uint32_t rank, RequestId r, SimTime now) {
  Lockstep* const g = group_[rank];
  g == nullptr ? ranks_[rank]->come_no_more(r, now) : g->come_no_more(rank - g->first(), r, now);
  set_clock(player(rank));
}
void Fleet::fail(const Site& s, SimTime now, std::vector<RequestId>& lost) {
  Lockstep* const g = group_[s.first];
  g == nullptr ? ranks_[s.first]->fail(now, lost) : g->fail(now, lost);
  set_clock(s.first);
}

std::uint32_t Fleet::advance_first(std::vector<RequestId>& finished) {
  const std::uint32_t i = clock_.first();
  Lockstep* const g = group_[i];
  g == nullptr ? ranks_[i]->advance(finished) : g->advance(finished);
  set_clock(i);
  return i;
}

}  // namespace jevons::serve
