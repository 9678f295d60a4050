#include "model/weights.hpp"

#include <gtest/gtest.h>

#include "catalog/catalog.hpp"

namespace jevons::model {
namespace {

Model load(std::string_view name) {
  const auto catalog = catalog::Catalog::builtin();
  const auto entry = catalog.find_model(name);
  return *parse_entry((*entry)->json, (*entry)->file);
}

// Published checkpoint sizes (Hugging Face repositories and press, GB = 1e9) and the bytes that steps of 1, 8, 64 and 512 tokens read
// under uniform routing, from an independent calculation.
struct Row {
  const char* model;
  const char* scheme;
  double checkpoint_gb, step[4], tolerance;
};
class Checkpoints : public testing::TestWithParam<Row> {};
TEST_P(Checkpoints, SizeAndStepBytes) {
  const Row& r = GetParam();
  const Model m = load(r.model);
  const Parameters p = parameters(m);
  const auto scheme = weight_scheme(m, r.scheme);
  ASSERT_TRUE(scheme);
  const WeightBytes b = weight_bytes(m, p, *scheme);
  EXPECT_NEAR(b.total() / 1e9, r.checkpoint_gb, r.tolerance * r.checkpoint_gb);
  const double tokens[] = {1, 8, 64, 512};
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(step_weight_bytes(m, b, tokens[i]) / 1e9, r.step[i], r.tolerance * r.step[i] + 0.05) << tokens[i];
}
INSTANTIATE_TEST_SUITE_P(Published, Checkpoints,
                         testing::Values(Row{"deepseek-v3", "native", 684.8, {37.7, 163.9, 585.6, 671.3}, 0.002},
                                         Row{"deepseek-v3.2", "native", 685.6, {38.5, 164.8, 586.4, 672.1}, 0.002},
                                         Row{"deepseek-v4-pro", "native", 864.7, {39.7, 124.1, 548.8, 848.6}, 0.002},
                                         Row{"deepseek-v4-flash", "native", 159.6, {11.2, 33.2, 122.7, 154.9}, 0.003},
                                         Row{"kimi-k2.5", "native", 594.2, {33.0, 109.6, 443.5, 591.8}, 0.002},
                                         Row{"kimi-k3", "native", 1559.9, {137.0, 305.3, 1101.0, 1557.5}, 0.002},
                                         Row{"glm-5", "fp8", 756.1, {41.9, 181.9, 649.2, 744.2}, 0.002},
                                         Row{"minimax-m3", "fp8", 428.8, {26.0, 105.8, 372.2, 426.3}, 0.003},
                                         Row{"qwen3.5-397b-a17b", "fp8", 405.2, {17.5, 66.4, 287.2, 396.6}, 0.004},
                                         Row{"gpt-oss-120b", "native", 65.2, {5.0, 16.8, 56.1, 64.1}, 0.003},
                                         Row{"mimo-v2-flash", "native", 311.1, {15.5, 74.0, 269.2, 308.9}, 0.02},
                                         Row{"llama-3.1-70b", "bf16", 141.1, {139.0, 139.0, 139.0, 139.0}, 0.001}),
                         [](const auto& row) {
                           std::string s = row.param.model;
                           for (auto& c : s)
                             if (!isalnum(c)) c = '_';
                           return s;
                         });

TEST(Weights, UnknownFormatNamesTheKnownOnes) {
  const auto bad = weight_scheme(load("llama-3.1-8b"), "fp6");
  ASSERT_FALSE(bad);
  EXPECT_NE(bad.error().expected.find("nvfp4"), std::string::npos);
}

TEST(Weights, GptOssCheckpointIsExactToTheByte) {
  // Model card of gpt-oss-120b: 65,248,815,744 bytes.
  const Model m = load("gpt-oss-120b");
  EXPECT_EQ(weight_bytes(m, parameters(m), *weight_scheme(m, "native")).total(), 65248815744.0);
}

}  // namespace
}  // namespace jevons::model
