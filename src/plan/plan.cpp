#include "plan/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.hpp"

namespace jevons::plan {
namespace {

bool within(const Limits& l, const serve::SteadyState& s) {
  return (!l.ttft_s || s.ttft_s <= *l.ttft_s) && (!l.tpot_s || s.tpot_s <= *l.tpot_s);
}
Binding violated(const Limits& l, const serve::SteadyState& s) { return l.tpot_s && s.tpot_s > *l.tpot_s ? Binding::tpot : Binding::ttft; }

void add_cost(const Question& q, Candidate& c) {
  const auto& s = c.state;
  const double cached = std::floor(q.workload.isl * q.workload.prefix_hit_rate), fresh = q.workload.isl - cached;
  const double steps = q.workload.osl / q.workload.tokens_per_step;
  const cost::RequestTime time{std::min(s.prefill_s, s.prefill_without_cached_s), std::max(0.0, s.prefill_s - s.prefill_without_cached_s),
                               s.decode_step_s * steps / s.batch};
  const UsdPerSecond replica = q.accelerator_cost * double(c.placement.accelerators());
  c.cost = cost::token_cost(replica, s.requests_per_s, q.utilization, time, fresh, cached, q.workload.osl);
  c.usd_per_output_mtok = c.cost.per_request.value() / q.workload.osl * kMega;
}

std::string why_no_memory(const Question& q, const std::vector<Candidate>& all) {
  const auto roomiest =
      std::max_element(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.memory.for_cache < b.memory.for_cache; });
  const auto& m = roomiest->memory;
  const auto& s = *q.subject;
  const double need = m.weights + m.reserve + step::rank_cache(s, roomiest->placement, std::int64_t(q.workload.isl + q.workload.osl));
  const double split = s.weight_bytes.total() / std::max(1.0, m.capacity - m.reserve);
  const double ranks = std::pow(2, std::ceil(std::log2(std::max(1.0, split * 1.05))));
  return fmt::format(
      "HBM: {} per accelerator would need {} ({} of weights, {} reserve, one sequence of cache), {} too much for the {} an engine may use "
      "of a {}. "
      "Weights alone take {}; about {:.0f} accelerators a replica would hold them, or a smaller weight format.",
      step::name(roomiest->placement), format_bytes(need), format_bytes(m.weights), format_bytes(m.reserve),
      format_bytes(need - m.capacity), format_bytes(m.capacity), s.chip.thing->name, format_bytes(s.weight_bytes.total()), ranks);
}

std::string why_no_slo(const Question& q, const std::vector<Candidate>& all) {
  const auto excess = [&](const Candidate& c) {
    double worst = 0;
    if (q.limits.tpot_s) worst = std::max(worst, c.state.tpot_s / *q.limits.tpot_s);
    if (q.limits.ttft_s) worst = std::max(worst, c.state.ttft_s / *q.limits.ttft_s);
    return worst;
  };
  const Candidate* nearest = nullptr;
  for (const auto& c : all) {
    if (c.binding != Binding::tpot && c.binding != Binding::ttft) continue;
    if (nearest == nullptr || excess(c) < excess(*nearest)) nearest = &c;
  }
  if (nearest == nullptr) return "no placement is left to try";
  return fmt::format(
      "{}: no placement meets the limits even with one request in flight. The nearest is {} with TTFT {} and TPOT {}; limits of at least "
      "that would do.",
      name(nearest->binding), step::name(nearest->placement), format_seconds(nearest->state.ttft_s), format_seconds(nearest->state.tpot_s));
}

}  // namespace

std::string_view name(Binding b) {
  constexpr std::string_view names[] = {"nothing", "memory for weights", "cache capacity", "TPOT limit", "TTFT limit", "max_num_seqs"};
  return names[std::size_t(b)];
}

