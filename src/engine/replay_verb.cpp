// jevons validate RUN_requests.jsonl: a recorded vLLM run, request by request.
#include "engine/replay_verb.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "evidence/replay.hpp"
#include "traffic/lines.hpp"

namespace jevons::engine {
namespace {

const report::Origin kReplayed{"simulated", "evidence::replay in src/evidence/replay.cpp", "docs/replay.md"};

constexpr OptionSpec kOptions[] = {
    {.path = "profile",
     .flag = "--profile",
     .type = OptionType::list,
     .help = "operator times of the run's GPU and model: one table, the others are found beside it"},
    {.path = "leave_out",
     .flag = "--leave-out",
     .type = OptionType::choice,
     .choices = "model|accelerator|engine|configuration|block",
     .help = "serving points: predict each group with constants that were fitted without it"},
    {.path = "explain_case",
     .flag = "--explain-case",
     .type = OptionType::text,
     .help = "serving points: break the prediction of this case into operators"},
    {.path = "refit",
     .flag = "--refit",
     .type = OptionType::boolean,
     .help = "serving points: fit the constants on them first, and print them"},
};

std::string engine_of(const evidence::Replay& r) {
  const auto& p = r.setup.policy;
  return fmt::format(
      "vLLM: {} sequences and {} tokens a step, {} blocks of {} tokens for requests; prefix caching {}, asynchronous scheduling {}, CUDA "
      "graphs {}",
      p.max_num_seqs, p.max_num_batched_tokens, r.blocks, p.block_size, p.enable_prefix_caching ? "on" : "off", p.lag > 0 ? "on" : "off",
      r.setup.capture_sizes.empty() ? "off" : fmt::format("up to {} tokens", r.setup.capture_sizes.back()));
}

std::string profile_of(const evidence::Replay& r) {
  if (!r.profile) return "Step times: the model of docs/step-time.md; no --profile was given.";
  std::vector<std::string> names;
  for (const auto& f : r.profile->files) names.push_back(std::filesystem::path(f).filename().string());
  return fmt::format("Step times: {}.", fmt::join(names, ", "));
}

report::Table errors(const evidence::Replay& r) {
  report::Table t{"replay",
                  "Predicted against measured",
                  {{"metric", "metric", "{}", {}},
                   {"unit", "unit", "{}", {}},
                   {"predicted", "predicted", "{:.2f}", kReplayed},
                   {"measured", "measured", "{:.2f}", {}},
                   {"error_pct", "error %", "{:+.2f}", kReplayed},
                   {"ks", "KS\ndistance", "{:.3f}", kReplayed}},
                  {},
                  {},
                  true};
  t.rows = {{std::string("TTFT, mean"), std::string("ms"), r.ttft_mean_s * 1e3, r.ttft_measured_s * 1e3, r.ttft_error() * 100, r.ttft_ks}};
  if (r.n_tpot > 0)
    t.rows.push_back(
        {std::string("TPOT, mean"), std::string("ms"), r.tpot_mean_s * 1e3, r.tpot_measured_s * 1e3, r.tpot_error() * 100, r.tpot_ks});
  t.rows.push_back({std::string("makespan"), std::string("s"), r.makespan_s, r.makespan_measured_s, r.makespan_error() * 100, {}});
  return t;
}

nlohmann::ordered_json json_of(const evidence::Replay& r) {
  const auto& p = r.setup.policy;
  const auto if_tpot = [&](double v) { return r.n_tpot > 0 ? nlohmann::ordered_json(v) : nlohmann::ordered_json(nullptr); };
  nlohmann::ordered_json j = {{"ttft_mean_error", r.ttft_error()},
                              {"tpot_mean_error", if_tpot(r.tpot_error())},
                              {"makespan_error", r.makespan_error()},
                              {"ttft_ks", r.ttft_ks},
                              {"tpot_ks", if_tpot(r.tpot_ks)},
                              {"n", r.n},
                              {"ttft_mean_s", r.ttft_mean_s},
                              {"ttft_mean_measured_s", r.ttft_measured_s},
                              {"tpot_mean_s", if_tpot(r.tpot_mean_s)},
                              {"tpot_mean_measured_s", if_tpot(r.tpot_measured_s)},
                              {"makespan_s", r.makespan_s},
                              {"makespan_measured_s", r.makespan_measured_s},
                              {"preemptions", r.preemptions},
                              {"model", r.model},
                              {"gpu", r.gpu},
                              {"tp", r.tp}};
  j["profile"] = r.profile ? nlohmann::ordered_json(r.profile->files) : nlohmann::ordered_json(nullptr);
  j["metadata"] = r.setup.file.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(r.setup.file);
  j["engine"] = {{"max_num_seqs", p.max_num_seqs},
                 {"max_num_batched_tokens", p.max_num_batched_tokens},
                 {"block_size", p.block_size},
                 {"blocks", r.blocks},
                 {"enable_prefix_caching", p.enable_prefix_caching},
                 {"enable_chunked_prefill", p.chunked_prefill},
                 {"async_scheduling", p.lag > 0},
                 {"scheduler_reserve_full_isl", p.admission == serve::Admission::prompt},
                 {"cudagraph_capture_sizes", r.setup.capture_sizes}};
  j["notes"] = r.notes;
  return j;
}

}  // namespace

std::span<const OptionSpec> replay_options() { return kOptions; }

Result<bool> is_recorded_run(const std::string& file) {
  if (file.ends_with(".jsonl") || file.ends_with(".jsonl.gz")) return true;
  JEVONS_TRY(traffic::Lines lines, traffic::Lines::open(file));
  std::string_view first;
  return lines.next(first) && trim(first).starts_with('{');
}

Result<Outcome> run_replay(Context& c) {
  std::vector<std::string> profile;
  if (c.settings.has("profile")) {
    for (const auto file : split(c.settings.text("profile"), ' ')) profile.emplace_back(file);
  }
  JEVONS_TRY(const evidence::Replay r, evidence::replay(c.catalog, c.words[0], profile));
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} requests of {} on {} x {}, replayed", r.n, r.model, r.tp, r.gpu.empty() ? "a GPU not named" : r.gpu);
  d.tables.push_back(errors(r));
  d.charts.push_back({"ttft",
                      "Time to first token of each request: predicted against measured",
                      "scatter",
                      "measured s",
                      "predicted s",
                      false,
                      false,
                      {},
                      {{"requests", r.ttft_measured_each_s, r.ttft_s}}});
  d.notes = {engine_of(r) + ".", profile_of(r)};
  if (r.preemptions > 0) d.notes.push_back(fmt::format("{} preemptions in the simulation.", r.preemptions));
  d.notes.insert(d.notes.end(), r.notes.begin(), r.notes.end());
  o.json = json_of(r).dump(1) + "\n";
  return o;
}

}  // namespace jevons::engine
