#pragma once
// Seconds of one serving operator on one chip, from curves fitted on measured tables (catalog/fits, tools/fit_operators.py).
// A curve is a kernel floor plus what streams and what multiplies, joined by (a^q + b^q)^(1/q); shares of peak are at most 1, so no time
// beats the roofline. Shapes are per rank. docs/operators.md has what each coefficient stands for and the errors on shapes not fitted.
#include <array>
#include <cstdint>
#include <string_view>

#include "base/quantity.hpp"

namespace jevons::step {

/// benchmark: as the tables were taken: one kernel repeated, so weights and cache smaller than the last-level cache stay in it, and launch
/// time that a table carries counts. step: within an engine's step under CUDA graphs, where every layer's bytes come from memory.
enum class Setting : std::uint8_t { benchmark, step };

/// Where a curve comes from and how far it can be trusted.
struct CurveEvidence {
  std::string_view accelerator;            // whose table: another chip's name when borrowed
  std::string_view engine, version;        // whose kernel
  double median_error = 0, p90_error = 0;  // of shapes held out of the fit, as fractions
  double widen = 1;                        // factor on the error for a borrowed curve: 1 for the chip's own
  std::string_view table;                  // of catalog/fits, with the row in its series
  std::size_t row = 0;
};

/// Time of C = A B, A of m by k activations, B of k by n weights.
struct GemmCurve {
  struct Tile {
    double rows = 128, columns = 128;
  };
  CurveEvidence evidence;
  double weight_bytes, operand_bytes;  // bytes a weight and an activation as multiplied
  double per_byte, per_flop;           // s: memory traffic at the achieved share; FLOP of one multiprocessor at its achieved share
  double multiprocessors;
  double floor, launch;            // s; launch: part of the floor that is host time, absent in a step
  double deep, deep_half;          // s, elements: long reductions are cut among blocks, up to a limit
  double rows;                     // s: second kernels that work row by row, half reached at 512 rows
  double quantise;                 // s an activation, for formats that quantise on the way
  double cache_bytes, cache_rate;  // benchmark only: bytes below which operands stay cached, and what they then cost
  double sag;                      // loss of clock in long products, half reached at 1 ms
  double k_ramp, tile_edge, wave;  // elements to fill a tile's pipeline; loss at tile edges; share of a partly filled wave paid
  std::array<Tile, 3> tiles;
  int tile_count = 0, sharpness = 4;  // q of the smooth maximum: 2 or 4
};
/// m, n, k >= 1. Never above the chip's peak rate; grows with each of them. Below 40 ns.
Seconds gemm_time(const GemmCurve&, double m, double n, double k, Setting = Setting::step);

/// Causal attention of prompt tokens.
struct ContextCurve {
  CurveEvidence evidence;
  double floor, per_head, per_byte, per_flop, multiprocessors;  // s; per_flop: of one multiprocessor
  double qk_dim, v_dim;                                         // of one head: 128 and 128; naive latent attention 192 and 128
  double key_ramp, wave, sag;
};
struct ContextShape {
  double sequences = 1, tokens = 1;  // new tokens of each sequence
  double cached = 0;                 // tokens before them (chunked prefill, prefix hits); not measured: adds keys, nothing else
  double heads = 1, kv_heads = 1;    // of this rank
  double window = 0;                 // keys a query sees at most; 0: all. Not measured: caps the keys
};
Seconds context_attention_time(const ContextCurve&, const ContextShape&);

/// Attention of one new token a sequence over grouped key-value heads.
struct DecodeCurve {
  CurveEvidence evidence;
  double floor, per_head, per_kv_head, per_byte, kv_bytes;  // kv_bytes: of one cached number
  double deep, deep_half;                                   // s, keys: one sequence's keys are cut among blocks, up to a limit
  double cache_bytes, cache_rate;                           // benchmark only
};
struct DecodeShape {
  double sequences = 1, keys = 1;  // keys: cached tokens read, window already applied
  double heads = 1, kv_heads = 1, head_dim = 128;
};
Seconds decode_attention_time(const DecodeCurve&, const DecodeShape&, Setting = Setting::step);

/// Absorbed latent attention of one new token a sequence: all heads read one latent of 512 + 64 numbers a token.
/// Sparse attention is this with `keys` the tokens its indexer selects.
struct MlaDecodeCurve {
  CurveEvidence evidence;
  double floor, per_head, per_sequence, per_byte, per_flop, kv_bytes, padded_heads, deep, deep_half;
};
Seconds mla_decode_time(const MlaDecodeCurve&, double sequences, double keys, double heads);

enum class Routing : std::uint8_t { balanced, skewed, very_skewed };  // power laws 1.01 and 1.2 of the measured tables

/// Experts of one layer on the busiest rank.
struct MoeCurve {
  CurveEvidence evidence;
  double weight_bytes, floor, per_byte, per_flop;  // per_flop: of the whole chip
  double expert, more_experts;                     // s; experts' worth of traffic that too few experts cannot overlap
  double half_width, half_hidden, pad_tokens, token, token_ep;
  std::array<double, 3> spread, crowd;  // by Routing
};
struct MoeShape {
  double hidden = 0, width = 0, experts = 0, top_k = 0;  // of the model
  double tp = 1, ep = 1;
  Routing routing = Routing::balanced;
};
/// What does not depend on the tokens, computed once a layer.
struct MoeLayer {
  double floor, stream_each, stream_more, flop_load, flop_hit, per_token;
  double local, share, sent_each, spread, pad;
  bool balanced;
};
MoeLayer moe_layer(const MoeCurve&, const MoeShape&);
/// tokens: of all ranks of the expert group. Below 50 ns.
Seconds moe_time(const MoeLayer&, double tokens);

/// Collective of `bytes` on each rank: floor, a change of protocol that saturates, a rate.
struct CollectiveCurve {
  CurveEvidence evidence;
  double floor, kink, kink_bytes, per_byte;  // fabric::MeasuredCollective
  bool extrapolated = false;                 // more ranks than measured: a straight line in log2(ranks)
};
Seconds collective_time(const CollectiveCurve&, Bytes);

/// Dispatch or combine of `tokens` tokens of each rank among the ranks that hold experts.
struct ExchangeCurve {
  CollectiveCurve collective;
  double ranks, bytes, half_sms, token;  // bytes a number; token: s for each token and choice
  bool low_latency;                      // sends a copy to every chosen expert, not one to every rank
};
Seconds exchange_time(const ExchangeCurve&, double tokens, double hidden, double top_k, double sms = 20);

/// A norm, rotary embedding, activation or embedding by itself. Activations that the kernel before has just written come from the
/// last-level cache, so small ones may be read faster than memory.
struct ShortKernelCurve {
  CurveEvidence evidence;
  double floor, per_byte, per_row, cache_bytes, cache_rate;
};
/// rows: tokens. moved: bytes read and written.
Seconds short_kernel_time(const ShortKernelCurve&, double rows, Bytes moved);

}  // namespace jevons::step
