// The command line: turns arguments into a Context, calls the verb, prints the outcome. No arithmetic here.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "engine/verb.hpp"

namespace {

using namespace jevons;

constexpr int kBadInput = 2, kNoAnswer = 3, kInternal = 1;
std::atomic<bool> stop_requested{false};

struct Common {
  std::string format = "table", output, catalog;
  std::vector<std::string> assignments, words;
  bool explain = false, no_colour = false, schema = false;
};

// One option of a verb's table, bound to what the person gave.
struct Given {
  const OptionSpec* spec;
  CLI::Option* option;
  std::vector<std::string> words;
};

int complain(const Error& e) {
  fmt::print(stderr, "jevons: {}\n", e.message());
  return kBadInput;
}

engine::Progress progress_on_terminal() {
  if (!isatty(STDERR_FILENO)) return {};
  const auto start = std::chrono::steady_clock::now();
  return [start, shown = false](double share, std::string_view what) mutable {
    const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (share >= 1) {
      if (shown) fmt::print(stderr, "\r\033[K");
      return;
    }
    if (elapsed < 1) return;  // quick work needs no bar
    shown = true;
    const std::string eta = share > 0 ? fmt::format(", about {:.0f} s left", elapsed * (1 - share) / share) : "";
    fmt::print(stderr, "\r\033[K{:3.0f} % {}{}", share * 100, what, eta);
    std::fflush(stderr);
  };
}

std::string csv_of(const report::Document& d) {
  std::string out;
  for (const auto& t : d.tables) {
    if (!t.page) continue;
    if (!out.empty()) out += "\n";
    out += "# " + t.title + "\n" + report::to_csv(t);
  }
  return out;
}

Result<void> write_outputs(const std::string& folder, const engine::Outcome& outcome) {
  const auto json = report::to_json(outcome.document);
  std::vector<File> files = outcome.files;
  files.push_back({"result.json", outcome.json ? *outcome.json : json.dump(1) + "\n"});
  files.push_back({"report.html", report::to_html(json)});
  for (const auto& t : outcome.document.tables) files.push_back({t.name + ".csv", report::to_csv(t)});
  return write_files(folder, files);
}

Result<int> answer(const engine::Verb& verb, const Common& common, const std::vector<Given>& given) {
  catalog::Catalog facts = catalog::Catalog::builtin();
  if (!common.catalog.empty()) {
    JEVONS_TRY(facts, catalog::Catalog::with_overlay(common.catalog));
  }
  engine::Context context{facts, Settings(verb.options), common.words, progress_on_terminal(), &stop_requested, !common.output.empty()};
  for (const auto& g : given) {
    if (g.option->count() > 0) JEVONS_CHECK(context.settings.set(g.spec->path, fmt::format("{}", fmt::join(g.words, " ")), g.spec->flag));
  }
  for (const auto& a : common.assignments) JEVONS_CHECK(context.settings.set_assignment(a));
  JEVONS_TRY(const engine::Outcome outcome, verb.run(context));
  if (context.progress) context.progress(1, "done");
  const bool colour = isatty(STDOUT_FILENO) && !common.no_colour && std::getenv("NO_COLOR") == nullptr;
  if (!common.output.empty()) JEVONS_CHECK(write_outputs(common.output, outcome));
  const bool no = outcome.answer == engine::Answer::no;
  if (no && common.format != "table") {
    for (const auto& line : outcome.document.answer) fmt::print(stderr, "jevons: {}: {}\n", line.label, line.text);
  }
  if (common.format == "json") {
    fmt::print("{}", outcome.json ? *outcome.json : report::to_json(outcome.document).dump(1) + "\n");
  } else if (common.format == "csv") {
    fmt::print("{}", csv_of(outcome.document));
  } else {
    fmt::print(no ? stderr : stdout, "{}", report::to_page(outcome.document, colour, common.explain));
  }
  return no ? kNoAnswer : 0;
}

void declare(CLI::App& app, const engine::Verb& verb, Common& common, std::vector<Given>& given) {
  if (verb.max_words > 0) {
    app.add_option("words", common.words, std::string(verb.words))->expected(0, verb.max_words);
  }
  given.reserve(verb.options.size());
  for (const auto& o : verb.options) {
    if (o.flag.empty()) continue;
    given.push_back({&o, nullptr, {}});
    if (o.type == OptionType::boolean) {
      given.back().words = {"true"};
      given.back().option = app.add_flag_callback(std::string(o.flag), [] {});
    } else {
      given.back().option = app.add_option(std::string(o.flag), given.back().words);
      if (o.type == OptionType::list)
        given.back().option->expected(1, 64);
      else
        given.back().option->expected(1)->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::Throw);
    }
  }
  app.add_option("--format", common.format)->check(CLI::IsMember({"table", "json", "csv"}));
  app.add_option("-o,--output", common.output);
  app.add_option("--set", common.assignments)->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--catalog", common.catalog);
  app.add_flag("--explain", common.explain);
  app.add_flag("--no-colour,--no-color", common.no_colour);
  app.add_flag("--schema", common.schema);
}

