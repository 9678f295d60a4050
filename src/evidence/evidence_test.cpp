#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

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
  const auto v = validate(
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
  const auto probe = validate(catalog, *read_cases(kHeader + row("llama-3.1-8b", "h100-sxm"), "c.csv"));
  const double ms = probe.rows[0].tpot_s * 1e3;
  const auto with = [&](double tpot) {
    return row("llama-3.1-8b", "h100-sxm", "agg,bf16,,vllm,1,1,1,1,1000,200,fixed,concurrency,4,,," + std::to_string(tpot) + ",yes");
  };
  const auto v = validate(catalog, *read_cases(kHeader + with(ms / 2) + with(ms * 2) + with(ms), "c.csv"));
  const Score s = v.metrics.at("tpot_ms_mean");
  EXPECT_NEAR(s.median_ape, 0.5, 1e-4);
  EXPECT_NEAR(s.bias, 0, 1e-4);
  EXPECT_NEAR(*s.coverage90, 1.0 / 3, 1e-9);
}

// The published serving points, when they lie beside the repository. Bounds are what this form reaches, not what one would wish for.
TEST(Published, ServingPoints) {
  const std::string path = JEVONS_SOURCE_DIR "/../shared/measured/cases.csv";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no measurements at " << path;
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  const auto v = validate(catalog::Catalog::builtin(), *read_cases(text.str(), path));
  const Score tpot = v.metrics.at("tpot_ms_mean");
  EXPECT_GT(tpot.n, 900u);
  EXPECT_LT(tpot.median_ape, 0.09);
  EXPECT_LT(tpot.p90_ape, 0.25);
  EXPECT_GT(*tpot.coverage90, 0.8);
}

}  // namespace
}  // namespace jevons::evidence
