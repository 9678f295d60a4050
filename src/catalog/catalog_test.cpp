#include "catalog/catalog.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/random.hpp"
#include "catalog/accelerator.hpp"
#include "catalog/builtin.hpp"
#include "catalog/loader.hpp"

namespace jevons::catalog {
namespace {

const Schema& schema() {
  static const Schema s = *parse_schema(std::string(kBuiltin.schema), "schema.yaml");
  return s;
}
std::string error_of(const std::string& yaml, Section section = Section::accelerator) {
  Store store;
  const auto r = load_thing(store, schema(), section, yaml, "x.yaml");
  return r ? "ok" : r.error().message();
}
const std::string kGood =
    "name: chip\ndefaults: {kind: spec, source: s, read: 2026-01-01, confidence: A}\nfacts:\n  memory: {value: 80 GB}\n";

TEST(Loader, EveryErrorHasItsLine) {
  EXPECT_EQ(error_of(kGood), "ok");
  const auto with = [](const std::string& fact) { return error_of(kGood + "  " + fact + "\n"); };
  EXPECT_NE(with("memry: {value: 1 GB}").find("x.yaml:5 facts.memry: unknown key"), std::string::npos);
  EXPECT_NE(with("memory: {value: 1 GB}").find("x.yaml:5 facts.memory: given twice"), std::string::npos);
  EXPECT_NE(with("tdp: {value: 5 GB}").find("x.yaml:5 tdp: has the unit of byte"), std::string::npos);
  EXPECT_NE(with("tdp: {value: 5 parsecs}").find("unknown unit 'parsecs'"), std::string::npos);
  EXPECT_NE(with("tdp: {value: inf W}").find("x.yaml:5"), std::string::npos);
  EXPECT_NE(with("tdp: 700").find("is a bare value"), std::string::npos);
  EXPECT_NE(with("tdp: {value: 700 W, kind: guessed}").find("'guessed' is not known"), std::string::npos);
  EXPECT_NE(with("tdp: {value: 700 W, kind: assumed}").find("without a range and a reason"), std::string::npos);
  EXPECT_NE(with("tdp: {value: 700 W, range: [800, 900]}").find("does not hold the value"), std::string::npos);
  EXPECT_NE(with("tdp: {value: 700 W, colour: red}").find("x.yaml:5 tdp.colour: unknown key"), std::string::npos);
  EXPECT_NE(error_of("name: Chip\n").find("not a catalogue name"), std::string::npos);
  EXPECT_NE(error_of("title: x\n").find("name: is missing"), std::string::npos);
  EXPECT_NE(error_of("name: a\nfacts:\n  memory: {value: 1 GB}\n").find("has no kind"), std::string::npos);
  EXPECT_NE(error_of("name: a\ndefaults: {kind: spec, read: x, confidence: A}\nfacts:\n  memory: {value: 1 GB}\n").find("has no source"),
            std::string::npos);
  EXPECT_NE(error_of("{").find("not readable as YAML"), std::string::npos);
  EXPECT_NE(error_of("name: a\ncolumns: {x: number}\nseries: [{x: 1}]\n", Section::demand).find("x.yaml:3 series: has no source"),
            std::string::npos);
  EXPECT_NE(error_of("name: a\ncolumns: {x: number}\nseries: [{x: many}]\n", Section::demand).find("'many' is not a number"),
            std::string::npos);
  EXPECT_NE(error_of("name: a\ncolumns: {x: number}\nseries: [{y: 1}]\n", Section::demand).find("unknown key 'y'"), std::string::npos);
}

TEST(Builtin, EveryFactHasItsEvidence) {
  const auto c = Catalog::builtin();
  std::size_t facts = 0;
  for (std::size_t s = 0; s < kSections; ++s) {
    for (const Thing* t : c.things(Section(s))) {
      for (const Fact& f : t->facts) {
        EXPECT_FALSE(f.source.empty()) << t->name << f.key;
        EXPECT_FALSE(f.date.empty()) << t->name << f.key;
        EXPECT_TRUE(f.kind != Kind::assumed || (f.has_range && !f.why.empty())) << t->name << f.key;
        EXPECT_TRUE(!f.has_range || (f.low <= f.value && f.value <= f.high)) << t->name << f.key;
        ++facts;
      }
    }
  }
  EXPECT_GT(facts, 1000u);
  EXPECT_EQ(c.things(Section::accelerator).size(), 55u);
  EXPECT_EQ(c.models().size(), 54u);
}

// Values of a data sheet table, typed again by hand: dense rates, one-direction links.
TEST(Builtin, KnownValues) {
  const auto c = Catalog::builtin();
  const Accelerator h100 = accelerator(**c.find(Section::accelerator, "h100"));
  EXPECT_EQ(h100.peak_bf16->value.value(), 989e12);
  EXPECT_EQ(h100.memory->value.value(), 80e9);
  EXPECT_EQ(h100.hbm_bandwidth->value.value(), 3.35e12);
  EXPECT_EQ(h100.scaleup_bandwidth->value.value(), 450e9);
  EXPECT_EQ(h100.scaleout_bandwidth->value.value(), 50e9);
  EXPECT_EQ(*h100.scaleup_domain, 8);
  EXPECT_FALSE(h100.peak_fp4);  // no such units: absent, not zero
  EXPECT_NEAR(to_usd_per_hour(h100.price_contract->value), 2.35, 1e-12);
  const Accelerator b200 = accelerator(**c.find(Section::accelerator, "b200-sxm"));
  EXPECT_EQ(b200.peak_fp4->value.value(), 9000e12);
  EXPECT_EQ(b200.peak_fp4->fact->kind, Kind::spec);
}

TEST(Lookup, NearNamesAnyCaseAliases) {
  const auto c = Catalog::builtin();
  EXPECT_EQ((*c.find(Section::accelerator, "H200"))->name, "h200-sxm");
  EXPECT_EQ((*c.find_model("DeepSeek-V3"))->name, "deepseek-v3");
  const auto e = c.find_model("deepseek-v33").error();
  EXPECT_EQ(e.code, ErrorCode::not_found);
  EXPECT_NE(e.hint.find("deepseek-v3"), std::string::npos);
}

TEST(Series, CellsAndAbsence) {
  const auto c = Catalog::builtin();
  const Thing& t = **c.find(Section::collective, "nccl");
  ASSERT_GT(t.series.rows(), 10u);
  EXPECT_TRUE(t.series.number(0, "alpha_us"));
  EXPECT_FALSE(t.series.number(0, "no such column"));
  EXPECT_THROW(t.series.number(0, "accelerator"), InternalError);
}

class Folder {
 public:
  Folder() : path_{std::filesystem::temp_directory_path() / "jevons_catalog_test"} {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_ / "accelerators");
    std::filesystem::create_directories(path_ / "models");
  }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path_ / name) << text; }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

