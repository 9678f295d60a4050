#include "evidence/replay.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace jevons::evidence {
namespace {

namespace fs = std::filesystem;

// A folder of this test's own, gone when it ends.
class Folder {
 public:
  Folder()
      : path_(fs::temp_directory_path() / ("jevons_replay_" + std::to_string(::testing::UnitTest::GetInstance()->random_seed()) + "_" +
                                           ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string put(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string at(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

// A profile of round numbers. Attention of a prompt: 5 us, and 1 us for each 16 tokens beyond 16; of decodes: 1 us a sequence and
// 1 us for each 100 tokens cached; beside a prompt 3 us a sequence more.
const char* const kAttentionCsv =
    "prefill_chunk,kv_prefill,n_decode,kv_decode,time_us\n"
    "0,0,1,100,2\n0,0,1,300,4\n0,0,4,100,5\n0,0,4,300,7\n"
    "16,0,0,0,5\n16,0,1,100,10\n16,0,1,300,12\n16,0,4,100,22\n16,0,4,300,24\n"
    "32,0,0,0,6\n32,0,1,100,11\n32,0,1,300,13\n32,0,4,100,23\n32,0,4,300,25\n32,32,0,0,8\n";
const char* const kDenseCsv =
    "layer,tokens,time_us\n"
    "down_proj,1,1\ndown_proj,64,1\nembedding,1,10\nembedding,64,10\nfinal_layernorm,1,10\nfinal_layernorm,64,10\n"
    "layernorm,1,1\nlayernorm,64,1\no_proj,1,1\no_proj,64,1\nqkv_proj,1,1\nqkv_proj,64,64\n";
const char* const kPerSequenceCsv = "layer,sequences,time_us\nlm_head,1,100\nlm_head,4,100\nsampler,1,20\nsampler,4,50\n";
const char* const kMetaYaml = "model: meta-llama/Llama-3.1-8B\ngpu: A GPU of round numbers\ntp_degrees: [1]\nskew_fit: {enabled: false}\n";

struct Files {
  Folder folder;
  std::string attention = folder.put("x_tp1_attention.csv", kAttentionCsv), dense = folder.put("x_tp1_dense.csv", kDenseCsv),
              per_sequence = folder.put("x_tp1_per_sequence.csv", kPerSequenceCsv), meta = folder.put("x_meta.yaml", kMetaYaml);
};

std::string message(const std::vector<std::string>& files) {
  const auto p = read_profile(files);
  return p ? "read" : p.error().message();
}
bool says(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }
double us(step::Ticks t) { return step::seconds_of(t) * 1e6; }

TEST(Profile, InterpolatesEachAxis) {
  const Curve c{{10, 20, 40}, {1, 2, 6}};
  EXPECT_DOUBLE_EQ(c(5), 1);                                     // before the first as the first
  EXPECT_DOUBLE_EQ(c(20), 2);                                    // a point itself
  EXPECT_DOUBLE_EQ(c(30), 4);                                    // half way
  EXPECT_DOUBLE_EQ(c(50), 8);                                    // 0.2 a unit goes on
  const Surface s{{0, 10}, {{{0, 10}, {0, 10}}, {{0}, {100}}}};  // rows need not have the same points
  EXPECT_DOUBLE_EQ(s(5, 4), 0.5 * 4 + 0.5 * 100);
}

TEST(Profile, FindsItsTablesBesideTheOneNamed) {
  const Files f;
  for (const auto& named : {f.attention, f.dense, f.per_sequence}) {
    const auto p = read_profile({named});
    ASSERT_TRUE(p) << p.error().message();
    EXPECT_EQ(p->model, "meta-llama/Llama-3.1-8B");
    EXPECT_EQ(p->tp, 1);
    EXPECT_EQ(p->files.size(), 4u);
    EXPECT_EQ(p->skew, 0);
    EXPECT_DOUBLE_EQ(p->decode(1, 200), 3);
    EXPECT_DOUBLE_EQ(p->beside(16, 4, 200), 18);  // 23 less the prompt's own 5
  }
}

// Two layers; per step 2·10 us once, 2·(2 layernorms + o_proj + down_proj) = 8 us, and 2·qkv_proj: n us each of n tokens.
TEST(Profile, StepsAddUpByHand) {
  const Files f;
  const auto p = read_profile({f.attention});
  ASSERT_TRUE(p);
  const StepContent content{.layers = 2,
                            .max_num_seqs = 4,
                            .max_num_batched_tokens = 64,
                            .capture_sizes = {1, 2, 4},
                            .chunk = 16,
                            .longest = std::vector<double>(5, 1)};
  const step::StepForm form = form_of(*p, content);
  // Three sequences in a graph of four: 28 + 2·4 dense, head 100 + 40, attention of three at 200 tokens 2·(2 + 3) us.
  EXPECT_NEAR(us(form.decode_time(3, 3 * 200)), 28 + 8 + 140 + 10, 1e-3);
  // A prompt of 20 tokens alone: no graph; head of one; attention 2·(5 + 4/16) us.
  EXPECT_NEAR(us(form.mixed_time(0, 0, 20, form.position_time(20))), 28 + 40 + 120 + 10.5, 1e-3);
  // Beside four decodes of 200 tokens: 24 tokens in products, head of four, attention 2·(5.25 + 18) us.
  EXPECT_NEAR(us(form.mixed_time(4, 4 * 200, 20, form.position_time(20))), 28 + 48 + 150 + 46.5, 1e-3);
  // 64 tokens are two chunks of 32: 2·((6 − 5) + (8 − 5)) us beyond the floor.
  EXPECT_NEAR(us(form.position_time(64)), 8, 1e-3);
}

// Of three layers two have experts: for those the dense feed-forward kernels are not called, the experts' table is read at the padded
// tokens and the experts that the tokens touch.
TEST(Profile, ExpertsHaveATableOfTheirOwn) {
  const Files f;
  StepContent c{.layers = 3,
                .max_num_seqs = 4,
                .max_num_batched_tokens = 64,
                .capture_sizes = {1, 2, 4},
                .chunk = 16,
                .longest = std::vector<double>(5, 1),
                .expert_layers = 2,
                .distinct_experts = [](double tokens) { return 2 * tokens; }};
  c.experts = [](double tokens) { return tokens * 7e-6; };
  // 10 + 10 once; 3 layers of two layernorms, o_proj and qkv_proj of the four padded tokens; down_proj in one; head of three 140; attention
  // of three at 200 tokens 3 x 5. Experts: 7 us a padded token.
  const double rest = 20 + 3 * (2 + 1 + 4) + 1 + 140 + 15;
  EXPECT_NEAR(us(form_of(*read_profile({f.attention}), c).decode_time(3, 3 * 200)), rest + 4 * 7, 1e-3);
  f.folder.put("x_tp1_moe.csv", "ep,tokens,activated_experts,time_us\n1,1,2,10\n1,1,8,16\n1,4,2,20\n1,4,8,26\n2,1,2,999\n");
  const auto p = read_profile({f.attention});
  ASSERT_TRUE(p) << p.error().message();
  EXPECT_EQ(p->files.size(), 5u);
  c.experts = {};
  // Two layers at 4 tokens and 2 x 3 experts: 24 us.
  EXPECT_NEAR(us(form_of(*p, c).decode_time(3, 3 * 200)), rest + 2 * 24, 1e-3);
  const auto whole = f.folder.put("y_tp1_moe.csv", "tokens,activated_experts,time_us\n1,2,10\n4,2,20\n");
  EXPECT_DOUBLE_EQ(read_profile({f.attention, whole})->experts(4, 2), 20);
  EXPECT_TRUE(
      says(message({f.attention, f.folder.put("z_moe.csv", "ep,tokens,activated_experts,time_us\n2,1,2,10\n")}), "no rows of ep 1"));
}

// A rank of two norms half the heads, so qk_norm sees half the tokens: 2 layers · 2 calls · (1 + (4/2 − 1)) us for 4 tokens, where a table
// of this profiler repeats the times of one rank.
TEST(Profile, QkNormOfARankSeesItsOwnHeads) {
  const Files f;
  for (const auto& [name, text] : {std::pair{"y_tp2_attention.csv", kAttentionCsv}, std::pair{"y_tp2_per_sequence.csv", kPerSequenceCsv}})
    f.folder.put(name, text);
  f.folder.put("y_tp2_dense.csv", std::string(kDenseCsv) + "qk_norm,1,1\nqk_norm,64,64\n");
  const auto seconds = [&](const char* version) {
    f.folder.put("y_meta.yaml", std::string("model: m\ntp_degrees: [1, 2]\nprofiler_version: ") + version + "\n");
    const auto p = read_profile({f.folder.at("y_tp2_attention.csv")});
    EXPECT_TRUE(p) << p.error().message();
    return us(form_of(*p, {.layers = 2, .max_num_seqs = 4, .max_num_batched_tokens = 64, .longest = std::vector<double>(5, 1)})
                  .decode_time(4, 400));
  };
  const double without = 28 + 8 + 150 + 10;
  EXPECT_NEAR(seconds("1.0.0"), without + 2 * 2 * 2, 1e-3);
  EXPECT_NEAR(seconds("2.0.0"), without + 2 * 2 * 4, 1e-3);
}

// Skew 0.1 with the longest at twice the mean: decodes at 100 tokens take 0.1·(t(200) − t(100)) = 0.1 us a layer more.
TEST(Profile, UnequalContextsCostWhatTheProfilerFitted) {
  const Files f;
  f.folder.put("x_meta.yaml",
               "model: m\ntp_degrees: [1]\nskew_profile: {grid: {ratio: [0.5, 0.0625]}}\n"
               "skew_fit: {enabled: true, per_tp: {1: {alpha_default: 0.1}}}\n");
  const auto p = read_profile({f.attention});
  ASSERT_TRUE(p) << p.error().message();
  EXPECT_DOUBLE_EQ(p->skew_share, 0.0625);
  StepContent content{.layers = 2, .max_num_seqs = 4, .max_num_batched_tokens = 64, .longest = std::vector<double>(5, 1)};
  const auto equal = form_of(*p, content).decode_time(2, 200);
  content.longest.assign(5, 2);
  EXPECT_NEAR(us(form_of(*p, content).decode_time(2, 200) - equal), 2 * 0.1, 1e-3);
}

TEST(Profile, RefusesBadTablesByLineColumnValue) {
  const Files f;
  const auto with = [&](const std::string& text) { return message({f.folder.put("bad.csv", text)}); };
  EXPECT_TRUE(says(with(""), "bad.csv:1: is empty"));
  EXPECT_TRUE(says(with("layer,tokens\n"), "bad.csv:1: columns 'layer,tokens' are of no table"));
  EXPECT_TRUE(says(with("layer,tokens,time_us\n"), "bad.csv:2: has no rows"));
  EXPECT_TRUE(says(with("layer,tokens,time_us\nx,1\n"), "bad.csv:2: 2 cells"));
  EXPECT_TRUE(says(with("layer,tokens,time_us\nx,1,2\nx,2,-3\n"), "bad.csv:3 time_us: '-3'"));
  EXPECT_TRUE(says(with("layer,tokens,time_us\nx,1,nan\n"), "bad.csv:2 time_us: 'nan'"));
  EXPECT_TRUE(says(with("layer,tokens,time_us\nx,1.5,2\n"), "bad.csv:2 tokens: '1.5'"));
  EXPECT_TRUE(says(with("layer,tokens,time_us\nx,4,2\nx,2,3\n"), "bad.csv:3 tokens: 'x,2,3' does not come after"));
  EXPECT_TRUE(says(with("layer,tokens,time_us\nx,4,2\nx,4,3\n"), "ascending order"));
  EXPECT_TRUE(says(message({f.folder.at("none.csv")}), "none.csv: cannot open"));
  EXPECT_TRUE(says(message({f.attention, f.folder.put("more.csv", kAttentionCsv)}), "a second attention table"));
}

TEST(Profile, NamesWhatIsMissing) {
  const Files f;
  fs::remove(f.per_sequence);
  EXPECT_TRUE(says(message({f.attention}), "x_tp1_per_sequence.csv: no such file"));
  f.folder.put("x_tp1_per_sequence.csv", "layer,sequences,time_us\nlm_head,1,100\n");
  EXPECT_TRUE(says(message({f.attention}), "'sampler' is missing"));
  f.folder.put("x_tp1_per_sequence.csv", kPerSequenceCsv);
  fs::remove(f.meta);
  EXPECT_TRUE(says(message({f.attention}), "x_meta.yaml: no such file"));
  f.folder.put("x_meta.yaml", "model: m\ntp_degrees: [2]\n");
  EXPECT_TRUE(says(message({f.attention}), "1 is not among 2"));
}

TEST(Profile, ReadsGzipAndRefusesACutOne) {
  const Files f;
  const std::string path = f.folder.at("z_tp1_attention.csv.gz");
  const gzFile out = gzopen(path.c_str(), "wb");
  gzwrite(out, kAttentionCsv, unsigned(std::string_view(kAttentionCsv).size()));
  gzclose(out);
  EXPECT_EQ(message({path, f.dense, f.per_sequence}), f.folder.at("z_meta.yaml") + ": no such file\n  expected: a file that can be read");
  f.folder.put("z_meta.yaml", kMetaYaml);
  EXPECT_EQ(message({path, f.dense, f.per_sequence}), "read");
  fs::resize_file(path, fs::file_size(path) / 2);
  EXPECT_TRUE(says(message({path, f.dense, f.per_sequence}), "damaged or cut gzip data"));
}

TEST(Setup, TakesWhatTheMetadataSayAndDefaultsElse) {
  const Folder folder;
  const std::string log = folder.at("run_requests.jsonl");
  auto s = read_setup(log);
  ASSERT_TRUE(s);
  EXPECT_TRUE(s->file.empty());
  EXPECT_TRUE(s->policy.enable_prefix_caching);
  folder.put("run_meta.json",
             R"({"model": "a/B", "engine_kwargs": {"max_num_seqs": 128, "max_num_batched_tokens": 4096, "max_model_len": null},
                 "kv_cache": {"num_gpu_blocks": 100, "block_size": 32},
                 "resolved_config": {"scheduler_config": {"max_num_seqs": 64, "async_scheduling": false}}})");
  s = read_setup(log);
  ASSERT_TRUE(s) << s.error().message();
  EXPECT_EQ(s->policy.max_num_seqs, 64);  // what vLLM resolved comes first
  EXPECT_EQ(s->policy.max_num_batched_tokens, 4096);
  EXPECT_EQ(s->policy.block_size, 32);
  EXPECT_EQ(s->policy.lag, 0);
  EXPECT_EQ(s->blocks, 100);
  EXPECT_EQ(s->capture_sizes.back(), 128);  // twice the sequences
  EXPECT_EQ(s->capture_sizes[4], 16);       // 1, 2, 4, 8, 16, 24 …
  folder.put("run_meta.json", R"({"engine_kwargs": {"max_num_seqs": "many"}})");
  EXPECT_TRUE(says(read_setup(log).error().message(), "run_meta.json engine_kwargs.max_num_seqs: '\"many\"'"));
  folder.put("run_meta.json", R"({"engine_kwargs": {"data_parallel_size": 2}})");
  EXPECT_TRUE(says(read_setup(log).error().message(), "data_parallel_size: 2 is not replayed"));
  folder.put("run_meta.json", "[");
  EXPECT_TRUE(says(read_setup(log).error().message(), "is no JSON object"));
}

TEST(Replay, DistanceOfSamplesByHand) {
  EXPECT_DOUBLE_EQ(ks_distance({1, 2, 3, 4}, {1, 2, 3, 4}), 0);
  EXPECT_DOUBLE_EQ(ks_distance({1, 2}, {3, 4}), 1);
  EXPECT_DOUBLE_EQ(ks_distance({1, 2, 3, 4}, {2, 3, 4, 5}), 0.25);
}

TEST(Replay, LongestOfABatch) {
  traffic::Requests equal, spread;
  equal.input_tokens = {1000, 1000};
  equal.output_tokens = {8, 8};
  equal.arrival = {0, 0};
  for (const double r : longest_over_mean(equal, 0.0625, 64)) EXPECT_NEAR(r, 1, 1e-6);
  // One long output from almost nothing: contexts are uniform on (0, 4096), so the longest of n is n/(n + 1) of 4096, and the mean of the
  // longest two of 32 is (32 + 31)/(2·33).
  spread.input_tokens = {1};
  spread.output_tokens = {4096};
  spread.arrival = {0};
  const auto r = longest_over_mean(spread, 0.0625, 32);
  EXPECT_NEAR(r[1], 1, 0.005);
  EXPECT_NEAR(r[4], 2 * 4.0 / 5, 0.01);
  EXPECT_NEAR(r[32], 2 * 63.0 / 66, 0.01);
}

// One request of 16 tokens in, 3 out, on 32 layers of the profile above. Prompt: 20 + 32·4 + 32·16 (qkv_proj) + 120 + 32·5 = 940 us.
// Decode at 16 or 17 tokens, as at 100: 20 + 32·4 + 32·1 + 120 + 32·2 = 364 us. The log says the same, so every error is 0.
TEST(Replay, OneRequestEqualsItsSteps) {
  const Files f;
  f.folder.put("run_meta.json", R"({"model": "meta-llama/Llama-3.1-8B", "engine_kwargs": {"max_num_seqs": 4, "max_num_batched_tokens": 64},
                                   "kv_cache": {"num_gpu_blocks": 10}})");
  const std::string log = f.folder.put(
      "run_requests.jsonl",
      R"({"request_id": "0", "input_toks": 16, "output_toks": 3, "arrival_time": 5.0, "queued_ts": 100.0, "scheduled_ts": 100.0, )"
      R"("first_token_ts": 100.000940, "last_token_ts": 100.001668})"
      "\n");
  const auto r = replay(catalog::Catalog::builtin(), log, {f.attention});
  ASSERT_TRUE(r) << r.error().message();
  EXPECT_EQ(r->n, 1u);
  EXPECT_EQ(r->blocks, 9);  // without vLLM's null block
  EXPECT_NEAR(r->ttft_mean_s, 940e-6, 2e-9);
  EXPECT_NEAR(r->tpot_mean_s, 364e-6, 2e-9);
  EXPECT_NEAR(r->makespan_s, 1668e-6, 3e-9);
  EXPECT_NEAR(r->ttft_error(), 0, 1e-5);
  EXPECT_NEAR(r->tpot_error(), 0, 1e-5);
}

TEST(Replay, RefusesAProfileOfAnotherRun) {
  const Files f;
  const std::string log = f.folder.put(
      "run_requests.jsonl",
      R"({"request_id": "0", "input_toks": 16, "output_toks": 3, "arrival_time": 5, "queued_ts": 1, "scheduled_ts": 1, "first_token_ts": 2, )"
      R"("last_token_ts": 3})"
      "\n");
  const auto error = [&](const std::vector<std::string>& profile) {
    const auto r = replay(catalog::Catalog::builtin(), log, profile);
    return r ? "replayed" : r.error().message();
  };
  EXPECT_TRUE(says(error({}), "nothing says which model ran"));
  f.folder.put("run_meta.json", R"({"model": "Qwen/Qwen3-32B", "kv_cache": {"num_gpu_blocks": 10}})");
  EXPECT_TRUE(says(error({f.attention}), "the profile is of meta-llama/Llama-3.1-8B"));
  EXPECT_TRUE(says(error({f.attention}), "Qwen/Qwen3-32B"));
  EXPECT_TRUE(says(error({}), "hardware.device_name: '' is not in the catalogue"));
  f.folder.put("run_meta.json", R"({"model": "meta-llama/Llama-3.1-8B", "engine_kwargs": {"tensor_parallel_size": 2}})");
  EXPECT_TRUE(says(error({f.attention}), "the profile is of tensor parallelism 1"));
  f.folder.put("run_meta.json", R"({"model": "meta-llama/Llama-3.1-8B", "kv_cache": {"num_gpu_blocks": 2}})");
  EXPECT_TRUE(says(error({f.attention}), "1 of its requests cannot fit 1 cache blocks"));
}

// Recorded runs, when they lie beside the repository. No constant is fitted to them.
TEST(Recorded, RunsOfTwoGpus) {
  const std::string measured = JEVONS_SOURCE_DIR "/../shared/measured/";
  if (!fs::exists(measured + "vllm_runs")) GTEST_SKIP() << "no recorded runs in " << measured << "vllm_runs";
  for (const std::string gpu : {"RTX4090", "RTXPRO6000"}) {
    const auto r = replay(catalog::Catalog::builtin(), measured + "vllm_runs/llmservingsim_vllm_" + gpu + "_Llama-3.1-8B_requests.jsonl",
                          {measured + "ops/llmservingsim_" + gpu + "_meta-llama_Llama-3.1-8B_bf16_tp1_attention.csv.gz"});
    ASSERT_TRUE(r) << r.error().message();
    EXPECT_EQ(r->n, 300u);
    EXPECT_LT(std::abs(r->ttft_error()), 0.05) << gpu;
    EXPECT_LT(std::abs(r->tpot_error()), 0.03) << gpu;
    EXPECT_LT(std::abs(r->makespan_error()), 0.02) << gpu;
  }
}

}  // namespace
}  // namespace jevons::evidence
