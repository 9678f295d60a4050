#pragma once
// Reads recorded workloads. One function; what it did, skipped and could not know comes back beside the requests.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "traffic/requests.hpp"

namespace jevons::traffic {

/// Layouts, told apart by their first line; versions followed in brackets.
enum class Format : std::uint8_t {
  jevons_csv,    // ours, see README.md
  jevons_jsonl,  // ours, see README.md
  mooncake,      // JSONL timestamp (ms), input_length, output_length, hash_ids of 512 tokens (kvcache-ai/Mooncake, FAST25-release)
  bailian,       // JSONL as Mooncake with chat_id, timestamp in s, hash_ids of 16 tokens (alibaba-edu/qwen-bailian-usagetraces-anon)
  azure,         // CSV TIMESTAMP, ContextTokens, GeneratedTokens (Azure/AzurePublicDataset, 2023 and 2024)
  burstgpt,      // CSV Timestamp (s), Request tokens, Response tokens, Model (HPMLL/BurstGPT, 1 to 3); the model becomes the tenant
  agentic,       // CSV of agent sessions: trace_id, req_idx, is_subagent, … (callanjfox/kv-cache-tester, one line a request, 64-token blocks)
  sharegpt,      // JSON list of {"conversations": [{"from", "value"}]}: text, so options must say how many bytes make a token
  aiperf,        // JSONL profile_export.jsonl (ai-dynamo/aiperf 0.2 to 0.5)
  guidellm,      // JSON report with benchmarks[].requests.successful[] (vllm-project/guidellm 0.2 to 0.5)
  vllm_run,      // JSONL request_id, input_toks, output_toks, arrival_time, queued_ts, … (LLMServingSim's log of a vLLM 0.19 run)
};
std::string_view format_name(Format format);
Result<Format> parse_format(std::string_view name);

struct ReadOptions {
  std::optional<Format> format{};   // none: told by the content
  bool skip_bad_rows = false;       // count and report them instead of failing on the first
  std::int64_t max_context = 0;     // > 0: a row with input + output above it is bad
  double text_bytes_per_token = 0;  // sharegpt only, and then required
  std::int32_t benchmark = -1;      // guidellm: which of several benchmarks in the report, from 0
};

/// What was seen when a log of a real run is read; ns on the arrival clock's zero (vllm_run: both clocks start at the first request).
struct Measured {
  std::vector<SimTime> queued, scheduled, first_token, last_token;
};

struct Trace {
  Requests requests;
  Format format{};
  bool timed = true;              // false: arrivals are unknown (all 0); draw them with `assign_arrivals`, or load by concurrency
  std::uint64_t rows = 0;         // read, bad ones included
  std::uint64_t skipped = 0;      // bad ones
  std::vector<Error> problems;    // the first 20 of them, with line and reason
  std::optional<Measured> measured;
};

/// Reads a file, plain or gzip. Times are counted from the first row (our own formats: as written). Logs of runs (aiperf, guidellm), which
/// are written in order of completion, are sorted by start; traces must be in order. Bad rows: unreadable or cut lines, wrong columns,
/// lengths below 1 or of 2^30 tokens and more, longer than max_context, out of order. An empty trace is an error.
Result<Trace> read_trace(const std::string& path, const ReadOptions& options = {});
/// The same from text in memory; `name` stands for the file in errors.
Result<Trace> parse_trace(std::string_view text, const std::string& name, const ReadOptions& options = {});

}  // namespace jevons::traffic
