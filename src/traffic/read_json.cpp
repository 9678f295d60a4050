// JSON formats: one reader of a line each; two of a whole document. simdjson's DOM checks a line to its end before we look at it.
#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>
#include <memory>

#include "traffic/rows.hpp"

namespace jevons::traffic {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

std::string shown(element e) {
  std::string text = simdjson::minify(e);
  if (text.size() > 40) text = text.substr(0, 40) + "…";
  return text;
}

/// Reads fields of one object; remembers the first problem.
class Fields {
 public:
  explicit Fields(object o) : object_{o} {}
  RowCheck problem() const { return problem_; }

  std::optional<element> find(const char* key) const {
    element e;
    return object_.at_key(key).get(e) == simdjson::SUCCESS && !e.is_null() ? std::optional(e) : std::nullopt;
  }
  std::int64_t whole(const char* key) {
    const auto e = required(key);
    return e ? whole_of(*e, key) : 0;
  }
  std::int64_t whole(const char* key, std::int64_t absent) {
    const auto e = find(key);
    return e ? whole_of(*e, key) : absent;
  }
  /// A time in units of `unit_ns` nanoseconds.
  SimTime time(const char* key, double unit_ns) {
    const auto e = required(key);
    if (!e) return 0;
    std::int64_t n = 0;
    double v = 0;
    if (e->get(n) == simdjson::SUCCESS && std::abs(double(n)) * unit_ns < 9e18) return n * SimTime(unit_ns);
    if (e->get(v) == simdjson::SUCCESS && std::abs(v) * unit_ns < 9e18) {
      // whole units first: a time since 1970 in seconds keeps its microseconds
      const double whole = std::floor(v);
      return SimTime(whole) * SimTime(unit_ns) + SimTime((v - whole) * unit_ns + 0.5);
    }
    refuse(key, shown(*e), "a time");
    return 0;
  }
  double real(const char* key, double absent) {
    const auto e = find(key);
    double v = absent;
    if (e && e->get(v) != simdjson::SUCCESS) refuse(key, shown(*e), "a number");
    return v;
  }
  std::string text(const char* key) {
    const auto e = find(key);
    std::string_view v;
    if (!e) return {};
    if (e->get(v) == simdjson::SUCCESS) return std::string(v);
    return shown(*e);  // a number as a name
  }
  void ids(const char* key, std::vector<BlockRun>& runs) {
    const auto e = required(key);
    simdjson::dom::array list;
    if (!e) return;
    if (e->get(list) != simdjson::SUCCESS) return refuse(key, shown(*e), "a list of block ids");
    for (element item : list) {
      std::uint64_t id = 0;
      if (item.get(id) != simdjson::SUCCESS) return refuse(key, shown(item), "whole numbers, 0 or more");
      append_block(runs, id);
    }
  }
  void refuse(const char* key, std::string what, const char* expected) {
    if (!problem_) problem_ = Problem{key, std::move(what), expected};
  }

