#include <nlohmann/json.hpp>
#include <string_view>

#include "base/result.hpp"
#include "report/document.hpp"

// The page template (report.html) and the charting library, placed in the binary by the assembler.
asm(R"(
.section .rodata
.global jevons_report_template
jevons_report_template: .incbin ")" JEVONS_TEMPLATE R"("
.global jevons_report_template_end
jevons_report_template_end:
.global jevons_chart_library
jevons_chart_library: .incbin ")" JEVONS_CHART_LIBRARY R"("
.global jevons_chart_library_end
jevons_chart_library_end:
.previous
)");
extern "C" const char jevons_report_template[], jevons_report_template_end[], jevons_chart_library[], jevons_chart_library_end[];

namespace jevons::report {
namespace {

void replace_mark(std::string& text, std::string_view mark, std::string_view with) {
  const auto at = text.find(mark);
  JEVONS_ENSURE(at != std::string::npos);
  text.replace(at, mark.size(), with);
}

}  // namespace

std::string to_html(const nlohmann::ordered_json& result) {
  std::string data = result.dump();
  // Inside a script element "</" could close it; JSON allows the slash to be escaped.
  for (std::size_t at = 0; (at = data.find("</", at)) != std::string::npos; at += 3) data.replace(at, 2, "<\\/");
  std::string page(jevons_report_template, jevons_report_template_end);
  replace_mark(page, "@DATA@", data);
  replace_mark(page, "@CHART_LIBRARY@",
               std::string_view(jevons_chart_library, std::size_t(jevons_chart_library_end - jevons_chart_library)));
  return page;
}

}  // namespace jevons::report
