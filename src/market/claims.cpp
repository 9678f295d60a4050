#include "market/claims.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "base/text.hpp"
#include "market/jevons.hpp"
#include "market/segments.hpp"

namespace jevons::market {
namespace {

using In = std::vector<double>;

constexpr double kDaysPerMonth = 30.4375;

double blend(const In& x, std::size_t prices) { return blended({x[0], x[1], x[2]}, {x[prices], x[prices + 1], x[prices + 2]}); }

// Days of a log-linear path between reports (years since 2024, tokens a day) within one year, in 10^15 tokens.
double log_linear_year(const In& path, double year) {
  double sum = 0;
  for (std::size_t i = 0; i + 3 < path.size(); i += 2) {
    const double t0 = path[i], t1 = path[i + 2], rate = std::log(path[i + 3] / path[i + 1]) / (t1 - t0);
    const double from = std::fmax(t0, year), to = std::fmin(t1, year + 365 / 365.25);
    if (to <= from) continue;
    const auto at = [&](double t) { return path[i + 1] * std::exp(rate * (t - t0)); };
    sum += (rate == 0 ? at(from) * (to - from) : (at(to) - at(from)) / rate) * 365.25;
  }
  return sum / 1e15;
}

struct Formula {
  std::size_t inputs;
  double (*value)(const In&);
};
const std::map<std::string, Formula, std::less<>> kFormulas{
    {"resource_after_use", {2, [](const In& x) { return resource_ratio(x[0], implied_elasticity(x[1], 1 / x[0])); }}},
    {"implied_elasticity", {2, [](const In& x) { return implied_elasticity(x[0], x[1]); }}},
    {"use_that_undoes", {1, [](const In& x) { return 1 / (1 - x[0]); }}},
    {"monthly_growth", {2, [](const In& x) { return std::pow(1 / (1 - x[0]), 1 / x[1]) - 1; }}},
    {"resource_ratio", {2, [](const In& x) { return resource_ratio(x[0], x[1]); }}},
    {"resource_at_spend", {2, [](const In& x) { return resource_ratio(x[0], implied_elasticity(x[0] * x[1], 1 / x[0])); }}},
    {"mix_multiple", {2, [](const In& x) { return blended({1 - x[0], x[0]}, {1, x[1]}); }}},
    {"base_of", {2, [](const In& x) { return x[0] / (1 + x[1]); }}},
    {"overshoot", {3, [](const In& x) { return (x[0] - x[1]) / x[2] - 1; }}},
    {"growth", {2, [](const In& x) { return x[0] / x[1] - 1; }}},
    {"share_of_volume", {3, [](const In& x) { return x[0] * 1e12 / 7 / ((x[1] + x[2]) / 2); }}},
    // Fixed F and variable v of full-rate revenue: F + v u0 = u0 at break-even, margin 1 - (F + v u)/u at u.
    {"variable_share", {3, [](const In& x) { return (x[1] * (1 - x[2]) - x[0]) / (x[1] - x[0]); }}},
    {"break_even", {2, [](const In& x) { return break_even_elasticity(x[0], x[1]).value_or(INFINITY); }}},
    {"break_even_of_share",
     {2, [](const In& x) { return break_even_elasticity(x[0], cost_ratio_of_share(x[0], x[1])).value_or(INFINITY); }}},
    {"blend_change", {9, [](const In& x) { return blend(x, 6) / blend(x, 3) - 1; }}},
    {"demand_ratio", {2, [](const In& x) { return demand_ratio(x[0], x[1]); }}},
    {"answer_cost_ratio", {7, [](const In& x) { return (x[0] * x[3] + x[1] * x[2] * x[4]) / (x[0] * x[5] + x[1] * x[6]); }}},
    {"doubling_months", {3, [](const In& x) { return std::log(2) * x[2] / std::log(x[0] / x[1]) * 12; }}},
    {"power", {2, [](const In& x) { return std::pow(x[0], x[1]); }}},
    {"tokens_over_share", {2, [](const In& x) { return x[0] / x[1] / 1e12; }}},
    {"month_of_two", {2, [](const In& x) { return (x[0] + x[1]) * kDaysPerMonth / 1e12; }}},
    {"growth_rate", {3, [](const In& x) { return std::log(x[0] / x[1]) / x[2]; }}},
    {"rate_per_unit", {3, [](const In& x) { return x[0] / 86400 / (x[1] * x[2]); }}},
    {"log_share", {4, [](const In& x) { return std::log(x[0] / x[1]) / std::log(x[2] / x[3]); }}},
    {"output_share", {4, [](const In& x) { return (x[0] / x[1] * 1e6 - x[2]) / (x[3] - x[2]); }}},
    {"resource_response", {3, [](const In& x) { return resource_response(x[0], x[1], x[2]); }}},
    {"rebound", {2, [](const In& x) { return rebound(x[0], x[1]); }}},
    {"threshold_elasticity", {2, [](const In& x) { return threshold_elasticity(x[0], x[1]); }}},
    {"adoption_slope", {2, [](const In& x) { return adoption_slope(x[0], x[1]); }}},
    {"crps_normal", {3, [](const In& x) { return crps_normal(x[0], x[1], x[2]); }}},
    {"weighted_tokens", {6, [](const In& x) { return blend(x, 3) / (x[0] + x[1] + x[2]); }}},
};

// Numbers that a claim names in other tables.
class Tables {
 public:
  static Result<Tables> open(const catalog::Catalog& catalog) {
    Tables t;
    for (const auto& [to, name] : {std::pair{&t.volume_, "token-volume"},
                                   {&t.prices_, "list-prices"},
                                   {&t.snapshot_, "openrouter-snapshot"},
                                   {&t.elasticities_, "elasticities"}}) {
      JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::demand, name));
      *to = &thing->series;
    }
    return t;
  }
  std::optional<double> volume(std::string_view series, std::string_view date) const {
    for (std::size_t r = 0; r < volume_->rows(); ++r) {
      if (volume_->text(r, "series") == series && volume_->text(r, "as_of") == date) return volume_->number(r, "tokens_per_day");
    }
    return std::nullopt;
  }
  std::optional<double> price(std::string_view vendor, std::string_view model, std::string_view date, std::string_view token) const {
    for (std::size_t r = 0; r < prices_->rows(); ++r) {
      if (prices_->text(r, "vendor") == vendor && prices_->text(r, "model") == model && prices_->text(r, "date") == date)
        return prices_->number(r, token);
    }
    return std::nullopt;
  }
  std::optional<double> snapshot(double rank, std::string_view column) const {
    for (std::size_t r = 0; r < snapshot_->rows(); ++r) {
      if (snapshot_->number(r, "rank") == rank) return snapshot_->number(r, column);
    }
    return std::nullopt;
  }
  std::optional<double> elasticity(std::string_view id, std::string_view column) const {
    for (std::size_t r = 0; r < elasticities_->rows(); ++r) {
      if (elasticities_->text(r, "id") == id) return elasticities_->number(r, column);
    }
    return std::nullopt;
  }
  /// List-price spending over tokens of the ranks first to last, USD per Mtok.
  std::optional<double> spend_per_mtok(int first, int last) const {
    double usd = 0, tokens = 0;
    for (int k = first; k <= last; ++k) {
      const auto u = snapshot(k, "spend_usd"), t = snapshot(k, "tokens");
      if (!u || !t) return std::nullopt;
      usd += *u;
      tokens += *t;
    }
    return usd / tokens * 1e6;
  }
  In path(std::string_view series) const {
    In out;
    for (std::size_t r = 0; r < volume_->rows(); ++r) {
      if (volume_->text(r, "series") != series || !volume_->number(r, "tokens_per_day")) continue;
      const auto at = years_of(volume_->text(r, "as_of"));
      if (!at) continue;
      out.push_back(*at);
      out.push_back(*volume_->number(r, "tokens_per_day"));
    }
    return out;
  }

