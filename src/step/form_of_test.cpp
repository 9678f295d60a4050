#include "step/form_of.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>

namespace jevons::step {
namespace {

const catalog::Catalog& facts() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}
struct World {
  model::Model model;
  Subject subject;
  World(std::string_view name, std::string_view chip) : model{*model::parse_entry((*facts().find_model(name))->json, "x")} {
    subject.model = &model;
    subject.parameters = model::parameters(model);
    subject.weights = *model::weight_scheme(model, "native");
    subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
    subject.cache_format = model::resolve(model, model::CacheFormat::native);
    subject.cache = model::cache_groups(model, subject.cache_format);
    subject.chip = catalog::accelerator(**facts().find(catalog::Section::accelerator, chip));
  }
  StepTime time(const Placement& p) const { return *StepTime::make(facts(), subject, p); }
};
double ratio(Ticks form, double seconds) { return seconds_of(form) / seconds; }

// One model of each family of caches: the tables say what the model says.
TEST(FormOf, TablesAgreeWithTheModel) {
  for (const auto* name : {"llama-3.1-70b", "deepseek-v3", "deepseek-v3.2", "deepseek-v4-pro", "gpt-oss-120b", "qwen3.5-397b-a17b",
                           "minimax-m3", "llama-4-scout", "kimi-linear-48b", "nemotron-3-super-120b-a12b"}) {
    const World w(name, "b200-sxm");
    const StepTime t = w.time({8, 1, 1, 1});
    const StepForm f = form_of(t, {256, 8192, 1 << 20, 1, 1, 0});
    for (const int b : {1, 7, 64, 256}) {
      for (const std::int64_t n : {1, 100, 1000, 5000, 30000, 500000}) {
        EXPECT_NEAR(ratio(f.decode_time(b, b * n), t.seconds({double(b), double(n), 0, 0})), 1, 0.01)
            << name << " batch " << b << " context " << n;
      }
    }
    // A prompt alone, in whole chunks: products and experts, and attention that depends on where the chunk is.
    for (const std::int64_t cached : {0, 8192, 122880}) {
      const Ticks attention = f.position_time(cached + 8192) - f.position_time(cached);
      EXPECT_NEAR(ratio(f.mixed_time(0, 0, 8192, attention), t.seconds({0, 0, 8192, double(cached)})), 1, 0.10)
          << name << " after " << cached;
    }
    // A prompt beside decodes.
    const Ticks beside = f.mixed_time(32, 32 * 2000, 2048, f.position_time(2048));
    EXPECT_NEAR(ratio(beside, t.seconds({32, 2000, 2048, 0})), 1, 0.03) << name;
  }
}

TEST(FormOf, NeverFalls) {
  const World w("deepseek-v3.2", "h200-sxm");
  const StepForm f = form_of(w.time({1, 1, 8, 8}), {512, 4096, 1 << 17, 1, 1, 0});
  for (int b = 1; b < 512; ++b) {
    EXPECT_GE(f.decode_time(b + 1, 1000 * b), f.decode_time(b, 1000 * b) - Ticks(kTicksPerNs));  // the mean context falls: caps bind less
    EXPECT_GT(f.decode_time(b, 1000 * b + 1), f.decode_time(b, 1000 * b));
  }
  for (int n = 1; n < 4096; ++n) EXPECT_GE(f.mixed_time(0, 0, n + 1, 0), f.mixed_time(0, 0, n, 0));
  for (std::int64_t n = 1; n < 200000; n += 97) EXPECT_GE(f.position_time(n + 97), f.position_time(n));
}

TEST(FormOf, PartsOfTokensAndFloor) {
  const World w("llama-3.1-8b", "h100-sxm");
  const StepTime t = w.time({1, 1, 1, 1});
  const StepForm whole = form_of(t, {64, 2048, 1 << 17, 1, 1, 0}), parts = form_of(t, {64, 2048, 1 << 17, 1, 1000, 0.02});
  EXPECT_NEAR(ratio(parts.decode_time(8, 8 * 3000 * 1000), seconds_of(whole.decode_time(8, 8 * 3000))), 1, 1e-4);
  EXPECT_EQ(parts.mixed_time(0, 0, 1, 0), ticks_of(0.02));
  EXPECT_LT(whole.mixed_time(0, 0, 1, 0), ticks_of(0.02));
}

// Decodes of 2 sequences: 10 ns alone, 14 ns beside prompts, 1 ns a cached token in both; a prompt token costs 3 ns and its attention 5 ns.
TEST(StepForm, DecodesBesidePromptsHaveATableOfTheirOwn) {
  const auto ns = [](Ticks n) { return n * kTicksPerNs; };
  const auto table = [&](Ticks of_two) { return std::vector<Segment>{{0, ns(8), ns(1)}, {0, ns(of_two), ns(1)}}; };
  const std::vector<Ticks> tokens{0, ns(3), ns(6), ns(9), ns(12)};
  const StepForm plain(table(10), 1, tokens, {{0, 0, 0, 0}});
  const StepForm form = StepForm(table(10), 1, tokens, {{0, 0, 0, 0}}).beside_prompts(table(14));
  EXPECT_EQ(form.decode_time(2, 100), ns(110));
  EXPECT_EQ(form.mixed_time(2, 100, 1, ns(5)), ns(114 + 3 + 5));
  EXPECT_EQ(plain.mixed_time(2, 100, 1, ns(5)), ns(110 + 3 + 5));
  EXPECT_EQ(form.mixed_time(0, 0, 1, ns(5)), ns(3 + 5));
}

TEST(FormOf, IsQuickToMake) {
  const World w("deepseek-v3.2", "h200-sxm");
  const StepTime t = w.time({8, 1, 1, 8});
  const auto start = std::chrono::steady_clock::now();
  const StepForm f = form_of(t, {1024, 16384, 1 << 20, 1, 1, 0});
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), 0.5);
  EXPECT_EQ(f.max_batch(), 1024);
}

}  // namespace
}  // namespace jevons::step
