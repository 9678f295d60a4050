#pragma once
// Inside the readers: one row as any format gives it, and the sink that checks rows and fills the arrays.
#include <array>
#include <functional>
#include <map>
#include <string>
#include <unordered_set>
#include <utility>

#include "traffic/lines.hpp"
#include "traffic/read.hpp"

namespace jevons::traffic {

struct Row {
  bool timed = true;
  SimTime at = 0;
  std::int64_t input = 0, output = 0;
  std::string tenant;
  std::int64_t priority = 0;
  std::int64_t adapter = kNoAdapter;
  std::string session;                     // empty: a lone request
  std::optional<std::vector<std::int64_t>> parents;  // rows of the session, from 0; none: its previous row
  double wait_s = 0;
  std::int32_t block_tokens = 0;
  std::vector<BlockRun> blocks;
  std::optional<std::array<SimTime, 4>> measured;  // queued, scheduled, first token, last token
};

/// What is wrong with a row: the field, what it holds, what was expected.
struct Problem {
  std::string key, what, expected;
};
using RowCheck = std::optional<Problem>;

/// Appends an id to runs of consecutive ids.
inline void append_block(std::vector<BlockRun>& runs, BlockId id) {
  if (!runs.empty() && runs.back().first + runs.back().count == id) {
    ++runs.back().count;
  } else {
    runs.push_back({id, 1});
  }
}

class Sink {
 public:
  Sink(const ReadOptions& options, std::string file, Format format);
  /// Takes a row or refuses it; false when reading must stop (a bad row without skip_bad_rows).
  bool take(const Row& row, int line);
  bool refuse(Problem problem, int line);
  const std::optional<Error>& error() const { return error_; }
  Result<Trace> finish() &&;

 private:
  RowCheck check(const Row& row) const;
  void take_session(const Row& row, std::uint32_t index);
  void sort_by_arrival();

  const ReadOptions& options_;
  std::string file_;
  Trace trace_;
  std::optional<Error> error_;
  bool own_, sorts_, any_prefix_ = false;
  std::optional<SimTime> zero_;
  SimTime last_ = 0;
  std::map<std::pair<std::string, std::int64_t>, std::uint16_t> tenants_;
  std::string session_;
  std::unordered_set<std::string> sessions_seen_;
  std::string numbered_;                   // the session whose rows `accepted_` numbers
  std::vector<std::int64_t> accepted_;     // its rows so far: their index in the arrays, -1 for a bad one
};

/// Fills a row from one line; the reader of one format. Keeps what it must remember between lines.
using RowReader = std::function<RowCheck(std::string_view line, Row& row)>;

/// CSV formats: `header` is the first line. Errors: a missing or repeated column.
Result<RowReader> csv_reader(Format format, std::string_view header);
/// JSON-lines formats; the line must be followed by Lines::kPadding readable bytes.
RowReader jsonl_reader(Format format);
/// Formats that are one JSON document: hands every request to `sink` (line = its place in the list, from 1).
Result<void> read_document(Format format, std::string_view padded, const ReadOptions& options, Sink& sink);
/// The format by the first line (CSV header, or a JSON line's keys); nothing when it is none of ours.
std::optional<Format> format_of(std::string_view first_line);

}  // namespace jevons::traffic