std::vector<step::Placement> placements(const model::Model& m, const catalog::Accelerator& chip, const Limits& l, bool with_pipeline) {
  const int domain = std::max(1, int(chip.scaleup_domain.value_or(1)));
  const bool experts = std::any_of(m.kinds.begin(), m.kinds.end(), [](const auto& k) { return k.layer.moe.has_value(); });
  const auto sizes = [&](const std::optional<int>& given, int upto) {
    std::vector<int> v;
    if (given) return std::vector<int>{*given};
    for (int n = 1; n <= upto; n *= 2) v.push_back(n);
    return v;
  };
  std::vector<step::Placement> out;
  for (const int tp : sizes(l.tp, l.max_accelerators)) {
    for (const int dp : sizes(l.dp, experts ? l.max_accelerators : 1)) {
      for (const int pp : sizes(l.pp, with_pipeline ? l.max_accelerators : 1)) {
        for (const int ep : l.ep ? std::vector<int>{*l.ep} : experts&& tp* dp > 1 ? std::vector<int>{1, tp * dp} : std::vector<int>{1}) {
          const step::Placement p{tp, pp, dp, ep};
          const bool wired = tp * dp <= domain || (tp <= domain && chip.scaleout_bandwidth);  // tensor parallelism stays inside the domain
          if (p.accelerators() <= l.max_accelerators && (wired || l.tp || l.dp)) out.push_back(p);
        }
      }
    }
  }
  return out;
}

Candidate evaluate(const Question& q, const step::StepTime& time) {
  Candidate c;
  c.placement = time.placement();
  c.memory = step::memory(*q.subject, c.placement);
  if (!c.memory.fits()) {
    c.binding = Binding::memory_for_weights;
    return c;
  }
  c.sequences_fit = step::sequences_that_fit(*q.subject, c.placement, std::int64_t(q.workload.isl + q.workload.osl));
  if (c.sequences_fit < 1) {
    c.binding = Binding::cache_capacity;
    return c;
  }
  const double seats = q.limits.max_num_seqs * c.placement.dp;
  const double most = std::min(c.sequences_fit, seats);
  c.state = serve::steady_state(time, q.workload, 1);
  if (!within(q.limits, c.state)) {
    c.binding = violated(q.limits, c.state);
    return c;
  }
  c.feasible = true;
  auto top = serve::steady_state(time, q.workload, most);
  if (within(q.limits, top)) {
    c.state = top;
    c.binding = seats < c.sequences_fit ? Binding::max_num_seqs : Binding::cache_capacity;
  } else {
    c.binding = violated(q.limits, top);
    double low = 1, high = most;                     // low meets the limits, high does not
    while (high - low > std::max(1.0, low / 128)) {  // to the request, or within 0.8 % of many
      const double middle = std::floor((low + high) / 2);
      const auto s = serve::steady_state(time, q.workload, middle);
      if (within(q.limits, s)) {
        low = middle;
        c.state = s;
      } else {
        high = middle;
        c.binding = violated(q.limits, s);
      }
    }
  }
  add_cost(q, c);
  return c;
}

Result<Plan> cheapest(const Question& q) {
  Plan plan;
  std::optional<Error> refused;  // why the last placement that does not divide was left out
  for (const bool with_pipeline : {false, true}) {
    for (const auto& p : placements(*q.subject->model, q.subject->chip, q.limits, with_pipeline)) {
      if (with_pipeline && p.pp == 1) continue;  // judged in the first round
      ++plan.screened;
      if (const auto divides = step::check_placement(*q.subject->model, p); !divides) {
        refused = divides.error();
        continue;
      }
      JEVONS_TRY(const step::StepTime time, step::StepTime::make(*q.catalog, *q.subject, p));
      plan.candidates.push_back(evaluate(q, time));
    }
    const bool holds = std::any_of(plan.candidates.begin(), plan.candidates.end(), [](const Candidate& c) {
      return c.binding != Binding::memory_for_weights && c.binding != Binding::cache_capacity;
    });
    if (holds || q.limits.pp) break;
  }
  const bool given = q.limits.tp || q.limits.pp || q.limits.dp || q.limits.ep;
  if (plan.candidates.empty() && given && refused) return fail(*refused);  // what was asked for cannot be built
  std::stable_sort(plan.candidates.begin(), plan.candidates.end(), [](const Candidate& a, const Candidate& b) {
    if (a.feasible != b.feasible) return a.feasible;
    return a.feasible && a.usd_per_output_mtok < b.usd_per_output_mtok;
  });
  if (plan.candidates.empty()) {
    plan.explanation =
        fmt::format("no placement of at most {} accelerators divides the model's heads and experts", q.limits.max_accelerators);
  } else if (plan.best().feasible) {
    plan.status = Status::optimal;
  } else {
    const bool memory = std::all_of(plan.candidates.begin(), plan.candidates.end(), [](const Candidate& c) {
      return c.binding == Binding::memory_for_weights || c.binding == Binding::cache_capacity;
    });
    plan.explanation = memory ? why_no_memory(q, plan.candidates) : why_no_slo(q, plan.candidates);
  }
  return plan;
}

}  // namespace jevons::plan
