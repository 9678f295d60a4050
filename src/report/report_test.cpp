#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "report/document.hpp"

namespace jevons::report {
namespace {

Document sample() {
  Document d;
  d.title = "A model, a workload";
  d.origin_file = "examples/a";
  d.version = "1";
  d.answer = {{"Memory",
               "one user holds 4.92 GiB of cache, 9.5 x less than before, which is a long line that has to be broken so that it stays "
               "within the page"}};
  d.values = {{"memory.cache_bytes", "cache of one user", "bytes", 5.28e9, {"derived", "model::cache_stored", ""}},
              {"cost.band_low_usd", "low end", "USD", std::nullopt, {"derived", "no band: no measured case near", ""}}};
  d.tables = {{"rows",
               "Rows",
               {{"name", "name", "{}", {}}, {"ttft_ms", "TTFT\nms", "{:.1f}", {"derived", "x", ""}}},
               {{std::string("a, \"b\""), 12.345}, {std::string("c"), std::monostate{}}},
               {"a note"},
               true}};
  d.notes = {"assumed: nothing"};
  return d;
}

TEST(Report, PageFitsTheWidthAndAnswersFirst) {
  const std::string page = to_page(sample(), false, true);
  for (const auto line : split(page, '\n')) EXPECT_LE(line.size(), 100u) << line;
  EXPECT_LT(page.find("4.92 GiB"), page.find("TTFT"));
  EXPECT_NE(page.find("memory.cache_bytes = 5.28e+09 bytes"), std::string::npos);
  EXPECT_EQ(page.find('\033'), std::string::npos);
  EXPECT_NE(to_page(sample(), true, false).find('\033'), std::string::npos);
}

TEST(Report, TableColumnsLineUp) {
  const std::string text = to_text(sample().tables[0], false);
  EXPECT_EQ(text, "Rows\n          TTFT\n  name      ms\n  a, \"b\"  12.3\n  c          -\n  a note\n");
}

TEST(Report, JsonKeepsNullAndNestsPaths) {
  const auto j = to_json(sample());
  EXPECT_DOUBLE_EQ(j["values"]["memory"]["cache_bytes"].get<double>(), 5.28e9);
  EXPECT_TRUE(j["values"]["cost"]["band_low_usd"].is_null());
  EXPECT_TRUE(j["tables"]["rows"][1]["ttft_ms"].is_null());
  EXPECT_EQ(j["explain"]["memory.cache_bytes"]["kind"], "derived");
}

TEST(Report, CsvQuotesWhatNeedsIt) { EXPECT_EQ(to_csv(sample().tables[0]), "name,ttft_ms\n\"a, \"\"b\"\"\",12.345\nc,\n"); }

TEST(Report, HtmlIsSelfContainedAndCannotBeBrokenOutOf) {
  Document d = sample();
  d.title = "</script><b>";
  const std::string html = to_html(to_json(d));
  EXPECT_EQ(html.find("</script><b>"), std::string::npos);
  EXPECT_NE(html.find("Chart"), std::string::npos);
  EXPECT_EQ(html.find("src=\"http"), std::string::npos);
  EXPECT_EQ(html.find("@DATA@"), std::string::npos);
}

TEST(Svg, FanHasItsBandsInsideTheFrame) {
  const Chart fan{
      "f",    "a < b", "fan",
      "year", "x",     false,
      true,   {},      {{"50 %", {2026, 2027}, {10, 100}}, {"10 %", {2026, 2027}, {5, 20}}, {"90 %", {2026, 2027}, {20, 1000}}}};
  const std::string svg = to_svg(fan);
  EXPECT_NE(svg.find("a &lt; b"), std::string::npos);
  // Hand-worked: the frame is 70 to 624 by 316 to 34; 5 to 1,000 on a logarithmic axis puts 100 at 316 - 282 log(20)/log(200) = 156.6.
  EXPECT_NE(svg.find("624.0,156.6"), std::string::npos) << svg;
  EXPECT_NE(svg.find("points=\"70.0,316.0 "), std::string::npos);  // 5 in 2026: the lower left corner
}

}  // namespace
}  // namespace jevons::report
