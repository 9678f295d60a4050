#pragma once
// What no schedule can beat: lower bounds on engine time and latency of one replica, from its step-time tables and a workload. They hold
// for what `serve::simulate` reports, not only on average. README.md and docs/planner.md have the proofs.
#include <optional>
#include <vector>

#include "plan/replica.hpp"

namespace jevons::plan {

/// Leading rows of a closed load that are left out of the statistics.
std::size_t uncounted(const traffic::Workload& workload);
/// The first n requests of a load without sessions.
traffic::Workload leading_rows(traffic::Workload workload, std::size_t n);

/// What the counted requests of a workload ask for, all together.
struct Demand {
  double requests = 0;
  double fresh = 0, fresh_least = 0;  // prompt tokens that must be computed: mean, least of one request
  double decodes = 0;                 // output tokens after the first, mean
  double input = 0;                   // prompt tokens, mean
  std::int64_t input_least = 0;       // prompt tokens of the shortest request
  std::int64_t cached = 0;            // prompt tokens that a prefix cache may hold
  double excess = 0;                  // (output tokens after the first)·(prompt tokens − input_least), mean
  double squares = 0;                 // (output tokens after the first)², mean
  double decodes_most = 0;            // as decodes; of several workloads the most
  bool equal = false;                 // all requests alike: limits on TPOT then bound throughput
  bool burst = true;                  // the first requests of a closed load come at once, and count
};
Demand demand_of(const traffic::Workload& workload);

/// A limit on time per output token that at least `share` of the requests keep (1: the mean keeps it).
struct TpotLimit {
  double seconds = 0, share = 1;
};

/// Which part of a request a replica does.
class ReplicaBound {
 public:
  ReplicaBound(const Replica& replica, const Demand& demand, serve::Role role = serve::Role::both);

  /// Seconds of one request served alone: to its first token, from then to the last.
  double first_token_s() const { return first_token_; }
  double decode_s() const { return decode_; }
  /// Seconds in which the replica computes one prompt among as many others as it likes.
  double prefill_s() const { return prefill_; }
  /// Sequences that decode at a time on one attention rank, at most.
  int most_decodes() const { return most_decodes_; }
  /// The most of them whose steps alone take at most this long a token; at least 1.
  int decodes_within(double tpot_s) const;
  /// Engine seconds per request, however steps are composed, with at most `decodes` sequences decoding at a time on a rank in the mean.
  /// With a limit: of those schedules that keep it.
  double work_s(int decodes, const std::optional<TpotLimit>& limit = {}) const;

 private:
  struct Corner {  // of the region of possible steps
    double decodes, prompt, seconds;
  };
  struct Prices {  // of a decode, of a prompt token, and of a decode's share in what a limit on TPOT leaves
    double decode = 0, prompt = 0, slack = 0;
  };
  Prices best_prices(const std::vector<Corner>& corners, double decodes, double limit) const;
  double value(const std::vector<Corner>& corners, const Prices& p, double decodes, double limit) const;
  std::vector<Corner> corners(int decodes) const;

  const Replica& replica_;
  Demand demand_;
  serve::Role role_;
  double steps_ = 0;       // decode steps of one request
  double attention_ = 0;   // seconds that one decoding sequence's cache adds to a step, at least
  double fixed_work_ = 0;  // seconds per request that no schedule changes: prompt attention, growth of the cache
  double first_token_ = 0, decode_ = 0, prefill_ = 0;
  int most_decodes_ = 1;
  std::vector<std::pair<int, double>> hull_;  // lower convex hull of seconds for n tokens of one rank
  std::vector<double> rest_;                  // [m]: least of decode step − its tokens, for m and more decodes of a rank
};

}  // namespace jevons::plan
