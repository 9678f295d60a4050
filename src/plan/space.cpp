#include "plan/space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/units.hpp"
#include "plan/parallel.hpp"
#include "plan/subject.hpp"
#include "serve/host_tier.hpp"

namespace jevons::plan {
namespace {

using serve::Role;

struct Draft {  // of a choice, before it is built
  const step::Subject* subject;
  const Chip* chip;
  Design design;
};

void apply(const Change& c, step::Subject& s) {
  const auto scale = [](auto& known, double factor) {
    if (known) known->value = known->value * factor;
  };
  scale(s.chip.memory, c.memory);
  scale(s.chip.memory_reported, c.memory);
  scale(s.chip.hbm_bandwidth, c.bandwidth);
  for (auto* peak : {&s.chip.peak_bf16, &s.chip.peak_fp8, &s.chip.peak_fp4, &s.chip.peak_int8}) scale(*peak, c.flops);
  scale(s.chip.scaleup_bandwidth, c.links);
  scale(s.chip.scaleout_bandwidth, c.links);
  for (auto& g : s.cache) g.bytes_per_entry *= c.cache_bytes;
}

// Whether a shape is over the budget; the nearest of those that are is kept.
bool over_budget(Space& s, const Budget& b, const Shape& shape) {
  double worst = 1;
  std::string what;
  const auto limit = [&](double takes, double allowed, std::string_view flag, std::string_view unit, double scale) {
    if (takes <= allowed * worst) return;
    worst = takes / allowed;
    what = fmt::format("{:.4g} {} against {} {:.4g}", takes * scale, unit, flag, allowed * scale);
  };
  limit(shape.accelerators, b.accelerators, "--max-gpus", "accelerators", 1);
  limit(shape.watts, b.watts, "--max-power", "kW", 1e-3);
  limit(shape.capital, b.capital, "--max-capital", "USD", 1);
  limit(shape.watts * b.kg_per_joule * 3600, b.kg_per_h, "--max-carbon", "kg CO2/h", 1);
  for (const Part& p : shape.parts) {
    const Choice& c = s.choices[p.choice];
    limit(c.replica->accelerators() * p.replicas, c.stock, "a stock of", c.chip, 1);
  }
  if (what.empty()) return false;
  ++s.over_budget;
  if (worst < s.over_by) {
    s.over_by = worst;
    const Choice& c = s.choices[shape.parts.front().choice];
    s.over = fmt::format("{} x {} as {} takes {}", shape.accelerators, c.chip, step::name(c.replica->design().placement), what);
  }
  return true;
}

void add_shape(Space& s, const Knobs& k, const Budget& budget, std::vector<Part> parts) {
  Shape shape{.parts = std::move(parts)};
  for (const Part& p : shape.parts) {
    const Choice& c = s.choices[p.choice];
    const int n = c.replica->accelerators() * p.replicas;
    shape.accelerators += n;
    shape.usd_per_s += n * c.usd_per_s;
    shape.watts += n * c.watts;
    shape.capital += n * c.capital;
    if (p.role == Role::decode) {
      shape.handover = serve::handover_of(*c.replica->design().subject, c.replica->design().placement);
      shape.handover.overlapped_layers = k.overlapped_layers;
    }
  }
  if (over_budget(s, budget, shape)) return;
  for (const auto r : k.routings) {
    shape.routing = r;
    s.shapes.push_back(shape);
    if (shape.parts.size() == 1 && shape.parts[0].replicas == 1 && s.choices[shape.parts[0].choice].replica->design().placement.dp == 1)
      break;  // nothing to route
  }
}

void whole_shapes(Space& s, const Knobs& k, const Budget& b, bool closed) {
  for (std::size_t i = 0; i < s.choices.size(); ++i) {
    const int each = s.choices[i].replica->accelerators(), most = k.replicas.value_or(closed ? 1 : b.accelerators / each);
    for (int n = k.replicas.value_or(1); n <= most; ++n) add_shape(s, k, b, {{i, n, Role::both}});
    // Two kinds of chips side by side: for an open load, where one alone may be short of stock.
    for (std::size_t j = i + 1; j < s.choices.size() && !closed && !k.replicas; ++j) {
      if (s.choices[j].chip == s.choices[i].chip) continue;
      const int other = s.choices[j].replica->accelerators();
      for (int n = 1; n * each < b.accelerators; ++n) {
        for (int m = 1; n * each + m * other <= b.accelerators; ++m) add_shape(s, k, b, {{i, n, Role::both}, {j, m, Role::both}});
      }
    }
  }
}

bool same_formats(const Replica& a, const Replica& b) {
  const auto &x = a.design(), &y = b.design();
  return x.subject->cache_format == y.subject->cache_format && x.subject->weights.name == y.subject->weights.name &&
         x.policy.engine == y.policy.engine && x.policy.block_size == y.policy.block_size;
}

void split_shapes(Space& s, const Knobs& k, const Budget& b, bool closed) {
  for (std::size_t p = 0; p < s.choices.size(); ++p) {
    const Replica& prefill = *s.choices[p].replica;
    if (prefill.design().draft_tokens > 0) continue;  // drafts do nothing for prompts
    if (prefill.design().host_gib > 0) continue;
    for (std::size_t d = 0; d < s.choices.size(); ++d) {
      const Replica& decode = *s.choices[d].replica;
      if (!same_formats(prefill, decode) || decode.design().host_gib > 0) continue;
      if (prefill.pool(1).link_bytes_per_s <= 0 || decode.pool(1).link_bytes_per_s <= 0) continue;
      for (int n = 1; n * prefill.accelerators() < b.accelerators; ++n) {
        for (int m = 1; n * prefill.accelerators() + m * decode.accelerators() <= b.accelerators; ++m) {
          if (closed && std::gcd(n, m) > 1) continue;  // several of a smaller unit
          add_shape(s, k, b, {{p, n, Role::prefill}, {d, m, Role::decode}});
        }
      }
    }
  }
}

}  // namespace

std::vector<step::Placement> placements(const model::Model& m, const catalog::Accelerator& chip, const Knobs& k, int accelerators) {
  const int domain = std::max(1, int(chip.scaleup_domain.value_or(1)));
  const bool experts = model::has_experts(m);
  const bool sized = !k.tp.empty() || !k.dp.empty();
  const auto sizes = [&](const std::vector<int>& given, int most) {
    std::vector<int> v = given;
    for (int n = 1; given.empty() && n <= most; n *= 2) v.push_back(n);
    return v;
  };
  std::vector<step::Placement> out;
  for (const int tp : sizes(k.tp, accelerators)) {
    for (const int dp : sizes(k.dp, experts ? accelerators : 1)) {
      const bool wired = tp * dp <= domain || (tp <= domain && chip.scaleout_bandwidth);
      if (!wired && !sized) continue;
      for (const int pp : sizes(k.pp, accelerators)) {
        const std::vector<int> all = experts && tp * dp > 1 ? std::vector<int>{1, tp * dp} : std::vector<int>{1};
        for (const int ep : k.ep.empty() ? all : k.ep) {
          for (const int dcp : sizes(k.dcp, tp)) {
            const step::Placement p{tp, pp, dp, ep, dcp};
            if (p.accelerators() <= accelerators) out.push_back(p);
          }
        }
      }
    }
  }
  return out;
}

double expected_tokens(int drafts, double p) { return p >= 1 ? drafts + 1 : (1 - std::pow(p, drafts + 1)) / (1 - p); }

Result<Space> space_of(const catalog::Catalog& catalog, const model::Model& model, const Knobs& k, const Budget& budget, bool closed,
                       std::int64_t max_context, int threads) {
  Space s;
  std::vector<Draft> drafts;
  std::optional<Error> refused;
  for (const Chip& chip : k.chips) {
    for (const auto& weights : k.weights) {
      for (const auto& cache : k.caches) {
        JEVONS_TRY(step::Subject subject, subject_of(model, *chip.thing, {weights, cache}));
        apply(k.change, subject);
        s.subjects.push_back(std::move(subject));
        const step::Subject& here = s.subjects.back();
        for (const auto& place : placements(model, here.chip, k, budget.accelerators)) {
          if (const auto divides = step::check_placement(model, place); !divides) {
            ++s.do_not_divide;
            refused = divides.error();
            continue;
          }
          for (const auto& policy : chip.policies) {
            for (const int n : k.drafts) {
              for (const double gib : k.host_gib) {
                if ((gib > 0 && place.dp > 1) || (place.dcp > 1 && policy.engine != serve::Engine::vllm)) continue;
                Design d{.subject = &here,
                         .placement = place,
                         .policy = serve::of_one_rank(policy, place.dp),
                         .memory_fraction = k.memory_fraction,
                         .draft_tokens = n,
                         .acceptance_length = n > 0 && k.acceptance_length ? *k.acceptance_length : expected_tokens(n, k.first_acceptance),
                         .host_gib = gib,
                         .max_context = max_context};
                serve::set_host_cache(d.policy, place.tp * place.pp, gib);
                drafts.push_back({&here, &chip, std::move(d)});
              }
            }
          }
        }
      }
    }
  }
  if (drafts.empty() && refused) return fail(*refused);
  std::vector<Result<std::unique_ptr<Replica>>> built(drafts.size());
  for_each_index(drafts.size(), threads, [&](std::size_t i) { built[i] = Replica::build(catalog, drafts[i].design); });
  double least_lack = 1e300;
  for (std::size_t i = 0; i < drafts.size(); ++i) {
    if (!built[i]) return fail(built[i].error());
    std::unique_ptr<Replica>& r = *built[i];
    if (!r->fits()) {
      ++s.do_not_fit;
      const auto& m = r->memory();
      const double lack =
          m.weights + m.reserve + step::rank_cache(*drafts[i].subject, drafts[i].design.placement, max_context) - m.capacity;
      if (lack < least_lack) {
        least_lack = lack;
        s.no_fit = fmt::format("{} on {} lacks {} of memory an accelerator: {} of weights, {} of reserve and one request's cache in {}",
                               step::name(drafts[i].design.placement), drafts[i].chip->thing->name, format_bytes(std::max(0.0, lack)),
                               format_bytes(m.weights), format_bytes(m.reserve), format_bytes(m.capacity));
      }
      continue;
    }
    const Chip& chip = *drafts[i].chip;
    s.choices.push_back({std::move(r), std::string(chip.thing->name), chip.usd_per_s.value_or(0), chip.watts.value_or(0),
                         chip.capital.value_or(0), chip.stock});
  }
  if (k.split != Split::only) whole_shapes(s, k, budget, closed);
  if (k.split != Split::none) split_shapes(s, k, budget, closed);
  return s;
}

}  // namespace jevons::plan
