// Configs from outside the catalogue: siblings with hand-worked numbers, and hostile files.
#include <gtest/gtest.h>

#include <cstdlib>

#include "base/random.hpp"
#include "catalog/catalog.hpp"
#include "model/weights.hpp"

namespace jevons::model {
namespace {

std::int64_t total(const char* json) {
  const auto m = parse_config(json, "config.json");
  EXPECT_TRUE(m) << (m ? "" : m.error().message());
  return m ? parameters(*m).total : -1;
}

// The second number of each was also counted by transformers' own modelling code on the meta device (tools/count_parameters.py).
TEST(Stranger, Qwen25SevenB) {
  // Embedding and head 2 x 152064 x 3584 = 1,089,994,752. A layer: q and o 2 x 3584^2, k and v 2 x 3584 x 512, biases 3584 + 1024,
  // FFN 3 x 3584 x 18944, norms 2 x 3584 = 25,690,112 + 3,670,016 + 4,608 + 203,685,888 + 7,168 = 233,057,792; x 28 + 3,584.
  EXPECT_EQ(total(R"({"model_type":"qwen2","hidden_size":3584,"intermediate_size":18944,"num_hidden_layers":28,"num_attention_heads":28,
    "num_key_value_heads":4,"vocab_size":152064,"use_sliding_window":false,"max_window_layers":28,"sliding_window":131072,"tie_word_embeddings":false})"),
            1089994752 + 28 * 233057792ll + 3584);
}

TEST(Stranger, Llama32OneBIsTied) {
  // Embedding 128256 x 2048 once = 262,668,288. A layer: q, o 2 x 2048^2; k, v 2 x 2048 x 512; FFN 3 x 2048 x 8192; norms 4096.
  const std::int64_t layer = 2 * 2048 * 2048 + 2 * 2048 * 512 + 3 * 2048 * 8192 + 4096;
  EXPECT_EQ(
      total(
          R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":2048,"intermediate_size":8192,"num_hidden_layers":16,
    "num_attention_heads":32,"num_key_value_heads":8,"head_dim":64,"vocab_size":128256,"tie_word_embeddings":true})"),
      262668288 + 16 * layer + 2048);
}

TEST(Stranger, BiasesAreCountedWhenSwitchedOn) {
  // Attention biases: q 4096, k and v 1024 each, o 4096; FFN biases 2 x 11008 + 4096.
  const char* with = R"({"model_type":"llama","num_key_value_heads":8,"attention_bias":true,"mlp_bias":true})";
  const char* without = R"({"model_type":"llama","num_key_value_heads":8})";
  EXPECT_EQ(total(with) - total(without), 32 * (4096 + 2048 + 4096 + 2 * 11008 + 4096));
}

TEST(Stranger, Mistral7BSlidesByClassDefault) {
  const auto absent = parse_config(R"({"model_type":"mistral"})", "c");
  const auto null = parse_config(R"({"model_type":"mistral","sliding_window":null})", "c");
  EXPECT_EQ(parameters(*absent).total, 7241732096);  // published 7.24B
  // 32 layers x 8 heads x 2 x 128 values x 2 B = 131,072 B a token; the window stops growth at 4096.
  EXPECT_EQ(cache_stored(*absent, CacheFormat::bf16, 100000), 4096.0 * 131072);
  EXPECT_EQ(cache_stored(*null, CacheFormat::bf16, 100000), 100000.0 * 131072);
}

TEST(Stranger, Qwen3MoeHonoursSparseStepAndDenseLayers) {
  // 24 layers; MoE where (i+1) % 2 == 0 and i is not 1 or 3: i = 5, 7, …, 23, ten layers; 14 dense of width 6144.
  const auto m = parse_config(R"({"model_type":"qwen3_moe","decoder_sparse_step":2,"mlp_only_layers":[1,3],"attention_bias":true})", "c");
  ASSERT_TRUE(m);
  int moe = 0;
  for (const auto& k : m->kinds) moe += k.layer.moe ? k.count : 0;
  EXPECT_EQ(moe, 10);
  EXPECT_EQ(parameters(*m).total, 7419937792);
}

