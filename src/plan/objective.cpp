// What a plan aims at and what it must keep to.
#include <fmt/format.h>

#include "plan/search.hpp"

namespace jevons::plan {

std::string_view name(Objective o) {
  constexpr std::string_view names[] = {"$/Mtok", "tok/s/gpu", "goodput/gpu", "tok/s/W", "fewest-accelerators", "pareto"};
  return names[std::size_t(o)];
}

Result<Objective> parse_objective(std::string_view text) {
  for (int i = 0; i <= int(Objective::pareto); ++i) {
    if (text == name(Objective(i))) return Objective(i);
  }
  return bad_input("objective", fmt::format("unknown objective '{}'", text.substr(0, 40)),
                   "$/Mtok, tok/s/gpu, goodput/gpu, tok/s/W, fewest-accelerators or pareto");
}

std::string name(const Slo& s) {
  constexpr std::string_view names[] = {"TTFT", "TPOT", "E2E"};
  return fmt::format("{} {} limit", s.quantile ? fmt::format("p{:g}", *s.quantile * 100) : "mean", names[std::size_t(s.metric)]);
}

double score_of(const Ask& ask, const Shape& s, double requests_per_s, double goodput_rps, double output_tokens) {
  const double tokens = requests_per_s * output_tokens;
  switch (ask.objective) {
    case Objective::usd_per_mtok:
      return s.usd_per_s > 0 ? tokens / s.usd_per_s : 0;
    case Objective::goodput_per_gpu:
      return goodput_rps / s.accelerators;
    case Objective::tok_s_per_watt:
      return s.watts > 0 ? tokens / s.watts : 0;
    case Objective::fewest_accelerators:
      return 1.0 / s.accelerators;
    case Objective::tok_s_per_gpu:
    case Objective::pareto:
      return tokens / s.accelerators;
  }
  return 0;
}

}  // namespace jevons::plan
