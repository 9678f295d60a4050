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
Result<Again> again(plan::Question q) {
  q.terms.gap = kFineGap;
  q.terms.per_octave = kFine;
  q.terms.progress = {};
  JEVONS_TRY(const plan::Answer a, plan::answer(q));
  Again out;
  if (a.best() == nullptr) return out;
  const plan::Shape& s = a.shape(*a.best());
  out.score = a.best()->score;
  out.usd_per_s = s.usd_per_s;
  out.usd_per_s_each = s.usd_per_s / s.accelerators;
  return out;
}

}  // namespace

Result<std::vector<Margin>> margins_of(const PlanQuestion& q) {
  JEVONS_TRY(const Again base, again(q));
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
    plan::Question x = q;
    x.knobs.change = change;
    return again(std::move(x));
  };
  const catalog::Accelerator chip = catalog::accelerator(*q.knobs.chips.front().thing);
  constexpr double kPart = 0.05;
  if (chip.memory) {
    JEVONS_TRY(const Again a, with({.memory = 1 + kPart}));
    add("memory", "GB", chip.memory->value.value() * kPart / 1e9, a, base.usd_per_s_each);
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
  plan::Question more = q;
  more.budget.accelerators += std::max(1, q.budget.accelerators / 4);
  JEVONS_TRY(const Again wider, again(more));
  add("accelerators allowed", "GPU", more.budget.accelerators - q.budget.accelerators, wider, base.usd_per_s);
  if (q.budget.watts < 1e300) {
    plan::Question x = q;
    x.budget.watts *= 1.25;
    JEVONS_TRY(const Again a, again(std::move(x)));
    add("power allowed", "MW", q.budget.watts * 0.25e-6, a, base.usd_per_s);
  }
  for (std::size_t i = 0; i < q.terms.slo.size(); ++i) {
    plan::Question x = q;
    x.terms.slo[i].seconds *= 1.1;
    JEVONS_TRY(const Again a, again(std::move(x)));
    add(plan::name(q.terms.slo[i]), "ms", q.terms.slo[i].seconds * 100, a, base.usd_per_s);
  }
  return out;
}

std::vector<File> plan_files(const PlanQuestion& q, const plan::Answer& a) {
  const plan::Shape& s = a.shape(*a.best());
  const plan::LaunchOptions o{q.settings.text("model"), q.max_context, q.knobs.memory_fraction};
  const auto& engine = a.ask.choices[s.parts.front().choice].replica->design().policy.engine;
  const auto title = [&](std::string_view with) {
    return fmt::format("{}, with {}{}", shape_name(a.ask, s), with,
                       with == serve::name(engine) || with == "NVIDIA Dynamo"
                           ? ""
                           : fmt::format(" (the plan was simulated with {})", serve::name(engine)));
  };
  const auto domain = catalog::accelerator(*q.knobs.chips.front().thing).scaleup_domain.value_or(8);
  std::vector<File> out;
  for (const auto e : {serve::Engine::vllm, serve::Engine::sglang, serve::Engine::trtllm}) {
    out.push_back({fmt::format("launch-{}.sh", serve::name(e)), plan::script(plan::launch_lines(a.ask, s, e, o), title(serve::name(e)))});
  }
  out.push_back({"launch-dynamo.sh", plan::script(plan::dynamo_lines(a.ask, s, o), title("NVIDIA Dynamo"))});
  out.push_back({"kubernetes.yaml", plan::kubernetes(a.ask, s, o, int(std::min(8.0, domain)))});
  return out;
}

}  // namespace jevons::engine
