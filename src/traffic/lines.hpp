#pragma once
// A text file line by line: plain or gzip, with a bounded buffer however long the file is.
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace jevons::traffic {

class Lines {
 public:
  static constexpr std::size_t kMaxLine = std::size_t{256} << 20;  // longer is not a trace
  static constexpr std::size_t kPadding = 64;                     // readable bytes after a line, as simdjson wants

  /// Opens a file, plain or gzip (told apart by content, not by name).
  static Result<Lines> open(const std::string& path);
  /// Text in memory; `text` must outlive the reader.
  static Lines over(std::string_view text);

  /// The next line without its end ("\n" or "\r\n"; a byte-order mark at the start of the file is dropped); valid until the next call.
  /// False at the end of the text, or at a failure (see `error`).
  bool next(std::string_view& line);
  int number() const { return number_; }              // of the line last returned, from 1
  bool terminated() const { return terminated_; }     // had it a line end? false only for the last line
  const std::optional<Error>& error() const { return error_; }  // unreadable, or a line over kMaxLine
  /// Everything not yet returned as lines (formats that are one JSON document), followed by kPadding readable bytes.
  std::string_view rest();

 private:
  using Read = std::function<long(char*, std::size_t)>;  // bytes read, 0 at the end, negative on failure
  Lines(Read read, std::string name);
  bool fill();

  Read read_;
  std::string name_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;
  bool done_ = false, terminated_ = true;
  int number_ = 0;
  std::optional<Error> error_;
};

}  // namespace jevons::traffic
