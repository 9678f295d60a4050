#pragma once
// What has been reported: token volumes with date and confidence, and the services behind them.
#include <array>
#include <string>
#include <vector>

#include "catalog/catalog.hpp"

namespace jevons::market {

inline constexpr std::size_t kSegments = 9;
inline constexpr std::array<std::string_view, kSegments> kSegmentNames{"search_overview", "chat",          "reasoning",  "code_agent",
                                                                       "other_agent",     "deep_research", "multimodal", "enterprise_batch",
                                                                       "edge_on_device"};

/// Years since 1 January 2024, the start of the model's calendar, of a date YYYY-MM-DD. Days over 365.25.
Result<double> years_of(std::string_view date);
/// "2026-07" of that many years.
std::string month_name(double years);

struct Service {
  std::string series;
  double opened = 0;    // years
  bool china = false;   // else the rest of the world
  bool target = false;  // scored by the backtest
  double mix_date = 0;  // when its tokens were of these segments
  std::array<double, kSegments> mix{};
};

struct Observation {
  std::size_t service = 0;
  double at = 0, published = 0;  // years
  double ln_tokens = 0;          // ln tokens per day
  double sd = 0;                 // of the report, by its confidence
  std::string date;
  bool weak = false;  // confidence L: never fitted, never scored
};

struct History {
  std::vector<Service> services;
  std::vector<Observation> observations;  // by service, then date
};
/// Errors: a service without a share of one, an impossible date.
Result<History> read_history(const catalog::Catalog& catalog);

}  // namespace jevons::market
