// What one more of something is worth, and the files of a plan.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.hpp"
#include "engine/plan_page.hpp"
#include "plan/launch.hpp"

namespace jevons::engine {
namespace {

constexpr int kFine = 192;  // concurrencies for each factor of two: steps of 0.4 %
constexpr double kFineGap = 0.002;

struct Again {
  std::optional<double> score;
  double usd_per_s_each = 0, usd_per_s = 0;
};

// The question anew, on the fine grid.
Result<Again> again(const Context& c, const PlanQuestion& q, const plan::Knobs& knobs, const plan::Budget& budget,
                    const std::vector<plan::Slo>& slo, std::int64_t max_context) {
  JEVONS_TRY(plan::Space space, plan::space_of(c.catalog, q.model, knobs, budget, q.ask.closed, max_context, q.ask.threads));
  plan::Ask ask;
  ask.catalog = q.ask.catalog;
  ask.choices = std::move(space.choices);
  ask.shapes = std::move(space.shapes);
  ask.objective = q.ask.objective;
  ask.slo = slo;
  ask.workload = q.ask.workload;
  ask.closed = q.ask.closed;
  ask.equal_requests = q.ask.equal_requests;
  ask.max_concurrency = q.ask.max_concurrency;
  ask.threads = q.ask.threads;
  ask.gap = kFineGap;
  ask.per_octave = kFine;
  ask.max_simulated = q.ask.max_simulated;
  ask.stop = q.ask.stop;
  Again a;
  if (ask.shapes.empty()) return a;
  JEVONS_TRY(const plan::Search found, plan::search(ask));
  if (!found.best) return a;
  const plan::Shape& s = ask.shapes[found.points[*found.best].shape];
  a.score = found.points[*found.best].score;
  a.usd_per_s = s.usd_per_s;
  a.usd_per_s_each = s.usd_per_s / s.accelerators;
  return a;
}

}  // namespace

Result<std::vector<Margin>> margins_of(const Context& c, const PlanQuestion& q, std::int64_t max_context) {
  JEVONS_TRY(const Again base, again(c, q, q.knobs, q.budget, q.ask.slo, max_context));
  std::vector<Margin> out;
  if (!base.score) return out;
  const double year = kHoursPerYear * 3600;
  const auto add = [&](std::string what, std::string unit, double step, const Again& changed, double usd_per_s) {
    Margin m{std::move(what), std::move(unit), step, {}, {}};
    if (changed.score) {
      m.gain = *changed.score / *base.score - 1;
      if (usd_per_s > 0) m.usd_per_year = *m.gain * usd_per_s * year / step;
    }
    out.push_back(std::move(m));
  };
  const auto with = [&](const plan::Change& change) {
    plan::Knobs k = q.knobs;
    k.change = change;
    return again(c, q, k, q.budget, q.ask.slo, max_context);
  };
  const catalog::Accelerator chip = catalog::accelerator(*q.knobs.chips.front().thing);
  constexpr double kPart = 0.05;
  if (chip.memory) {
    const double more = chip.memory->value.value() * kPart;
    JEVONS_TRY(const Again a, with({.memory = more}));
    add("memory", "GB", more / 1e9, a, base.usd_per_s_each);
  }
  if (chip.hbm_bandwidth) {
    JEVONS_TRY(const Again a, with({.bandwidth = 1 + kPart}));
    add("memory bandwidth", "GB/s", chip.hbm_bandwidth->value.value() * kPart / 1e9, a, base.usd_per_s_each);
  }
  if (chip.peak_bf16) {
    JEVONS_TRY(const Again a, with({.flops = 1 + kPart}));
    add("peak rates, in bf16", "TFLOPS", chip.peak_bf16->value.value() * kPart / 1e12, a, base.usd_per_s_each);
  }
  if (chip.scaleup_bandwidth) {
    JEVONS_TRY(const Again a, with({.links = 1 + kPart}));
    add("links", "GB/s", chip.scaleup_bandwidth->value.value() * kPart / 1e9, a, base.usd_per_s_each);
  }
  plan::Budget more = q.budget;
  more.accelerators += std::max(1, more.accelerators / 4);
  JEVONS_TRY(const Again wider, again(c, q, q.knobs, more, q.ask.slo, max_context));
  add("accelerators allowed", "GPU", more.accelerators - q.budget.accelerators, wider, base.usd_per_s);
  if (q.budget.watts < 1e300) {
    plan::Budget b = q.budget;
    b.watts *= 1.25;
    JEVONS_TRY(const Again a, again(c, q, q.knobs, b, q.ask.slo, max_context));
    add("power allowed", "MW", q.budget.watts * 0.25e-6, a, base.usd_per_s);
  }
  for (std::size_t i = 0; i < q.ask.slo.size(); ++i) {
    auto slo = q.ask.slo;
    slo[i].seconds *= 1.1;
    JEVONS_TRY(const Again a, again(c, q, q.knobs, q.budget, slo, max_context));
    add(plan::name(q.ask.slo[i]), "ms", q.ask.slo[i].seconds * 100, a, base.usd_per_s);
  }
  return out;
}

std::vector<File> plan_files(const PlanQuestion& q, const plan::Search& found, std::int64_t max_context) {
  const plan::Shape& s = q.ask.shapes[found.points[*found.best].shape];
  const plan::LaunchOptions o{q.settings.text("model"), max_context, q.knobs.memory_fraction};
  const auto& engine = q.ask.choices[s.parts.front().choice].replica->design().policy.engine;
  const auto title = [&](std::string_view with) {
    return fmt::format("{}, with {}{}", shape_name(q.ask, s), with,
                       with == serve::name(engine) || with == "NVIDIA Dynamo"
                           ? ""
                           : fmt::format(" (the plan was simulated with {})", serve::name(engine)));
  };
  const auto domain = catalog::accelerator(*q.knobs.chips.front().thing).scaleup_domain.value_or(8);
  std::vector<File> out;
  for (const auto e : {serve::Engine::vllm, serve::Engine::sglang, serve::Engine::trtllm}) {
    out.push_back({fmt::format("launch-{}.sh", serve::name(e)), plan::script(plan::launch_lines(q.ask, s, e, o), title(serve::name(e)))});
  }
  out.push_back({"launch-dynamo.sh", plan::script(plan::dynamo_lines(q.ask, s, o), title("NVIDIA Dynamo"))});
  out.push_back({"kubernetes.yaml", plan::kubernetes(q.ask, s, o, int(std::min(8.0, domain)))});
  return out;
}

}  // namespace jevons::engine
