#pragma once
// More traffic like a recorded trace: how a day for a fleet is made from an hour of one service.
#include "base/result.hpp"
#include "traffic/generate.hpp"

namespace jevons::traffic {

struct ResampleSpec {
  std::size_t num_requests = 0;         // rows wanted; the last conversation may be cut short
  double rate_per_s = 0;                // > 0: requests per second in the long run; 0: as the trace
  Release release = Release::recorded;  // see generate.hpp
};

/// Draws whole conversations of a trace with known prefixes, with replacement, and lets each start at its own Poisson arrival with block
/// identities of its own: lengths, turns, gaps, reuse and whatever links them stay as recorded; what two conversations share is the
/// shared prompt, the leading blocks that more than half of all requests have in common. A request continues the conversation of the
/// latest earlier request that holds its deepest already seen block beyond the shared prompt. Gaps are between starts, so with
/// Release::after_parents a turn comes later than recorded by the time its predecessor takes.
/// Streams: Draw::arrival and Draw::session of entity 0. Errors: no prefixes, no time between rows, a size of 0 or above 2^32 - 2.
Result<Requests> resample(const Requests& trace, const ResampleSpec& spec, Seed seed, std::uint64_t replication = 0);

}  // namespace jevons::traffic