 private:
  std::optional<element> required(const char* key) {
    auto e = find(key);
    if (!e) refuse(key, "missing", "this field in every row");
    return e;
  }
  std::int64_t whole_of(element e, const char* key) {
    std::int64_t n = 0;
    double v = 0;
    if (e.get(n) == simdjson::SUCCESS) return n;
    if (e.get(v) == simdjson::SUCCESS && v == std::floor(v) && std::abs(v) < 9e15) return std::int64_t(v);
    refuse(key, shown(e), "a whole number");
    return 0;
  }
  object object_;
  RowCheck problem_;
};

RowCheck check_blocks(const Row& row) {
  const std::int64_t most = (row.input + row.output + row.block_tokens - 1) / row.block_tokens;
  std::int64_t blocks = 0;
  for (const BlockRun& run : row.blocks) blocks += run.count;
  if (row.input < 1 || row.output < 1 || blocks <= most) return {};
  return Problem{"hash_ids", fmt::format("{} blocks of {} tokens for {} input + {} output tokens", blocks, row.block_tokens, row.input, row.output),
                 "no more blocks than the context has"};
}

RowCheck mooncake(object o, Row& row, double unit_ns, std::int32_t block_tokens) {
  Fields f(o);
  row.at = f.time("timestamp", unit_ns);
  row.input = f.whole("input_length");
  row.output = f.whole("output_length");
  row.block_tokens = block_tokens;
  f.ids("hash_ids", row.blocks);
  return f.problem() ? f.problem() : check_blocks(row);
}

RowCheck vllm_run(object o, Row& row) {
  Fields f(o);
  row.at = f.time("arrival_time", 1e9);
  row.input = f.whole("input_toks");
  row.output = f.whole("output_toks");
  row.measured = {f.time("queued_ts", 1e9), f.time("scheduled_ts", 1e9), f.time("first_token_ts", 1e9), f.time("last_token_ts", 1e9)};
  const auto& m = *row.measured;
  if (!f.problem() && !(m[0] <= m[1] && m[1] <= m[2] && m[2] <= m[3])) f.refuse("queued_ts", "times out of order", "queued <= scheduled <= first token <= last token");
  return f.problem();
}

RowCheck aiperf(object o, Row& row) {
  Fields f(o);
  object metadata, metrics;
  const auto m = f.find("metadata"), v = f.find("metrics");
  if (!m || m->get(metadata) != simdjson::SUCCESS) return Problem{"metadata", "missing", "an object"};
  if (f.find("error") || !v || v->get(metrics) != simdjson::SUCCESS) return Problem{"error", "a failed request", "successful ones"};
  Fields meta(metadata);
  row.at = meta.time("request_start_ns", 1);
  const auto metric = [&](const char* key) -> std::int64_t {
    object value;
    const auto e = Fields(metrics).find(key);
    if (!e || e->get(value) != simdjson::SUCCESS) {
      f.refuse(key, "missing", "a metric with a value");
      return 0;
    }
    Fields inner(value);
    const std::int64_t n = inner.whole("value");
    if (inner.problem()) f.refuse(key, inner.problem()->what, "a whole number");
    return n;
  };
  row.input = metric("input_sequence_length");
  row.output = metric("output_sequence_length");
  return meta.problem() ? meta.problem() : f.problem();
}

/// arrival_s, input_tokens, output_tokens, and any of tenant, priority, adapter, session, parents, wait_s, block_tokens, blocks.
RowCheck own(object o, Row& row) {
  static constexpr std::array<std::string_view, 11> known{"arrival_s", "input_tokens", "output_tokens", "tenant", "priority", "adapter", "session",
                                                          "parents", "wait_s", "block_tokens", "blocks"};
  for (const auto& [key, value] : o) {
    if (std::find(known.begin(), known.end(), key) == known.end()) return Problem{std::string(key.substr(0, 40)), "unknown field", fmt::format("{}", fmt::join(known, ", "))};
  }
  Fields f(o);
  row.timed = f.find("arrival_s").has_value();
  if (row.timed) row.at = f.time("arrival_s", 1e9);
  row.input = f.whole("input_tokens");
  row.output = f.whole("output_tokens");
  row.tenant = f.text("tenant");
  row.priority = f.whole("priority", 0);
  row.adapter = f.whole("adapter", kNoAdapter);
  row.session = f.text("session");
  row.wait_s = f.real("wait_s", 0);
  const std::int64_t block_tokens = f.whole("block_tokens", 0);
  if (block_tokens < 0 || block_tokens > 1 << 20) f.refuse("block_tokens", fmt::format("{}", block_tokens), "1 to 2^20");
  row.block_tokens = std::int32_t(block_tokens);
  simdjson::dom::array list;
  if (const auto e = f.find("parents")) {
    row.parents.emplace();
    if (e->get(list) != simdjson::SUCCESS) return Problem{"parents", shown(*e), "a list of earlier rows of the session, from 0"};
    for (element item : list) {
      std::int64_t p = 0;
      if (item.get(p) != simdjson::SUCCESS) return Problem{"parents", shown(item), "whole numbers"};
      row.parents->push_back(p);
    }
  }
  if (const auto e = f.find("blocks")) {
    if (e->get(list) != simdjson::SUCCESS || row.block_tokens == 0) return Problem{"blocks", shown(*e), "a list of [first id, count] beside block_tokens"};
    for (element item : list) {
      std::uint64_t first = 0, count = 0;
      simdjson::dom::array pair;
      if (item.get(pair) != simdjson::SUCCESS || pair.size() != 2 || pair.at(0).get(first) != simdjson::SUCCESS || pair.at(1).get(count) != simdjson::SUCCESS ||
          count > 1u << 30) {
        return Problem{"blocks", shown(item), "[first id, count]"};
      }
      row.blocks.push_back({first, std::uint32_t(count)});
    }
    if (!f.problem()) return check_blocks(row);
  }
  return f.problem();
}

/// Tokens of a text by the given bytes per token, at least 1.
std::int64_t tokens(std::string_view text, double bytes_per_token) { return std::max<std::int64_t>(1, std::int64_t(double(text.size()) / bytes_per_token + 0.5)); }

/// One conversation becomes one session: each answer of the model is a call that sees everything before it.
RowCheck sharegpt(element conversation, double bytes_per_token, std::size_t number, std::vector<Row>& rows) {
  rows.clear();
  simdjson::dom::array turns;
  if (conversation["conversations"].get(turns) != simdjson::SUCCESS) return Problem{"conversations", "missing", "a list of {from, value}"};
  std::int64_t context = 0;
  bool asked = false;
  for (element turn : turns) {
    std::string_view from, value;
    if (turn["from"].get(from) != simdjson::SUCCESS || turn["value"].get(value) != simdjson::SUCCESS) return Problem{"conversations", shown(turn), "{from, value}"};
    const std::int64_t n = tokens(value, bytes_per_token);
    const bool answer = from == "gpt" || from == "assistant" || from == "chatgpt" || from == "bing" || from == "bard";
    if (answer && asked) {
      Row row;
      row.timed = false;
      row.input = context;
      row.output = n;
      row.session = std::to_string(number);
      rows.push_back(row);
    }
    asked = asked || !answer;
    context += n;
  }
  if (rows.empty()) return Problem{"conversations", "no question with an answer", "at least one"};
  return {};
}

Result<void> read_sharegpt(element document, double bytes_per_token, Sink& sink) {
  if (!(bytes_per_token > 0.1 && bytes_per_token < 100)) {
    return bad_input("text_bytes_per_token", "this trace holds text, and no tokenizer is here", "how many bytes of its text make a token, 0.1 to 100",
                     "measure it with the model's tokenizer on a sample");
  }
  simdjson::dom::array list;
  if (document.get(list) != simdjson::SUCCESS) return bad_input({}, "not a list", "a JSON list of conversations");
  std::vector<Row> rows;
  std::size_t number = 0;
  for (element conversation : list) {
    ++number;
    if (auto problem = sharegpt(conversation, bytes_per_token, number, rows)) {
      if (!sink.refuse(std::move(*problem), int(number))) return {};
      continue;
    }
    for (const Row& row : rows) {
      if (!sink.take(row, int(number))) return {};
    }
  }
  return {};
}

Result<void> read_guidellm(element document, std::int32_t wanted, Sink& sink) {
  simdjson::dom::array benchmarks, successful;
  if (document["benchmarks"].get(benchmarks) != simdjson::SUCCESS) return bad_input("benchmarks", "missing", "a guidellm report with a list of benchmarks");
  const std::size_t count = benchmarks.size();
  if (wanted < 0 && count != 1) {
    return bad_input("benchmarks", fmt::format("{} benchmarks in the report", count), "one", fmt::format("say which, 0 to {}", count ? count - 1 : 0));
  }
  element chosen;
  if (benchmarks.at(std::size_t(std::max(wanted, 0))).get(chosen) != simdjson::SUCCESS) return bad_input("benchmark", std::to_string(wanted), fmt::format("0 to {}", count ? count - 1 : 0));
  if (chosen["requests"]["successful"].get(successful) != simdjson::SUCCESS) return bad_input("requests.successful", "missing", "a report written with its requests");
  int number = 0;
  for (element item : successful) {
    ++number;
    object o;
    Row row;
    RowCheck problem;
    if (item.get(o) != simdjson::SUCCESS) {
      problem = Problem{{}, shown(item), "an object"};
    } else {
      Fields f(o);
      row.at = f.time(f.find("request_start_time") ? "request_start_time" : "start_time", 1e9);
      row.input = f.whole("prompt_tokens");
      row.output = f.whole("output_tokens");
      problem = f.problem();
    }
    if (problem ? !sink.refuse(std::move(*problem), number) : !sink.take(row, number)) return {};
  }
  return {};
}

RowCheck read_object(Format format, object o, Row& row, std::optional<SimTime>& engine_zero) {
  switch (format) {
    case Format::mooncake: return mooncake(o, row, 1e6, 512);
    case Format::bailian: return mooncake(o, row, 1e9, 16);
    case Format::aiperf: return aiperf(o, row);
    case Format::vllm_run: {
      auto problem = vllm_run(o, row);
      if (problem) return problem;
      if (!engine_zero) engine_zero = (*row.measured)[0];
      for (SimTime& t : *row.measured) t -= *engine_zero;
      return {};
    }
    default: return own(o, row);
  }
}

}  // namespace

