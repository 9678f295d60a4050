#include "traffic/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <list>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/stats.hpp"
#include "base/text.hpp"

namespace jevons::traffic {
namespace {

constexpr std::int64_t kMostTokens = 10'000'000;

struct Reader {
  const std::string& file;
  Trace trace;
  std::int64_t first_ns = 0;

  tl::unexpected<Error> error(int row, std::string_view column, std::string what, std::string expected) const {
    return fail({ErrorCode::bad_input, file, row, std::string(column), std::move(what), std::move(expected), {}});
  }
  Result<void> add(int row, std::int64_t at_ns, std::int64_t input, std::int64_t output) {
    for (const auto& [name, n] : {std::pair{"input tokens", input}, std::pair{"output tokens", output}}) {
      if (n < 1 || n > kMostTokens) return error(row, name, fmt::format("{} tokens", n), fmt::format("1 to {} tokens", kMostTokens));
    }
    if (trace.size() == 0) first_ns = at_ns;
    at_ns -= first_ns;
    if (trace.size() > 0 && at_ns < trace.arrival_ns.back())
      return error(row, "arrival", "before the row above it", "rows in order of arrival");
    trace.arrival_ns.push_back(at_ns);
    trace.input_tokens.push_back(std::int32_t(input));
    trace.output_tokens.push_back(std::int32_t(output));
    return {};
  }
};

Result<void> read_jsonl(Reader& r, const std::vector<std::string_view>& lines) {
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const int row = int(i) + 1;
    if (trim(lines[i]).empty()) continue;
    const auto j = nlohmann::json::parse(lines[i], nullptr, false);
    if (j.is_discarded() || !j.is_object())
      return r.error(row, "", i + 1 == lines.size() ? "a cut last line" : "not a JSON object", "{\"timestamp\": ms, \"input_length\": …}");
    for (const auto* key : {"timestamp", "input_length", "output_length"}) {
      if (!j.contains(key) || !j[key].is_number()) return r.error(row, key, "is missing or no number", "a number");
    }
    const double ms = j["timestamp"].get<double>();
    if (!(ms >= 0 && ms < 1e13)) return r.error(row, "timestamp", "out of range", "milliseconds from 0");
    if (!(j["input_length"].get<double>() < 1e15) || !(j["output_length"].get<double>() < 1e15))
      return r.error(row, "input_length", "absurd length", "tokens");
    JEVONS_CHECK(
        r.add(row, std::llround(ms * 1e6), std::int64_t(j["input_length"].get<double>()), std::int64_t(j["output_length"].get<double>())));
    r.trace.block_begin.push_back(std::uint32_t(r.trace.block_ids.size()));
    if (!j.contains("hash_ids")) continue;
    if (!j["hash_ids"].is_array()) return r.error(row, "hash_ids", "is not a list", "block ids");
    for (const auto& id : j["hash_ids"]) {
      if (!id.is_number_unsigned()) return r.error(row, "hash_ids", "holds something other than ids", "whole numbers from 0");
      r.trace.block_ids.push_back(id.get<std::uint64_t>());
    }
  }
  r.trace.block_begin.push_back(std::uint32_t(r.trace.block_ids.size()));
  return {};
}

template <class T>
bool parse(std::string_view text, T& out) {
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), out);
  return status == std::errc{} && end == text.data() + text.size();
}

// "2023-11-16 18:17:03.9799600" as nanoseconds of an arbitrary day, or plain seconds.
bool parse_time(std::string_view text, std::int64_t& ns) {
  double seconds = 0;
  if (parse(text, seconds) && seconds >= 0 && seconds < 1e9) return ns = std::llround(seconds * 1e9), true;
  int day = 0, hour = 0, minute = 0, year = 0, month = 0;
  if (text.size() < 19 || !parse(text.substr(0, 4), year) || !parse(text.substr(5, 2), month) || !parse(text.substr(8, 2), day) ||
      !parse(text.substr(11, 2), hour) || !parse(text.substr(14, 2), minute) || !parse(text.substr(17), seconds)) {
    return false;
  }
  const auto within = [](int x, int low, int high) { return low <= x && x <= high; };
  if (!within(year, 1970, 2200) || !within(month, 1, 12) || !within(day, 1, 31) || !within(hour, 0, 23) || !within(minute, 0, 59) ||
      !(seconds >= 0 && seconds < 61))
    return false;
  // Days since the civil epoch (Howard Hinnant, "chrono-compatible low-level date algorithms").
  const int y = month <= 2 ? year - 1 : year, m = (month + 9) % 12;
  const std::int64_t days = 365LL * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;  // since 1970
  ns = ((days * 24 + hour) * 60 + minute) * 60'000'000'000LL + std::llround(seconds * 1e9);
  return true;
}

