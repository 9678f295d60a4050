#pragma once
// Operator times of one GPU and model as a profiler measured them, and the step times they add up to. Format: docs/replay.md.
#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "step/step_form.hpp"

namespace jevons::evidence {

/// Values along one axis: numbers, or again values along the next axis. Linear between points; before the first as the first, beyond
/// the last as the last two go on. Requires x ascending, not empty, and as long as y.
template <class Value>
struct Along {
  std::vector<double> x;
  std::vector<Value> y;

  template <class... Rest>
  double operator()(double at, Rest... rest) const {
    const auto value = [&](std::size_t i) {
      if constexpr (sizeof...(Rest) == 0)
        return y[i];
      else
        return y[i](rest...);
    };
    if (x.size() == 1 || at <= x.front()) return value(0);
    const auto above = std::size_t(std::upper_bound(x.begin() + 1, x.end() - 1, at) - x.begin());
    const double share = (at - x[above - 1]) / (x[above] - x[above - 1]), low = value(above - 1);
    return share == 0 ? low : low + (value(above) - low) * share;
  }
};
using Curve = Along<double>;
using Surface = Along<Curve>;

/// Kernel times in microseconds on one rank. Dense layers and attention: one call; layers that a step calls more often are counted there.
struct Profile {
  std::vector<std::string> files;  // what it was read from
  std::string model, gpu;          // as the profiler names them
  int tp = 1;
  std::map<std::string, Curve> dense, per_sequence;  // over tokens of the step; over its sequences
  Surface prefill;                                   // attention alone: chunk, tokens before it
  Surface decode;                                    // attention alone: sequences, tokens cached of each
  Along<Surface> beside;  // chunk, sequences, tokens cached: what decodes add to the attention of a chunk without history
  Surface experts;        // router and experts of one layer: tokens, different experts among them; empty: not profiled
  /// Sequences of unequal context: t(mean) + skew·(t(long) − t(mean)), long: the mean context of the longest `skew_share` of them, the
  /// smallest share for which the profiler fitted skew. Source: the profile's metadata, skew_fit. 0 where it measured none.
  double skew = 0, skew_share = 1;
  /// Version 1.0.0 of the profiler writes the qk_norm of one rank for every degree, although each rank norms its own heads only (later
  /// marked so in its profiler/models/qwen3.yaml). There it is taken at tokens/qk_norm_ranks.
  int qk_norm_ranks = 1;
};

/// Reads the tables named (plain or gzip; which is which tells the header) and finds the others by name beside the first of them.
/// Errors: a table or the metadata is missing, names no model; a wrong header, a cell that is no number of at least 0, a time of 0, rows
/// out of order, given twice or none at all: file, line, column, value.
Result<Profile> read_profile(const std::vector<std::string>& files);

/// What a profile does not know about the steps of a run.
struct StepContent {
  int layers = 1;
  int max_num_seqs = 1, max_num_batched_tokens = 1;
  std::vector<int> capture_sizes;  // of CUDA graphs, ascending: a step of at most the last of them is padded to the next
  double chunk = 512;              // prompt tokens beside which decodes run, typically
  std::vector<double> longest;     // [n]: context of the longest skew_share of n decoding sequences, over the mean; from n = 0
  int expert_layers = 0;           // of `layers`, those with experts in place of a dense feed-forward part
  std::function<double(double tokens)> distinct_experts;  // that so many tokens touch in a layer, for profiles of experts
  std::function<double(double tokens)> experts;           // seconds of all expert layers, where the profile has none
  std::function<double(double tokens)> reduce;            // seconds of all reductions over ranks; empty: one rank
  std::function<double(double sequences)> gather;         // seconds of gathering the logits; empty: one rank
};

/// Step times as the simulator takes them. Dense layers see all (padded) tokens: the embedding and the last norm once, two layernorms
/// and, where profiled, two qk_norms a layer, everything else once a layer; attention once a layer; lm_head and sampler once, over the
/// sequences. A prompt's attention depends on its position alone, that of decodes beside it is taken at the typical chunk.
step::StepForm form_of(const Profile& profile, const StepContent& content);

}  // namespace jevons::evidence
