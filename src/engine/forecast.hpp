#pragma once
// jevons forecast: what is asked (a scenario), what was found, and the page.
#include "engine/forecast_chain.hpp"
#include "market/events.hpp"
#include "market/forecast.hpp"

namespace jevons::engine {

std::span<const OptionSpec> forecast_options();

struct ForecastScenario {
  Settings settings;
  std::string title, file;
  market::Segments segments;
  market::Priors priors;
  std::array<TierChoice, market::kTiers> tiers;
  market::Fleet fleet;
  market::Start start = market::Start::both;
  std::size_t paths = 0;
  int last_month = 0;  // of the calendar that starts in January 2024
  Seed seed{1};
  std::vector<const catalog::Fact*> facts;
};
/// Reads the scenario file (words[0], if any) and lays flags over it. Errors: impossible shares, a range upside down, a horizon before the
/// data end, unknown names: each with place and remedy.
Result<ForecastScenario> read_forecast(const Context& context);

struct ForecastAnswers {
  ForecastScenario scenario;
  market::History history;
  TierResources resources;
  std::optional<double> theta_low, theta_high;  // of the tiers; the prior of theta when the scenario does not set it
  double gap = 0;                               // accelerator time the world spends on serving, over what these deployments need
  market::Calibration calibration;
  market::Drawn drawn;
  market::Paths paths, frozen;  // frozen: as if cost, time and memory per token had stayed at the anchor's
  std::vector<market::PriceEvent> events;
  std::vector<market::Vertical> verticals;
};
Result<std::unique_ptr<ForecastAnswers>> forecast(const Context& context);
report::Document page_of(const ForecastAnswers& a);

}  // namespace jevons::engine