 private:
  const catalog::Series *volume_ = nullptr, *prices_ = nullptr, *snapshot_ = nullptr, *elasticities_ = nullptr;
};

std::optional<double> as_number(std::string_view text) {
  double v = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  return r.ec == std::errc{} && r.ptr == text.data() + text.size() ? std::optional(v) : std::nullopt;
}

std::optional<double> look_up(const Tables& t, std::string_view word) {
  if (const auto v = as_number(word)) return v;
  if (const auto at = word.find('@'); at != std::string_view::npos) return t.volume(word.substr(0, at), word.substr(at + 1));
  if (word.starts_with("price:")) {
    const auto p = split(word.substr(6), '/');
    return p.size() == 4 ? t.price(p[0], p[1], p[2], p[3]) : std::nullopt;
  }
  if (word.starts_with("snapshot:")) {
    const auto p = split(word.substr(9), '/');
    const auto rank = as_number(p[0]);
    return p.size() == 2 && rank ? t.snapshot(*rank, p[1]) : std::nullopt;
  }
  return std::nullopt;
}

Result<double> work_out(const catalog::Catalog& catalog, const Tables& t, const Claim& c, In& inputs) {
  const std::string place = "claims " + c.id;
  const auto words = split(c.inputs, ' ');
  if (c.formula == "segment_sum") {
    JEVONS_TRY(const Segments segments, read_segments(catalog));
    double all = 0, shares = 0;
    for (const auto& s : segments) all += s.tokens_per_day;
    for (const auto& s : segments) shares += s.tokens_per_day / all;
    return shares;
  }
  if (c.formula == "log_linear_year") return log_linear_year(t.path(words[0]), as_number(words[1]).value_or(0) - 2024 + 1 / 365.25);
  if (c.formula == "spend_per_mtok") {
    const auto v = t.spend_per_mtok(c.inputs[9] - '0', c.inputs[11] - '0');
    return v ? Result<double>(*v) : bad_input(place, "names a rank that the snapshot lacks");
  }
  for (const auto w : words) {
    const auto v = look_up(t, w);
    if (!v)
      return bad_input(place, fmt::format("'{}' is no number and no entry of a table", w), "a number, series@date, price:…, snapshot:…");
    inputs.push_back(*v);
  }
  if (c.formula == "sum") return std::accumulate(inputs.begin(), inputs.end(), 0.0);
  if (c.formula == "product") return std::accumulate(inputs.begin(), inputs.end(), 1.0, std::multiplies<>());
  if (c.formula == "quotient") return std::accumulate(inputs.begin() + 1, inputs.end(), inputs[0], std::divides<>());
  const auto f = kFormulas.find(c.formula);
  if (f == kFormulas.end()) return bad_input(place, fmt::format("unknown formula '{}'", c.formula));
  if (f->second.inputs != inputs.size())
    return bad_input(place, fmt::format("{} inputs", inputs.size()), fmt::format("{} inputs", f->second.inputs));
  return f->second.value(inputs);
}

