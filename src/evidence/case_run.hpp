#pragma once
// One measured serving point as a deployment of the simulator: the same step times, cache blocks, engine rules and closed loop as a user's
// run.
#include <functional>
#include <memory>
#include <span>

#include "evidence/cases.hpp"
#include "serve/cache_blocks.hpp"
#include "serve/engine.hpp"
#include "step/served_blocks.hpp"

namespace jevons::evidence {

/// Factors on a prediction.
struct Interval {
  double low = 1, high = 1;
};
struct Intervals {
  Interval tpot, ttft, output_tok_s;
};
struct Prediction {
  const Case* of = nullptr;
  double tpot_s = 0, ttft_s = 0, output_tok_s = 0;
  bool memory_binds = false;  // fewer sequences fit than are in flight
  bool near_limit = false;    // the cache was over nine tenths full, somebody was preempted, or either would be so with a little less cache
  Intervals capacity;         // near the limit: what the same run gives with as much less and more cache as its size is uncertain
  bool corrected = false;     // the correction of this very deployment spoke, beside the physics
  double blocks = 0, fit = 0;  // cache blocks of one attention rank, whole sequences that fit the replica
  std::int64_t preemptions = 0;
};
/// Measured output tokens per second, by Little's law over both latencies. Nothing where the TTFT is not usable: cold engine or unknown
/// client.
std::optional<double> measured_output(const Case& c);

/// A case made ready to run: names resolved, placement checked, memory divided.
struct Prepared {
  const Case* of = nullptr;
  std::unique_ptr<model::Model> model;
  std::unique_ptr<step::Subject> subject;
  step::Placement placement;  // of the replica, or of one decode worker
  serve::EnginePolicy policy;
  serve::CacheBlocks cache;  // of one attention rank
  std::unique_ptr<step::StepTime> time;
  std::unique_ptr<step::StepTime> prefill_time;  // of one prefill worker; disaggregated cases only
  double concurrency = 0;                        // of the replica, or of one decode worker
  std::vector<std::string> notes;                // flags that are not modelled
};

/// Errors of this one case, with row, column and value: unknown names, a placement that does not divide, no room for one sequence.
Result<Prepared> prepare(const catalog::Catalog& catalog, const Case& c);
/// Why a measured point cannot be true, or nothing: by Little's law its decode steps beat the peak memory bandwidth, or its tokens the peak
/// arithmetic rate.
std::optional<std::string> breaks_physics(const Prepared& p);

/// How much larger or smaller a rank's cache may be than these bytes, as a factor less one, nine times of ten: what start-up logs miss by
/// (docs/memory.md), 2 GiB of reserve and never less than 3 %.
double cache_uncertainty(double bytes);
/// Somebody was preempted, or the peak share of the cache in use leaves no room for that uncertainty, or less than a tenth.
bool near_kv_limit(std::int64_t preemptions, double kv_peak, double unsure);

struct Means {
  double tpot_s = 0, ttft_s = 0, output_tok_s = 0;
};
/// Factors on the means of a run with `blocks` cache blocks that it has with as much less and more of them as their number is unsure.
Result<Intervals> with_other_caches(const Means& here, std::int64_t blocks, double unsure, std::int64_t least,
                                    const std::function<Result<Means>(std::int64_t blocks)>& run);

/// The simulated benchmark under these constants, with the factors of the case's own block where there are some.
Result<Prediction> simulate(const Prepared& p, const step::Served& served, const step::BlockFactors* factors = nullptr);

}  // namespace jevons::evidence
