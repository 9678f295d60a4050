#include "serve/router.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

namespace jevons::serve {
namespace {
constexpr std::string_view kNames[] = {"round-robin", "random", "least-outstanding", "power-of-two", "prefix-aware", "kv-load-aware"};
}

std::string_view name(Routing r) { return kNames[std::size_t(r)]; }

Result<Routing> parse_routing(std::string_view text) {
  for (std::size_t i = 0; i < std::size(kNames); ++i) {
    if (kNames[i] == text) return Routing(i);
  }
  return bad_input("router", fmt::format("\"{}\" is not known", text), fmt::format("{}", fmt::join(kNames, ", ")));
}

Router::Router(Routing routing, const std::vector<Replica*>& replicas, const traffic::Requests& requests, Seed seed,
               std::uint64_t replication)
    : routing_{routing},
      replicas_{replicas},
      requests_{requests},
      load_{replicas.size()},
      open_(replicas.size(), true),
      open_count_{std::uint32_t(replicas.size())},
      stream_{seed, replication, Draw::route, 0} {
  for (std::uint32_t i = 0; i < replicas.size(); ++i) changed(i);
}

void Router::changed(std::uint32_t i) {
  const Replica& r = *replicas_[i];
  load_.set(i, !open_[i]                            ? INT64_MAX
               : routing_ == Routing::kv_load_aware ? r.waiting() * r.total_blocks() - r.free_blocks()
                                                    : r.outstanding());
}

void Router::set_open(std::uint32_t i, bool open) {
  if (open_[i] == open) return;
  open_[i] = open;
  open_count_ += open ? 1 : std::uint32_t(-1);
  changed(i);
}

std::uint32_t Router::nth_open(std::uint64_t n) const {
  if (open_count_ == replicas_.size()) return std::uint32_t(n);
  std::uint32_t i = 0;
  for (;; ++i) {
    if (open_[i] && n-- == 0) return i;
  }
}

std::uint32_t Router::choose(RequestId r) {
  JEVONS_ENSURE(open_count_ > 0);
  switch (routing_) {
    case Routing::round_robin: {
      while (!open_[turn_ % open_.size()]) ++turn_;
      return std::uint32_t(turn_++ % open_.size());
    }
    case Routing::random:
      return nth_open(stream_.below(open_count_));
    case Routing::power_of_two: {
      if (open_count_ == 1) return nth_open(0);
      const std::uint64_t a = stream_.below(open_count_);
      std::uint64_t b = stream_.below(open_count_ - 1);
      if (b >= a) ++b;
      const std::uint32_t x = nth_open(std::min(a, b)), y = nth_open(std::max(a, b));
      return load_.key(y) < load_.key(x) ? y : x;
    }
    case Routing::prefix_aware:
      return prefix_choice(r);
    case Routing::least_outstanding:
    case Routing::kv_load_aware:
      return load_.first();
  }
  throw_internal("every routing is a case");
}

std::uint32_t Router::prefix_choice(RequestId r) {
  std::uint32_t best = load_.first();
  if (!requests_.prefix.known()) return best;
  const auto cost = [&](std::uint32_t i) {
    return std::int64_t(requests_.input_tokens[r]) - replicas_[i]->cached_tokens(r) + replicas_[i]->used_tokens() +
           replicas_[i]->waiting_tokens();
  };
  std::int64_t least = cost(best);
  const auto runs = requests_.prefix.of(r);
  // The last content of the prompt that was seen anywhere names the best candidates; what comes before it is there too.
  for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
    const Sites& known = sites_of(run->first);
    if (known.at[0] == Sites::kNowhere) continue;
    for (const std::uint16_t i : known.at) {
      if (i == Sites::kNowhere || !open_[i] || i == best) continue;
      const std::int64_t c = cost(i);
      if (c < least || (c == least && i < best)) best = i, least = c;
    }
    break;
  }
  for (const auto& run : runs) {
    Sites& sites = sites_of(run.first);
    if (sites.at[0] == Sites::kNowhere) {
      sites.id = run.first;
      ++known_;
    }
    auto* place = std::find(std::begin(sites.at), std::end(sites.at), best);
    if (place == std::end(sites.at)) place = std::end(sites.at) - 1;
    std::move_backward(std::begin(sites.at), place, place + 1);
    sites.at[0] = std::uint16_t(best);
  }
  return best;
}

// The entry of a content, or the empty one where it would go.
Router::Sites& Router::sites_of(traffic::BlockId id) {
  const auto find = [](std::vector<Sites>& table, traffic::BlockId wanted) -> Sites& {
    const std::size_t mask = table.size() - 1;
    const int shift = 65 - int(std::bit_width(table.size()));
    std::size_t at = std::size_t((wanted * 0x9E3779B97F4A7C15ull) >> shift);  // multiplicative hashing: Knuth, TAOCP 3, section 6.4
    while (table[at & mask].at[0] != Sites::kNowhere && table[at & mask].id != wanted) ++at;
    return table[at & mask];
  };
  if (4 * (known_ + 1) > 3 * sites_.size()) {
    std::vector<Sites> larger(std::max<std::size_t>(1024, 2 * sites_.size()));
    for (const Sites& s : sites_) {
      if (s.at[0] != Sites::kNowhere) find(larger, s.id) = s;
    }
    sites_.swap(larger);
  }
  return find(sites_, id);
}

}  // namespace jevons::serve
