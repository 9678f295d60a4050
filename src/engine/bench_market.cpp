// jevons bench market: the Monte Carlo of a forecast, timed.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ctime>

#include "engine/forecast.hpp"
#include "engine/simulate_verb.hpp"

namespace jevons::engine {
namespace {

std::uint64_t signature(const std::vector<float>& x) {
  std::uint64_t hash = 1469598103934665603ull;  // FNV-1a over the bits
  for (const float v : x) {
    std::uint32_t bits;
    std::memcpy(&bits, &v, sizeof bits);
    hash = (hash ^ bits) * 1099511628211ull;
  }
  return hash;
}

}  // namespace

Result<Outcome> bench_market(Context& c) {
  constexpr int kRuns = 5;
  constexpr std::size_t kPaths = 65536;
  Context run{.catalog = c.catalog, .settings = Settings(forecast_options()), .words = {}, .progress = {}};
  JEVONS_TRY(const ForecastScenario sc, read_forecast(run));
  JEVONS_TRY(const auto history, market::read_history(c.catalog));
  JEVONS_TRY(const auto resources, plan_tiers(c.catalog, sc.tiers, sc.segments, false, {}));
  const auto fit = market::calibrate(history, sc.segments, sc.priors, {}, {}, {.draws = 1024, .steps = 25});
  const auto drawn = market::draw_inputs(history, sc.segments, sc.priors, fit, sc.start, kPaths, sc.seed);
  const market::World world{sc.segments, resources_of(resources, sc.tiers, sc.segments), sc.fleet};
  std::vector<int> months;
  for (int m = 0; m < market::kMonths - 1; m += 12) months.push_back(m);
  months.push_back(market::kMonths - 1);
  std::vector<double> seconds, processor;
  std::uint64_t hash = 0;
  for (int i = 0; i < kRuns; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const auto ticks = std::clock();
    const auto paths = market::run_paths(world, drawn.inputs, {}, months, sc.seed);
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    processor.push_back(double(std::clock() - ticks) / CLOCKS_PER_SEC);
    hash = signature(paths.outputs) ^ signature(paths.segments);
  }
  std::sort(seconds.begin(), seconds.end());
  std::sort(processor.begin(), processor.end());
  Outcome o;
  o.document.version = std::string(version());
  o.document.title = fmt::format("Paths of a forecast: {} runs, all threads", kRuns);
  const report::Origin clock{"measured", "steady clock; processor time of all threads", ""};
  report::Table t{"bench",
                  fmt::format("{} paths x {} months x {} segments", kPaths, market::kMonths, market::kSegments),
                  {{"what", "what", "{}", {}},
                   {"fastest_s", "fastest s", "{:.3f}", clock},
                   {"median_s", "median s", "{:.3f}", clock},
                   {"limit_s", "limit s", "{:.1f}", {}}},
                  {},
                  {},
                  true};
  t.rows.push_back({std::string("elapsed"), seconds.front(), seconds[kRuns / 2], 1.0});
  t.rows.push_back({std::string("processor"), processor.front(), processor[kRuns / 2], 2.0});
  t.notes.push_back(fmt::format("Signature of the result: {:016x}.", hash));
  o.document.tables.push_back(std::move(t));
  return o;
}

}  // namespace jevons::engine
