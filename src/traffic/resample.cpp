#include "traffic/resample.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <unordered_map>

#include "traffic/order.hpp"

namespace jevons::traffic {
namespace {

/// Leading blocks that more than half of all requests have in common.
std::int64_t common_blocks(const Requests& trace) {
  std::unordered_map<BlockId, std::size_t> users;
  for (std::int64_t common = 0;; ++common) {
    users.clear();
    std::size_t most = 0;
    for (std::size_t r = 0; r < trace.size(); ++r) {
      std::int64_t at = 0;
      for_each_block(trace.prefix, RequestId(r), common + 1, [&](BlockId id) {
        if (at++ == common) most = std::max(most, ++users[id]);
      });
    }
    if (2 * most <= trace.size()) return common;
  }
}

struct Conversations {
  std::vector<std::vector<RequestId>> rows;         // of each, in order
  std::vector<std::optional<RequestId>> continues;  // of each row of the trace: the row it continues
};

Conversations conversations(const Requests& trace, std::int64_t common) {
  Conversations c;
  c.continues.resize(trace.size());
  std::vector<std::size_t> of(trace.size());
  std::unordered_map<BlockId, RequestId> latest;
  for (std::size_t r = 0; r < trace.size(); ++r) {
    std::int64_t depth = 0;
    for_each_block(trace.prefix, RequestId(r), std::numeric_limits<std::int64_t>::max(), [&](BlockId id) {
      if (depth++ < common) return;
      const auto [seen, fresh] = latest.try_emplace(id, RequestId(r));
      if (!fresh && seen->second != r) c.continues[r] = seen->second;
      seen->second = RequestId(r);
    });
    if (c.continues[r]) {
      of[r] = of[*c.continues[r]];
    } else {
      of[r] = c.rows.size();
      c.rows.emplace_back();
    }
    c.rows[of[r]].push_back(RequestId(r));
  }
  return c;
}

BlockId identities(const Prefixes& prefix) {
  BlockId end = 1;
  for (const BlockRun& run : prefix.run) end = std::max({end, run.first, run.first + run.count});
  return end;
}

/// Copies the runs of one row; all blocks but the first `common` get identities moved by `shift`.
void copy_runs(const Requests& trace, RequestId row, std::int64_t common, BlockId shift, Requests& out) {
  for (BlockRun run : trace.prefix.of(row)) {
    const auto kept = std::uint32_t(std::clamp<std::int64_t>(common, 0, run.count));
    if (kept > 0) out.prefix.run.push_back({run.first, kept});
    if (run.count > kept) out.prefix.run.push_back({run.first + kept + shift, run.count - kept});
    common -= kept;
  }
  out.prefix.offset.push_back(out.prefix.run.size());
}

}  // namespace

Result<Requests> resample(const Requests& trace, const ResampleSpec& spec, Seed seed, std::uint64_t replication) {
  if (!trace.prefix.known()) return bad_input("trace", "no block identities", "a trace that says which prompts share a prefix");
  if (trace.size() < 2 || trace.arrival.back() <= trace.arrival.front())
    return bad_input("trace", "no time between its rows", "arrival times");
  if (spec.num_requests < 1 || spec.num_requests > std::numeric_limits<RequestId>::max() - 1) {
    return bad_input("num_requests", fmt::format("{}", spec.num_requests), "1 to 2^32 - 2");
  }
  const BlockId span = identities(trace.prefix);
  if (span > (BlockId{1} << 63) / spec.num_requests) {
    return bad_input("trace", fmt::format("block identities up to {}", span - 1),
                     fmt::format("below 2^63/{}, so that copies get their own", spec.num_requests), "renumber the blocks from 0");
  }
  const std::int64_t common = common_blocks(trace);
  const Conversations recorded = conversations(trace, common);
  const double seconds = double(trace.arrival.back() - trace.arrival.front()) * 1e-9;
  const double requests_per_s = spec.rate_per_s > 0 ? spec.rate_per_s : double(trace.size()) / seconds;
  JEVONS_TRY(const Arrivals arrivals,
             checked(Arrivals{requests_per_s * double(recorded.rows.size()) / double(trace.size()), Poisson{}, Steady{}}, "resample"));
  ArrivalProcess process(arrivals, seed, replication, 0);
  Stream choice(seed, replication, Draw::session, 0);

  Requests out;
  out.prefix.block_tokens = trace.prefix.block_tokens;
  out.prefix.offset.push_back(0);
  out.prefix.offset.reserve(spec.num_requests + 1);
  out.prefix.run.reserve(std::size_t(double(spec.num_requests) * double(trace.prefix.run.size()) / double(trace.size()) * 1.1));
  out.arrival.reserve(spec.num_requests);
  out.input_tokens.reserve(spec.num_requests);
  out.output_tokens.reserve(spec.num_requests);
  const bool graph = spec.release == Release::after_parents;
  if (graph) {
    out.sessions.first.push_back(0);
    out.sessions.offset.push_back(0);
  }
  std::vector<RequestId> copy_of(trace.size());  // where the rows of the conversation being copied went
  for (BlockId copy = 1; out.size() < spec.num_requests; ++copy) {
    const auto& rows = recorded.rows[choice.below(recorded.rows.size())];
    const SimTime start = process.next();
    for (RequestId row : rows) {
      if (out.size() == spec.num_requests) break;
      copy_of[row] = RequestId(out.size());
      out.arrival.push_back(graph ? start : start + trace.arrival[row] - trace.arrival[rows.front()]);
      out.input_tokens.push_back(trace.input_tokens[row]);
      out.output_tokens.push_back(trace.output_tokens[row]);
      copy_runs(trace, row, common, copy * span, out);
      if (!graph) continue;
      const auto before = recorded.continues[row];
      if (before) out.sessions.parent.push_back(copy_of[*before]);
      out.sessions.wait.push_back(before ? trace.arrival[row] - trace.arrival[*before] : 0);
      out.sessions.offset.push_back(std::uint32_t(out.sessions.parent.size()));
    }
    if (graph) out.sessions.first.push_back(RequestId(out.size()));
  }
  if (!graph) sort_by_arrival(out);
  return out;
}

}  // namespace jevons::traffic
