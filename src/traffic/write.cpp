#include "traffic/write.hpp"

#include <fmt/format.h>

#include <iterator>

namespace jevons::traffic {
namespace {

/// Seconds to the nanosecond, without an exponent or trailing zeros.
std::string seconds(SimTime ns) {
  std::string s = fmt::format("{}.{:09}", ns / kNsPerSecond, ns % kNsPerSecond);
  while (s.back() == '0') s.pop_back();
  if (s.back() == '.') s.pop_back();
  return s;
}

std::string quoted(const std::string& text) {
  std::string s = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      s += '\\';
      s += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      s += fmt::format("\\u{:04x}", int(c));
    } else {
      s += c;
    }
  }
  return s + "\"";
}

}  // namespace

std::string to_jsonl(const Requests& r) {
  std::string out;
  auto to = std::back_inserter(out);
  std::size_t session = 0;
  for (std::size_t i = 0; i < r.size(); ++i) {
    const auto row = RequestId(i);
    fmt::format_to(to, R"({{"arrival_s":{},"input_tokens":{},"output_tokens":{})", seconds(r.arrival[i]), r.input_tokens[i], r.output_tokens[i]);
    if (!r.tenants.empty()) {
      const Tenant& t = r.tenants[r.tenant.empty() ? 0 : r.tenant[i]];
      fmt::format_to(to, R"(,"tenant":{},"priority":{})", quoted(t.name), t.priority);
    }
    if (!r.adapter.empty() && r.adapter[i] != kNoAdapter) fmt::format_to(to, R"(,"adapter":{})", r.adapter[i]);
    if (r.sessions.known()) {
      if (i == r.sessions.first[session + 1]) ++session;
      fmt::format_to(to, R"(,"session":"{}")", session);
      if (i > r.sessions.first[session]) {
        fmt::format_to(to, R"(,"parents":[)");
        const char* comma = "";
        for (RequestId p : r.sessions.parents(row)) {
          fmt::format_to(to, "{}{}", comma, p - r.sessions.first[session]);
          comma = ",";
        }
        fmt::format_to(to, R"(],"wait_s":{})", seconds(r.sessions.wait[i]));
      }
    }
    if (r.prefix.known()) {
      fmt::format_to(to, R"(,"block_tokens":{},"blocks":[)", r.prefix.block_tokens);
      const char* comma = "";
      for (const BlockRun& run : r.prefix.of(row)) {
        fmt::format_to(to, "{}[{},{}]", comma, run.first, run.count);
        comma = ",";
      }
      out += ']';
    }
    out += "}\n";
  }
  return out;
}

}  // namespace jevons::traffic
