#pragma once
// Errors, three kinds: bad input is returned as Result<T>; our own bug throws InternalError; "no" is a status value, never an error.
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace jevons {

enum class ErrorCode : std::uint8_t { bad_input, not_found, io, unsupported };

/// What a person needs to mend their input: place (file, line, key), what was wrong, what was expected, what to do.
struct Error {
  ErrorCode code = ErrorCode::bad_input;
  std::string file;      // file, flag or "" when there is none
  int line = 0;          // 1-based, 0 when unknown
  std::string key;       // dotted path or flag
  std::string what;      // what was wrong, with the offending value
  std::string expected;  // what would have been accepted
  std::string hint;      // what to do about it

  /// "file:line key" with the parts that are known.
  std::string where() const {
    std::string s = file;
    if (line > 0) s += ":" + std::to_string(line);
    if (!key.empty()) s += (s.empty() ? "" : " ") + key;
    return s;
  }
  /// One message of one to three lines: "where: what" / "expected: …" / "hint: …".
  std::string message() const {
    std::string s = where();
    if (!s.empty()) s += ": ";
    s += what;
    if (!expected.empty()) s += "\n  expected: " + expected;
    if (!hint.empty()) s += "\n  hint: " + hint;
    return s;
  }
};

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Error e) { return tl::unexpected<Error>(std::move(e)); }
inline tl::unexpected<Error> bad_input(std::string key, std::string what, std::string expected = {}, std::string hint = {}) {
  return fail(Error{ErrorCode::bad_input, {}, 0, std::move(key), std::move(what), std::move(expected), std::move(hint)});
}

/// A broken promise inside the program, never the user's fault.
struct InternalError : std::logic_error {
  using std::logic_error::logic_error;
};
[[noreturn]] inline void throw_internal(const char* condition, std::source_location at = std::source_location::current()) {
  throw InternalError(std::string(at.file_name()) + ":" + std::to_string(at.line()) + ": broken promise: " + condition);
}

}  // namespace jevons

/// Always on. Throws InternalError, never aborts: a server may host us.
#define JEVONS_ENSURE(condition) ((condition) ? void(0) : ::jevons::throw_internal(#condition))
/// Hot loops only: off in release builds.
#ifdef NDEBUG
#define JEVONS_ASSERT(condition) void(0)
#else
#define JEVONS_ASSERT(condition) JEVONS_ENSURE(condition)
#endif
/// Unwraps a Result or returns its error from the enclosing function: JEVONS_TRY(auto x, f());
#define JEVONS_CONCAT_(a, b) a##b
#define JEVONS_CONCAT(a, b) JEVONS_CONCAT_(a, b)
#define JEVONS_TRY_(tmp, declaration, ...)                 \
  auto tmp = (__VA_ARGS__);                                \
  if (!tmp) return ::jevons::fail(std::move(tmp).error()); \
  declaration = std::move(*tmp)
#define JEVONS_TRY(declaration, ...) JEVONS_TRY_(JEVONS_CONCAT(jevons_try_, __LINE__), declaration, __VA_ARGS__)
/// The same for Result<void> or to drop the value.
#define JEVONS_CHECK(...)                                                                                         \
  do {                                                                                                            \
    if (auto jevons_check = (__VA_ARGS__); !jevons_check) return ::jevons::fail(std::move(jevons_check).error()); \
  } while (false)
