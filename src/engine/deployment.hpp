#pragma once
// From settings to what the simulator runs: pools of replicas with their step times, cache blocks, rules, failures and scaling.
#include <memory>

#include "engine/evaluate.hpp"
#include "serve/simulate.hpp"
#include "step/served_blocks.hpp"

namespace jevons::engine {

/// One pool as asked for. `pools` names them in full; without it there is one, of the placement options.
struct PoolPlan {
  serve::Role role = serve::Role::both;
  step::Subject subject;
  step::Placement placement;
  serve::EnginePolicy policy;
  serve::LoraCost lora;
  std::string block;           // what corrections are keyed by: model/accelerator/engine/weights/version
  step::BlockFactors factors;  // of that block, where measurements are known
  int replicas = 1;
  step::Memory memory;
  cost::GpuHour hour;  // of its accelerator; total 0 and a reason in `unpriced` where nothing is known
  std::string unpriced;
  std::unique_ptr<step::StepForm> form;  // filled by deployment_of
};

/// Errors: bad input, with the option or the word of `pools` that is wrong. Whether a pool's memory fits is in `memory`.
Result<std::vector<PoolPlan>> pools_of(const Context& context, const Answers& answers);

/// Fills the pools' step times for sequences of up to `longest` tokens; they must outlive the deployment. Requires pools that fit.
Result<serve::Deployment> deployment_of(const Context& context, const Settings& settings, std::vector<PoolPlan>& pools,
                                        std::int64_t longest);

}  // namespace jevons::engine
