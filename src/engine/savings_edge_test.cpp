// Every option of jevons savings and jevons edge moves the answer, or is refused with a reason.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/plan_knobs_test.hpp"
#include "engine/plan_verb.hpp"

namespace jevons::engine {
namespace {

struct Verb {
  std::span<const OptionSpec> options;
  Result<Outcome> (*run)(Context&);
};

Result<Outcome> ask(const Verb& verb, const Given& given) {
  static const catalog::Catalog facts = catalog::Catalog::builtin();
  Context c{.catalog = facts, .settings = Settings(verb.options), .words = {}, .progress = {}};
  for (const auto& [path, value] : given) {
    if (!value.empty()) JEVONS_CHECK(c.settings.set(path, value, "test"));
  }
  return verb.run(c);
}

// All that the answer says in words and numbers, with or without the way there.
std::string said(const Outcome& o, bool search = false) {
  std::string s = o.answer == Answer::yes ? "yes" : "no";
  for (const auto& l : o.document.answer) s += "\n" + l.text;
  for (const auto& v : o.document.values) {
    if (search || !v.path.starts_with("search.")) s += fmt::format("\n{} {}", v.path, v.number.value_or(-1));
  }
  for (const auto& t : o.document.tables) {
    for (const auto& row : t.rows) {
      s += "\n" + t.name;
      for (const auto& cell : row) {
        if (const auto* number = std::get_if<double>(&cell)) s += fmt::format(" {}", *number);
        if (const auto* text = std::get_if<std::string>(&cell)) s += " " + *text;
      }
    }
  }
  return s;
}

Given over(Given base, const Given& change) {
  for (const auto& [path, value] : change) base[path] = value;
  return base;
}

// Walks the knobs; `apart` are options that a test of its own walks.
void walk(const Verb& verb, const Given& base, const std::vector<Knob>& knobs, std::vector<std::string_view> apart) {
  for (const Knob& k : knobs) {
    const Given from = over(base, k.with);
    const auto before = ask(verb, from);
    ASSERT_TRUE(before) << k.path << ": " << before.error().message();
    const bool search = std::string_view(k.path).starts_with("search.");
    bool moved = false;
    for (const char* value : k.values) {
      const auto after = ask(verb, over(from, {{k.path, value}}));
      ASSERT_TRUE(after) << k.path << ": " << after.error().message();
      moved = moved || said(*after, search) != said(*before, search);
    }
    EXPECT_TRUE(moved) << k.path;
    apart.push_back(k.path);
  }
  for (const auto& o : verb.options) EXPECT_NE(std::find(apart.begin(), apart.end(), o.path), apart.end()) << o.path << " is not walked";
}

void refuses(const Verb& verb, const Given& base, const Given& change, std::string_view key) {
  const auto o = ask(verb, over(base, change));
  ASSERT_FALSE(o.has_value()) << key;
  EXPECT_EQ(o.error().key, key) << o.error().message();
}

const Given kBase{
    {"model", "llama-3.1-8b"},      {"accelerator", "h100-sxm"}, {"limits.max_accelerators", "2"}, {"workload.isl", "300"},
    {"workload.osl", "12"},         {"slo.tpot", "12"},          {"max_num_seqs", "16"},           {"max_num_batched_tokens", "1024"},
    {"load.max_concurrency", "12"}, {"search.threads", "1"},     {"placement.tp", "1 2"}};

// What both verbs take over from a plan.
std::vector<Knob> knobs_of_a_plan() {
  auto knobs = knobs_of_a_deployment();
  knobs.insert(knobs.end(), {
                                {"accelerator", {"a100-80g-sxm", "h100-sxm:1"}, {}},
                                {"slo.ttft", {"75", "30"}, {{"slo.tpot", ""}}},
                                {"slo.tpot", {"7.5"}, {}},
                                {"search.gap", {"0.5"}, {}},
                                {"search.effort", {"1"}, {}},
                            });
  return knobs;
}

TEST(SavingsKnobs, EachMovesTheAnswerOrIsRefused) {
  const Verb savings{savings_options(), run_savings};
  auto knobs = knobs_of_a_plan();
  knobs.push_back({"slo.e2e", {"60", "p90:60"}, {}});
  knobs.push_back({"seed", {"2"}, {{"load.max_concurrency", ""}, {"load.request_rate", "4"}}});
  knobs.push_back({"theta", {"true"}, {}});
  knobs.push_back({"bill.price_of", {"claude-opus-5.5"}, {}});
  walk(savings, kBase, knobs, {"workload.lengths", "search.threads"});
  refuses(savings, kBase, {{"workload.lengths", "lognormal:0.5"}}, "workload.lengths");
  refuses(savings, kBase, {{"bill.price_of", "nobody's"}}, "bill.price_of");
  EXPECT_EQ(said(*ask(savings, over(kBase, {{"search.threads", "2"}})), true), said(*ask(savings, kBase), true));
}

TEST(EdgeKnobs, EachMovesTheAnswerOrIsRefused) {
  const Verb edge{edge_options(), run_edge};
  const Given base = over(kBase, {{"slo.tpot", "40"}, {"device.model", "qwen3-8b"}, {"device.accelerator", "apple-m4-max"}});
  auto knobs = knobs_of_a_plan();
  knobs.push_back({"workload.lengths", {"lognormal:0.5"}, {}});
  knobs.push_back({"seed", {"2"}, {{"workload.lengths", "lognormal:0.5"}}});
  knobs.push_back({"device.model", {"llama-3.1-8b"}, {}});
  knobs.push_back({"device.accelerator", {"apple-m4-pro", "snapdragon-8-elite-gen5"}, {}});
  knobs.push_back({"device.weights", {"fp8"}, {}});
  knobs.push_back({"device.memory", {"4"}, {}});
  knobs.push_back({"device.watts", {"60"}, {}});
  knobs.push_back({"device.battery", {"0.1"}, {}});
  knobs.push_back({"device.electricity", {"0.4"}, {}});
  knobs.push_back({"device.eligible", {"0.2"}, {{"device.electricity", "0"}}});
  knobs.push_back({"users.requests_per_day", {"80"}, {}});
  knobs.push_back({"users.private", {"0.3"}, {{"device.electricity", "1"}}});
  knobs.push_back({"users.offline", {"0.3"}, {{"device.electricity", "1"}}});
  knobs.push_back({"network.round_trip", {"90"}, {}});
  walk(edge, base, knobs, {"slo.e2e", "search.threads"});
  EXPECT_EQ(said(*ask(edge, over(base, {{"slo.tpot", "9 40"}}))), said(*ask(edge, over(base, {{"slo.tpot", "40 9"}}))));
  refuses(edge, base, {{"slo.e2e", "900"}}, "slo.e2e");
  refuses(edge, base, {{"slo.ttft", "p90:900"}}, "slo.ttft");
  refuses(edge, base, {{"slo.tpot", "p90:40"}}, "slo.tpot");
  refuses(edge, base, {{"device.memory", "129"}}, "device.memory");
  refuses(edge, base, {{"device.accelerator", "h100-sxm-of-nobody"}}, "device.accelerator");
  EXPECT_EQ(said(*ask(edge, over(base, {{"search.threads", "2"}})), true), said(*ask(edge, base), true));
}

// Decode speeds that people publish of 4-bit weights on such devices. int4-g32 keeps embedding and head in bf16, which reads some 8 % more
// than theirs. The phone's fraction of bandwidth comes from the run it is compared with.
TEST(Edge, DecodesAboutAsFastAsPublished) {
  struct Published {
    const char *device, *model;
    double tokens_per_s;
  };
  const Published all[] = {
      {"apple-m4", "llama-3.1-8b", 20.87},             // llama.cpp Q4_K_M, brand-o/normiebench issue 3
      {"apple-m4-pro", "llama-3.1-8b", 42},            // Ollama Q4_K_M, heyuan110.com 2026-04-14
      {"apple-m3-ultra", "qwen3-8b", 114.93},          // MLX 4-bit, 60 GPU cores, MacRumors thread 2456559
      {"apple-m5-max", "llama-3.1-8b", 82},            // Q4, llmcheck.net
      {"snapdragon-8-elite-gen5", "qwen3-8b", 11.14},  // llama.cpp Q4_K_M, OpenCL, ggml-org/llama.cpp issue 27677
  };
  for (const Published& p : all) {
    const auto o = ask({edge_options(), run_edge}, over(kBase, {{"workload.isl", "512"},
                                                                {"workload.osl", "128"},
                                                                {"slo.tpot", ""},
                                                                {"device.model", p.model},
                                                                {"device.accelerator", p.device}}));
    ASSERT_TRUE(o) << o.error().message();
    const auto& device = o->document.tables.at(0).rows.at(0);
    EXPECT_NEAR(1e3 / std::get<double>(device[2]) / p.tokens_per_s, 1, 0.15) << p.device;
    if (std::string_view(p.device) == "apple-m4") {
      EXPECT_NEAR(std::get<double>(device[1]), 512 / 224.81 * 1e3, 228);  // prompt of the same run
    }
  }
}

}  // namespace
}  // namespace jevons::engine
