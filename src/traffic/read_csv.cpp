// CSV formats: which column holds what is data; the splitting is one function.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "traffic/rows.hpp"

namespace jevons::traffic {
namespace {

/// Splits at commas; a field may stand in double quotes (no comma-free escapes are used by these formats). Reuses `fields`.
void split(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  std::size_t at = 0;
  for (;;) {
    if (at < line.size() && line[at] == '"') {
      const std::size_t close = std::min(line.find('"', at + 1), line.size());
      fields.push_back(line.substr(at + 1, close - at - 1));
      at = std::min(line.find(',', close), line.size());
    } else {
      const std::size_t comma = std::min(line.find(',', at), line.size());
      std::string_view field = line.substr(at, comma - at);
      while (!field.empty() && (field.front() == ' ' || field.front() == '\t')) field.remove_prefix(1);
      while (!field.empty() && (field.back() == ' ' || field.back() == '\t')) field.remove_suffix(1);
      fields.push_back(field);
      at = comma;
    }
    if (at >= line.size()) return;
    ++at;
  }
}

template <class T>
bool number(std::string_view text, T& value) {
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  return ec == std::errc{} && end == text.data() + text.size() && !text.empty();
}

/// Seconds with a fraction, exact to the nanosecond for numbers written without an exponent.
bool seconds(std::string_view text, SimTime& ns) {
  const std::size_t dot = text.find('.');
  const std::string_view digits = dot == text.npos ? std::string_view{} : text.substr(dot + 1);
  std::int64_t whole = 0, part = 0;
  if (number(text.substr(0, dot), whole) && std::abs(whole) < 4'000'000'000 && digits.size() <= 9 && (dot == text.npos || number(digits, part)) && part >= 0) {
    for (std::size_t i = digits.size(); i < 9; ++i) part *= 10;
    ns = whole * kNsPerSecond + (text.starts_with('-') ? -part : part);
    return true;
  }
  double value = 0;
  if (!number(text, value) || !(std::abs(value) < 4e9)) return false;
  ns = SimTime(std::floor(value * 1e9 + 0.5));
  return true;
}

/// "2023-11-16 18:17:03.9799600", with or without a zone of +00:00: nanoseconds since 1970.
bool timestamp(std::string_view text, SimTime& ns) {
  if (text.ends_with("+00:00")) text.remove_suffix(6);
  if (text.ends_with('Z')) text.remove_suffix(1);
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || (text[10] != ' ' && text[10] != 'T') || text[13] != ':' || text[16] != ':') return false;
  unsigned y = 0, mo = 0, d = 0, h = 0, mi = 0;
  SimTime s = 0;
  if (!number(text.substr(0, 4), y) || !number(text.substr(5, 2), mo) || !number(text.substr(8, 2), d) || !number(text.substr(11, 2), h) ||
      !number(text.substr(14, 2), mi) || !seconds(text.substr(17), s)) {
    return false;
  }
  const std::chrono::year_month_day date{std::chrono::year(int(y)), std::chrono::month(mo), std::chrono::day(d)};
  if (!date.ok() || y < 1970 || y > 2200 || h > 23 || mi > 59 || s < 0 || s >= 61 * kNsPerSecond) return false;
  ns = (std::int64_t(std::chrono::sys_days(date).time_since_epoch().count()) * 1440 + h * 60 + mi) * 60 * kNsPerSecond + s;
  return true;
}

Problem bad(std::string_view column, std::string_view value, const char* expected) {
  return {std::string(column), fmt::format("'{}'{}", value.substr(0, 40), value.size() > 40 ? "…" : ""), expected};
}

/// A CSV line by its columns' names.
class Columns {
 public:
  static Result<Columns> of(std::string_view header, std::initializer_list<std::string_view> required) {
    Columns c;
    std::vector<std::string_view> names;
    split(header, names);
    c.names_.assign(names.begin(), names.end());
    for (std::size_t i = 0; i < c.names_.size(); ++i) {
      if (std::find(c.names_.begin(), c.names_.begin() + std::ptrdiff_t(i), c.names_[i]) != c.names_.begin() + std::ptrdiff_t(i)) {
        return bad_input(c.names_[i].substr(0, 40), "this column stands twice in the header", "each column once");
      }
    }
    for (std::string_view name : required) {
      if (!c.find(name)) return bad_input(std::string(name), "this column is missing", fmt::format("a header with {}", fmt::join(required, ", ")));
    }
    return c;
  }
  std::optional<std::size_t> find(std::string_view name) const {
    const auto at = std::find(names_.begin(), names_.end(), name);
    return at == names_.end() ? std::nullopt : std::optional(std::size_t(at - names_.begin()));
  }
  const std::vector<std::string>& names() const { return names_; }
  RowCheck read(std::string_view line) {
    split(line, fields_);
    if (fields_.size() == names_.size()) return {};
    return Problem{{}, fmt::format("{} columns", fields_.size()), fmt::format("{} as in the header", names_.size())};
  }
  std::string_view operator[](std::size_t column) const { return fields_[column]; }