RowReader jsonl_reader(Format format) {
  // shared_ptr: std::function copies its target, a parser cannot be copied
  return [format, parser = std::make_shared<simdjson::dom::parser>(), engine_zero = std::optional<SimTime>{}](std::string_view line, Row& row) mutable -> RowCheck {
    row = {};
    element e;
    object o;
    if (const auto error = parser->parse(line.data(), line.size(), false).get(e); error != simdjson::SUCCESS) {
      return Problem{{}, fmt::format("not JSON: {}", simdjson::error_message(error)), "one JSON object a line"};
    }
    if (e.get(o) != simdjson::SUCCESS) return Problem{{}, fmt::format("not an object: {}", shown(e)), "one JSON object a line"};
    return read_object(format, o, row, engine_zero);
  };
}

Result<void> read_document(Format format, std::string_view padded, const ReadOptions& options, Sink& sink) {
  simdjson::dom::parser parser;
  element document;
  if (const auto error = parser.parse(padded.data(), padded.size(), false).get(document); error != simdjson::SUCCESS) {
    return bad_input({}, fmt::format("not JSON: {}", simdjson::error_message(error)), "one JSON document", "is the file cut short?");
  }
  return format == Format::sharegpt ? read_sharegpt(document, options.text_bytes_per_token, sink) : read_guidellm(document, options.benchmark, sink);
}

