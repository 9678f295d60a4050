#include "traffic/lines.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace jevons::traffic {

Lines::Lines(Read read, std::string name) : read_{std::move(read)}, name_{std::move(name)}, buffer_((std::size_t{1} << 18) + kPadding) {}

Result<Lines> Lines::open(const std::string& path) {
  errno = 0;
  const std::shared_ptr<gzFile_s> file(gzopen(path.c_str(), "rb"), [](gzFile f) {
    if (f) gzclose(f);
  });
  if (!file) {
    return fail({ErrorCode::io, path, 0, {}, fmt::format("cannot open: {}", errno ? std::strerror(errno) : "out of memory"), "a readable file", {}});
  }
  gzbuffer(file.get(), 1 << 18);
  return Lines(
      [file](char* to, std::size_t n) {
        const int got = gzread(file.get(), to, unsigned(std::min<std::size_t>(n, 1 << 30)));
        int status = Z_OK;
        if (got == 0) gzerror(file.get(), &status);  // a cut stream ends like a whole one, but says so
        return status == Z_OK ? long(got) : -1L;
      },
      path);
}

Lines Lines::over(std::string_view text) {
  return Lines(
      [text](char* to, std::size_t n) mutable {
        n = std::min(n, text.size());
        std::copy_n(text.data(), n, to);
        text.remove_prefix(n);
        return long(n);
      },
      {});
}

/// Reads more behind what is there; false when nothing more comes.
bool Lines::fill() {
  if (done_) return false;
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ + kPadding == buffer_.size()) buffer_.resize(2 * buffer_.size());
  const long got = read_(buffer_.data() + end_, buffer_.size() - kPadding - end_);
  if (got < 0) error_ = Error{ErrorCode::io, name_, number_ + 1, {}, "cannot read on: damaged or cut gzip data", {}, {}};
  done_ = got <= 0;
  end_ += std::size_t(std::max(got, 0L));
  return !done_;
}

bool Lines::next(std::string_view& line) {
  std::size_t searched = 0;
  for (;;) {
    const char* start = buffer_.data() + begin_ + searched;
    const std::size_t left = end_ - begin_ - searched;
    if (const void* found = left ? std::memchr(start, '\n', left) : nullptr) {
      line = {buffer_.data() + begin_, std::size_t(static_cast<const char*>(found) - buffer_.data()) - begin_};
      begin_ += line.size() + 1;
      terminated_ = true;
      break;
    }
    searched = end_ - begin_;
    if (searched > kMaxLine) {
      error_ = Error{ErrorCode::bad_input, name_, number_ + 1, {}, "a line of more than 256 MiB", "one request a line", "is this a trace?"};
      return false;
    }
    if (fill()) continue;
    if (error_ || begin_ == end_) return false;
    line = {buffer_.data() + begin_, end_ - begin_};
    begin_ = end_;
    terminated_ = false;
    break;
  }
  if (++number_ == 1 && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return true;
}

std::string_view Lines::rest() {
  while (fill()) {
  }
  std::string_view all{buffer_.data() + begin_, end_ - begin_};
  begin_ = end_;
  return all;
}

}  // namespace jevons::traffic
