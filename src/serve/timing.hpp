#pragma once
// The step model and the memory of a placement, in the integers that the simulator wants.
#include "step/step_form.hpp"
#include "step/step_time.hpp"

namespace jevons::serve {

/// Largest step that a form has to describe.
struct FormRange {
  int max_batch = 256;                // decoding sequences of the replica
  int max_tokens = 8192;              // tokens of a step
  std::int64_t max_context = 131072;  // tokens of a sequence
  std::int32_t unit = 1;              // context sums in 1/unit tokens
  double verified_tokens = 1;         // tokens a decoding sequence pushes through the model in a step: 1 + drafted ones
};

/// Samples a step model on grids of batch, mean context and tokens (each at most 1.5 times the last) and joins the samples by straight
/// lines. The marginal cost of a prompt token is sampled by its position, so windows and top-k selections are in. Within 2 % of the
/// model (a test).
step::StepForm form_of(const step::StepTime& model, const FormRange& range, Seconds prefill_floor = Seconds{0});

/// Cache blocks of one replica, all attention ranks together, as the engine finds them: memory · utilization − weights − reserve, over the
/// bytes of a block at sequences of `context` tokens (layers with windows or states take fewer bytes a token in longer sequences).
std::int64_t cache_blocks(const step::Subject& subject, const step::Placement& placement, std::int32_t block_size, std::int64_t context);

}  // namespace jevons::serve