std::optional<Format> format_of(std::string_view line) {
  const auto has = [&](std::string_view word) { return line.find(word) != line.npos; };
  const std::size_t start = line.find_first_not_of(" \t");
  if (start == line.npos) return {};
  if (line[start] == '[') return Format::sharegpt;
  if (line[start] == '{') {
    if (has("\"hash_ids\"") && has("\"timestamp\"")) return has("\"chat_id\"") ? Format::bailian : Format::mooncake;
    if (has("\"input_toks\"") && has("\"queued_ts\"")) return Format::vllm_run;
    if (has("\"metadata\"") && has("\"request_start_ns\"")) return Format::aiperf;
    if (has("\"input_tokens\"") && has("\"output_tokens\"")) return Format::jevons_jsonl;
    // a report printed over several lines starts with a bare brace
    if (has("\"benchmarks\"") || has("\"metadata\"") || line.find_first_not_of(" \t", start + 1) == line.npos) return Format::guidellm;
    return {};
  }
  if (has("ContextTokens") && has("GeneratedTokens")) return Format::azure;
  if (has("Request tokens") && has("Response tokens")) return Format::burstgpt;
  if (has("hit_blocks_prefix") && has("trace_id")) return Format::agentic;
  if (has("input_tokens") && has("output_tokens")) return Format::jevons_csv;
  return {};
}

}  // namespace jevons::traffic
