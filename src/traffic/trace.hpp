#pragma once
// Who asks for what, when: recorded request traces, and what a steady state needs to know of them.
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace jevons::traffic {

/// Requests of a trace, one array a field.
struct Trace {
  std::vector<std::int64_t> arrival_ns;  // from the first request on, never falling
  std::vector<std::int32_t> input_tokens, output_tokens;
  // Prefix blocks of request i: block_ids[block_begin[i] .. block_begin[i + 1]); equal leading ids share a prefix. Empty when not recorded.
  std::vector<std::uint64_t> block_ids;
  std::vector<std::uint32_t> block_begin;
  std::size_t size() const { return arrival_ns.size(); }
};

/// Reads a trace, its format told by its content: Mooncake JSONL (timestamp in ms, input_length, output_length, hash_ids) or CSV with the
/// columns TIMESTAMP, ContextTokens, GeneratedTokens of the Azure LLM traces, or arrival_s, input_tokens, output_tokens.
/// Errors: row and reason: wrong columns, lengths below 1 or above 10 million, times that fall, a cut last line.
Result<Trace> read_trace(const std::string& text, const std::string& file);

struct Summary {
  std::size_t requests = 0;
  double seconds = 0, requests_per_s = 0;
  double input_mean = 0, input_p50 = 0, input_p99 = 0, output_mean = 0, output_p50 = 0, output_p99 = 0;
  bool has_blocks = false;
  double prefix_hit_rate = 0;  // of blocks, cache without limit, in request order: every id seen before is a hit
};
Summary summarize(const Trace& trace);

/// Hits among all prefix blocks when a cache of `capacity` blocks (0: no limit) is filled in request order, least recently used out first.
double block_hit_rate(const Trace& trace, std::size_t capacity);

}  // namespace jevons::traffic