 private:
  std::vector<std::string> names_;
  std::vector<std::string_view> fields_;
};

Result<RowReader> two_lengths(std::string_view header, std::string_view time, std::string_view in, std::string_view out, bool date, std::string_view tenant) {
  JEVONS_TRY(Columns columns, Columns::of(header, {time, in, out}));
  const std::size_t t = *columns.find(time), i = *columns.find(in), o = *columns.find(out);
  const std::optional<std::size_t> who = tenant.empty() ? std::nullopt : columns.find(tenant);
  return RowReader([=, columns = std::move(columns)](std::string_view line, Row& row) mutable -> RowCheck {
    row = {};
    if (auto p = columns.read(line)) return p;
    if (!(date ? timestamp(columns[t], row.at) : seconds(columns[t], row.at))) {
      return bad(columns.names()[t], columns[t], date ? "a time like 2023-11-16 18:17:03.9799600" : "seconds");
    }
    if (!number(columns[i], row.input)) return bad(columns.names()[i], columns[i], "a whole number of tokens");
    if (!number(columns[o], row.output)) return bad(columns.names()[o], columns[o], "a whole number of tokens");
    if (who) row.tenant = columns[*who];
    return {};
  });
}

/// arrival_s, input_tokens, output_tokens, and any of tenant, priority, adapter, session, wait_s.
Result<RowReader> own(std::string_view header) {
  JEVONS_TRY(Columns columns, Columns::of(header, {"input_tokens", "output_tokens"}));
  for (const std::string& name : columns.names()) {
    static constexpr std::array known{"arrival_s", "input_tokens", "output_tokens", "tenant", "priority", "adapter", "session", "wait_s"};
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      return bad_input(name.substr(0, 40), "unknown column", fmt::format("{}", fmt::join(known, ", ")));
    }
  }
  return RowReader([columns = std::move(columns)](std::string_view line, Row& row) mutable -> RowCheck {
    row = {};
    row.timed = columns.find("arrival_s").has_value();
    if (auto p = columns.read(line)) return p;
    for (std::size_t c = 0; c < columns.names().size(); ++c) {
      const std::string_view name = columns.names()[c], value = columns[c];
      if (name == "arrival_s") {
        if (!seconds(value, row.at)) return bad(name, value, "seconds");
      } else if (name == "input_tokens" || name == "output_tokens") {
        if (!number(value, name == "input_tokens" ? row.input : row.output)) return bad(name, value, "a whole number of tokens");
      } else if (name == "tenant") {
        row.tenant = value;
      } else if (name == "session") {
        row.session = value;
      } else if (value.empty()) {
        continue;
      } else if (name == "wait_s") {
        if (!number(value, row.wait_s)) return bad(name, value, "seconds");
      } else if (!number(value, name == "priority" ? row.priority : row.adapter)) {
        return bad(name, value, "a whole number");
      }
    }
    return {};
  });
}

/// Agent sessions, one row a call, with how many leading blocks were seen before in the session. The file does not say which call
/// started which: calls of the main line follow one another; a sub-agent's row that reuses nothing starts a branch from the main line's
/// last call, one that reuses something continues the latest branch; the next call of the main line waits for all branches.
/// Block identities: leading blocks are those of the latest earlier call that has enough of them, the rest is new.
class Agentic {
 public:
  static Result<RowReader> reader(std::string_view header) {
    JEVONS_TRY(Columns columns, Columns::of(header, {"trace_id", "is_subagent", "t_s", "input_tokens", "output_tokens", "n_blocks", "hit_blocks_prefix", "api_time_s",
                                                     "think_time_s"}));
    return RowReader([a = Agentic(std::move(columns))](std::string_view line, Row& row) mutable { return a.read(line, row); });
  }

