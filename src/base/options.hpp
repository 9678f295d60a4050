#pragma once
// Options are declared once, in a table. Command line flags, scenario files, --set, JSON Schema and help all come from it.
#include <iosfwd>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace jevons {

enum class OptionType : std::uint8_t { number, integer, text, choice, boolean, list };  // list: words, kept with one space between

struct OptionSpec {
  std::string_view path = {};  // "workload.isl": the key in a scenario file and for --set
  std::string_view flag = {};  // "--isl"; "" when it has no flag of its own
  OptionType type = OptionType::text;
  std::string_view unit = {};      // what a bare number means: "tokens", "ms", "req/s", "" for none
  std::string_view fallback = {};  // the default as a person would write it; "" means: absent unless given
  double low = 0, high = 0;        // inclusive limits of a number; low == high means unlimited
  std::string_view choices = {};   // "a|b|c" for OptionType::choice
  std::string_view help = {};
};

struct Setting {
  std::string text;   // as written
  double number = 0;  // in the option's unit, for number, integer and boolean
  std::string file;   // "examples/a.yaml", "--isl", "--set" or "default"
  int line = 0;
};

/// Checked values of a table of options; every path in it exists in the table.
class Settings {
 public:
  explicit Settings(std::span<const OptionSpec> table);

  /// Reads one value, checks type, limits and choices. `file` and `line` say where it came from.
  /// Numbers take the suffixes k, M, G: powers of 1024 for tokens ("128k" = 131072), of 1000 elsewhere; times take us, ms, s.
  Result<void> set(std::string_view path, std::string_view text, std::string_view file, int line = 0);
  /// "path=value" of --set.
  Result<void> set_assignment(std::string_view assignment);
  /// A scenario file: nested mappings become dotted paths. Unknown or repeated keys, lists and wrong types are errors with their line.
  Result<void> load_yaml(const std::string& yaml, const std::string& file);

  /// Copies everything `given` holds that is not a default: flags over a scenario file.
  void lay_over(const Settings& given);

  bool has(std::string_view path) const { return values_.contains(path); }
  double number(std::string_view path) const;  // requires has(path)
  long long integer(std::string_view path) const { return static_cast<long long>(number(path)); }
  bool boolean(std::string_view path) const { return number(path) != 0; }
  const std::string& text(std::string_view path) const;
  const Setting& setting(std::string_view path) const;
  /// An error about the value of `path`, placed where the person wrote it.
  Error error(std::string_view path, std::string what, std::string expected = {}, std::string hint = {}) const;
  std::span<const OptionSpec> table() const { return table_; }
  const OptionSpec* spec(std::string_view path) const;

 private:
  std::span<const OptionSpec> table_;
  std::map<std::string, Setting, std::less<>> values_;
};

/// JSON Schema (draft 2020-12) of a scenario file, as text.
std::string json_schema(std::span<const OptionSpec> table, std::string_view title);
/// Help lines "  --flag VALUE   help (unit, default)" for the options with a flag; others as "  --set path=…".
std::string options_help(std::span<const OptionSpec> table);

}  // namespace jevons
