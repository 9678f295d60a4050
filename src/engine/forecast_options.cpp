// Every key of a forecast scenario, declared once, and reading it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <deque>

#include "engine/forecast.hpp"

namespace jevons::engine {
namespace {

using T = OptionType;

constexpr OptionSpec kOwn[] = {
    {.path = "title", .type = T::text, .help = "heading of the page"},
    {.path = "horizon", .flag = "--horizon", .type = T::integer, .unit = "year", .fallback = "2032", .help = "last year, to its December"},
    {.path = "start",
     .flag = "--start",
     .type = T::choice,
     .fallback = "both",
     .choices = "both|segments|reports",
     .help = "level of the market in July 2026: segment estimates, reported volumes, or both weighed alike"},
    {.path = "paths", .flag = "--paths", .type = T::integer, .fallback = "8192", .low = 256, .high = 65536, .help = "futures drawn"},
    {.path = "draws",
     .flag = "--draws",
     .type = T::integer,
     .fallback = "4096",
     .low = 256,
     .high = 65536,
     .help = "prior draws that history re-weights"},
    {.path = "seed", .flag = "--seed", .type = T::integer, .fallback = "1", .low = 0, .high = 1e15, .help = "of the draws"},
    {.path = "fleet.stock",
     .type = T::number,
     .unit = "H100e",
     .low = 1e3,
     .high = 1e12,
     .help = "accelerators in July 2026, H100-equivalents by 8-bit rate"},
    {.path = "fleet.capex", .type = T::number, .unit = "USD/yr", .low = 1e6, .high = 1e14, .help = "capital spending then, a year"},
    {.path = "fleet.usd_per_h100e",
     .type = T::number,
     .unit = "USD",
     .low = 1,
     .high = 1e6,
     .help = "of an addition, with system and site"},
    {.path = "fleet.watts_per_h100e", .type = T::number, .unit = "W", .low = 1, .high = 1e5, .help = "of an addition, at the meter"},
    {.path = "fleet.power", .type = T::number, .unit = "W", .low = 1e3, .high = 1e13, .help = "of the whole stock, at the meter"},
    {.path = "fleet.hbm", .type = T::number, .unit = "B", .low = 1e12, .high = 1e22, .help = "memory of the whole stock"},
    {.path = "fleet.life", .type = T::number, .unit = "yr", .low = 1, .high = 30, .help = "years until an accelerator leaves service"},
};

// Keys that repeat for each tier, segment and parameter; the text lives as long as the program.
std::vector<OptionSpec> all_options() {
  static std::deque<std::string> text;
  const auto keep = [](std::string s) -> std::string_view { return text.emplace_back(std::move(s)); };
  std::vector<OptionSpec> out(std::begin(kOwn), std::end(kOwn));
  for (const auto tier : market::kTierNames) {
    out.push_back({.path = keep(fmt::format("tiers.{}.model", tier)),
                   .type = T::text,
                   .help = "model that stands for the tier: a name or a config.json"});
    out.push_back({.path = keep(fmt::format("tiers.{}.accelerator", tier)), .type = T::text, .help = "what serves it"});
    out.push_back({.path = keep(fmt::format("tiers.{}.tpot", tier)),
                   .type = T::number,
                   .unit = "ms",
                   .low = 0.1,
                   .high = 1e4,
                   .help = "time per output token it must keep"});
    for (const auto* token : {"fresh", "cached", "output"})
      out.push_back({.path = keep(fmt::format("tiers.{}.{}", tier, token)),
                     .type = T::number,
                     .unit = "USD/Mtok",
                     .low = 0,
                     .high = 1e5,
                     .help = "list price in July 2026"});
  }
  for (const auto segment : market::kSegmentNames) {
    const auto put = [&](const char* key, double low, double high, const char* unit, const char* help) {
      out.push_back({.path = keep(fmt::format("segments.{}.{}", segment, key)),
                     .type = T::number,
                     .unit = unit,
                     .low = low,
                     .high = high,
                     .help = help});
    };
    put("tokens", 0, 1e6, "T/day", "tokens in July 2026");
    put("growth", -5, 10, "ln/yr", "growth at constant price");
    put("eps_short", 0, 10, "", "elasticity at once");
    put("eps_long", 0, 10, "", "elasticity after years");
    put("fresh", 0, 1, "", "share of its tokens");
    put("cached", 0, 1, "", "share of its tokens");
    put("output", 0, 1, "", "share of its tokens");
    put("china", 0, 1, "", "share of its tokens used in China");
    put("adopted", 0.001, 0.999, "", "share of eventual users and workloads that use it");
  }
  for (std::size_t p = 0; p < market::kParams; ++p) {
    for (const auto* end : {"low", "high"})
      out.push_back({.path = keep(fmt::format("priors.{}.{}", market::name(market::Param(p)), end)),
                     .type = T::number,
                     .help = "end of the 95 % range; see catalog show forecast-priors"});
  }
  return out;
}

Result<void> take_segments(ForecastScenario& sc) {
  const Settings& s = sc.settings;
  double total = 0;
  for (auto& x : sc.segments) {
    const std::string at = "segments." + x.name + ".";
    const auto take = [&](const char* key, double& to, double scale = 1) {
      if (s.has(at + key)) to = s.number(at + key) * scale;
    };
    take("tokens", x.tokens_per_day, 1e12);
    take("growth", x.growth);
    take("eps_short", x.eps_short);
    take("eps_long", x.eps_long);
    take("fresh", x.fresh);
    take("cached", x.cached);
    take("output", x.output);
    take("china", x.china);
    take("adopted", x.adopted);
    const double sum = x.fresh + x.cached + x.output;
    const auto given = [&](std::initializer_list<const char*> keys) {
      for (const auto* k : keys) {
        if (s.has(at + k)) return at + k;
      }
      return at + *keys.begin();
    };
    if (std::abs(sum - 1) > 1e-6)
      return fail(s.has(given({"fresh", "cached", "output"}))
                      ? s.error(given({"fresh", "cached", "output"}), fmt::format("fresh, cached and output sum to {:.6g}", sum),
                                "shares that sum to 1", "state all three")
                      : Error{ErrorCode::bad_input, sc.file, 0, at + "fresh", "shares do not sum to 1", {}, {}});
    if (x.eps_short > x.eps_long)
      return fail(s.error(given({"eps_short", "eps_long"}), fmt::format("eps_short {} is above eps_long {}", x.eps_short, x.eps_long),
                          "a short-run response within the long-run one", "raise eps_long or lower eps_short"));
    total += x.tokens_per_day;
  }
  if (!(total > 0)) return bad_input("segments", "no segment has tokens", "at least one above 0");
  return {};
}

Result<void> take_priors(ForecastScenario& sc) {
  const Settings& s = sc.settings;
  for (std::size_t p = 0; p < market::kParams; ++p) {
    const std::string at = fmt::format("priors.{}.", market::name(market::Param(p)));
    if (!s.has(at + "low") && !s.has(at + "high")) continue;
    const auto& now = sc.priors.of[p];
    const double low = s.has(at + "low") ? s.number(at + "low") : now.low, high = s.has(at + "high") ? s.number(at + "high") : now.high;
    const std::string where = s.has(at + "low") ? at + "low" : at + "high";
    if (auto ok = market::set_range(sc.priors, market::name(market::Param(p)), low, high); !ok)
      return fail(s.error(where, ok.error().what, ok.error().expected, "give both ends of the range"));
  }
  return {};
}

Result<void> take_fleet(const catalog::Catalog& catalog, ForecastScenario& sc) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::demand, "fleet-start"));
  const Settings& s = sc.settings;
  const auto take = [&](const char* path, const char* key) {
    const catalog::Fact* f = t->find(key);
    if (s.has(path)) return s.number(path);
    JEVONS_ENSURE(f != nullptr);
    sc.facts.push_back(f);
    return f->value;
  };
  sc.fleet = {take("fleet.stock", "stock"),
              take("fleet.capex", "capex"),
              take("fleet.usd_per_h100e", "usd_per_h100e"),
              take("fleet.watts_per_h100e", "watts_per_h100e"),
              take("fleet.power", "fleet_power"),
              take("fleet.hbm", "hbm_stock"),
              take("fleet.life", "life"),
              take("", "power_gain_share")};
  return {};
}