// The elasticity that the claim needs, where it is about a response to price.
double needed(const Claim& c, const In& x) { return c.formula == "resource_after_use" ? implied_elasticity(x[1], 1 / x[0]) : c.value; }

void judge(Claim& c, const std::string& rule, std::optional<double> stated, const In& inputs, const Tables& t) {
  using enum ClaimVerdict;
  const double v = c.value, s = stated.value_or(v);
  const auto against = [&](double x, bool bad, const char* how) {
    c.verdict = bad ? contradicted : holds;
    c.because = fmt::format("{:.4g} {} {:.4g}", x, how, s);
  };
  if (rule == "needs_elasticity") {
    const double eps = needed(c, inputs), high = t.elasticity("E3", "high").value_or(1.8), low = t.elasticity("E3", "low").value_or(1.2);
    c.verdict = holds_only_if;
    c.because = fmt::format("elasticity >= {:.2f}, {} market estimates {:g} to {:g}", eps,
                            eps > high  ? "above"
                            : eps < low ? "below"
                                        : "within",
                            low, high);
  } else if (rule == "ambiguous") {
    c.verdict = ambiguous;
    c.because = "readings differ";
  } else if (rule == "condition") {
    c.verdict = holds_only_if;
    c.because = "its inputs are as stated";
  } else if (rule == "superseded") {
    c.verdict = contradicted;
    c.because = "later reports say otherwise";
  } else if (rule == "contradicted_above") {
    against(v, v > s, v > s ? "is above" : "is not above");
  } else if (rule == "input_above") {
    against(inputs.back(), inputs.back() > s, "against measured");
  } else if (rule == "contradicted_below") {
    against(v, v < s, v < s ? "is below" : "is not below");
  } else if (rule == "holds_below") {
    against(v, v >= s, v < s ? "is below" : "is not below");
  } else {
    against(v, std::abs(v - s) > c.tolerance, "against");
    if (!stated) c.because = rule == "identity" ? "mathematics" : "the arithmetic holds";
  }
}

}  // namespace

std::string_view name(ClaimVerdict v) {
  static constexpr std::string_view kNames[] = {"holds", "holds only if", "contradicted", "ambiguous"};
  return kNames[std::size_t(v)];
}

Result<std::vector<Claim>> claims(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::demand, "claims"));
  JEVONS_TRY(const Tables tables, Tables::open(catalog));
  std::vector<Claim> out;
  const auto& rows = thing->series;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    const auto text = [&](std::string_view column) { return std::string(rows.text(r, column)); };
    Claim c{text("id"), text("seed"), text("claim"), text("formula"), text("inputs"), text("unit"), text("evidence")};
    c.expected = rows.number(r, "expected").value_or(0);
    c.tolerance = rows.number(r, "tolerance").value_or(0);
    In inputs;
    JEVONS_TRY(c.value, work_out(catalog, tables, c, inputs));
    judge(c, text("rule"), rows.number(r, "stated"), inputs, tables);
    out.push_back(std::move(c));
  }
  return out;
}

}  // namespace jevons::market
