// jevons calibrate FILE...: operator tables, cases and benchmark results of the user's own machines.
#include "engine/calibrate_verb.hpp"

#include <fmt/format.h>

#include "base/text.hpp"
#include "evidence/bench_json.hpp"
#include "evidence/calibrate.hpp"
#include "evidence/calibrate_runs.hpp"

namespace jevons::engine {
namespace {

const report::Origin kFitted{"measured", "evidence::calibrate in src/evidence/calibrate.cpp", "docs/operators.md"};

constexpr OptionSpec kOptions[] = {
    {.path = "model", .flag = "--model", .type = OptionType::text, .help = "model of the benchmark results (JSON); cases name their own"},
    {.path = "accelerator", .flag = "--accelerator", .type = OptionType::text, .help = "accelerator they ran on"},
    {.path = "engine",
     .flag = "--engine",
     .type = OptionType::choice,
     .fallback = "vllm",
     .choices = "vllm|sglang|trtllm",
     .help = "engine that served them"},
    {.path = "tp", .flag = "--tp", .type = OptionType::integer, .fallback = "1", .low = 1, .high = 1024, .help = "tensor-parallel ranks"},
    {.path = "pp", .flag = "--pp", .type = OptionType::integer, .fallback = "1", .low = 1, .high = 1024, .help = "pipeline stages"},
    {.path = "dp",
     .flag = "--dp",
     .type = OptionType::integer,
     .fallback = "1",
     .low = 1,
     .high = 1024,
     .help = "attention data-parallel ranks"},
    {.path = "ep", .flag = "--ep", .type = OptionType::integer, .fallback = "1", .low = 1, .high = 1024, .help = "expert-parallel ranks"},
    {.path = "weights", .flag = "--weights", .type = OptionType::text, .help = "weight format; absent: as shipped"},
    {.path = "kv_cache_dtype",
     .flag = "--kv-cache-dtype",
     .type = OptionType::text,
     .help = "cache format; absent: by the rule of docs/cases.md"},
    {.path = "date",
     .flag = "--date",
     .type = OptionType::text,
     .fallback = "undated",
     .help = "when it was measured, for the overlay's facts"},
    {.path = "force",
     .flag = "--force",
     .type = OptionType::boolean,
     .help = "write the overlay even where it predicts what was held back no better"},
};

enum class Input : std::uint8_t { operators, cases, bench };
Input kind_of(std::string_view text) {
  const std::string_view first = trim(text.substr(0, std::min(text.find('\n'), text.size())));
  if (first.starts_with('{')) return Input::bench;
  const auto columns = csv_cells(first);
  return std::find(columns.begin(), columns.end(), "operator") != columns.end() ? Input::operators : Input::cases;
}

Result<evidence::Case> deployment(const Context& c) {
  evidence::Case d;
  for (const auto& [path, to] : {std::pair{"model", &d.model}, {"accelerator", &d.accelerator}}) {
    if (!c.settings.has(path))
      return bad_input(fmt::format("--{}", path), "is needed: a benchmark result does not say it", "a name in the catalogue");
    *to = c.settings.text(path);
  }
  d.engine = c.settings.text("engine");
  if (c.settings.has("weights")) d.weights = c.settings.text("weights");
  if (c.settings.has("kv_cache_dtype")) d.kv_cache = c.settings.text("kv_cache_dtype");
  d.placement = {.tp = int(c.settings.integer("tp")),
                 .pp = int(c.settings.integer("pp")),
                 .dp = int(c.settings.integer("dp")),
                 .ep = int(c.settings.integer("ep"))};
  return d;
}

struct Inputs {
  std::vector<evidence::MeasuredOperator> operators;
  std::vector<evidence::Case> runs;
  std::vector<std::string> passed_over, operator_files, run_files;
};
Result<Inputs> read_inputs(Context& c) {
  Inputs in;
  for (const auto& file : c.words) {
    JEVONS_TRY(const std::string text, read_file(file, 256u << 20));
    switch (kind_of(text)) {
      case Input::operators: {
        JEVONS_TRY(auto rows, evidence::read_operator_table(c.catalog, text, file));
        in.operators.insert(in.operators.end(), rows.begin(), rows.end());
        in.operator_files.push_back(file);
        break;
      }
      case Input::cases: {
        JEVONS_TRY(auto cases, evidence::read_cases(text, file));
        for (auto& run : cases.cases)
          (run.disaggregated ? void(in.passed_over.push_back(run.id + ": disaggregated")) : in.runs.push_back(std::move(run)));
        in.passed_over.insert(in.passed_over.end(), cases.passed_over.begin(), cases.passed_over.end());
        in.run_files.push_back(file);
        break;
      }
      case Input::bench: {
        JEVONS_TRY(const auto d, deployment(c));
        JEVONS_TRY(auto run, evidence::read_bench_json(text, file, d));
        in.runs.push_back(std::move(run));
        in.run_files.push_back(file);
      }
    }
  }
  return in;
}

report::Table operator_table(const evidence::OperatorCalibration& o) {
  report::Table t{"operators",
                  "Operators: errors on shapes held back from the fit, before and after",
                  {{"group", "operator", "{}", {}},
                   {"rows", "rows", "{:.0f}", {}},
                   {"held_out", "held\nback", "{:.0f}", {}},
                   {"before_median", "before:\nmedian %", "{:.1f}", kFitted},
                   {"before_p90", "p90 %", "{:.1f}", kFitted},
                   {"after_median", "after:\nmedian %", "{:.1f}", kFitted},
                   {"after_p90", "p90 %", "{:.1f}", kFitted},
                   {"floor", "x floor", "{:.2f}", kFitted},
                   {"stream", "x memory", "{:.2f}", kFitted},
                   {"compute", "x compute", "{:.2f}", kFitted},
                   {"base", "started from", "{}", {}},
                   {"kept", "in overlay", "{}", {}}},
                  {},
                  {},
                  true};
  for (const auto& g : o.groups)
    t.rows.push_back({g.group, double(g.fitted + g.held_out), double(g.held_out), g.before_median * 100, g.before_p90 * 100,
                      g.after_median * 100, g.after_p90 * 100, g.floor, g.stream, g.compute, g.base, std::string(g.kept ? "yes" : "no")});
  t.notes = o.notes;
  return t;
}

report::Table run_table(const evidence::RunCalibration& r) {
  report::Table t{"runs",
                  "Serving runs: mean |ln(predicted / measured)| before and after",
                  {{"metric", "metric", "{}", {}},
                   {"n", "runs", "{:.0f}", {}},
                   {"before", "before %", "{:.1f}", kFitted},
                   {"after", "after, each run\nleft out %", "{:.1f}", kFitted},
                   {"in_sample", "after, in\nsample %", "{:.1f}", kFitted}},
                  {},
                  {},
                  true};
  t.rows = {{std::string("TPOT, mean"), double(r.before.n_tpot), r.before.tpot * 100, r.after.tpot * 100, r.in_sample->tpot * 100},
            {std::string("TTFT, mean"), double(r.before.n_ttft), r.before.ttft * 100, r.after.ttft * 100, r.in_sample->ttft * 100}};
  return t;
}

report::Table constant_table(const evidence::RunCalibration& r) {
  report::Table t{"constants",
                  "Engine constants",
                  {{"name", "constant", "{}", {}},
                   {"before", "before", "{:.4g}", {}},
                   {"after", "after", "{:.4g}", kFitted},
                   {"factor", "factor", "{:.2f}", kFitted}},
                  {},
                  {},
                  true};
  for (const step::Fit f : r.moved)
    t.rows.push_back({std::string(step::served_constants()[std::size_t(f)].name), r.start[f], r.fitted[f], r.fitted[f] / r.start[f]});
  return t;
}

}  // namespace

std::span<const OptionSpec> calibrate_options() { return kOptions; }

Result<Outcome> run_calibrate(Context& c) {
  JEVONS_TRY(const Inputs in, read_inputs(c));
  const bool force = c.settings.has("force") && c.settings.boolean("force");
  const std::string& date = c.settings.text("date");
  if (!in.operators.empty() && !in.runs.empty())
    return bad_input("FILE", "operator tables and serving runs in one call", "the one, then the other",
                     "jevons calibrate operators.csv -o DIR, then jevons calibrate runs.csv --catalog DIR -o DIR");
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("Calibration: {} operator rows, {} serving runs", in.operators.size(), in.runs.size());
  bool better = false;
  if (!in.operators.empty()) {
    const std::string source = fmt::format("operator table {}", fmt::join(in.operator_files, ", "));
    JEVONS_TRY(const auto fitted, evidence::calibrate_operators(c.catalog, in.operators, {source, date, force}));
    d.tables.push_back(operator_table(fitted));
    o.files.insert(o.files.end(), fitted.overlay.begin(), fitted.overlay.end());
    better = !fitted.overlay.empty();
  }
  if (!in.runs.empty()) {
    const std::string source = fmt::format("serving runs {}", fmt::join(in.run_files, ", "));
    JEVONS_TRY(const auto fitted, evidence::calibrate_runs(c.catalog, in.runs, {source, date, [&](double share) {
                                                                                  if (c.progress) c.progress(share, "simulating the runs");
                                                                                }}));
    d.tables.push_back(run_table(fitted));
    d.tables.push_back(constant_table(fitted));
    if (fitted.improves() || force) {
      o.files.insert(o.files.end(), fitted.overlay.begin(), fitted.overlay.end());
      better = true;
    } else {
      return bad_input("calibrate",
                       fmt::format("runs left out are predicted no better: mean error {:.1f} % before, {:.1f} % after",
                                   fitted.before.both() * 100, fitted.after.both() * 100),
                       "an overlay that improves on its own validation",
                       "more runs at other lengths and loads, or --force to write it all the same");
    }
  }
  if (!better) {
    std::string why;
    for (const auto& t : d.tables) {
      for (const auto& n : t.notes) why += (why.empty() ? "" : "; ") + n;
    }
    return bad_input("calibrate", "nothing to write: " + why, "an overlay that improves on its own validation", "more shapes, or --force");
  }
  for (const auto& p : in.passed_over) d.notes.push_back("passed over: " + p);
  d.notes.push_back(c.wants_files ? "The folder of -o is the overlay: jevons run --catalog DIR ..."
                                  : "Write the overlay with -o DIR, use it with --catalog DIR.");
  return o;
}

}  // namespace jevons::engine
