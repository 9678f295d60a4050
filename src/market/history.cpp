#include "market/history.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

namespace jevons::market {

Result<double> years_of(std::string_view date) {
  int y = 0;
  unsigned m = 0, d = 0;
  const auto number = [&](std::size_t from, std::size_t n, auto& out) {
    const auto r = std::from_chars(date.data() + from, date.data() + from + n, out);
    return r.ec == std::errc{} && r.ptr == date.data() + from + n;
  };
  const bool read = date.size() == 10 && number(0, 4, y) && number(5, 2, m) && number(8, 2, d);
  const std::chrono::year_month_day day{std::chrono::year(y), std::chrono::month(m), std::chrono::day(d)};
  if (!read || !day.ok()) return bad_input("date", fmt::format("'{}' is no date", date.substr(0, 20)), "YYYY-MM-DD");
  const std::chrono::sys_days start = std::chrono::year(2024) / 1 / 1;
  return double((std::chrono::sys_days(day) - start).count()) / 365.25;
}

std::string month_name(double years) {
  const int months = int(std::floor(years * 12 + 1e-9));
  const int y = 2024 + (months >= 0 ? months / 12 : (months - 11) / 12);
  return fmt::format("{:04d}-{:02d}", y, months - (y - 2024) * 12 + 1);
}

Result<History> read_history(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* services, catalog.find(catalog::Section::demand, "services"));
  JEVONS_TRY(const catalog::Thing* volumes, catalog.find(catalog::Section::demand, "token-volume"));
  History h;
  for (std::size_t r = 0; r < services->series.rows(); ++r) {
    const auto& s = services->series;
    Service one{std::string(s.text(r, "series"))};
    JEVONS_TRY(one.opened, years_of(s.text(r, "opened")));
    JEVONS_TRY(one.mix_date, years_of(s.text(r, "mix_date")));
    one.china = s.text(r, "region") == "china";
    one.target = s.number(r, "target").value_or(0) != 0;
    double sum = 0;
    for (std::size_t i = 0; i < kSegments; ++i) sum += one.mix[i] = s.number(r, kSegmentNames[i]).value_or(0);
    if (std::abs(sum - 1) > 1e-9 || *std::min_element(one.mix.begin(), one.mix.end()) < 0)
      return bad_input(fmt::format("{} {}", services->file, one.series), fmt::format("its segment shares sum to {}", sum), "shares of 1");
    h.services.push_back(std::move(one));
  }
  for (std::size_t i = 0; i < h.services.size(); ++i) {
    const auto first = h.observations.size();
    for (std::size_t r = 0; r < volumes->series.rows(); ++r) {
      const auto& v = volumes->series;
      const auto tokens = v.number(r, "tokens_per_day");
      if (v.text(r, "series") != h.services[i].series || !tokens) continue;
      const auto confidence = v.text(r, "confidence");
      Observation o{.service = i, .ln_tokens = std::log(*tokens), .sd = confidence == "H" ? 0.1 : 0.2};
      o.date = std::string(v.text(r, "as_of"));
      o.weak = confidence == "L";
      JEVONS_TRY(o.at, years_of(o.date));
      JEVONS_TRY(o.published, years_of(v.text(r, "published")));
      h.observations.push_back(std::move(o));
    }
    std::stable_sort(h.observations.begin() + long(first), h.observations.end(),
                     [](const Observation& a, const Observation& b) { return a.at < b.at; });
  }
  return h;
}

}  // namespace jevons::market
