#pragma once
// Things that a person writes: which keys they may have, in which unit, and how --set lays values over them.
#include <array>
#include <span>

#include "base/options.hpp"
#include "catalog/catalog.hpp"
#include "catalog/loader.hpp"

namespace jevons::catalog {

/// Keys of a form: `path` is the key; `unit` the unit its dimension is taken from ("count" for plain numbers), "" for an attribute.
using Keys = std::span<const OptionSpec>;
/// A setting of the first key drops what the thing says under the second: another way to state the same, or a figure of what it replaces.
using Drops = std::array<std::string_view, 2>;

/// Facts under a key of the form must have its dimension. Errors name file, line, key and the unit expected.
Result<void> check_units(const Thing& t, Keys keys);
/// A thing of a person's own may have the keys of the form and those that things of its section in `catalog` have: a slip of the pen is
/// an error with the nearest key, never ignored.
Result<void> check_known(const Catalog& catalog, const Thing& t, Keys keys);
/// JSON Schema (draft 2020-12) of a file of the form, as text: keys without a unit under attributes, those with one under facts.
std::string form_schema(Keys keys, std::string_view title);
/// The thing with the settings that were given laid over it: facts of kind `assumed` from "--set", attributes as written. `store` keeps
/// the text alive; settings outside `keys` are not touched. Errors: a value that is not a number with the unit of its key.
Result<const Thing*> with_settings(Store& store, const Thing& t, Keys keys, const Settings& given, std::span<const Drops> drops = {});
/// The error placed at the setting that its key came from, where one was given; attributes do not remember it themselves.
Error placed(Error e, const Settings& given);
/// The thing named by `word` (a name of the section, or a file of its form: *.yaml or a path), checked and with the settings over it.
Result<const Thing*> thing_for(const Catalog& catalog, Store& store, Section section, const std::string& word, Keys keys,
                               const Settings& given, std::span<const Drops> drops = {});

}  // namespace jevons::catalog