TEST(Overlay, ExtendsAndOverrides) {
  const Folder f;
  f.write("accelerators/mine.yaml",
          "name: mine\ndefaults: {kind: spec, source: s, read: 2026-01-01, confidence: D}\nfacts:\n  memory: {value: 1 GB}\n");
  f.write("accelerators/h100-sxm.yaml",
          "name: h100-sxm\noverride: true\ndefaults: {kind: spec, source: mine, read: 2026-01-01, confidence: D}\nfacts:\n  memory: "
          "{value: 96 GB}\n");
  f.write("models/tiny.json", R"({"name": "tiny", "config": {"model_type": "llama"}})");
  const auto c = Catalog::with_overlay(f.path());
  ASSERT_TRUE(c) << c.error().message();
  EXPECT_TRUE(c->find(Section::accelerator, "mine"));
  EXPECT_TRUE(c->find_model("tiny"));
  const Thing& h100 = **c->find(Section::accelerator, "h100");  // the alias stays
  EXPECT_EQ(h100.get<Bytes>("memory")->value.value(), 96e9);
  EXPECT_EQ(h100.get<BytesPerSecond>("hbm_bandwidth")->value.value(), 3.35e12);  // what it does not state stays
  f.write("accelerators/h100-sxm.yaml",
          "name: h100-sxm\ndefaults: {kind: spec, source: mine, read: 2026-01-01, confidence: D}\nfacts:\n  memory: {value: 96 GB}\n");
  EXPECT_NE(Catalog::with_overlay(f.path()).error().message().find("override: true"), std::string::npos);
  EXPECT_EQ(Catalog::with_overlay("/no/such").error().code, ErrorCode::not_found);
}

TEST(Overlay, FilesOnDiskAreWhatTheBinaryCarries) {
  Store store;
  const auto r = load_folder(store, schema(), JEVONS_SOURCE_DIR "/catalog", "catalog");
  ASSERT_TRUE(r) << r.error().message();
  const auto c = Catalog::builtin();
  std::size_t seen = 0;
  for (const Thing& t : store.things) {
    const auto found = c.find(t.section, t.name);
    ASSERT_TRUE(found) << t.name << " is on disk and not in the binary";
    const Thing& b = **found;
    ASSERT_EQ(b.facts.size(), t.facts.size()) << t.name;
    for (std::size_t i = 0; i < t.facts.size(); ++i) {
      EXPECT_EQ(b.facts[i].value, t.facts[i].value) << t.name << t.facts[i].key;
      EXPECT_EQ(b.facts[i].source, t.facts[i].source);
      EXPECT_EQ(b.facts[i].line, t.facts[i].line);
    }
    EXPECT_EQ(b.series.cells.size(), t.series.cells.size());
    ++seen;
  }
  EXPECT_GT(seen, 100u);
}

TEST(Fuzz, GarbageIsRefusedNotSwallowed) {
  for (std::uint64_t i = 0; i < 1500; ++i) {
    Stream random(Seed{5}, 0, Draw::test, i);
    std::string text = kGood;
    for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
      const std::size_t at = random.below(text.size());
      if (random.below(2))
        text[at] = char(random.below(256));
      else
        text.insert(at, 1, "{[:\n- &*!|>'\"%@`"[random.below(16)]);
    }
    (void)error_of(text);  // must come back
  }
}

}  // namespace
}  // namespace jevons::catalog
