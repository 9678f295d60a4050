#pragma once
// The replicas of a deployment: ranks that are routed to, players that step, and whether each replica is up.
#include <memory>

#include "serve/lockstep.hpp"
#include "serve/simulate.hpp"

namespace jevons::serve {

/// Ranks are numbered through all replicas of all pools. Those of one replica stand together; the first of them is its player on the clock.
class Fleet {
 public:
  Fleet(const Deployment& deployment, const traffic::Requests& requests, Outcomes& outcomes, DurationHistogram& itl,
        std::int64_t longest_run);

  struct Site {  // one replica
    std::uint32_t first = 0, ranks = 1;
    std::uint32_t pool = 0;
    int first_accelerator = 0;
    enum class State : std::uint8_t { off, starting, up, draining } state = State::up;
    int broken = 0;         // parts under repair
    SimTime paid_from = 0;  // while not off
    SimTime down_from = 0;  // while broken, or starting after it
  };

  const std::vector<Replica*>& ranks() const { return ranks_; }
  Replica& rank(std::uint32_t i) { return *ranks_[i]; }
  std::vector<Site>& sites() { return sites_; }
  std::uint32_t site_of(std::uint32_t rank) const { return site_of_[rank]; }
  int outstanding(const Site& s) const;

  void sleep_until(SimTime t);
  void arrive(std::uint32_t rank, RequestId r, SimTime now);
  void landed(std::uint32_t rank, RequestId r, SimTime now);
  void release(std::uint32_t rank, RequestId r, SimTime now);
  void come_no_more(std::uint32_t rank, RequestId r, SimTime now);
  void fail(const Site& s, SimTime now, std::vector<RequestId>& lost);
  /// The planned steps of the player that is due first.
  std::uint32_t advance_first(std::vector<RequestId>& finished);
  SimTime next() const { return clock_.first_key(); }
  /// Ranks of the player that holds a rank.
  std::uint32_t player(std::uint32_t rank) const { return group_[rank] == nullptr ? rank : group_[rank]->first(); }
  std::uint32_t size(std::uint32_t player) const { return group_[player] == nullptr ? 1 : group_[player]->size(); }

 private:
  void set_clock(std::uint32_t player);

  std::vector<std::unique_ptr<Replica>> owned_;
  std::vector<Replica*> ranks_;
  std::vector<std::unique_ptr<Lockstep>> together_;
  std::vector<Lockstep*> group_;  // of each rank; null: alone
  std::vector<Site> sites_;
  std::vector<std::uint32_t> site_of_;
  Tournament clock_;
};

}  // namespace jevons::serve
