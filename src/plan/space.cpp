#include "plan/space.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/units.hpp"
#include "plan/parallel.hpp"
#include "plan/plan.hpp"
#include "plan/subject.hpp"

namespace jevons::plan {
namespace {

using serve::Role;

struct Draft {  // of a choice, before it is built
  const step::Subject* subject;
  const Chip* chip;
  Design design;
};

std::vector<step::Placement> placements_of(const model::Model& m, const catalog::Accelerator& chip, const Knobs& k, int most) {
  const auto one = [](const std::vector<int>& v) { return v.size() == 1 ? std::optional<int>(v[0]) : std::nullopt; };
  const auto in = [](const std::vector<int>& v, int x) { return v.empty() || std::find(v.begin(), v.end(), x) != v.end(); };
  std::vector<step::Placement> out;
  Limits limits{.max_accelerators = most, .tp = one(k.tp), .pp = one(k.pp), .dp = one(k.dp), .ep = one(k.ep)};
  if (k.pp.empty()) limits.pp = 1;
  for (const auto& p : placements(m, chip, limits, !k.pp.empty())) {
    if (in(k.tp, p.tp) && in(k.dp, p.dp) && in(k.ep, p.ep) && in(k.pp, p.pp)) out.push_back(p);
  }
  return out;
}

void apply(const Change& c, step::Subject& s) {
  const auto add = [](auto& known, double more) {
    if (known) known->value = std::decay_t<decltype(known->value)>{known->value.value() + more};
  };
  const auto scale = [](auto& known, double factor) {
    if (known) known->value = known->value * factor;
  };
  add(s.chip.memory, c.memory);
  add(s.chip.memory_reported, c.memory);
  scale(s.chip.hbm_bandwidth, c.bandwidth);
  for (auto* peak : {&s.chip.peak_bf16, &s.chip.peak_fp8, &s.chip.peak_fp4, &s.chip.peak_int8}) scale(*peak, c.flops);
  scale(s.chip.scaleup_bandwidth, c.links);
  scale(s.chip.scaleout_bandwidth, c.links);
  for (auto& g : s.cache) g.bytes_per_entry *= c.cache_bytes;
}

void add_shape(Space& s, const Knobs& k, const Budget& budget, std::vector<Part> parts) {
  Shape shape{.parts = std::move(parts)};
  double kg = 0;
  for (const Part& p : shape.parts) {
    const Choice& c = s.choices[p.choice];
    const int n = c.replica->accelerators() * p.replicas;
    shape.accelerators += n;
    shape.usd_per_s += n * c.usd_per_s;
    shape.watts += n * c.watts;
    shape.capital += n * c.capital;
    if (n > c.stock) return void(++s.over_budget);
    kg = shape.watts * budget.kg_per_joule * 3600;
    if (p.role == Role::decode) {
      const Design& d = c.replica->design();
      for (const auto& g : d.subject->cache) {  // every rank of the receiver takes what it holds
        const double held = step::rank_share(g, d.placement.tp) * d.placement.tp;
        shape.handover.bytes_per_token += held * model::cache_slope(std::span(&g, 1));
        shape.handover.bytes_fixed += held * model::cache_fixed(std::span(&g, 1));
      }
      shape.handover.overlapped_layers = k.overlapped_layers;
    }
  }
  if (shape.accelerators > budget.accelerators || shape.watts > budget.watts || shape.capital > budget.capital || kg > budget.kg_per_h)
    return void(++s.over_budget);
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
    for (std::size_t d = 0; d < s.choices.size(); ++d) {
      const Replica& decode = *s.choices[d].replica;
      if (!same_formats(prefill, decode)) continue;
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
        for (const auto& place : placements_of(model, here.chip, k, budget.accelerators)) {
          if (const auto divides = step::check_placement(model, place); !divides) {
            ++s.do_not_divide;
            refused = divides.error();
            continue;
          }
          for (const auto& policy : chip.policies) {
            for (const int n : k.drafts) {
              Design d{.subject = &here,
                       .placement = place,
                       .policy = serve::of_one_rank(policy, place.dp),
                       .memory_fraction = k.memory_fraction,
                       .draft_tokens = n,
                       .acceptance_length = expected_tokens(n, k.first_acceptance),
                       .max_context = max_context};
              drafts.push_back({&here, &chip, std::move(d)});
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
