#include "step/operators.hpp"

#include <algorithm>
#include <cmath>

#include "fabric/collectives.hpp"

namespace jevons::step {
namespace {

double smooth_max2(double a, double b) { return std::sqrt(a * a + b * b); }
double smooth_max4(double a, double b) {
  a *= a;
  b *= b;
  return std::sqrt(std::sqrt(a * a + b * b));
}

// Waves of equal blocks; `wave` of the last, partly filled one is paid.
double waves(double blocks, double multiprocessors, double wave) {
  const double w = blocks / multiprocessors;
  return w + (std::ceil(w) - w) * wave;
}

// Bytes as a repeated benchmark reads them: below `cache` they cost `rate` of a read from memory.
double as_cached(double bytes, double cache, double rate) {
  double x = bytes / cache;
  x *= x;
  const double resident = 1 / (1 + x * x);
  return bytes * (1 - resident + resident * rate);
}

double saturating(double top, double x, double half) { return top * x / (x + half); }

constexpr double kSagTime = 1e-3;  // s, scale of the loss of clock
constexpr double kQueries = 128;   // of one attention block
constexpr double kRows = 512;      // rows at which second kernels reach half their time

}  // namespace

Seconds gemm_time(const GemmCurve& c, double m, double n, double k, Setting setting) {
  double bytes = n * k * c.weight_bytes + m * k * c.operand_bytes + m * n * 2;
  double floor = c.floor;
  if (setting == Setting::benchmark)
    bytes = as_cached(bytes, c.cache_bytes, c.cache_rate);
  else
    floor -= c.launch;
  double compute = 0;
  for (int i = 0; i < c.tile_count; ++i) {
    const auto& tile = c.tiles[std::size_t(i)];
    const double w = waves(std::ceil(m / tile.rows) * std::ceil(n / tile.columns), c.multiprocessors, c.wave);
    const double t =
        w * (tile.rows * tile.columns * 2 * (k + c.k_ramp) * c.per_flop) * (1 + c.tile_edge * (1 / tile.rows + 1 / tile.columns));
    compute = i == 0 ? t : std::min(compute, t);
  }
  compute *= 1 + saturating(c.sag, compute, kSagTime);
  const double stream = bytes * c.per_byte;
  const double body = c.sharpness == 2 ? smooth_max2(stream, compute) : smooth_max4(stream, compute);
  return Seconds{floor + saturating(c.deep, k, c.deep_half) + saturating(c.rows, m, kRows) + body + c.quantise * m * k};
}

Seconds context_attention_time(const ContextCurve& c, const ContextShape& s) {
  // Mean keys of a query: the cached ones and half the new ones, cut at the window.
  double keys = s.cached + s.tokens / 2;
  if (s.window > 0 && s.cached + s.tokens > s.window) {
    const double growing = std::max(0.0, s.window - s.cached);  // queries that still see fewer keys than the window
    keys = ((s.cached + growing / 2) * growing + s.window * (s.tokens - growing)) / s.tokens;
    keys = std::min(keys, s.window);
  }
  const double w = waves(s.sequences * s.heads * std::ceil(s.tokens / kQueries), c.multiprocessors, c.wave);
  double compute = w * (keys + c.key_ramp) * kQueries * 2 * (c.qk_dim + c.v_dim) * c.per_flop;
  compute *= 1 + saturating(c.sag, compute, kSagTime);
  const double moved = s.sequences * s.tokens * (s.heads + s.kv_heads) * (c.qk_dim + c.v_dim) * 2;
  return Seconds{c.floor + c.per_head * s.sequences * s.heads + moved * c.per_byte + compute};
}

Seconds decode_attention_time(const DecodeCurve& c, const DecodeShape& s, Setting setting) {
  double bytes = s.sequences * s.keys * s.kv_heads * 2 * s.head_dim * c.kv_bytes;
  if (setting == Setting::benchmark) bytes = as_cached(bytes, c.cache_bytes, c.cache_rate);
  const double blocks = s.sequences * (c.per_head * s.heads + c.per_kv_head * s.kv_heads);
  return Seconds{c.floor + smooth_max4(bytes * c.per_byte, blocks) + saturating(c.deep, s.keys, c.deep_half)};
}

Seconds mla_decode_time(const MlaDecodeCurve& c, double sequences, double keys, double heads) {
  constexpr double kLatent = 512, kRope = 64;
  const double stream = sequences * keys * (kLatent + kRope) * c.kv_bytes * c.per_byte;
  const double compute = sequences * std::max(heads, c.padded_heads) * keys * 2 * (2 * kLatent + kRope) * c.per_flop;
  const double blocks = sequences * (c.per_head * heads + c.per_sequence);
  return Seconds{c.floor + smooth_max4(smooth_max4(stream, compute), blocks) + saturating(c.deep, keys, c.deep_half)};
}

MoeLayer moe_layer(const MoeCurve& c, const MoeShape& s) {
  const auto r = std::size_t(s.routing);
  const double width = s.width / s.tp, one = 3 * s.hidden * width;
  const double efficiency = width / (width + c.half_width) * s.hidden / (s.hidden + c.half_hidden);
  const double flop = 2 * one * c.per_flop / efficiency;
  MoeLayer l{};
  l.balanced = s.routing == Routing::balanced;
  l.floor = c.floor;
  l.stream_each = one * c.weight_bytes * c.per_byte + c.expert;
  l.stream_more = c.more_experts * one * c.weight_bytes * c.per_byte;
  l.local = s.experts / s.ep;
  l.share = s.top_k / s.experts;
  l.sent_each = s.top_k / s.ep;
  l.spread = c.spread[r];
  l.flop_load = flop * l.sent_each * std::pow(s.ep, c.crowd[r]);
  l.flop_hit = flop * c.pad_tokens;
  l.per_token = c.token * s.top_k / std::pow(s.ep, c.token_ep) * s.hidden / 7168;
  return l;
}

Seconds moe_time(const MoeLayer& l, double tokens) {
  const double sent = tokens * l.sent_each;
  const double hit = l.balanced ? std::min(l.local, std::max(sent, 1.0))
                                : std::max(l.local * (1 - std::exp(-std::exp(l.spread * std::log(tokens * l.share)))), std::min(1.0, sent));
  const double stream = hit * l.stream_each + l.stream_more;
  const double compute = tokens * l.flop_load + hit * l.flop_hit;
  return Seconds{l.floor + smooth_max4(stream, compute) + l.per_token * tokens};
}

Seconds collective_time(const CollectiveCurve& c, Bytes size) {
  return fabric::collective_time({c.floor, c.kink, c.kink_bytes, c.per_byte}, size);
}

Seconds exchange_time(const ExchangeCurve& c, double tokens, double hidden, double top_k, double sms) {
  // One copy a chosen expert, or one a rank that holds at least one of them.
  const double copies = c.low_latency ? top_k : c.ranks * (1 - std::pow(1 - 1 / c.ranks, top_k));
  const double bytes = tokens * hidden * copies * c.bytes;
  const auto& t = c.collective;
  const double rate = t.per_byte * (1 + c.half_sms / sms);
  return Seconds{t.floor + saturating(t.kink, bytes, t.kink_bytes) + rate * bytes + c.token * tokens * top_k};
}

Seconds short_kernel_time(const ShortKernelCurve& c, double rows, Bytes moved) {
  return Seconds{c.floor + as_cached(moved.value(), c.cache_bytes, c.cache_rate) * c.per_byte + c.per_row * rows};
}

}  // namespace jevons::step
