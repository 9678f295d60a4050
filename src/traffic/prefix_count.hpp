#pragma once
// What a prefix cache could save at most: blocks counted in request order, without time and without an engine's rules.
#include <cstdint>
#include <vector>

#include "traffic/requests.hpp"

namespace jevons::traffic {

/// Hits of a least-recently-used cache of every size at once.
struct HitCurve {
  std::uint64_t blocks = 0;                // prompt blocks looked up (a last, partial block counts as one)
  std::uint64_t distinct = 0;              // different blocks among them
  std::vector<std::uint64_t> hits_within;  // [c]: lookups that hit in a cache of c blocks; the last entry is the unlimited cache

  std::uint64_t hits(std::uint64_t capacity_blocks) const {
    return hits_within[capacity_blocks < hits_within.size() ? std::size_t(capacity_blocks) : hits_within.size() - 1];
  }
  std::uint64_t unlimited_hits() const { return hits_within.back(); }
  double rate(std::uint64_t hit) const { return blocks == 0 ? 0.0 : double(hit) / double(blocks); }
};

/// Looks up the prompt blocks of all requests, in row order, in one shared cache; each looked-up block becomes the most recent.
/// A lookup hits in a cache of c blocks exactly when fewer than c different other blocks were used since its last use, so one pass gives
/// all sizes. Source: Mattson, Gecsei, Slutz, Traiger, "Evaluation techniques for storage hierarchies", IBM Systems Journal 9(2), 1970.
/// Time O(blocks·log(blocks)), memory about 60 bytes a distinct block plus 4 bytes a lookup. Requests without prefixes give zeros.
HitCurve count_prefix_hits(const Requests& requests);

}  // namespace jevons::traffic
