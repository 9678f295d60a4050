#include "traffic/read.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "traffic/rows.hpp"

namespace jevons::traffic {
namespace {

constexpr std::int64_t kTokenLimit = 1 << 30;
constexpr std::size_t kReported = 20;
constexpr std::array<std::pair<Format, std::string_view>, 11> kNames{{{Format::jevons_csv, "csv"},
                                                                      {Format::jevons_jsonl, "jsonl"},
                                                                      {Format::mooncake, "mooncake"},
                                                                      {Format::bailian, "bailian"},
                                                                      {Format::azure, "azure"},
                                                                      {Format::burstgpt, "burstgpt"},
                                                                      {Format::agentic, "agentic"},
                                                                      {Format::sharegpt, "sharegpt"},
                                                                      {Format::aiperf, "aiperf"},
                                                                      {Format::guidellm, "guidellm"},
                                                                      {Format::vllm_run, "vllm-run"}}};
std::string all_names() {
  std::string s;
  for (const auto& [format, name] : kNames) s += (s.empty() ? "" : " | ") + std::string(name);
  return s;
}

bool is_csv(Format f) { return f == Format::jevons_csv || f == Format::azure || f == Format::burstgpt || f == Format::agentic; }
bool is_document(Format f) { return f == Format::sharegpt || f == Format::guidellm; }

template <class T>
void permute(std::vector<T>& column, const std::vector<std::uint32_t>& order) {
  if (column.empty()) return;
  std::vector<T> sorted(column.size());
  for (std::size_t i = 0; i < order.size(); ++i) sorted[i] = column[order[i]];
  column = std::move(sorted);
}

Result<Trace> read_lines(Lines& lines, const std::string& name, const ReadOptions& options) {
  std::string_view line;
  do {
    if (!lines.next(line)) {
      if (lines.error()) return fail(*lines.error());
      return fail({ErrorCode::bad_input, name, 0, {}, "an empty file", "one request a line", {}});
    }
  } while (line.find_first_not_of(" \t") == line.npos);

  const std::optional<Format> told = options.format ? options.format : format_of(line);
  if (!told) {
    return fail({ErrorCode::bad_input, name, lines.number(), {}, fmt::format("the first line is of no known format: '{}'", line.substr(0, 80)),
                 all_names(), "name the format, or convert the trace to ours (src/traffic/README.md)"});
  }
  Sink sink(options, name, *told);
  if (is_document(*told)) {
    std::string all(line);
    all += '\n';
    all += lines.rest();
    if (lines.error()) return fail(*lines.error());
    const std::size_t size = all.size();
    all.resize(size + Lines::kPadding);
    auto read = read_document(*told, std::string_view(all).substr(0, size), options, sink);
    if (!read) {
      read.error().file = name;
      return fail(std::move(read).error());
    }
  } else {
    RowReader reader;
    if (is_csv(*told)) {
      auto made = csv_reader(*told, line);
      if (!made) {
        made.error().file = name;
        made.error().line = lines.number();
        return fail(std::move(made).error());
      }
      reader = std::move(*made);
    } else {
      reader = jsonl_reader(*told);
    }
    Row row;
    for (bool more = !is_csv(*told) || lines.next(line); more && !sink.error(); more = lines.next(line)) {
      if (line.find_first_not_of(" \t") == line.npos) continue;
      RowCheck problem = line.find('\r') == line.npos ? reader(line, row) : Problem{{}, "a carriage return inside the row", "line ends \\n or \\r\\n"};
      if (problem && !lines.terminated()) problem->what += " (the last line has no end: is the file cut short?)";
      if (problem) {
        sink.refuse(std::move(*problem), lines.number());
      } else {
        sink.take(row, lines.number());
      }
    }
    if (lines.error()) return fail(*lines.error());
  }
  return std::move(sink).finish();
}

}  // namespace

std::string_view format_name(Format format) {
  for (const auto& [f, name] : kNames) {
    if (f == format) return name;
  }
  throw_internal("a format has a name");
}

Result<Format> parse_format(std::string_view name) {
  for (const auto& [f, known] : kNames) {
    if (known == name) return f;
  }
  return bad_input("format", fmt::format("unknown trace format '{}'", name), all_names());
}

Sink::Sink(const ReadOptions& options, std::string file, Format format)
    : options_{options}, file_{std::move(file)}, own_{format == Format::jevons_csv || format == Format::jevons_jsonl},
      sorts_{format == Format::aiperf || format == Format::guidellm} {
  trace_.format = format;
}

bool Sink::refuse(Problem p, int line) {
  ++trace_.rows;
  ++trace_.skipped;
  Error e{ErrorCode::bad_input, file_, line, std::move(p.key), std::move(p.what), std::move(p.expected), {}};
  if (!options_.skip_bad_rows) {
    e.hint = "mend the row, or skip bad rows (--skip-bad-rows), which counts and reports them";
    error_ = std::move(e);
    return false;
  }
  if (trace_.problems.size() < kReported) trace_.problems.push_back(std::move(e));
  return true;
}

RowCheck Sink::check(const Row& row) const {
  const auto length = [](const char* key, std::int64_t n) -> RowCheck {
    if (n >= 1 && n < kTokenLimit) return {};
    return Problem{key, fmt::format("{} tokens", n), "1 to 2^30 - 1"};
  };
  if (auto p = length("input length", row.input)) return p;
  if (auto p = length("output length", row.output)) return p;
  if (options_.max_context > 0 && row.input + row.output > options_.max_context) {
    return Problem{"length", fmt::format("{} input + {} output tokens", row.input, row.output), fmt::format("at most the context of {} tokens", options_.max_context)};
  }
  if (row.adapter < kNoAdapter || row.adapter > std::numeric_limits<std::int32_t>::max()) return Problem{"adapter", fmt::format("{}", row.adapter), "-1 (none) or more"};
  if (std::abs(row.priority) > std::numeric_limits<std::int32_t>::max()) return Problem{"priority", fmt::format("{}", row.priority), "a 32-bit number"};
  if (!(row.wait_s >= 0 && row.wait_s < 1e9)) return Problem{"wait", fmt::format("{} s", row.wait_s), "0 or more"};
  if (row.tenant != "" || row.priority != 0 || !tenants_.empty()) {
    if (tenants_.size() >= 65535 && !tenants_.contains({row.tenant, row.priority})) return Problem{"tenant", "more than 65535 tenants", "fewer"};
  }
  const bool child = !row.session.empty() && row.session == session_;
  if (own_ && row.timed && row.at < 0) return Problem{"arrival", fmt::format("{} ns", row.at), "0 or later"};
  if (!child && !row.session.empty() && sessions_seen_.contains(row.session)) {
    return Problem{"session", fmt::format("'{}' again after other sessions", row.session), "the rows of a session next to each other"};
  }
  if (!child && row.timed && !sorts_ && zero_ && row.at < last_) {
    return Problem{"arrival", fmt::format("{:.6f} s before the row above", double(last_ - row.at) * 1e-9), "rows in order of arrival"};
  }
  if (row.parents) {
    const auto above = std::int64_t(accepted_.size());
    for (std::int64_t p : *row.parents) {
      if (p < 0 || p >= above) return Problem{"parents", fmt::format("row {} of the session", p), fmt::format("an earlier row of it, 0 to {}", above - 1)};
    }
  }
  if (any_prefix_ && row.block_tokens > 0 && row.block_tokens != trace_.requests.prefix.block_tokens) {
    return Problem{"block_tokens", fmt::format("{}", row.block_tokens), fmt::format("{} as in the rows above", trace_.requests.prefix.block_tokens)};
  }
  if (trace_.requests.size() >= std::numeric_limits<RequestId>::max() - 1) return Problem{{}, "more than 2^32 - 2 rows", "a shorter trace"};
  return {};
}

bool Sink::take(const Row& row, int line) {
  if (row.session != numbered_) {
    numbered_ = row.session;
    accepted_.clear();
  }
  if (auto problem = check(row)) {
    accepted_.push_back(-1);
    return refuse(std::move(*problem), line);
  }
  ++trace_.rows;
  Requests& r = trace_.requests;
  const std::size_t index = r.size();
  const bool child = !row.session.empty() && row.session == session_;
  if (!row.timed) trace_.timed = false;
  if (!zero_) zero_ = own_ || !row.timed ? 0 : row.at;
  if (!child) last_ = row.at;
  r.arrival.push_back(row.timed ? row.at - *zero_ : 0);
  r.input_tokens.push_back(std::int32_t(row.input));
  r.output_tokens.push_back(std::int32_t(row.output));

  const auto [tenant, fresh] = tenants_.try_emplace({row.tenant, row.priority}, std::uint16_t(tenants_.size()));
  if (fresh) r.tenants.push_back({row.tenant, std::int32_t(row.priority), {}});
  r.tenant.push_back(tenant->second);
  if (row.adapter != kNoAdapter && r.adapter.empty()) r.adapter.assign(index, kNoAdapter);
  if (row.adapter != kNoAdapter || !r.adapter.empty()) r.adapter.push_back(std::int32_t(row.adapter));

  if (row.block_tokens > 0 && !any_prefix_) {
    any_prefix_ = true;
    r.prefix.block_tokens = row.block_tokens;
    r.prefix.offset.assign(index + 1, 0);
  }
  if (any_prefix_) {
    r.prefix.run.insert(r.prefix.run.end(), row.blocks.begin(), row.blocks.end());
    r.prefix.offset.push_back(r.prefix.run.size());
  }
  take_session(row, std::uint32_t(index));
  if (!row.session.empty()) accepted_.push_back(std::int64_t(index));
  if (row.measured) {
    if (!trace_.measured) trace_.measured.emplace();
    Measured& m = *trace_.measured;
    m.queued.push_back((*row.measured)[0]);
    m.scheduled.push_back((*row.measured)[1]);
    m.first_token.push_back((*row.measured)[2]);
    m.last_token.push_back((*row.measured)[3]);
  }
  return true;
}

void Sink::take_session(const Row& row, std::uint32_t index) {
  Sessions& s = trace_.requests.sessions;
  if (row.session.empty() && !s.known()) return;
  if (!s.known()) {  // the rows so far were sessions of one call each
    s.first.resize(index);
    std::iota(s.first.begin(), s.first.end(), 0u);
    s.offset.assign(index + 1, 0);
    s.wait.assign(index, 0);
  }
  const bool child = !row.session.empty() && row.session == session_;
  if (!child) {
    s.first.push_back(index);
    session_ = row.session;
    if (!session_.empty()) sessions_seen_.insert(session_);
  } else if (row.parents) {
    for (std::int64_t p : *row.parents) {
      if (accepted_[std::size_t(p)] >= 0) s.parent.push_back(RequestId(accepted_[std::size_t(p)]));
    }
    if (s.parent.size() == s.offset.back() && !row.parents->empty()) s.parent.push_back(index - 1);  // all its parents were bad rows
  } else {
    s.parent.push_back(index - 1);
  }
  s.offset.push_back(std::uint32_t(s.parent.size()));
  s.wait.push_back(s.offset[index] == s.offset[index + 1] ? 0 : SimTime(row.wait_s * double(kNsPerSecond) + 0.5));
}

void Sink::sort_by_arrival() {
  Requests& r = trace_.requests;
  std::vector<std::uint32_t> order(r.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) { return r.arrival[a] < r.arrival[b]; });
  permute(r.arrival, order);
  permute(r.input_tokens, order);
  permute(r.output_tokens, order);
  permute(r.tenant, order);
  permute(r.adapter, order);
  const SimTime first = r.arrival.front();
  for (SimTime& t : r.arrival) t -= first;
}

