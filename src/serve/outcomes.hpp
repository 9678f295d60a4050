#pragma once
// What happened to each request and on each replica: one array per field, integers only.
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "step/step_form.hpp"
#include "traffic/requests.hpp"

namespace jevons::serve {

using traffic::RequestId;
using traffic::SimTime;
/// Simulated instants count step::Ticks since the start of the workload. 2^127 of them are 10^12 years.
using Instant = Int128;
inline constexpr SimTime kNever = INT64_MAX;
constexpr Instant instant_of(SimTime ns) { return Instant(ns) << step::kTickBits; }
/// The first nanosecond that is not before an instant: instants are reported so.
constexpr SimTime ns_of(Instant t) { return SimTime((t + (step::kTicksPerNs - 1)) >> step::kTickBits); }

enum class Status : std::uint8_t { pending, finished, rejected };

/// 41 bytes a request. Times are set when reached; `status` says whether `finished` was.
struct Outcomes {
  std::vector<SimTime> issued;       // sent by the client; empty in open load without sessions: there it is the arrival
  std::vector<SimTime> scheduled;    // first admitted to a step
  std::vector<SimTime> first_token;  // end of the step that made it
  std::vector<SimTime> finished;     // end of the step that made the last token
  std::vector<std::int32_t> cached;  // prompt tokens found in the prefix cache at first admission
  std::vector<std::int32_t> made;    // output tokens made before the last preemption
  std::vector<RequestId> link;       // next in a waiting queue
  std::vector<std::uint16_t> preemptions, replica;
  std::vector<Status> status;
  // Only with disaggregated pools, else empty.
  static constexpr std::uint16_t kNobody = 0xffff;
  std::vector<std::uint16_t> holder;  // rank that keeps the cache of its prompt for a decode replica, or kNobody
  std::vector<SimTime> prefilled;     // end of the step that completed the prompt

  void resize(std::size_t n) {
    scheduled.resize(n);
    first_token.resize(n);
    finished.resize(n);
    cached.resize(n);
    made.resize(n);
    link.resize(n);
    preemptions.resize(n);
    replica.resize(n);
    status.resize(n, Status::pending);
  }
};

/// Durations by weight, in bins 1/32 of a factor of two wide: every inter-token latency without an entry per token.
class DurationHistogram {
 public:
  static constexpr int kSub = 5;
  void add(step::Ticks t, std::int64_t weight) { bins_[bin(t)] += weight; }
  /// n durations rising evenly from `first` to `last`, `weight` each.
  void add_run(step::Ticks first, step::Ticks last, std::int64_t n, std::int64_t weight);
  std::int64_t total() const;
  /// Quantile in seconds, in the middle of its bin (error at most 1.1 %). Requires total() > 0.
  double quantile(double q) const;
  void merge(const DurationHistogram& other);

 private:
  static std::size_t bin(step::Ticks t) {
    if (t < (1 << kSub)) return std::size_t(t < 0 ? 0 : t);
    const int shift = int(std::bit_width(std::uint64_t(t))) - 1 - kSub;
    return (std::size_t(shift + 1) << kSub) + (std::size_t(t >> shift) & ((1u << kSub) - 1));
  }
  static step::Ticks lower(std::size_t b) {
    if (b < (1u << kSub)) return step::Ticks(b);
    return step::Ticks((std::size_t{1} << kSub) + (b & ((1u << kSub) - 1))) << ((b >> kSub) - 1);
  }
  std::array<std::int64_t, (64 - kSub) << kSub> bins_{};
};

/// Places of cache blocks beyond the accelerator: host memory, local SSD, remote store.
inline constexpr int kTiers = 3;

/// Sums over one replica's life. All exact integers: a test compares them with stepping one by one.
struct Counters {
  std::int64_t steps = 0, prefill_steps = 0;     // engine steps; of these with prompt tokens
  std::int64_t decodes = 0, prefill_tokens = 0;  // sequences decoded and prompt tokens pushed, over all steps
  std::int64_t cached_tokens = 0, preemptions = 0, evicted_blocks = 0;
  std::int64_t admitted = 0, finished = 0, rejected = 0;
  std::int64_t peak_blocks = 0, peak_running = 0;
  std::int64_t adapter_loads = 0, adapter_reads = 0;  // LoRA: host memory to slot; of these from storage first
  std::int64_t adapter_passed = 0;                    // admissions ahead of a request that came before and waited for a slot
  std::array<std::int64_t, kTiers> tier_tokens{};     // prompt tokens fetched from each tier
  std::array<std::int64_t, kTiers> tier_written{};    // blocks written to each
  std::array<std::int64_t, kTiers> tier_evicted{};    // … that left it
  std::int64_t tier_recomputed = 0;                   // prompt tokens that a tier had but that were sooner computed
  std::int64_t fetches = 0;                           // requests that waited for a tier
  Int128 fetch_ticks = 0;                             // … how long, in all
  Int128 adapter_ticks = 0;                           // that adapters added to steps, loads included
  Int128 busy = 0;                                    // ticks with a step running
  Int128 prefill_busy = 0;                            // … that pushes prompt tokens
  Int128 decode_busy = 0;                             // what the decodes of all steps would take without prompt tokens beside them
  Int128 sequence_ticks = 0;                          // Σ decoding sequences · ticks of the step
  Int128 context_sum = 0;                             // Σ over decode steps of cached tokens read, in 1/unit tokens
  bool operator==(const Counters&) const = default;
};

}  // namespace jevons::serve
