#pragma once
// A verb of the command line, as data: what it is called, what it takes, and the function that answers it. Any front end
// (command line, server, Python) offers the same verbs from this one table.
#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.hpp"
#include "base/options.hpp"
#include "base/result.hpp"
#include "catalog/catalog.hpp"
#include "report/document.hpp"

namespace jevons::engine {

/// Called now and then with the share done in [0, 1] and what is being done.
using Progress = std::function<void(double, std::string_view)>;

struct Context {
  const catalog::Catalog& catalog;
  Settings settings;                        // over the verb's options
  std::vector<std::string> words;           // positional arguments
  Progress progress;                        // may be empty
  const std::atomic<bool>* stop = nullptr;  // set by Ctrl-C: finish with what is done
  bool wants_files = false;                 // -o is given: fill Outcome::files
};

enum class Answer : std::uint8_t { yes, no };  // no: there is no feasible answer; the document says what binds

struct Outcome {
  Answer answer = Answer::yes;
  report::Document document;
  std::optional<std::string> json;  // replaces the document's JSON where a verb's format is fixed elsewhere
  std::vector<File> files;          // more files for -o, beside result.json, report.html and a CSV for each table
};

struct Verb {
  std::string_view name, words, summary, examples;  // words: "NAME|FILE.yaml" in help; "" when it takes none
  int min_words = 0, max_words = 0;
  std::span<const OptionSpec> options;
  Result<Outcome> (*run)(Context&);
  std::string (*schema)() = nullptr;  // of the file it reads, where that is not a scenario of its options
};

/// Every verb, in the order help lists them.
std::span<const Verb> verbs();
std::string_view version();

}  // namespace jevons::engine