TEST(Stranger, SmallerSiblings) {
  EXPECT_EQ(
      total(
          R"({"model_type":"gemma3","text_config":{"model_type":"gemma3_text","hidden_size":2560,"intermediate_size":10240,"num_hidden_layers":34,
    "num_attention_heads":8,"num_key_value_heads":4,"head_dim":256,"vocab_size":262208,"sliding_window":1024}})"),
      3880263168);                                                    // 3.88B text of 4B
  EXPECT_EQ(total(R"({"model_type":"gemma2"})"), 2614341888);         // 2.61B
  EXPECT_EQ(total(R"({"model_type":"mixtral"})"), 46702792704);       // 46.7B
  EXPECT_EQ(total(R"({"model_type":"qwen2_moe"})"), 14315784192);     // 14.3B
  EXPECT_EQ(total(R"({"model_type":"deepseek_v3"})"), 671026419200);  // 671B
  EXPECT_EQ(total(R"({"model_type":"gpt_oss"})"), 116829156672);      // 116.83B
  EXPECT_EQ(total(R"({"model_type":"jamba"})"), 51570323328);         // 51.6B
  EXPECT_EQ(total(R"({"model_type":"llama4_text"})"), 107769861120);  // 107.8B
  EXPECT_EQ(total(R"({"model_type":"qwen3_next"})"), 79674391296);    // 79.7B
  EXPECT_EQ(total(R"({"model_type":"qwen3_5_text"})"), 8953803264);   // 9B
  EXPECT_EQ(total(R"({"model_type":"phi3"})"), 3821079552);           // 3.82B
  EXPECT_EQ(total(R"({"model_type":"olmo2"})"), 6888624128);
  EXPECT_EQ(
      total(
          R"({"model_type":"jamba","num_experts":1,"hidden_size":2560,"intermediate_size":8192,"num_hidden_layers":28,"num_attention_heads":20,
    "num_key_value_heads":1,"attn_layer_period":14,"attn_layer_offset":7,"vocab_size":65536})"),
      3197109632 + 0);
  EXPECT_EQ(total(R"({"model_type":"gemma4_text","hidden_size_per_layer_input":0,"num_hidden_layers":12})"), 1566692608);
}

TEST(Stranger, ThreeActiveConventions) {
  // Mixtral: 46,702,792,704 - routed (32 x 8 x 3 x 4096 x 14336 = 45,097,156,608) x 6/8.
  const auto p = parameters(*parse_config(R"({"model_type":"mixtral"})", "c"));
  EXPECT_EQ(p.active, 46702792704.0 - 0.75 * 45097156608.0);
  EXPECT_EQ(p.active - p.active_no_input_embedding, 32000.0 * 4096);
  EXPECT_EQ(p.active_no_input_embedding - p.active_no_embeddings, 32000.0 * 4096);
}

TEST(Stranger, QuantizationIsReadOrSaidToBeUnknown) {
  const auto native = [](const std::string& q) {
    return parse_config(R"({"model_type":"llama","quantization_config":)" + q + "}", "c")->native_weights;
  };
  EXPECT_EQ(native(R"({"quant_method":"fp8"})"), "fp8");
  EXPECT_EQ(
      native(
          R"({"quant_method":"compressed-tensors","config_groups":{"group_0":{"weights":{"num_bits":4,"type":"int","group_size":32}}}})"),
      "int4-g32");
  EXPECT_EQ(native(R"({"quant_method":"modelopt","quant_algo":"NVFP4"})"), "nvfp4");
  const auto m = parse_config(R"({"model_type":"llama","quantization_config":{"quant_method":"exotic"}})", "c");
  EXPECT_EQ(parameters(*m).total, 6738415616);  // counts do not depend on it
  EXPECT_NE(weight_scheme(*m, "native").error().message().find("exotic"), std::string::npos);
  EXPECT_TRUE(weight_scheme(*m, "fp8"));
}

std::string refusal(const std::string& json) {
  const auto m = parse_config(json, "config.json");
  return m ? "accepted" : m.error().message();
}

TEST(Refuses, SwitchesItDoesNotAccountForByName) {
  EXPECT_NE(refusal(R"({"model_type":"gemma4_text"})").find("hidden_size_per_layer_input"), std::string::npos);
  EXPECT_NE(
      refusal(R"({"model_type":"gemma4_text","hidden_size_per_layer_input":0,"num_kv_shared_layers":10})").find("num_kv_shared_layers"),
      std::string::npos);
  EXPECT_NE(refusal(R"({"model_type":"deepseek_v3","attention_bias":true})").find("attention_bias"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type":"rwkv7"})").find("family 'rwkv7' is not supported"), std::string::npos);
  EXPECT_NE(refusal(R"({"hidden_size":8})").find("model_type"), std::string::npos);
}

