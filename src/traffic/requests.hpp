#pragma once
// Who asks for what, when: one array per field. A 10-million-row trace needs no memory beyond these arrays.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace jevons::traffic {

/// Nanoseconds since the start of the workload; 292 years fit.
using SimTime = std::int64_t;
inline constexpr SimTime kNsPerSecond = 1'000'000'000;
/// Row of a request in the arrays below.
using RequestId = std::uint32_t;
using BlockId = std::uint64_t;

/// `count` cache blocks with consecutive identities first, first + 1, …; equal identities mean equal content after an equal prefix.
struct BlockRun {
  BlockId first = 0;
  std::uint32_t count = 0;
};

/// What each request shares: the identities of the leading blocks of its context, as runs (a recorded list of ids compresses about
/// 9 times; a conversation is one or two runs). Block i covers tokens [i·block_tokens, (i+1)·block_tokens) of prompt followed by output.
/// The first ceil(input/block_tokens) blocks are the prompt's, the last of them possibly partial; blocks beyond them, if listed,
/// are those that the output fills, which a later turn of the same conversation finds.
struct Prefixes {
  std::int32_t block_tokens = 0;      // 0: nothing is known about sharing and the arrays below are empty
  std::vector<std::uint64_t> offset;  // n + 1 entries: request r owns runs offset[r] .. offset[r + 1]
  std::vector<BlockRun> run;

  bool known() const { return block_tokens > 0; }
  std::span<const BlockRun> of(RequestId r) const { return {run.data() + offset[r], std::size_t(offset[r + 1] - offset[r])}; }
};

/// Conversations and agent runs as directed graphs of calls: a request is released `wait` after the last of its parents finished
/// (a tool's run, a person's thought), and not before its own arrival. Several children of one parent are parallel branches; a request
/// with several parents joins them. Rows of one session are contiguous, parents come before children, so there are no cycles.
struct Sessions {
  std::vector<RequestId> first;       // sessions + 1 entries: session s owns rows first[s] .. first[s + 1]; empty: no sessions
  std::vector<std::uint32_t> offset;  // n + 1 entries: request r has parents parent[offset[r]] .. parent[offset[r + 1]]; none: a root
  std::vector<RequestId> parent;
  std::vector<SimTime> wait;  // n entries, ns

  bool known() const { return !first.empty(); }
  std::size_t count() const { return first.empty() ? 0 : first.size() - 1; }
  std::span<const RequestId> parents(RequestId r) const { return {parent.data() + offset[r], std::size_t(offset[r + 1] - offset[r])}; }
};

/// Latency targets of a class of requests; 0 = no target. TPOT = (E2E − TTFT)/(output tokens − 1).
struct Slo {
  SimTime ttft = 0, tpot = 0, e2e = 0;
};

/// A tenant or a class of service: who pays, who goes first (lower value first, as vLLM's `priority`), what was promised.
struct Tenant {
  std::string name;
  std::int32_t priority = 0;
  Slo slo;
};

inline constexpr std::int32_t kNoAdapter = -1;

/// Requests in order of arrival. Core: 16 bytes a request. Optional arrays are empty, or as long as `arrival`.
struct Requests {
  std::vector<SimTime> arrival;             // ns, ascending (with sessions: ascending over the roots; a child's is its earliest release)
  std::vector<std::int32_t> input_tokens;   // whole prompt, cached part included; >= 1
  std::vector<std::int32_t> output_tokens;  // >= 1
  std::vector<std::uint16_t> tenant;        // index into `tenants`
  std::vector<std::int32_t> adapter;        // LoRA adapter number, or kNoAdapter
  std::vector<Tenant> tenants;              // empty: one nameless tenant without targets
  Prefixes prefix;
  Sessions sessions;

  std::size_t size() const { return arrival.size(); }
};

/// Every request starts at its arrival, or when its parents let it.
struct OpenLoad {};

/// A fixed number in flight, arrivals ignored: the first `concurrency` start at once from idle, each finished one is replaced by the
/// next row until the rows are used up. The usual benchmark protocol is rows = 10 x concurrency with every request counted
/// (InferenceX `benchmark_serving.py`).
struct ClosedLoad {
  std::int32_t concurrency = 1;
  bool by_session = false;    // true: the unit in flight is a live session tree, not a request
  std::size_t uncounted = 0;  // leading requests left out of the statistics (warm-up); 0 in the usual protocol
  bool count_first_calls = true;  // false: the first call of each session is a warm-up too
  SimTime cold_start = 0;     // the engine serves nobody before this (kernels compiled in the run), while the clients already wait
};

using Load = std::variant<OpenLoad, ClosedLoad>;

/// What is asked of a deployment.
struct Workload {
  Requests requests;
  Load load;
};

/// Number of leading requests that the usual protocol wants at a concurrency: 10 x concurrency.
constexpr std::size_t benchmark_requests(std::int32_t concurrency) { return std::size_t(concurrency) * 10; }

/// Calls f(BlockId) for at most `limit` leading blocks of request r.
template <class F>
void for_each_block(const Prefixes& prefix, RequestId r, std::int64_t limit, F&& f) {
  for (const BlockRun& run : prefix.of(r)) {
    for (std::uint32_t i = 0; i < run.count; ++i) {
      if (limit-- <= 0) return;
      f(run.first + i);
    }
  }
}

}  // namespace jevons::traffic
