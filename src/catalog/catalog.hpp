#pragma once
// What is known: every fact with value, unit, kind, source, date and range. The built-in catalogue is compiled into the binary;
// a user's folder can extend or override it.
#include <array>
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
std::string_view name(Kind);
std::string_view name(Confidence);

/// One number with its evidence. `value`, `low`, `high` are in base units (bytes, FLOP/s, W, USD/s, s); `text` is the value as written.
struct Fact {
  std::string_view thing, key;  // "h100-sxm", "hbm_bandwidth"
  double value = 0;
  Dim dim{};
  std::string_view text;  // "3.35 TB/s"
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

enum class Section : std::uint8_t { accelerator, fabric, component, collective, datacenter, price, demand, efficiency, fit };
inline constexpr std::size_t kSections = 9;
/// Folder of a section in a catalogue: "accelerators".
std::string_view folder(Section);

struct Attribute {
  std::string_view key, value;
};

/// A table of dated observations: rows of text cells under named columns.
struct Series {
  std::span<const std::string_view> columns;
  std::span<const std::string_view> cells;  // row by row
  std::size_t rows() const { return columns.empty() ? 0 : cells.size() / columns.size(); }
  std::optional<std::size_t> column(std::string_view name) const;
  std::string_view text(std::size_t row, std::size_t column) const { return cells[row * columns.size() + column]; }
  /// Nothing when the cell is empty or the column is absent. A cell that is no number throws InternalError: the reader asked the wrong
  /// column.
  std::optional<double> number(std::size_t row, std::string_view column) const;
  std::string_view text(std::size_t row, std::string_view column) const;
};

/// One YAML file: a named thing with aliases, plain text attributes and facts, or a series of observations.
struct Thing {
  Section section{};
  std::string_view name, title;
  std::span<const std::string_view> aliases;
  std::span<const Attribute> attributes;
  std::span<const Fact> facts;
  Series series;
  std::string_view file;

  const Fact* find(std::string_view key) const;
  std::string_view attribute(std::string_view key) const;  // "" when absent
  /// The fact as a quantity, or nothing when it is not known. Asking for another dimension than the schema's throws InternalError.
  template <class Q>
  Maybe<Q> get(std::string_view key) const {
    const Fact* f = find(key);
    if (f == nullptr) return std::nullopt;
    JEVONS_ENSURE(f->dim == Q::dim);
    return Known<Q>{Q{f->value}, f};
  }
  /// A dimensionless fact: a count or a fraction.
  std::optional<double> number(std::string_view key) const;
};

/// A model of the catalogue: JSON with the Hugging Face config and the facts a config does not tell.
struct ModelEntry {
  std::string_view name;
  std::span<const std::string_view> aliases;
  std::string_view json, file;
};

class Catalog {
 public:
  /// The catalogue compiled into the binary. Never fails, costs nothing to make.
  static Catalog builtin();
  /// The built-in catalogue with the files of `folder` laid over it (same sub-folders). A file that names a thing we have must say
  /// `override: true`; the facts it states replace ours, the others stay. Errors carry file and line.
  static Result<Catalog> with_overlay(const std::string& folder);

  std::span<const Thing* const> things(Section s) const { return sections_[std::size_t(s)]; }  // sorted by name
  std::span<const ModelEntry* const> models() const { return models_; }                        // sorted by name
  /// By name or alias, any letter case. not_found carries the nearest names in `hint`.
  Result<const Thing*> find(Section, std::string_view name) const;
  Result<const ModelEntry*> find_model(std::string_view name) const;

 private:
  std::array<std::span<const Thing* const>, kSections> sections_;
  std::span<const ModelEntry* const> models_;
  std::shared_ptr<const void> owned_;  // keeps an overlay's text alive
};

}  // namespace jevons::catalog