Result<Trace> Sink::finish() && {
  if (error_) return fail(*error_);
  Requests& r = trace_.requests;
  if (r.size() == 0) {
    return fail({ErrorCode::bad_input, file_, 0, {}, trace_.skipped ? fmt::format("no good row among {}", trace_.rows) : "no requests in the file", "at least one",
                 trace_.problems.empty() ? std::string{} : trace_.problems.front().message()});
  }
  if (r.sessions.known()) r.sessions.first.push_back(RequestId(r.size()));
  if (sorts_) sort_by_arrival();
  if (r.tenants.size() == 1) {
    r.tenant.clear();
    r.tenant.shrink_to_fit();
    if (r.tenants.front().name.empty() && r.tenants.front().priority == 0) r.tenants.clear();
  }
  if (!trace_.timed) std::fill(r.arrival.begin(), r.arrival.end(), 0);
  return std::move(trace_);
}

Result<Trace> read_trace(const std::string& path, const ReadOptions& options) {
  JEVONS_TRY(Lines lines, Lines::open(path));
  return read_lines(lines, path, options);
}

Result<Trace> parse_trace(std::string_view text, const std::string& name, const ReadOptions& options) {
  Lines lines = Lines::over(text);
  return read_lines(lines, name, options);
}

}  // namespace jevons::traffic