Result<void> take_tiers(const catalog::Catalog& catalog, ForecastScenario& sc) {
  JEVONS_TRY(sc.tiers, read_tiers(catalog));
  const Settings& s = sc.settings;
  for (auto& t : sc.tiers) {
    const std::string at = "tiers." + t.tier + ".";
    if (s.has(at + "model")) t.model = s.text(at + "model");
    if (s.has(at + "accelerator")) t.accelerator = s.text(at + "accelerator");
    if (s.has(at + "tpot")) t.tpot_s = s.number(at + "tpot") / 1e3;
    if (s.has(at + "fresh")) t.fresh = s.number(at + "fresh") * 1e-6;
    if (s.has(at + "cached")) t.cached = s.number(at + "cached") * 1e-6;
    if (s.has(at + "output")) t.output = s.number(at + "output") * 1e-6;
  }
  return {};
}

}  // namespace

std::span<const OptionSpec> forecast_options() {
  static const auto table = all_options();
  return table;
}

Result<ForecastScenario> read_forecast(const Context& context) {
  ForecastScenario sc{.settings = Settings(context.settings.table())};
  Settings& s = sc.settings;
  if (!context.words.empty()) {
    sc.file = context.words[0];
    JEVONS_TRY(const std::string yaml, read_file(sc.file, 1u << 20));
    JEVONS_CHECK(s.load_yaml(yaml, sc.file));
  }
  s.lay_over(context.settings);
  sc.title = s.has("title") ? s.text("title") : "Demand for tokens, and what it takes";
  const auto year = s.integer("horizon");
  if (year < 2027 || year > 2032)
    return fail(s.error("horizon", fmt::format("{} is {}", year, year < 2027 ? "before the data end (July 2026)" : "beyond the model"),
                        "2027 to 2032", "give a year"));
  sc.last_month = int(year - 2024) * 12 + 11;
  const std::string& start = s.text("start");
  sc.start = start == "both" ? market::Start::both : start == "segments" ? market::Start::segments : market::Start::reports;
  sc.paths = std::size_t(s.integer("paths"));
  sc.seed = Seed{std::uint64_t(s.integer("seed"))};
  JEVONS_TRY(sc.segments, market::read_segments(context.catalog));
  JEVONS_TRY(sc.priors, market::read_priors(context.catalog));
  JEVONS_CHECK(take_segments(sc));
  JEVONS_CHECK(take_priors(sc));
  JEVONS_CHECK(take_fleet(context.catalog, sc));
  JEVONS_CHECK(take_tiers(context.catalog, sc));
  return sc;
}

}  // namespace jevons::engine
