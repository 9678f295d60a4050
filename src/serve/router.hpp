#pragma once
// Which replica gets a request.
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/random.hpp"
#include "serve/replica.hpp"
#include "serve/tournament.hpp"

namespace jevons::serve {

enum class Routing : std::uint8_t {
  round_robin,
  random,
  least_outstanding,  // fewest requests waiting or running, the lowest number among equals
  power_of_two,       // the better of two drawn ones. Mitzenmacher, "The power of two choices", IEEE TPDS 12(10), 2001
  prefix_aware,       // least of (prompt tokens to push + tokens in use): NVIDIA Dynamo's KV router cost with overlap weight 1
  kv_load_aware,      // most free cache blocks
};
std::string_view name(Routing r);
Result<Routing> parse_routing(std::string_view text);

/// Sees queues as they are at the moment of routing, and cache use as of a replica's last event (engines report it no more often).
/// Prefix-aware routing considers the replicas that were last sent the same leading content (a router's own index, as SGLang's approximate
/// tree; up to four each) and the least outstanding one.
class Router {
 public:
  Router(Routing routing, const std::vector<Replica*>& replicas, const traffic::Requests& requests, Seed seed, std::uint64_t replication);

  std::uint32_t choose(RequestId r);
  /// To be called after each change of a replica's queue or cache.
  void changed(std::uint32_t replica);
  /// Takes a replica out of, or back into, the choice.
  void set_open(std::uint32_t replica, bool open);
  bool any_open() const { return open_count_ > 0; }

 private:
  std::uint32_t prefix_choice(RequestId r);
  std::uint32_t nth_open(std::uint64_t n) const;
  /// Replicas that were last sent a content, latest first.
  struct Sites {
    static constexpr std::uint16_t kNowhere = 0xffff;
    traffic::BlockId id = 0;
    std::uint16_t at[4] = {kNowhere, kNowhere, kNowhere, kNowhere};  // at[0] is kNowhere: an empty entry
  };
  Sites& sites_of(traffic::BlockId id);

  Routing routing_;
  const std::vector<Replica*>& replicas_;
  const traffic::Requests& requests_;
  Tournament load_;
  std::vector<bool> open_;
  std::uint32_t open_count_ = 0, turn_ = 0;
  Stream stream_;
  std::vector<Sites> sites_;  // open addressing, linear probing
  std::size_t known_ = 0;
};

}  // namespace jevons::serve