Result<void> read_csv(Reader& r, const std::vector<std::string_view>& lines) {
  const auto header = csv_cells(lines[0]);
  const auto column = [&](std::initializer_list<std::string_view> names) {
    return std::find_if(header.begin(), header.end(),
                        [&](const std::string& h) { return std::find(names.begin(), names.end(), h) != names.end(); }) -
           header.begin();
  };
  const auto time = column({"TIMESTAMP", "arrival_s"}), input = column({"ContextTokens", "input_tokens"}),
             output = column({"GeneratedTokens", "output_tokens"});
  const auto width = std::ptrdiff_t(header.size());
  if (time == width || input == width || output == width) {
    return r.error(1, "", "unknown columns",
                   "TIMESTAMP,ContextTokens,GeneratedTokens or arrival_s,input_tokens,output_tokens, or Mooncake JSONL");
  }
  for (std::size_t i = 1; i < lines.size(); ++i) {
    const int row = int(i) + 1;
    if (trim(lines[i]).empty()) continue;
    const auto cells = csv_cells(lines[i]);
    if (std::ptrdiff_t(cells.size()) != width)
      return r.error(row, "", fmt::format("{} cells", cells.size()), fmt::format("{} cells, as in the header", width));
    std::int64_t ns = 0, in = 0, out = 0;
    if (!parse_time(cells[std::size_t(time)], ns))
      return r.error(row, header[std::size_t(time)], fmt::format("'{}'", cells[std::size_t(time)].substr(0, 40)), "a time");
    if (!parse(std::string_view(cells[std::size_t(input)]), in))
      return r.error(row, header[std::size_t(input)], "is no whole number", "tokens");
    if (!parse(std::string_view(cells[std::size_t(output)]), out))
      return r.error(row, header[std::size_t(output)], "is no whole number", "tokens");
    JEVONS_CHECK(r.add(row, ns, in, out));
  }
  return {};
}

}  // namespace

Result<Trace> read_trace(const std::string& text, const std::string& file) {
  Reader r{file, {}, 0};
  const auto lines = split(text, '\n');
  const auto start = trim(std::string_view(text).substr(0, 100));
  if (start.empty()) return r.error(1, "", "is empty", "requests");
  if (start.front() == '{')
    JEVONS_CHECK(read_jsonl(r, lines));
  else
    JEVONS_CHECK(read_csv(r, lines));
  if (r.trace.size() == 0) return r.error(1, "", "holds no request", "at least one");
  return std::move(r.trace);
}

Summary summarize(const Trace& t) {
  Summary s;
  s.requests = t.size();
  s.seconds = double(t.arrival_ns.back()) / 1e9;
  s.requests_per_s = s.seconds > 0 ? double(s.requests) / s.seconds : 0;
  std::vector<double> in(t.input_tokens.begin(), t.input_tokens.end()), out(t.output_tokens.begin(), t.output_tokens.end());
  const auto i = jevons::summarize(in), o = jevons::summarize(out);
  s.input_mean = i.mean, s.input_p50 = i.p50, s.input_p99 = i.p99;
  s.output_mean = o.mean, s.output_p50 = o.p50, s.output_p99 = o.p99;
  s.has_blocks = !t.block_ids.empty();
  if (s.has_blocks) s.prefix_hit_rate = block_hit_rate(t, 0);
  return s;
}

double block_hit_rate(const Trace& t, std::size_t capacity) {
  JEVONS_ENSURE(!t.block_ids.empty());
  std::list<std::uint64_t> recent;  // most recently used first
  std::unordered_map<std::uint64_t, std::list<std::uint64_t>::iterator> where;
  std::size_t hits = 0;
  for (const auto id : t.block_ids) {
    if (const auto it = where.find(id); it != where.end()) {
      ++hits;
      recent.splice(recent.begin(), recent, it->second);
      continue;
    }
    recent.push_front(id);
    where[id] = recent.begin();
    if (capacity > 0 && recent.size() > capacity) {
      where.erase(recent.back());
      recent.pop_back();
    }
  }
  return double(hits) / double(t.block_ids.size());
}

}  // namespace jevons::traffic
