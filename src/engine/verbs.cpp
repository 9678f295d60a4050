// The verbs and their tables of options.
#include "engine/verb.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/units.hpp"
#include "catalog/keys.hpp"
#include "cost/campus.hpp"
#include "engine/calibrate_verb.hpp"
#include "engine/datacenter_verb.hpp"
#include "engine/evaluate.hpp"
#include "engine/fabric_verb.hpp"
#include "engine/plan_verb.hpp"
#include "engine/replay_verb.hpp"
#include "engine/simulate_verb.hpp"
#include "model/describe.hpp"

namespace jevons::engine {

Result<Outcome> run_backtest(Context& c);  // backtest_verb.cpp
std::span<const OptionSpec> backtest_options();
Result<Outcome> run_forecast(Context& c);  // forecast_verb.cpp
Result<Outcome> run_claims(Context& c);    // claims_verb.cpp
std::span<const OptionSpec> forecast_options();
Result<Outcome> run_validate(Context& c);  // validate_verb.cpp

namespace {

Result<Outcome> run_scenario(Context& c) {
  JEVONS_TRY(const auto answers, evaluate(c));
  Outcome o;
  o.answer = answers->feasible() ? Answer::yes : Answer::no;
  o.document = page_of(*answers);
  return o;
}

constexpr OptionSpec kModelOptions[] = {
    {.path = "context",
     .flag = "--context",
     .type = OptionType::integer,
     .unit = "tokens",
     .fallback = "131072",
     .low = 1,
     .high = 1e9,
     .help = "tokens one sequence holds"},
    {.path = "weights", .flag = "--weights", .type = OptionType::text, .fallback = "native", .help = "weight format"},
    {.path = "kv_cache_dtype",
     .flag = "--kv-cache-dtype",
     .type = OptionType::text,
     .fallback = "native",
     .help = "cache format: native, bf16, fp8, fp8_ds_mla, fp8_plain"},
};

Result<Outcome> run_model(Context& c) {
  JEVONS_TRY(const model::Model m, load_model(c.catalog, c.words[0]));
  const model::Parameters p = model::parameters(m);
  // A checkpoint quantized in a way we have no size for still has parameters and a cache: only its bytes are null.
  const auto scheme = model::weight_scheme(m, c.settings.text("weights"));
  if (!scheme && scheme.error().code != ErrorCode::unsupported) return fail(scheme.error());
  JEVONS_TRY(const model::CacheFormat wanted, model::parse_cache_format(c.settings.text("kv_cache_dtype")));
  const model::CacheFormat format = model::resolve(m, wanted);
  std::optional<double> bytes;
  if (scheme) bytes = model::weight_bytes(m, p, *scheme).total();
  const auto cache = model::cache_groups(m, format);
  const auto context = c.settings.integer("context");
  const auto f = model::decode_attention_flops(m, context), naive = model::decode_attention_flops(m, context, model::MlaMode::naive);
  const auto prefill = model::prefill_flops(m, p, context);

  Outcome o;
  auto& d = o.document;
  d.title = fmt::format("{} ({}, {} layers)", m.name, m.family, m.layers());
  d.version = std::string(version());
  const report::Origin origin{"derived", "sum over layers, src/model", "config.json; docs/model-accounting.md"};
  report::Table t{
      "model",
      fmt::format("At {} tokens of context", format_number(double(context), 9)),
      {{"quantity", "quantity", "{}", {}}, {"value", "value", "{}", {}}, {"exact", "exact", "{:.9g}", origin}, {"unit", "unit", "{}", {}}},
      {},
      {},
      true};
  const auto row = [&](std::string path, std::string what, std::string shown, double exact, std::string unit) {
    d.values.push_back({std::move(path), what, unit, exact, origin});
    t.rows.push_back({std::move(what), std::move(shown), exact, std::move(unit)});
  };
  row("parameters.total", "parameters", format_si(double(p.total), ""), double(p.total), "parameters");
  row("parameters.active_all", "active per token, all", format_si(p.active, ""), p.active, "parameters");
  row("parameters.active_no_input_embedding", "  without input embedding (default)", format_si(p.active_no_input_embedding, ""),
      p.active_no_input_embedding, "parameters");
  row("parameters.active_no_embeddings", "  without both embeddings", format_si(p.active_no_embeddings, ""), p.active_no_embeddings,
      "parameters");
  if (p.mtp.total() > 0)
    row("parameters.mtp", "multi-token prediction, beside them", format_si(double(p.mtp.total()), ""), double(p.mtp.total()), "parameters");
  if (bytes)
    row("weights.bytes", fmt::format("weights in {}", scheme->name), format_bytes(*bytes), *bytes, "bytes");
  else
    t.notes.push_back(fmt::format("Weights: null; {}. {}.", scheme.error().what, scheme.error().hint));
  row("cache.stored_bytes", fmt::format("cache of one sequence, {}", model::name(format)),
      format_bytes(model::cache_stored(cache, context)), model::cache_stored(cache, context), "bytes");
  row("cache.growth_bytes_per_token", "  growth per token", format_bytes(model::cache_slope(cache)), model::cache_slope(cache),
      "bytes/token");
  row("cache.fixed_bytes", "  windows and states", format_bytes(model::cache_fixed(cache)), model::cache_fixed(cache), "bytes");
  row("cache.read_bytes_per_step", "  moved per decode step", format_bytes(model::cache_read(cache, context)),
      model::cache_read(cache, context), "bytes");
  row("flops.decode_linear", "decode, products", format_si(model::decode_linear_flops(p), "FLOP"), model::decode_linear_flops(p),
      "FLOP/token");
  row("flops.decode_attention", "decode, attention core", format_si(f.core, "FLOP"), f.core, "FLOP/token");
  if (naive.core != f.core)
    row("flops.decode_attention_naive", "  in naive MLA form", format_si(naive.core, "FLOP"), naive.core, "FLOP/token");
  if (f.index > 0) row("flops.decode_index", "decode, indexer", format_si(f.index, "FLOP"), f.index, "FLOP/token");
  if (f.recurrent > 0) row("flops.decode_recurrent", "decode, recurrence", format_si(f.recurrent, "FLOP"), f.recurrent, "FLOP/token");
  row("flops.prefill", "prefill of the whole context", format_si(prefill.total(), "FLOP"), prefill.total(), "FLOP");
  d.tables.push_back(std::move(t));
  auto json = model::describe(m, p);
  json["name"] = m.name;
  json["family"] = m.family;
  json["context"] = context;
  json["weights"] = nullptr;
  json["weight_bytes"] = nullptr;
  if (scheme) {
    json["weights"] = scheme->name;
    json["weight_bytes"] = *bytes;
  }
  json["kv_cache_dtype"] = model::name(format);
  json["cache_stored_bytes"] = model::cache_stored(cache, context);
  json["cache_read_bytes_per_step"] = model::cache_read(cache, context);
  o.json = json.dump(1) + "\n";
  return o;
}

// The ends of a range in the unit the value is written in.
std::string range_text(const catalog::Fact& f) {
  const double written = std::strtod(std::string(f.text).c_str(), nullptr);
  const double scale = f.value != 0 ? written / f.value : 1;
  return fmt::format("{:.4g}–{:.4g}", f.low * scale, f.high * scale);
}

report::Table series_table(const catalog::Thing& t) {
  report::Table out{"series", fmt::format("{}: {} rows", t.title.empty() ? t.name : t.title, t.series.rows()), {}, {}, {}, true};
  for (const auto c : t.series.columns) out.columns.push_back({std::string(c), std::string(c), "{}", {}});
  for (std::size_t r = 0; r < t.series.rows(); ++r) {
    std::vector<report::Cell> row;
    for (std::size_t c = 0; c < t.series.columns.size(); ++c) row.emplace_back(std::string(t.series.text(r, c)));
    out.rows.push_back(std::move(row));
  }
  return out;
}

report::Table fact_table(const catalog::Thing& t) {
  report::Table out{"facts",
                    std::string(t.title.empty() ? t.name : t.title),
                    {{"fact", "fact", "{}", {}},
                     {"value", "value", "{}", {}},
                     {"range", "range", "{}", {}},
                     {"kind", "kind", "{}", {}},
                     {"confidence", "conf.", "{}", {}},
                     {"date", "date", "{}", {}}},
                    {},
                    {},
                    true};
  for (const auto& f : t.facts) {
    out.rows.push_back({std::string(f.key), std::string(f.text), f.has_range ? range_text(f) : std::string("-"),
                        std::string(catalog::name(f.kind)), std::string(catalog::name(f.confidence)), std::string(f.date)});
  }
  for (const auto& a : t.attributes) out.notes.push_back(fmt::format("{}: {}", a.key, a.value));
  std::vector<std::string_view> sources;
  for (const auto& f : t.facts) {
    if (std::find(sources.begin(), sources.end(), f.source) == sources.end()) sources.push_back(f.source);
  }
  for (const auto s : sources) out.notes.push_back(fmt::format("source: {}", s));
  for (const auto& f : t.facts) {
    if (!f.why.empty()) out.notes.push_back(fmt::format("{} is assumed: {}", f.key, f.why));
  }
  return out;
}

Result<Outcome> show_thing(const Context& c, const std::string& wanted) {
  Outcome o;
  o.document.version = std::string(version());
  o.document.title = wanted;
  // A name may stand in several sections: an accelerator and the fabric it lives in.
  for (std::size_t s = 0; s < catalog::kSections; ++s) {
    const auto found = c.catalog.find(catalog::Section(s), wanted);
    if (!found) continue;
    const catalog::Thing& t = **found;
    o.document.notes.push_back(fmt::format("{} in {}", t.name, t.file));
    if (!t.facts.empty()) o.document.tables.push_back(fact_table(t));
    if (t.series.rows() > 0) o.document.tables.push_back(series_table(t));
    for (auto& table : o.document.tables) {
      if (table.name == "facts" || table.name == "series") table.name = fmt::format("{}_{}", catalog::folder(t.section), table.name);
    }
  }
  if (!o.document.tables.empty()) return o;
  JEVONS_TRY(const auto* entry, c.catalog.find_model(wanted));
  o.document.title = fmt::format("{} ({})", entry->name, entry->file);
  o.document.notes.push_back(fmt::format("a model: `jevons model {}` accounts for it", entry->name));
  o.json = std::string(entry->json) + "\n";
  return o;
}

Result<Outcome> run_catalog(Context& c) {
  const std::string& what = c.words[0];
  if (what == "show") {
    if (c.words.size() != 2) return bad_input("catalog show", "no name given", "jevons catalog show NAME");
    return show_thing(c, c.words[1]);
  }
  if (what != "list" && what != "sources")
    return bad_input("catalog", fmt::format("unknown word '{}'", what.substr(0, 40)), "list, show NAME or sources");
  Outcome o;
  o.document.title = "Catalogue";
  o.document.version = std::string(version());
  const bool sources = what == "sources";
  report::Table t{what, sources ? "Sources, and how many facts and observations rest on each" : "Things the catalogue knows", {}, {}, {},
                  true};
  if (sources) {
    t.columns = {{"facts", "facts", "{:.0f}", {}}, {"source", "source", "{}", {}}};
    std::map<std::string_view, double> count;
    for (std::size_t s = 0; s < catalog::kSections; ++s) {
      for (const auto* thing : c.catalog.things(catalog::Section(s))) {
        for (const auto& f : thing->facts) ++count[f.source];
        for (std::size_t r = 0; r < thing->series.rows(); ++r) {
          const auto own = thing->series.text(r, "source");
          ++count[own.empty() ? thing->attribute("source") : own];
        }
      }
    }
    for (const auto& [source, n] : count) t.rows.push_back({n, std::string(source)});
  } else {
    t.columns = {
        {"section", "section", "{}", {}}, {"name", "name", "{}", {}}, {"facts", "facts", "{:.0f}", {}}, {"title", "title", "{}", {}}};
    for (std::size_t s = 0; s < catalog::kSections; ++s) {
      for (const auto* thing : c.catalog.things(catalog::Section(s))) {
        t.rows.push_back({std::string(catalog::folder(catalog::Section(s))), std::string(thing->name), double(thing->facts.size()),
                          std::string(thing->title)});
      }
    }
    for (const auto* m : c.catalog.models()) t.rows.push_back({std::string("models"), std::string(m->name), {}, std::string(m->file)});
  }
  o.document.tables.push_back(std::move(t));
  return o;
}

const Verb kVerbs[] = {
    {"run",
     "[SCENARIO.yaml]",
     "Walk the chain: memory, deployment, cost, savings, fleet, and what demand does.\nFlags override the file; without a file they must "
     "state model, accelerator, isl and osl.",
     "  jevons run examples/deepseek-v4-pro-1m.yaml -o out\n  jevons run examples/llama-3.1-70b-chat.yaml --tp 4 --cost-basis on-demand\n"
     "  jevons run --model qwen3-32b --accelerator h100-sxm --isl 2000 --osl 500 --tpot 30 --explain\n",
     0,
     1,
     {},
     run_scenario},
    {"simulate",
     "[SETTINGS.yaml]",
     "Simulate every request through replicas behind a router: TTFT, TPOT, throughput, cache, cost.\nScheduling follows the named engine; "
     "its "
     "own options keep their names. Flags override the file.",
     "  jevons simulate --model llama-3.1-8b --accelerator a100-80g-sxm --request-rate 4 --isl 1000 --osl 200\n"
     "  jevons simulate --model qwen3-32b --accelerator h100-sxm --tp 2 --engine sglang --concurrency 64 --isl 8192 --osl 1024\n"
     "  jevons simulate --model llama-3.1-8b --accelerator h100-sxm --input-file mooncake.jsonl --replicas 8 --router prefix-aware \\\n"
     "      --goodput ttft:2000 tpot:50 --trace out.json -o out\n",
     0,
     1,
     {},
     run_simulate},
    {"plan", "[QUESTION.yaml]",
     "Find the best deployment: every candidate bounded in closed form, those that can still win simulated.\nSays how many were screened, "
     "bounded out and simulated, and how much better anything left could be.",
     "  jevons plan --model llama-3.1-8b --accelerator h100-sxm --max-gpus 8 --isl 1000 --osl 200 --ttft 1000 --tpot 20 --objective "
     "tok/s/gpu\n"
     "  jevons plan --model deepseek-v3.2 --accelerator h200-sxm --max-gpus 64 --isl 4000 --osl 500 --tpot p99:50 --disaggregation "
     "allowed\n"
     "  jevons plan --model qwen3-32b --accelerator h100-sxm:8 a100-80g-sxm:16 --max-gpus 24 --request-rate 20 --isl 2000 --osl 300 \\\n"
     "      --ttft p95:2000 --tpot 40 -o out\n",
     0, 1, plan_options(), run_plan},
    {"savings",
     "[QUESTION.yaml]",
     "What each efficiency technique saves, with the deployment chosen anew for every combination of them.\nShapley shares, LMDI factors, "
     "theta, published claims counted again, and a buyer's bill with cached input at one tenth.",
     "  jevons savings --model deepseek-v3.2 --accelerator h200-sxm --max-gpus 16 --isl 8000 --osl 500 --tpot 50 --theta\n"
     "  jevons savings --model llama-3.1-70b --accelerator h100-sxm --weights fp8 --kv-cache-dtype fp8 --isl 4000 --osl 500 --tpot 40\n",
     0,
     1,
     {},
     run_savings},
    {"edge",
     "[QUESTION.yaml]",
     "Which requests run on the user's device and which in the cloud: least cost within latency limits, battery, privacy and offline "
     "shares.\nThe cloud is planned as by jevons plan; the device serves one request at a time.",
     "  jevons edge --device rtx-4090 --device-model llama-3.1-8b --model llama-3.1-70b --accelerator h100-sxm --isl 1000 --osl 300 --tpot "
     "50\n"
     "  jevons edge --device apple-m4-max --device-model llama-3.1-8b --model llama-3.1-70b --accelerator h100-sxm --isl 512 --osl 128 \\\n"
     "      --device-memory 24 --device-watts 60\n"
     "  jevons edge --device snapdragon-8-elite-gen5 --device-model qwen3-8b --model deepseek-v3.2 --accelerator h200-sxm \\\n"
     "      --max-gpus 16 --isl 500 --osl 200 --battery 5 --private-share 0.2 --offline-share 0.05 --round-trip 80\n",
     0,
     1,
     {},
     run_edge},
    {"model", "NAME|config.json", "Account for a model: parameters, weight bytes, cache, FLOPs.",
     "  jevons model deepseek-v3.2 --context 128k\n  jevons model ./config.json --weights fp8 --kv-cache-dtype fp8 --format json\n", 1, 1,
     kModelOptions, run_model},
    {"fabric",
     "NAME|FILE.yaml",
     "Count a network from its endpoints up: switch chips, cables and modules by kind, watts, dollars, latency, failures.\n"
     "NAME is a system that `jevons catalog list` shows under fabrics; nvl72, nvl144 and nvl576 show what each name has meant.\n"
     "A FILE describes a system of your own (example below); --set lays values over either. Media and switches are\n"
     "components of the catalogue: dac-800g, acc-800g, aec-800g, aoc-800g, opt-800g-dsp, opt-800g-lpo, opt-1600g-dsp,\n"
     "opt-3200g-npo, opt-800g-cpo …; tomahawk5, tomahawk6, nvswitch5, switch-64x800g …; `jevons catalog show NAME`.\n"
     "A clos needs endpoints, endpoint_bandwidth, and a switch or switch_capacity and radix; a torus dimension_1 …\n"
     "whose product is the endpoints; a mesh joins every pair. -o DIR also writes topology.svg.\n"
     "In a FILE the keys below without a unit stand under attributes, those with one under facts as {value: NUMBER UNIT}.",
     "  jevons fabric gb200-nvl72\n  jevons fabric upn512 --format json\n  jevons fabric nvl576\n"
     "  jevons fabric upn512 --set endpoint_bandwidth='14.4 Tbit/s' --set planes=72\n  jevons fabric my-cluster.yaml -o out\n\n"
     "A whole my-cluster.yaml: 512 accelerators on 400G Ethernet, leaf and spine, cables in the rack, linear optics above\n"
     "  name: my-cluster\n  attributes: {switch: tomahawk5, endpoint_medium: dac-800g, uplink_medium: opt-800g-lpo}\n"
     "  defaults: {kind: spec, source: our rack plan, read: 2026-11-28, confidence: A}   # where the figures come from\n"
     "  facts:\n    endpoints: {value: 512 accel}\n    endpoint_bandwidth: {value: 400 Gbit/s}\n    radix: {value: 128 port}\n"
     "    tiers: {value: 2 count}\n    first_link_length: {value: 2 m}\n    uplink_length: {value: 30 m}\n"
     "An uncertain figure: {value: 600 W, range: [500, 700], kind: assumed, why: no data sheet yet}\n",
     1,
     1,
     {},
     run_fabric,
     [] { return catalog::form_schema(fabric::network_keys(), "a network, for jevons fabric FILE.yaml"); }},
    {"datacenter",
     "NAME|FILE.yaml",
     "Appraise a data centre: capital, income statement, break-even, NPV, cost of an hour and a token, energy, supply.\n"
     "NAME is a campus that `jevons catalog list` shows under datacenters, such as gigawatt-campus; --set lays values over it.\n"
     "A FILE describes your own (example below). What it leaves out comes from its region, its class or the accelerator.\n"
     "In a FILE the keys below without a unit stand under attributes, those with one under facts as {value: NUMBER UNIT}.",
     "  jevons datacenter gigawatt-campus --explain\n  jevons datacenter gigawatt-agents --set region=us-texas --set load_shape=day\n"
     "  jevons datacenter gigawatt-campus --set business=colocation --set power_billing=net\n"
     "  jevons datacenter my-campus.yaml --format json -o out\n"
     "  jevons datacenter income-model; jevons datacenter gds-2024    # an income model of occupancy, an operator's accounts\n\n"
     "A whole my-campus.yaml\n"
     "  name: my-campus\n  attributes: {accelerator: h100-sxm, region: finland, class: ai-liquid, business: gpu-cloud, power_billing: "
     "in-rent}\n"
     "  defaults: {kind: spec, source: our plan, read: 2026-11-28, confidence: A}   # where the figures come from\n"
     "  facts:\n    site_power: {value: 50 MW}\n"
     "    occupancy: {value: 0.8, range: [0.6, 0.95], kind: assumed, why: first year of selling}\n"
     "    debt_share: {value: 0.5}\n    debt_rate: {value: 0.08}\n    overhead: {value: 0.05}\n"
     "    tokens_per_second: {value: 1500 tok/s}\n",
     1,
     1,
     {},
     run_datacenter,
     [] { return catalog::form_schema(cost::campus_keys(), "a campus, for jevons datacenter FILE.yaml"); }},
    {"forecast",
     "[SCENARIO.yaml]",
     "Futures of tokens, spending, accelerators, HBM, power and capital to 2032, and whether efficiency raises or lowers them.\nWhat a "
     "token takes comes from the cheapest deployment of a model per tier; everything has a default.",
     "  jevons forecast\n  jevons forecast examples/forecast-cheap-memory.yaml -o out    # fan charts in out/report.html\n"
     "  jevons forecast --set segments.code_agent.growth=0.5 --set tiers.open.model=deepseek-v3.2 --format json\n",
     0,
     1,
     {},
     run_forecast},
    {"claims",
     "",
     "Work out what is said about tokens, prices and compute, and judge it: holds, holds only if, contradicted, ambiguous.",
     "  jevons claims\n  jevons claims --format json\n  jevons claims -o out    # sources and evidence in out/evidence.csv\n",
     0,
     0,
     {},
     run_claims},
    {"backtest", "", "Fit the demand model at past dates and score it on what came after, against four naive forecasts.",
     "  jevons backtest\n  jevons backtest --ablation -o out    # what each mechanism earns\n  jevons backtest --format json\n", 0, 0,
     backtest_options(), run_backtest},
    {"validate", "CASES.csv|RUN_requests.jsonl",
     "Run measured serving points, or the log of a vLLM run request by request, through the model and print how far off it is.",
     "  jevons validate cases.csv\n  jevons validate cases.csv --format json\n  jevons validate cases.csv -o out    # every case, and a "
     "chart\n  jevons validate llama_requests.jsonl --profile rtx4090_tp1_attention.csv.gz\n",
     1, 1, replay_options(), run_validate},
    {"calibrate", "FILE...",
     "Fit your own measurements: operator tables (tools/profile_gpu.py), serving points (the cases format) or results of vllm bench serve "
     "(JSON).\nPrints errors before and after; -o DIR writes an overlay for --catalog DIR.",
     "  python3 tools/profile_gpu.py --accelerator h100-sxm -o h100.csv && jevons calibrate h100.csv -o mine\n"
     "  jevons calibrate my_runs.csv -o mine && jevons run --catalog mine --model qwen3-32b --accelerator h100-sxm\n"
     "  jevons calibrate c8.json c64.json --model qwen3-32b --accelerator h100-sxm --tp 2 -o mine\n",
     1, 64, calibrate_options(), run_calibrate},
    {"bench",
     "[serve-w1|serve-w2|serve-w3|plan-160|market]",
     "Time the simulator on its reference workloads, a study of 160 configurations, or the paths of a forecast.",
     "  jevons bench serve-w1\n  jevons bench plan-160\n  jevons bench market    # 65,536 paths x 108 months x 9 segments\n",
     0,
     1,
     {},
     run_bench},
    {"catalog",
     "list|show NAME|sources",
     "Print the facts the answers rest on, with kind, source, date and range.",
     "  jevons catalog list\n  jevons catalog show h100-sxm\n  jevons catalog sources\n",
     1,
     2,
     {},
     run_catalog},
};

}  // namespace

std::span<const Verb> verbs() {
  static const auto table = [] {
    std::vector<Verb> v(std::begin(kVerbs), std::end(kVerbs));
    v[0].options = scenario_options();
    v[1].options = simulate_options();
    for (auto& verb : v) {
      if (verb.name == "fabric") verb.options = fabric_options();
      if (verb.name == "datacenter") verb.options = datacenter_options();
      if (verb.name == "edge") verb.options = edge_options();
      if (verb.name == "forecast") verb.options = forecast_options();
      if (verb.name == "savings") verb.options = savings_options();
    }
    return v;
  }();
  return table;
}

std::string_view version() { return JEVONS_VERSION; }

}  // namespace jevons::engine
