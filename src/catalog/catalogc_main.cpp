// Build step: reads catalog/, checks it, and writes it as C++ tables in static storage.
// Usage: catalogc CATALOG_FOLDER OUT.cpp
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include "base/files.hpp"
#include "catalog/loader.hpp"

namespace {

using namespace jevons;
using namespace jevons::catalog;

std::string quote(std::string_view s) {
  std::string q = "\"";
  for (const char c : s) {
    const auto u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      q += {'\\', c};
    else if (u < 0x20 || u >= 0x7f || c == '?')
      q += fmt::format("\\{:03o}", u);
    else
      q += c;
  }
  return q + "\"sv";
}

std::string names(std::string& out, const std::string& id, std::span<const std::string_view> list) {
  if (list.empty()) return "{}";
  out += fmt::format("constexpr std::string_view {}[] = {{", id);
  for (const auto n : list) out += quote(n) + ",";
  out += "};\n";
  return id;
}

std::string fact(const Fact& f) {
  const Dim d = f.dim;
  return fmt::format("{{{},{},{},Dim{{{},{},{},{},{},{}}},{},Kind({}),Confidence({}),{},{},{},{},{},{},{},{},{}}},\n", quote(f.thing),
                     quote(f.key), f.value, d.byte, d.flop, d.second, d.token, d.usd, d.joule, quote(f.text), int(f.kind),
                     int(f.confidence), f.has_range, f.low, f.high, quote(f.source), quote(f.date), quote(f.why), quote(f.note),
                     quote(f.file), f.line);
}

// Writes one thing's arrays and returns its initializer.
std::string thing(std::string& out, const Thing& t, std::size_t n) {
  const std::string aliases = names(out, fmt::format("a{}", n), t.aliases);
  std::string attributes = "{}", facts = "{}";
  if (!t.attributes.empty()) {
    attributes = fmt::format("t{}", n);
    out += fmt::format("constexpr Attribute {}[] = {{", attributes);
    for (const auto& a : t.attributes) out += fmt::format("{{{},{}}},", quote(a.key), quote(a.value));
    out += "};\n";
  }
  if (!t.facts.empty()) {
    facts = fmt::format("f{}", n);
    out += fmt::format("constexpr Fact {}[] = {{\n", facts);
    for (const auto& f : t.facts) out += fact(f);
    out += "};\n";
  }
  const std::string columns = names(out, fmt::format("c{}", n), t.series.columns),
                    cells = names(out, fmt::format("s{}", n), t.series.cells);
  return fmt::format("{{Section({}),{},{},{},{},{},{{{},{}}},{}}}", int(t.section), quote(t.name), quote(t.title), aliases, attributes,
                     facts, columns, cells, quote(t.file));
}

Result<std::string> write_tables(const Store& store, const std::string& schema) {
  std::string out =
      "// Written by catalogc from catalog/. Do not edit.\n#include \"catalog/builtin.hpp\"\nnamespace jevons::catalog {\nusing namespace "
      "std::literals;\nnamespace {\n";
  std::array<std::vector<const Thing*>, kSections> sections;
  std::set<std::pair<Section, std::string_view>> seen;
  for (const auto& t : store.things) {
    std::vector<std::string_view> all(t.aliases.begin(), t.aliases.end());
    all.push_back(t.name);
    for (const auto n : all) {
      if (!seen.emplace(t.section, n).second)
        return fail({ErrorCode::bad_input,
                     std::string(t.file),
                     1,
                     "name",
                     fmt::format("'{}' is taken by another file", n),
                     "a name or alias of its own",
                     {}});
    }
    sections[std::size_t(t.section)].push_back(&t);
  }
  std::string tails;
  std::size_t n = 0;
  for (std::size_t s = 0; s < kSections; ++s) {
    std::sort(sections[s].begin(), sections[s].end(), [](auto* a, auto* b) { return a->name < b->name; });
    std::string list;
    for (const Thing* t : sections[s]) {
      const std::string initializer = thing(out, *t, n);
      out += fmt::format("constexpr Thing x{} = {};\n", n, initializer);
      list += fmt::format("&x{},", n++);
    }
    if (!list.empty()) out += fmt::format("constexpr const Thing* l{}[] = {{{}}};\n", s, list);
    tails += list.empty() ? "{}," : fmt::format("l{},", s);
  }
  std::vector<const ModelEntry*> models;
  for (const auto& m : store.models) models.push_back(&m);
  std::sort(models.begin(), models.end(), [](auto* a, auto* b) { return a->name < b->name; });
  std::string list;
  for (std::size_t i = 0; i < models.size(); ++i) {
    const std::string aliases = names(out, fmt::format("ma{}", i), models[i]->aliases);
    out += fmt::format("constexpr ModelEntry m{} = {{{},{},{},{}}};\n", i, quote(models[i]->name), aliases, quote(models[i]->json),
                       quote(models[i]->file));
    list += fmt::format("&m{},", i);
  }
  if (!list.empty()) out += fmt::format("constexpr const ModelEntry* models[] = {{{}}};\n", list);
  out += fmt::format("}}\nconst Builtin kBuiltin{{{{{{{}}}}},{},{}}};\n}}\n", tails, list.empty() ? "{}" : "models", quote(schema));
  return out;
}

Result<void> compile(const std::string& folder, const std::string& target) {
  JEVONS_TRY(const std::string schema_text, read_file(folder + "/schema.yaml", 1u << 20));
  JEVONS_TRY(const Schema schema, parse_schema(schema_text, "catalog/schema.yaml"));
  Store store;
  JEVONS_CHECK(load_folder(store, schema, folder, "catalog"));
  JEVONS_TRY(std::string code, write_tables(store, schema_text));
  const auto slash = target.find_last_of('/');
  return write_files(target.substr(0, slash), {{target.substr(slash + 1), std::move(code)}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: catalogc CATALOG_FOLDER OUT.cpp\n"), 2;
  const auto done = compile(argv[1], argv[2]);
  if (!done) std::fprintf(stderr, "catalogc: %s\n", done.error().message().c_str());
  return done ? 0 : 2;
}
