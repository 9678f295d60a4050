#pragma once
// What the simulator needs to know about step times, as integers: the contract between the rooms `step` and `serve`.
//
// One engine step runs `decode_sequences` sequences by one token each and pushes `prefill_tokens` new prompt tokens.
// Cache reads depend on each sequence's own context only through min(context, cap) for a few caps of the model (window, top-k, none):
// the context classes. So a step's time depends on sums over sequences, and at a fixed batch each sum grows by a known number per
// step: the simulator adds up many steps in closed form and gets, to the integer, what stepping one by one gives.
#include <array>
#include <cstdint>
#include <limits>
#include <span>

namespace jevons::step {

/// Durations are counted in 2^-20 ns so that a slope per cached token keeps its precision; 1 ns = kTicksPerNs ticks.
using Ticks = std::int64_t;
inline constexpr int kTickBits = 20;
inline constexpr Ticks kTicksPerNs = Ticks{1} << kTickBits;

inline constexpr int kContextClasses = 4;
inline constexpr std::int64_t kNoCap = std::numeric_limits<std::int64_t>::max();
/// caps[k]: class k counts min(context, caps[k]) tokens of each sequence; caps[0] == kNoCap; unused classes have cap 0.
using ContextCaps = std::array<std::int64_t, kContextClasses>;
using ContextSums = std::array<std::int64_t, kContextClasses>;

/// max over m of (base_m + sum_k slope_m[k] * context[k]): one roofline of an attention group. All coefficients >= 0.
struct AffineMax {
  struct Line {
    Ticks base = 0;
    std::array<Ticks, kContextClasses> slope{};
  };
  std::array<Line, 2> line{};  // bytes, FLOPs; an unused line is all zero
};

/// Step time of a decode-only step at one batch size: constant + sum over groups of AffineMax.
struct DecodeForm {
  Ticks constant = 0;
  int groups = 0;
  std::array<AffineMax, 3> group{};
};

/// What one step does, per replica (not per rank).
struct StepShape {
  std::int32_t decode_sequences = 0;
  ContextSums decode_context{};       // class sums over decoding sequences, tokens in cache before this step
  std::int32_t prefill_sequences = 0;
  std::int32_t prefill_tokens = 0;    // new prompt tokens pushed in this step, all sequences together
  ContextSums prefill_pairs{};        // class sums over new prompt tokens t of min(position of t, cap)
  ContextSums prefill_context{};      // class sums over prefilling sequences of context already cached before the chunk
};

}  // namespace jevons::step
