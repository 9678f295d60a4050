// jevons plan, savings and edge as a person asks them.
#include "engine/plan_verb.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/plan_knobs_test.hpp"

namespace jevons::engine {
namespace {

const Given kBase{{"model", "llama-3.1-8b"},      {"accelerator", "h100-sxm"}, {"limits.max_accelerators", "2"},
                  {"workload.isl", "300"},        {"workload.osl", "12"},      {"slo.tpot", "9"},
                  {"objective", "tok/s/gpu"},     {"max_num_seqs", "16"},      {"max_num_batched_tokens", "1024"},
                  {"load.max_concurrency", "12"}, {"search.threads", "1"},     {"placement.tp", "1 2"}};

const catalog::Catalog& facts() {
  static const catalog::Catalog c = catalog::Catalog::builtin();
  return c;
}

Result<Outcome> ask(Given given, std::span<const OptionSpec> options = plan_options(), Result<Outcome> (*run)(Context&) = run_plan) {
  Context c{.catalog = facts(), .settings = Settings(options), .words = {}, .progress = {}};
  for (const auto& [path, value] : given) {
    if (value.empty()) continue;
    JEVONS_CHECK(c.settings.set(path, value, "test"));
  }
  return run(c);
}

// Everything that the answer says, or why it says nothing.
std::string answer_of(const Given& given) {
  const auto o = ask(given);
  if (!o) return "refused: " + o.error().message();
  std::string s = o->answer == Answer::yes ? "yes" : "no";
  for (const auto& v : o->document.values) s += fmt::format("\n{} {}", v.path, v.number.value_or(-1));
  return s;
}
// The same without the way there.
std::string best_of(const Given& given) {
  std::string s = answer_of(given), out;
  for (std::size_t at = 0; at < s.size();) {
    const std::size_t end = std::min(s.find('\n', at), s.size());
    if (s.compare(at, 7, "search.") != 0) out += s.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

TEST(PlanKnobs, EachMovesSomeAnswer) {
  std::vector<Knob> knobs{
      {"accelerator", {"a100-80g-sxm", "h100-sxm a100-80g-sxm:1"}, {}},
      {"workload.lengths", {"lognormal:0.5"}, {}},
      {"slo.ttft", {"25", "p90:40"}, {}},
      {"slo.tpot", {"7.5", "p50:7.5"}, {}},
      {"slo.e2e", {"110", "p90:110"}, {}},
      {"objective", {"$/Mtok"}, {{"accelerator", "h100-sxm rtx-4090"}, {"slo.tpot", "40"}}},
      {"seed", {"2"}, {{"workload.lengths", "lognormal:0.5"}}},
  };
  const auto shared = knobs_of_a_deployment();
  knobs.insert(knobs.end(), shared.begin(), shared.end());
  std::vector<std::string_view> walked{"search.gap", "search.effort", "search.threads", "finalists", "shadow_prices", "tenants"};  // below
  for (const Knob& k : knobs) {
    Given base = kBase;
    for (const auto& [path, value] : k.with) base[path] = value;
    const std::string before = best_of(base);
    ASSERT_FALSE(before.starts_with("refused")) << k.path << before;
    const bool moved = std::any_of(k.values.begin(), k.values.end(), [&](const char* v) {
      Given changed = base;
      changed[k.path] = v;
      const std::string after = best_of(changed);
      EXPECT_FALSE(after.starts_with("refused")) << k.path << after;
      return after != before;
    });
    EXPECT_TRUE(moved) << k.path;
    walked.push_back(k.path);
  }
  for (const auto& o : plan_options())
    EXPECT_NE(std::find(walked.begin(), walked.end(), o.path), walked.end()) << o.path << " is not walked";
}

TEST(PlanKnobs, OfTheSearchAndThePage) {
  const std::string before = answer_of(kBase);
  Given changed = kBase;
  changed["search.threads"] = "2";
  EXPECT_EQ(answer_of(changed), before);
  changed["search.gap"] = "0.5";
  EXPECT_NE(answer_of(changed), before);
  changed = kBase;
  changed["search.effort"] = "1";
  EXPECT_NE(answer_of(changed), before);
  changed = kBase;
  changed["finalists"] = "1";
  EXPECT_EQ(ask(changed)->document.tables[0].rows.size(), 1u);
  EXPECT_GT(ask(kBase)->document.tables[0].rows.size(), 1u);
  changed = kBase;
  changed["shadow_prices"] = "true";
  const auto with = *ask(changed);
  EXPECT_TRUE(
      std::any_of(with.document.tables.begin(), with.document.tables.end(), [](const auto& t) { return t.name == "shadow_prices"; }));
}

TEST(PlanKnobs, OfTenants) {
  Given g = kBase;
  g.erase("model");
  g["tenants"] = "day,llama-3.1-8b,90,1,12 night,llama-3.1-8b,90,1,0";
  const auto accelerators = [&](std::string_view path) {
    const Outcome o = *ask(g);
    for (const auto& v : o.document.values) {
      if (v.path == path) return v.number.value_or(-1);
    }
    return -1.0;
  };
  const double apart = accelerators("dedicated.accelerators"), shared = accelerators("shared.accelerators");
  EXPECT_GT(shared, 0);
  EXPECT_LT(shared, apart);
  g["tenants"] = "day,llama-3.1-8b,90,1,12 night,llama-3.1-8b,90,batch";
  EXPECT_LE(accelerators("shared.accelerators"), accelerators("dedicated.accelerators"));
  g["tenants"] = "day,llama-3.1-8b";
  EXPECT_EQ(ask(g).error().key, "tenants");
}

TEST(Plan, NoNamesWhatBindsAndTheNearestChange) {
  const auto no = [](Given change, std::string_view binds, std::string_view remedy) {
    Given g = kBase;
    for (auto& [path, value] : change) g[path] = value;
    const Outcome o = *ask(g);
    EXPECT_EQ(o.answer, Answer::no);
    std::string text;
    for (const auto& l : o.document.answer) text += l.text + "\n";
    for (const auto& n : o.document.notes) text += n + "\n";
    EXPECT_NE(text.find(binds), std::string::npos) << text;
    EXPECT_NE(text.find(remedy), std::string::npos) << text;
  };
  no({{"slo.tpot", "0.5"}}, "mean TPOT limit binds", "instead of 0.5 ms");
  no({{"model", "llama-3.1-70b"}, {"limits.max_accelerators", "1"}}, "memory binds", "--max-gpus");
  no({{"limits.max_power", "0.1"}}, "budget binds", "--max-power");
  no({{"load.max_concurrency", ""}, {"load.request_rate", "500"}, {"load.seconds", "2"}}, "saturated", "--max-gpus");
}

TEST(Plan, BadInputNamesItsKey) {
  const auto refused = [](Given change, std::string_view key) {
    Given g = kBase;
    for (auto& [path, value] : change) g[path] = value;
    const auto o = ask(g);
    ASSERT_FALSE(o.has_value()) << key;
    EXPECT_EQ(o.error().key, key) << o.error().message();
  };
  refused({{"slo.tpot", "p200:3"}}, "slo.tpot");
  refused({{"slo.ttft", "fast"}}, "slo.ttft");
  refused({{"objective", "cheap"}}, "objective");
  refused({{"objective", "goodput/gpu"}, {"slo.tpot", ""}}, "objective");
  refused({{"accelerator", "h100-sxm:none"}}, "accelerator");
  refused({{"placement.tp", "two"}}, "placement.tp");
  refused({{"load.request_rate", "3"}}, "load.max_concurrency");
  refused({{"limits.max_carbon", "3"}}, "limits.max_carbon");
  refused({{"router", "best"}}, "router");
  refused({{"handover.overlapped", "true"}}, "handover.overlapped");
}

TEST(Savings, SharesSumAndFactorsLeaveNothing) {
  Given g = kBase;
  g.erase("objective");
  g["weights"] = "fp8";
  g["slo.tpot"] = "12";
  const Outcome o = *ask(g, savings_options(), run_savings);
  double on = 0, off = 0, shares = 0;
  for (const auto& v : o.document.values) {
    if (v.path == "all_on.usd_per_mtok") on = *v.number;
    if (v.path == "all_off.usd_per_mtok") off = *v.number;
    if (v.path.starts_with("shares.")) shares += *v.number;
  }
  EXPECT_GT(off, on);
  EXPECT_NEAR(shares, off - on, 1e-9 * off);
  const auto factors = std::find_if(o.document.tables.begin(), o.document.tables.end(), [](const auto& t) { return t.name == "factors"; });
  ASSERT_NE(factors, o.document.tables.end());
  int sums = 0;
  for (const auto& row : factors->rows) {
    if (std::get<std::string>(row[1]) != "sum") continue;
    ++sums;
    EXPECT_NEAR(std::get<double>(row[4]), on - off, 1e-9 * off);
  }
  EXPECT_EQ(sums, 2);
}

TEST(Savings, PublishedClaimsAreCountedAgain) {
  Given g = kBase;
  g.erase("objective");
  const Outcome o = *ask(g, savings_options(), run_savings);
  const auto t = std::find_if(o.document.tables.begin(), o.document.tables.end(), [](const auto& x) { return x.name == "published"; });
  ASSERT_NE(t, o.document.tables.end());
  ASSERT_EQ(t->rows.size(), 3u);
  EXPECT_NEAR(std::get<double>(t->rows[0][4]), 93.3, 0.05);
  EXPECT_NEAR(std::get<double>(t->rows[1][4]), 10, 0.5);
  EXPECT_NEAR(std::get<double>(t->rows[2][4]), 27, 0.1);
}

TEST(Edge, SplitsAndRefuses) {
  Given g = kBase;
  g.erase("objective");
  g["slo.tpot"] = "40";
  g["device.model"] = "qwen3-8b";
  g["device.accelerator"] = "rtx-4090";
  g["users.private"] = "0.3";
  const Outcome yes = *ask(g, edge_options(), run_edge);
  EXPECT_EQ(yes.answer, Answer::yes);
  const auto value = [](const Outcome& o, std::string_view path) {
    for (const auto& v : o.document.values) {
      if (v.path == path) return v.number.value_or(-1);
    }
    return -2.0;
  };
  EXPECT_DOUBLE_EQ(value(yes, "split.least_device_share"), 0.3);
  EXPECT_GE(value(yes, "split.device_share"), 0.3);
  g["device.model"] = "llama-3.1-70b";  // does not fit, and 30 % must stay
  EXPECT_EQ(ask(g, edge_options(), run_edge)->answer, Answer::no);
  g.erase("device.model");
  EXPECT_EQ(ask(g, edge_options(), run_edge).error().key, "device.model");
}

}  // namespace
}  // namespace jevons::engine
