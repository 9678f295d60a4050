// Published figures. The CSVs in testdata/ carry a collection of vendors' numbers, each with the error our count is known to have
// against it; the single claims below name their source.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.hpp"
#include "catalog/catalog.hpp"
#include "model/weights.hpp"

namespace jevons::model {
namespace {

using Row = std::map<std::string, std::string>;

std::vector<Row> csv(const std::string& name) {
  std::ifstream in(JEVONS_SOURCE_DIR "/src/model/testdata/" + name);
  std::string line;
  std::getline(in, line);
  const std::string header = line;
  std::vector<Row> rows;
  while (std::getline(in, line)) {
    const auto keys = split(header, ','), cells = split(line, ',');
    Row r;
    for (std::size_t i = 0; i < keys.size(); ++i) r[std::string(keys[i])] = i < cells.size() ? std::string(cells[i]) : "";
    rows.push_back(r);
  }
  return rows;
}

Model load(std::string_view name) {
  const auto catalog = catalog::Catalog::builtin();
  const auto entry = catalog.find_model(name);
  EXPECT_TRUE(entry) << name;
  return *parse_entry((*entry)->json, (*entry)->file);
}
double number(const std::string& s) { return std::stod(s); }

TEST(Published, ParametersWithinTheStatedErrorAndConvention) {
  const auto rows = csv("published_parameters.csv");
  ASSERT_EQ(rows.size(), 54u);
  for (const auto& r : rows) {
    const Parameters p = parameters(load(r.at("model")));
    EXPECT_NEAR(double(p.total) / 1e9, number(r.at("text_total_b")), 0.0006) << r.at("model");
    const double vision = r.at("vision_b").empty() ? 0 : number(r.at("vision_b"));
    const double error = ((double(p.total) / 1e9 + vision) / number(r.at("published_b")) - 1) * 100;
    EXPECT_NEAR(error, number(r.at("error_pct")), vision > 0 ? 0.05 : 0.011) << r.at("model");
    EXPECT_NEAR(p.active / 1e9, number(r.at("active_all_b")), 0.006) << r.at("model");
    EXPECT_NEAR(p.active_no_input_embedding / 1e9, number(r.at("active_no_input_embedding_b")), 0.006) << r.at("model");
    EXPECT_NEAR(p.active_no_embeddings / 1e9, number(r.at("active_no_embeddings_b")), 0.006) << r.at("model");
    if (!r.at("mtp_b").empty()) {
      EXPECT_NEAR(double(p.mtp.total()) / 1e9, number(r.at("mtp_b")), 0.006) << r.at("model");
    }
    if (r.at("published_active_b").empty()) continue;
    const std::string& c = r.at("convention");
    const double mine = c == "all" ? p.active : c == "no_embeddings" ? p.active_no_embeddings : p.active_no_input_embedding;
    EXPECT_NEAR((mine / 1e9 / number(r.at("published_active_b")) - 1) * 100, number(r.at("active_error_pct")), 0.06) << r.at("model");
  }
}

TEST(Published, CachePerSequence) {
  const auto rows = csv("published_cache.csv");
  ASSERT_EQ(rows.size(), 54u);
  for (const auto& r : rows) {
    const Model m = load(r.at("model"));
    const auto bf16 = cache_groups(m, CacheFormat::bf16), fp8 = cache_groups(m, CacheFormat::fp8);
    EXPECT_NEAR(cache_slope(bf16), number(r.at("growth_bf16")), 0.06) << r.at("model");
    EXPECT_NEAR(cache_slope(fp8), number(r.at("growth_native")), 0.06) << r.at("model");
    EXPECT_NEAR(cache_fixed(bf16), number(r.at("fixed_bf16")), 0.6) << r.at("model");
    EXPECT_NEAR(cache_stored(bf16, 131072) / 1073741824.0, number(r.at("gib_128k")), 0.0051) << r.at("model");
    EXPECT_NEAR(cache_stored(bf16, 1048576) / 1073741824.0, number(r.at("gib_1m")), 0.0051) << r.at("model");
    EXPECT_NEAR(cache_read(fp8, 131072) / 1e6, number(r.at("read_128k_fp8_mb")), 0.06) << r.at("model");
  }
}

TEST(Published, DecodeFlops) {
  for (const auto& r : csv("published_flops.csv")) {
    const Model m = load(r.at("model"));
    EXPECT_NEAR(decode_linear_flops(parameters(m)) / 1e9, number(r.at("linear_gf")), 0.006) << r.at("model");
    EXPECT_NEAR(decode_attention_flops(m, 8192).core / 1e9, number(r.at("core_8k")), 0.006) << r.at("model");
    EXPECT_NEAR(decode_attention_flops(m, 131072).core / 1e9, number(r.at("core_128k")), 0.006) << r.at("model");
    EXPECT_NEAR(decode_attention_flops(m, 1048576).index / 1e9, number(r.at("index_1m")), 0.06) << r.at("model");
    EXPECT_NEAR(decode_attention_flops(m, 8192).recurrent / 1e9, number(r.at("recurrent")), 0.006) << r.at("model");
  }
}

TEST(Published, Claims) {
  const auto growth = [](const char* name, CacheFormat f = CacheFormat::bf16) { return cache_slope(cache_groups(load(name), f)); };
  // ISCA 2025 "Insights into DeepSeek-V3", table 1: KB a token in bf16.
  EXPECT_EQ(growth("deepseek-v3"), 70272);
  EXPECT_EQ(growth("qwen2.5-72b"), 327680);
  EXPECT_EQ(growth("llama-3.1-405b"), 516096);
  // DeepSeek-V2 report: KV cut of 93.3 % against the 67B model; it needs V2's cache at 6 bits, the 67B's at 16.
  EXPECT_NEAR(1 - growth("deepseek-v2") * 6 / 16 / growth("deepseek-67b"), 0.9333, 0.0002);
  EXPECT_NEAR(1 - growth("deepseek-v2") / growth("deepseek-67b"), 0.822, 0.0005);  // both at 16 bits
  // vLLM blog 2026-04-24: V4-Pro holds 9.62 GiB at 1M in bf16, V3.2 83.9 GiB.
  const double gib = 1073741824.0;
  EXPECT_NEAR(cache_stored(load("deepseek-v4-pro"), CacheFormat::bf16, 1 << 20) / gib, 9.62, 0.01);
  EXPECT_NEAR(cache_stored(load("deepseek-v3.2"), CacheFormat::bf16, 1 << 20) / gib, 83.9, 0.05);
  // V4 report: 10 % and 7 % of V3.2's cache at 1M, native layouts.
  const double v32 = cache_stored(load("deepseek-v3.2"), CacheFormat::native, 1 << 20);
  EXPECT_NEAR(v32 / cache_stored(load("deepseek-v4-pro"), CacheFormat::native, 1 << 20), 9.545, 0.01);
  EXPECT_NEAR(v32 / cache_stored(load("deepseek-v4-flash"), CacheFormat::native, 1 << 20), 13.67, 0.02);
  // V4 report: 27 % and 10 % of V3.2's FLOPs at L = 1e6, in fp8 equivalents: bf16 products and the bf16 attention core count twice,
  // the fp4 indexer half, fp8 and fp4 products once.
  const auto equivalent = [](const char* name) {
    const Model m = load(name);
    const Parameters p = parameters(m);
    const bool v4 = m.family == "deepseek_v4";
    const double bf16 = 2.0 * double(p.main[Group::head] + p.main[Group::router] + p.main[Group::compressor] + p.main[Group::indexer_bf16] +
                                     p.main[Group::hc]);
    const auto a = decode_attention_flops(m, 1000000);
    return decode_linear_flops(p) + bf16 + 2 * a.core + a.index * (v4 ? 0.5 : 1.0);
  };
  EXPECT_NEAR(equivalent("deepseek-v4-pro") / equivalent("deepseek-v3.2"), 0.2707, 0.0005);
  EXPECT_NEAR(equivalent("deepseek-v4-flash") / equivalent("deepseek-v3.2"), 0.1017, 0.0005);
  // Kimi-Linear report: up to 75 % less cache than MLA; 73.9 % at 2^20 with states.
  const double mla = 27.0 * 1152 * (1 << 20);
  EXPECT_NEAR(1 - cache_stored(load("kimi-linear-48b"), CacheFormat::bf16, 1 << 20) / mla, 0.739, 0.001);
  // Step-3 paper (arXiv 2507.19427) at 32k: 1.02e9 cache values and 1.31e11 core FLOPs.
  EXPECT_NEAR(cache_stored(load("step-3"), CacheFormat::fp8, 32768) / 1.02e9, 1, 0.004);
  EXPECT_NEAR(decode_attention_flops(load("step-3"), 32768).core / 1.31e11, 1, 0.004);
  // DeepSeek-V3 report: 250 GFLOP a token in training at 4096: 6 N_active + 3 x causal naive attention of the mean token.
  const Model v3 = load("deepseek-v3");
  const Parameters p3 = parameters(v3);
  const double causal = decode_attention_flops(v3, 4096, MlaMode::naive).core / 2;
  EXPECT_NEAR((6 * p3.active_no_input_embedding + 3 * causal * 4097 / 4096) / 1e9, 250.46, 0.3);
  // V3 README_WEIGHTS: MTP 11.5B unique parameters, without eh_proj.
  EXPECT_NEAR(double(p3.mtp.total() - p3.mtp[Group::mtp_proj]) / 1e9, 11.507, 0.001);
  // V4: state of compression groups not yet closed, 18.71 and 12.21 MB a sequence.
  EXPECT_NEAR(compressor_state(load("deepseek-v4-pro")) / 1e6, 18.71, 0.005);
  EXPECT_NEAR(compressor_state(load("deepseek-v4-flash")) / 1e6, 12.21, 0.005);
}

}  // namespace
}  // namespace jevons::model
