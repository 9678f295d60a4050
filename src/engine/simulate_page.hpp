#pragma once
// What a simulation found, priced, and its page.
#include "engine/deployment.hpp"
#include "engine/run_energy.hpp"
#include "engine/workload.hpp"
#include "serve/shares.hpp"

namespace jevons::engine {

struct Priced {
  std::optional<double> usd, usd_per_output_mtok, usd_idle, usd_start_up;
  double accelerator_s = 0;
  std::string why_not;  // there is no price
};
struct Simulated {
  Asked asked;
  std::vector<PoolPlan> pools;
  serve::Deployment deployment;
  serve::Simulation simulation;
  serve::Metrics metrics;
  serve::Shares shares;
  Priced priced;
  RunEnergy energy;
  std::optional<double> reuse;  // share of prompt blocks that an unlimited cache would find; of requests whose content is known
};

struct Sureness;
report::Document simulation_page(const Settings& settings, const Simulated& simulated, const Sureness& sureness, std::string version);

}  // namespace jevons::engine