 private:
  struct Call {
    double start_s = 0, end_s = 0;
    std::vector<BlockRun> blocks;
    std::int64_t count = 0;
  };
  explicit Agentic(Columns columns) : columns_{std::move(columns)} {}
  std::string_view field(std::string_view name) const { return columns_[*columns_.find(name)]; }

  RowCheck read(std::string_view line, Row& row) {
    row = {};
    row.timed = false;
    row.block_tokens = 64;
    if (auto p = columns_.read(line)) return p;
    Call call;
    std::int64_t hits = 0;
    double api_s = 0;
    if (!number(field("input_tokens"), row.input)) return bad("input_tokens", field("input_tokens"), "a whole number of tokens");
    if (!number(field("output_tokens"), row.output)) return bad("output_tokens", field("output_tokens"), "a whole number of tokens");
    if (!number(field("n_blocks"), call.count) || call.count < 0 || call.count > 1 << 30) return bad("n_blocks", field("n_blocks"), "a number of blocks");
    if (!number(field("hit_blocks_prefix"), hits) || hits < 0 || hits > call.count) return bad("hit_blocks_prefix", field("hit_blocks_prefix"), "0 to n_blocks");
    if (!number(field("t_s"), call.start_s)) return bad("t_s", field("t_s"), "seconds");
    if (!field("api_time_s").empty() && !number(field("api_time_s"), api_s)) return bad("api_time_s", field("api_time_s"), "seconds");
    const bool branch = field("is_subagent") == "1";
    if (!branch && field("is_subagent") != "0") return bad("is_subagent", field("is_subagent"), "0 or 1");
    call.end_s = call.start_s + api_s;
    if (field("trace_id") != session_) {
      session_ = field("trace_id");
      calls_.clear();
      branches_.clear();
      main_ = -1;
    }
    row.session = session_;
    row.parents = parents(branch, hits);
    double wait = 0;
    if (!number(field("think_time_s"), wait)) {
      wait = call.start_s;
      for (std::int64_t p : *row.parents) wait = std::min(wait, call.start_s - calls_[std::size_t(p)].end_s);
    }
    row.wait_s = std::max(wait, 0.0);
    if (!identify(call, hits)) return bad("hit_blocks_prefix", field("hit_blocks_prefix"), "at most the blocks of an earlier call of the session");
    row.blocks = call.blocks;
    const auto index = std::int64_t(calls_.size());
    calls_.push_back(std::move(call));
    if (!branch) {
      branches_.clear();
      main_ = index;
    } else if (hits > 0 && !branches_.empty()) {
      branches_.back() = index;
    } else {
      branches_.push_back(index);
    }
    return {};
  }
  std::vector<std::int64_t> parents(bool branch, std::int64_t hits) const {
    if (branch && hits > 0 && !branches_.empty()) return {branches_.back()};
    std::vector<std::int64_t> out;
    if (!branch) out = branches_;
    if (out.empty() && main_ >= 0) out.push_back(main_);
    return out;
  }
  bool identify(Call& call, std::int64_t hits) {
    if (hits > 0) {
      const auto from = std::find_if(calls_.rbegin(), calls_.rend(), [&](const Call& c) { return c.count >= hits; });
      if (from == calls_.rend()) return false;
      std::int64_t left = hits;
      for (const BlockRun& run : from->blocks) {
        if (left <= 0) break;
        call.blocks.push_back({run.first, std::uint32_t(std::min<std::int64_t>(left, run.count))});
        left -= run.count;
      }
    }
    if (call.count > hits) call.blocks.push_back({fresh_, std::uint32_t(call.count - hits)});
    fresh_ += BlockId(call.count - hits);
    return true;
  }

  Columns columns_;
  std::string session_;
  std::vector<Call> calls_;
  std::vector<std::int64_t> branches_;
  std::int64_t main_ = -1;
  BlockId fresh_ = 0;
};

}  // namespace

Result<RowReader> csv_reader(Format format, std::string_view header) {
  switch (format) {
    case Format::azure: return two_lengths(header, "TIMESTAMP", "ContextTokens", "GeneratedTokens", true, {});
    case Format::burstgpt: return two_lengths(header, "Timestamp", "Request tokens", "Response tokens", false, "Model");
    case Format::agentic: return Agentic::reader(header);
    default: return own(header);
  }
}

}  // namespace jevons::traffic
