#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "evidence/fit.hpp"
#include "evidence/validate.hpp"

namespace jevons::evidence {
namespace {

const std::string kHeader =
    "case_id,model,accelerator,n_accelerators,mode,weights,kv_cache,engine,tp,pp,dp_attention,ep,isl,osl,lengths,load,load_value,prefix_"
    "hit_rate,ttft_ms_mean,tpot_ms_mean,ttft_usable\n";
std::string row(const std::string& model, const std::string& chip,
                const std::string& rest = "agg,bf16,,vllm,1,1,1,1,1000,200,fixed,concurrency,4,,100,10,yes") {
  return "a," + model + "," + chip + ",1," + rest + "\n";
}

TEST(Cases, ReadsLengthsLoadAndAttentionRanks) {
  const auto c = read_cases(
      kHeader + "x,deepseek-v3,h200-sxm,8,agg,fp8,,sglang,8,1,8,8,1000,2000,uniform:0.8:1.0,concurrency,64,,500,20,no\n", "c.csv");
  ASSERT_TRUE(c) << c.error().message();
  const Case& x = c->cases.at(0);
  EXPECT_EQ(x.placement, (step::Placement{1, 1, 8, 8}));
  EXPECT_DOUBLE_EQ(x.isl, 900);
  EXPECT_DOUBLE_EQ(x.osl, 1800);
  EXPECT_FALSE(x.ttft_usable);
}

TEST(Cases, ErrorsNameRowColumnValue) {
  EXPECT_NE(read_cases("model\n", "c.csv").error().message().find("c.csv:1 accelerator: no such column"), std::string::npos);
  EXPECT_NE(read_cases(kHeader + row("m", "h", "agg,bf16,,vllm,1,1,1,1,many,200,fixed,concurrency,4,,100,10,yes"), "c.csv")
                .error()
                .message()
                .find("c.csv:2 isl: 'many' is not a number"),
            std::string::npos);
  EXPECT_NE(read_cases(kHeader + row("m", "h", "agg,bf16,,vllm,1,1,1,1,100,200,fixed,concurrency,4,,,,yes"), "c.csv")
                .error()
                .message()
                .find("neither TTFT nor TPOT"),
            std::string::npos);
  EXPECT_NE(read_cases(kHeader + row("m", "h", "agg,bf16,,vllm,1,1,1,1,100,200,normal,concurrency,4,,1,1,yes"), "c.csv")
                .error()
                .message()
                .find("c.csv:2 lengths"),
            std::string::npos);
}

TEST(Validate, RefusesUnknownNamesWithTheReason) {
  const auto catalog = catalog::Catalog::builtin();
  const auto v = *validate(
      catalog, *read_cases(kHeader + row("llama-9", "h100-sxm") + row("llama-3.1-8b", "h1000") + row("llama-3.1-405b", "h100-sxm") +
                               row("llama-3.1-8b", "h100-sxm", "agg,bf16,,vllm,1,1,1,1,1000,200,fixed,rate,4,,100,10,yes") +
                               row("llama-3.1-8b", "h100-sxm"),
                           "c.csv"));
  EXPECT_EQ(v.rows.size(), 1u);
  ASSERT_EQ(v.refused.size(), 4u);
  EXPECT_NE(v.refused[0].find("load rate"), std::string::npos);
  EXPECT_NE(v.refused[1].find("unknown model 'llama-9'"), std::string::npos);
  EXPECT_NE(v.refused[3].find("does not fit"), std::string::npos);
  EXPECT_EQ(v.metrics.at("tpot_ms_mean").n, 1u);
}

TEST(Validate, ScoresByHand) {
  // One case twice, measured at half and at twice the prediction: errors +100 % and -50 %.
  const auto catalog = catalog::Catalog::builtin();
  const auto probe = *validate(catalog, *read_cases(kHeader + row("llama-3.1-8b", "h100-sxm"), "c.csv"));
  const double ms = probe.rows[0].tpot_s * 1e3;
  const auto with = [&](double tpot) {
    return row("llama-3.1-8b", "h100-sxm", "agg,bf16,,vllm,1,1,1,1,1000,200,fixed,concurrency,4,,," + std::to_string(tpot) + ",yes");
  };
  const auto v = *validate(catalog, *read_cases(kHeader + with(ms / 2) + with(ms * 2) + with(ms), "c.csv"));
  const Score s = v.metrics.at("tpot_ms_mean");
  EXPECT_NEAR(s.median_ape, 0.5, 1e-4);
  EXPECT_NEAR(s.bias, 0, 1e-4);
  EXPECT_NEAR(*s.coverage90, 1.0 / 3, 1e-9);
}

TEST(Bands, ConformalRanksAndBorrowing) {
  // 39 residuals of one regime, -19 … 19: 5 % of 40 is 2, so the band runs from the 2nd to the 38th.
  std::vector<Residual> r;
  for (int i = -19; i <= 19; ++i) r.push_back({Regime::new_model, i / 100.0, {}, {}});
  const Bands b = bands_of(r);
  EXPECT_NEAR(b[std::size_t(Regime::new_model)].tpot.low, std::exp(-0.18), 1e-12);
  EXPECT_NEAR(b[std::size_t(Regime::new_model)].tpot.high, std::exp(0.18), 1e-12);
  EXPECT_EQ(b[std::size_t(Regime::seen_block)].tpot.high, b[std::size_t(Regime::new_model)].tpot.high);  // none of its own: the next
}

TEST(Fit, FindsTheFactorsOfABlock) {
  // Five points of one deployment, all measured at 1.2 times the prediction: the factors move there, less what shrinkage keeps.
  const auto catalog = catalog::Catalog::builtin();
  std::string text = kHeader;
  const auto with = [&](int c, double ttft, double tpot) {
    return row("llama-3.1-8b", "a100-80g-sxm",
               "agg,bf16,,vllm,1,1,1,1,1000,200,uniform:0.8:1.0,concurrency," + std::to_string(c) + ",," + std::to_string(ttft) + "," +
                   std::to_string(tpot) + ",yes");
  };
  for (const int c : {1, 2, 4, 8, 16}) text += with(c, 100, 10);
  const auto probe = *validate(catalog, *read_cases(text, "c.csv"));
  text = kHeader;
  int i = 0;
  for (const int c : {1, 2, 4, 8, 16}) {
    text += with(c, probe.rows[std::size_t(i)].ttft_s * 1200, probe.rows[std::size_t(i)].tpot_s * 1200);
    ++i;
  }
  const Cases cases = *read_cases(text, "c.csv");
  std::vector<Prepared> ready;
  for (const Case& c : cases.cases) ready.push_back(*prepare(catalog, c));
  const auto blocks = fit_blocks(ready, std::vector<char>(5, 1), *step::Served::read(catalog));
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_GT(blocks.begin()->second.decode, 1.1);
  EXPECT_LT(blocks.begin()->second.decode, 1.2);
  EXPECT_GT(blocks.begin()->second.prompt, 1.05);
}

TEST(Validate, NamesWhatBreaksPhysics) {
  // 16 GB of weights at 3.35 TB/s take 4.8 ms; 2 ms are refused by nature.
  const auto catalog = catalog::Catalog::builtin();
  const auto v = *validate(
      catalog,
      *read_cases(kHeader + row("llama-3.1-8b", "h100-sxm", "agg,bf16,,vllm,1,1,1,1,1000,200,fixed,concurrency,4,,100,2,yes"), "c.csv"));
  ASSERT_EQ(v.notes.size(), 1u);
  EXPECT_NE(v.notes[0].find("breaks physics"), std::string::npos);
}

// The published serving points, when they lie beside the repository. Bounds are what this form reaches, not what one would wish for.
TEST(Published, ServingPoints) {
  const std::string path = JEVONS_SOURCE_DIR "/../shared/measured/cases.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no measurements at " << path;
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  const auto catalog = catalog::Catalog::builtin();
  Cases cases = *read_cases(text.str(), path);
#ifndef NDEBUG
  // Every eighth is enough under sanitizers.
  std::vector<Case> some;
  for (std::size_t i = 0; i < cases.cases.size(); i += 8) some.push_back(cases.cases[i]);
  cases.cases = some;
#endif
  const auto v = *validate(catalog, cases);
  EXPECT_TRUE(v.refused.empty());
  EXPECT_LT(v.physics.at("tpot_ms_mean").median_ape, 0.08);
  EXPECT_LT(v.physics.at("tpot_ms_mean").p90_ape, 0.22);
  EXPECT_LT(v.physics.at("ttft_ms_mean").median_ape, 0.14);
  EXPECT_LT(v.physics.at("output_tok_s").median_ape, 0.08);
  for (const Prediction& p : v.rows) {
    if (p.of->disaggregated) continue;
    const Prepared ready = *prepare(catalog, *p.of);
    EXPECT_GE(p.ttft_s, ready.time->prefill_bound(0.9 * p.of->isl, 0)) << p.of->id;
    // By Little's law: the sequences that decode at once stream their bytes at peak bandwidth, and all tokens multiply at the peak rate.
    const double decode = (p.of->osl - 1) * p.tpot_s, rate = p.of->concurrency / (p.ttft_s + decode);
    const double batch = std::min(rate * decode, std::max(1.0, p.fit));
    EXPECT_GE(p.tpot_s, ready.time->decode_bound(batch, p.of->isl)) << p.of->id;
    EXPECT_LT(rate * ready.time->prefill_bound(p.of->isl + p.of->osl, 0), 0.8) << p.of->id;
  }
}

// Start-up logs: bytes of cache a token takes, and blocks that fit.
TEST(Published, CacheMemory) {
  const auto catalog = catalog::Catalog::builtin();
  const auto per_token = [&](const char* name) {
    const auto m = *model::parse_entry((*catalog.find_model(name))->json, name);
    const auto groups = model::cache_groups(m, model::CacheFormat::fp8);
    return model::cache_slope(groups);
  };
  EXPECT_NEAR(per_token("kimi-k2.5"), 101.4 * 1073741824 / 3098848, 0.02 * 35136);  // vLLM 0.21 on GB300: 101.4 GiB for 3,098,848 tokens
  EXPECT_NEAR(per_token("deepseek-v3"), 35140, 0.02 * 35140);                       // TensorRT-LLM 1.3.0rc8: 21.22 GB for 603,860 tokens
}

}  // namespace
}  // namespace jevons::evidence