std::string help_of(const engine::Verb& verb) {
  return fmt::format(
      "jevons {0} {1}\n{2}\n\nOptions\n{3}  {4:<34} table, json or csv (default table)\n  {5:<34} also write result.json, report.html and "
      "CSVs there\n"
      "  {6:<34} set any key of the scenario\n  {7:<34} facts of your own over the built-in ones\n  {8:<34} name source and kind of each "
      "number\n"
      "  {9:<34} print the JSON Schema of {11}\n\nExamples\n{10}",
      verb.name, verb.words, verb.summary, options_help(verb.options), "--format FORMAT", "-o, --output DIR", "--set path=value",
      "--catalog DIR", "--explain", "--schema", verb.examples, verb.schema != nullptr ? "FILE.yaml" : "the options");
}

std::string overview() {
  std::string s = "jevons VERB [OPTIONS]: what serving a language model takes, costs and does to demand\n\nVerbs\n";
  for (const auto& v : engine::verbs()) s += fmt::format("  {:<12} {}\n", v.name, v.summary.substr(0, v.summary.find('\n')));
  return s + "\n  jevons VERB --help lists a verb's options with examples.\n  jevons --version prints the version.\n";
}

int run_verb(const engine::Verb& verb, int argc, char** argv) {
  Common common;
  std::vector<Given> given;
  CLI::App app(std::string(verb.summary), "jevons " + std::string(verb.name));
  app.set_help_flag();
  bool help = false;
  app.add_flag("-h,--help", help);
  declare(app, verb, common, given);
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::ParseError& e) {
    if (!help)
      return complain({ErrorCode::bad_input,
                       "jevons " + std::string(verb.name),
                       0,
                       {},
                       e.what(),
                       {},
                       "try: jevons " + std::string(verb.name) + " --help"});
  }
  if (help) {
    fmt::print("{}", help_of(verb));
    return 0;
  }
  if (common.schema) {
    fmt::print("{}", verb.schema != nullptr ? verb.schema() : json_schema(verb.options, "jevons " + std::string(verb.name)));
    return 0;
  }
  if (std::ssize(common.words) < verb.min_words)
    return complain({ErrorCode::bad_input,
                     fmt::format("jevons {}", verb.name),
                     0,
                     {},
                     fmt::format("{} is missing", verb.words),
                     {},
                     fmt::format("try: jevons {} --help", verb.name)});
  const auto status = answer(verb, common, given);
  return status ? *status : complain(status.error());
}

}  // namespace

int main(int argc, char** argv) {
  try {
    std::signal(SIGINT, [](int) {
      if (stop_requested.exchange(true)) _exit(130);  // a second Ctrl-C does not wait
    });
    const std::string_view word = argc > 1 ? argv[1] : "--help";
    if (word == "--version") return fmt::print("jevons {}\n", engine::version()), 0;
    if (word == "--help" || word == "-h" || word == "help") return fmt::print("{}", overview()), 0;
    std::vector<std::string_view> names;
    for (const auto& v : engine::verbs()) {
      if (v.name == word) return run_verb(v, argc, argv);
      names.push_back(v.name);
    }
    return complain({ErrorCode::bad_input, "jevons", 0, {}, fmt::format("unknown verb '{}'", word), "a verb that jevons --help lists", {}});
  } catch (const std::exception& e) {
    fmt::print(stderr, "jevons: internal error, please report it: {}\n", e.what());
    return kInternal;
  }
}
