#pragma once
// What is known: every fact with value, unit, kind, source, date and range. The built-in catalogue is compiled into the binary;
// a user's folder can extend or override it.
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.hpp"
#include "base/result.hpp"

namespace jevons::catalog {

enum class Kind : std::uint8_t { spec, measured, derived, assumed };
enum class Confidence : std::uint8_t { A, B, C, D };  // A vendor, filing, paper or measurement; B named analyst; C press; D one weak source

/// One number with its evidence. `value`, `low`, `high` are in base units (bytes, FLOP/s, W, USD/s, s); `text` is the value as written.
struct Fact {
  std::string_view thing, key;  // "h100-sxm", "hbm_bandwidth"
  double value = 0;
  std::string_view text;        // "3.35 TB/s"
  Kind kind = Kind::spec;
  Confidence confidence = Confidence::A;
  bool has_range = false;
  double low = 0, high = 0;
  std::string_view source, date, why, note;
  std::string_view file;
  int line = 0;
};

/// A quantity together with the fact it came from, so that --explain can name source and kind.
template <class Q>
struct Known {
  Q value{};
  const Fact* fact = nullptr;
};
template <class Q>
using Maybe = std::optional<Known<Q>>;

enum class Section : std::uint8_t { model, accelerator, fabric, component, price, datacenter, efficiency, demand };

/// One YAML file: a named thing with aliases, plain text attributes and facts.
struct Thing {
  Section section{};
  std::string_view name, title;
  std::span<const std::string_view> aliases;
  struct Attribute {
    std::string_view key, value;
    int line = 0;
  };
  std::span<const Attribute> attributes;
  std::span<const Fact> facts;
  std::string_view file;

  const Fact* find(std::string_view key) const;
  std::string_view attribute(std::string_view key) const;  // "" when absent
  template <class Q>
  Maybe<Q> get(std::string_view key) const {
    const Fact* f = find(key);
    return f ? Maybe<Q>{Known<Q>{Q{f->value}, f}} : std::nullopt;
  }
};

class Catalog {
 public:
  /// The catalogue compiled into the binary. Never fails, costs nothing to make.
  static Catalog builtin();
  /// The built-in catalogue with the YAML files of `folder` laid over it: same section and name replaces the facts it states
  /// (`override: true` in the file is required for that), a new name adds a thing. Errors carry file and line.
  static Result<Catalog> with_overlay(const std::string& folder);

  std::span<const Thing* const> things(Section) const;  // sorted by name
  /// By name or alias, any letter case. not_found carries the nearest names in `hint`.
  Result<const Thing*> find(Section, std::string_view name) const;
};

}  // namespace jevons::catalog
