#pragma once
// The step times of a placement as the integer tables that the simulator runs on.
#include "step/step_form.hpp"
#include "step/step_time.hpp"

namespace jevons::step {

struct FormOptions {
  int max_batch = 1024;                // sequences that one attention rank decodes at once, at most
  int max_tokens = 8192;               // tokens of one step on it, decodes included
  std::int64_t max_context = 1 << 17;  // longest context the tables resolve; beyond, the last slope goes on
  int tokens_per_sequence = 1;         // next token and drafts that one step verifies for each sequence
  std::int32_t unit = 1;               // context sums count 1/unit tokens
  double prefill_floor = 0;            // seconds a step with prompt tokens takes at least
  double decode_factor = 1;            // on decode steps, from measurements of this very deployment
  double prompt_factor = 1;            // on what prompt tokens add, likewise
};

/// Tables of `time`. Decode: exact at a set of contexts that holds every cap of the model (windows, top-k), linear in between. Tokens:
/// exact up to 512 and at every 64th, linear in between. Prefill attention: the attention time of one token is linear between positions
/// at which it is exact, so that a prompt's time is a quadratic. Attention over a prompt's own cache depends on its position alone.
/// Attention ranks (placement dp) each have their own batch: the decode and token tables are of one rank while all have as much; the
/// experts, which see the tokens of all ranks, stand apart in `shared`. Requires sizes of at least 1.
StepForm form_of(const StepTime& time, const FormOptions& options);

}  // namespace jevons::step
