#include "plan/replica.hpp"

#include <cmath>

namespace jevons::plan {

Result<std::unique_ptr<Replica>> Replica::build(const catalog::Catalog& catalog, const Design& design) {
  auto r = std::make_unique<Replica>();
  r->design_ = design;
  r->subject_ = *design.subject;
  r->design_.subject = &r->subject_;
  const auto& policy = design.policy;
  const int step_tokens = policy.step_tokens();
  step::set_engine(r->subject_, serve::name(policy.engine));
  if (design.draft_tokens == 0) r->subject_.weight_bytes.mtp = 0;  // engines load the draft layers only to draft
  JEVONS_CHECK(serve::share_memory(catalog, policy, design.placement, design.memory_fraction, r->subject_));
  JEVONS_TRY(r->time_, step::StepTime::make(catalog, r->subject_, design.placement));
  r->memory_ = step::memory(r->subject_, design.placement);
  if (!r->memory_.fits()) return r;
  r->blocks_ = serve::cache_blocks(r->subject_, design.placement, policy.block_size);
  const std::int64_t grown = (design.max_context + policy.block_size - 1) / policy.block_size;
  const std::int64_t one = grown + serve::capped_blocks(r->blocks_.capped, design.max_context);
  r->sequences_ = r->blocks_.blocks / std::max<std::int64_t>(1, one);
  if (!r->fits()) return r;
  step::FormOptions o{.max_batch = policy.max_num_seqs, .max_tokens = step_tokens, .max_context = design.max_context};
  o.prefill_floor = r->time_->prefill_floor();
  if (design.draft_tokens > 0) {
    o.tokens_per_sequence = design.draft_tokens + 1;
    o.unit = r->unit_ = 100;
    r->step_tokens_ = std::int32_t(std::lround(design.acceptance_length * r->unit_));
  }
  r->form_ = step::form_of(*r->time_, o);
  return r;
}

serve::Pool Replica::pool(int replicas, serve::Role role) const {
  serve::Pool p;
  p.policy = design_.policy;
  p.form = &*form_;
  p.blocks = blocks_.blocks;
  p.step_tokens = step_tokens_;
  p.replicas = replicas;
  p.accelerators = accelerators();
  p.ranks = design_.placement.dp;
  p.capped = blocks_.capped;
  p.role = role;
  const auto& wire = subject_.chip.scaleout_bandwidth;  // one network port an accelerator; a rank has those of its tensor-parallel group
  p.link_bytes_per_s = wire ? wire->value.value() * design_.placement.tp * design_.placement.pp : 0;
  return p;
}

}  // namespace jevons::plan