TEST(Refuses, HostileNumbersNamingTheKey) {
  const auto llama = [](const std::string& more) { return refusal(R"({"model_type":"llama",)" + more + "}"); };
  EXPECT_NE(llama(R"("hidden_size":-4096)").find("hidden_size: -4096 is out of range"), std::string::npos);
  EXPECT_NE(llama(R"("hidden_size":"4096")").find("hidden_size: \"4096\" is not a whole number"), std::string::npos);
  EXPECT_NE(llama(R"("num_attention_heads":0)").find("num_attention_heads: is 0"), std::string::npos);
  EXPECT_NE(llama(R"("num_attention_heads":30)").find("do not divide hidden_size"), std::string::npos);
  EXPECT_NE(llama(R"("num_key_value_heads":5)").find("num_key_value_heads: 5 does not divide"), std::string::npos);
  EXPECT_NE(llama(R"("num_hidden_layers":1e300)").find("num_hidden_layers"), std::string::npos);
  EXPECT_NE(llama(R"("num_hidden_layers":99999999999999999999999999)").find("num_hidden_layers"), std::string::npos);
  EXPECT_NE(llama(R"("intermediate_size":1.5)").find("not a whole number"), std::string::npos);
  EXPECT_NE(llama(R"("tie_word_embeddings":"yes")").find("neither true nor false"), std::string::npos);
  EXPECT_NE(llama(R"("hidden_size":NaN)").find("not readable as JSON"), std::string::npos);
  EXPECT_NE(llama(R"("hidden_size":4096,"hidden_size":8192)").find("given twice"), std::string::npos);
  EXPECT_NE(
      refusal(
          R"({"model_type":"mixtral","num_local_experts":65536,"intermediate_size":16777216,"hidden_size":262144,"num_attention_heads":64,"num_hidden_layers":4096})")
          .find("10,000 trillion"),
      std::string::npos);
}

TEST(Refuses, HostileFiles) {
  EXPECT_NE(refusal("").find("not readable"), std::string::npos);
  EXPECT_NE(refusal("[1,2]").find("not a JSON object"), std::string::npos);
  EXPECT_NE(refusal(std::string(100000, '[')).find("nested too deeply"), std::string::npos);
  EXPECT_NE(refusal(std::string("\xFF\xFE{\0}\0", 6)).find("UTF-16"), std::string::npos);
  EXPECT_NE(refusal(std::string(kConfigLimit + 1, ' ')).find("at most"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type":"llama","hidden_size":4096)").find("not readable"), std::string::npos);
  EXPECT_NE(refusal("{\"model_type\":\"\xC3\x28\"}").find("not"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type":["llama"]})").find("model_type"), std::string::npos);
  EXPECT_NE(refusal(R"({"model_type":"llama4","text_config":7})").find("model_type"), std::string::npos);
}

// Mutations of real configs: whatever happens, an answer or an error comes back, and accepted models have finite, positive sizes.
TEST(Fuzz, MutatedConfigsNeverBreakTheReader) {
  const char* rounds_text = std::getenv("JEVONS_FUZZ_ROUNDS");
  const long rounds = rounds_text ? std::atol(rounds_text) : 4000;
  const auto catalog = catalog::Catalog::builtin();
  const std::string_view pieces[] = {"0",           "-1",    "null", "true",     "[]", "{}", "\"x\"", "1e9",
                                     "99999999999", "[0,1]", "1.5",  "\"auto\"", ",",  "}",  "4"};
  for (long i = 0; i < rounds; ++i) {
    Stream random(Seed{11}, 0, Draw::test, std::uint64_t(i));
    std::string text(catalog.models()[random.below(catalog.models().size())]->json);
    for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
      const std::size_t at = random.below(text.size());
      if (random.below(3) == 0)
        text[at] = char(random.below(256));
      else if (const auto colon = text.find(':', at); colon != std::string::npos) {
        text.replace(colon + 1, text.find_first_of(",}", colon) - colon - 1, pieces[random.below(std::size(pieces))]);
      }
    }
    const auto m = parse_entry(text, "fuzz");
    if (!m) continue;
    const auto p = parameters(*m);
    EXPECT_GT(p.total, 0);
    EXPECT_GE(cache_stored(*m, CacheFormat::fp8, 1 << 20), 0);
    EXPECT_GE(prefill_flops(*m, p, 4096, 100).total(), 0);
  }
}

TEST(Properties, CacheAndWorkGrowWithContext) {
  const auto catalog = catalog::Catalog::builtin();
  for (const auto* e : catalog.models()) {
    const Model m = *parse_entry(e->json, e->file);
    const auto groups = cache_groups(m, CacheFormat::native);
    const auto p = parameters(m);
    double stored = 0, read = 0, flops = 0;
    for (std::int64_t n = 1; n <= 1 << 20; n = n * 3 + 1) {
      EXPECT_GE(cache_stored(groups, n), stored) << m.name;
      EXPECT_GE(cache_read(groups, n), read) << m.name;
      const double f = prefill_flops(m, p, n).total();
      EXPECT_GT(f, flops) << m.name;
      stored = cache_stored(groups, n), read = cache_read(groups, n), flops = f;
      // One token after n cached ones costs what decoding it costs, in the cheaper of the two MLA forms.
      EXPECT_LE(prefill_flops(m, p, 1, n).attention, decode_attention_flops(m, n + 1).total() * (1 + 1e-9) + 1e9) << m.name;
    }
    EXPECT_LE(p.active_no_embeddings, p.active_no_input_embedding);
    EXPECT_LE(p.active, double(p.total));
  }
}

}  // namespace
}  // namespace jevons::model
