// jevons edge: which requests run on the device, which in the cloud.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.hpp"
#include "engine/plan_page.hpp"
#include "engine/scenario.hpp"
#include "plan/edge.hpp"
#include "plan/subject.hpp"
#include "serve/engine_memory.hpp"
#include "serve/steady_state.hpp"

namespace jevons::engine {
namespace {

using T = OptionType;
constexpr OptionSpec kEdge[] = {
    {.path = "device.model",
     .flag = "--device-model",
     .type = T::text,
     .help = "model on the device: name in the catalogue, or a config.json"},
    {.path = "device.accelerator", .flag = "--device", .type = T::text, .help = "the device's chip: name in the catalogue, or FILE.yaml"},
    {.path = "device.weights", .flag = "--device-weights", .type = T::text, .fallback = "int4-g32", .help = "weight format on the device"},
    {.path = "device.watts",
     .flag = "--device-watts",
     .type = T::number,
     .unit = "W",
     .low = 0.01,
     .high = 1e5,
     .help = "drawn while it serves (default: the chip's board power)"},
    {.path = "device.battery",
     .flag = "--battery",
     .type = T::number,
     .unit = "Wh",
     .low = 1e-3,
     .high = 1e6,
     .help = "that serving may take a day; without it the device is on the mains"},
    {.path = "device.electricity",
     .flag = "--electricity",
     .type = T::number,
     .unit = "USD/kWh",
     .low = 0,
     .high = 10,
     .help = "what the user pays (default: the catalogue's reference site); the device itself is taken as owned"},
    {.path = "device.eligible",
     .flag = "--eligible-share",
     .type = T::number,
     .fallback = "0.6",
     .low = 0,
     .high = 1,
     .help = "requests that the device's model answers well enough (an assumption: measure it on yours)"},
    {.path = "users.requests_per_day",
     .flag = "--requests-per-day",
     .type = T::number,
     .fallback = "50",
     .low = 1e-3,
     .high = 1e7,
     .help = "of one user"},
    {.path = "users.private",
     .flag = "--private-share",
     .type = T::number,
     .fallback = "0",
     .low = 0,
     .high = 1,
     .help = "must not leave the device"},
    {.path = "users.offline",
     .flag = "--offline-share",
     .type = T::number,
     .fallback = "0",
     .low = 0,
     .high = 1,
     .help = "come while there is no network"},
    {.path = "network.round_trip",
     .flag = "--round-trip",
     .type = T::number,
     .unit = "ms",
     .fallback = "50",
     .low = 0,
     .high = 1e6,
     .help = "between device and cloud"},
};

Result<double> electricity(const Context& c, const Settings& s) {  // USD per kilowatt-hour
  if (s.has("device.electricity")) return s.number("device.electricity");
  JEVONS_TRY(const catalog::Thing* site, c.catalog.find(catalog::Section::datacenter, "reference-site"));
  return site->get<UsdPerJoule>("electricity")->value.value() * 3.6e6;
}

// One request alone on the device. Errors: the chip lacks a fact; a model that does not fit is told in q.no_device.
Result<void> put_device(const Context& c, const Settings& s, const model::Model& m, const catalog::Thing& chip, plan::EdgeQuestion& q) {
  JEVONS_TRY(step::Subject subject, plan::subject_of(m, chip, {s.text("device.weights"), "native"}));
  const serve::EnginePolicy one{.max_num_seqs = 1, .max_num_batched_tokens = 512, .max_model_len = 1 << 15};
  JEVONS_CHECK(serve::share_memory(c.catalog, one, {}, 0.9, subject));
  const double isl = s.number("workload.isl") + s.number("workload.shared_system_prompt_length"), osl = s.number("workload.osl");
  JEVONS_TRY(const step::StepTime time, step::StepTime::make(c.catalog, subject, {}));
  const step::Memory memory = step::memory(subject, {});
  if (step::sequences_that_fit(subject, {}, std::int64_t(isl + osl)) < 1) {
    q.no_device = fmt::format("{} in {} takes {} with one request, {} has {}", m.name, subject.weights.name,
                              format_bytes(memory.weights + memory.reserve + step::rank_cache(subject, {}, std::int64_t(isl + osl))),
                              chip.name, format_bytes(memory.capacity));
    return {};
  }
  const serve::SteadyState alone = serve::steady_state(time, {.isl = isl, .osl = osl, .chunk = 512, .host_constant = 0}, 1);
  if (!s.has("device.watts") && !subject.chip.tdp)
    return fail(
        s.error("device.accelerator", fmt::format("the power of {} is not known", chip.name), "a chip with tdp", "give --device-watts"));
  const double watts = s.has("device.watts") ? s.number("device.watts") : subject.chip.tdp->value.value();
  q.device.ttft_s = alone.ttft_s;
  q.device.tpot_s = alone.tpot_s;
  q.device.joules = watts * (alone.ttft_s + (osl - 1) * alone.tpot_s);
  JEVONS_TRY(const double usd_per_kwh, electricity(c, s));
  q.device.usd = q.device.joules / 3.6e6 * usd_per_kwh;
  return {};
}

}  // namespace

std::span<const OptionSpec> edge_options() {
  static const auto table = [] {
    const auto plan = plan_options();
    std::vector<OptionSpec> v(plan.begin(), plan.end());
    std::erase_if(v, [](const OptionSpec& o) {
      return o.path == "objective" || o.path == "tenants" || o.path == "shadow_prices" || o.path == "finalists";
    });
    v.insert(v.end(), std::begin(kEdge), std::end(kEdge));
    return v;
  }();
  return table;
}

Result<Outcome> run_edge(Context& c) {
  JEVONS_TRY(PlanQuestion p, read_plan(c));
  const Settings& s = p.settings;
  for (const auto* path : {"device.model", "device.accelerator"}) {
    if (!s.has(path)) return fail(s.error(path, "is missing", std::string(s.spec(path)->help), fmt::format("give {}", s.spec(path)->flag)));
  }
  JEVONS_TRY(const model::Model small, load_model(c.catalog, s.text("device.model")));
  std::shared_ptr<void> keep;
  JEVONS_TRY(const catalog::Thing* chip, find_chip(c.catalog, s.text("device.accelerator"), keep));
  plan::EdgeQuestion q;
  q.round_trip_s = s.number("network.round_trip") / 1e3;
  q.requests_per_day = s.number("users.requests_per_day");
  q.private_share = s.number("users.private");
  q.offline_share = s.number("users.offline");
  q.eligible_share = s.number("device.eligible");
  if (s.has("device.battery")) q.battery_joules = s.number("device.battery") * 3600;
  for (plan::Slo& limit : p.ask.slo) {
    if (limit.quantile)
      return fail(s.error("slo.ttft", "is of a quantile", "a limit on the mean: the device serves one request at a time"));
    if (limit.metric == plan::Slo::Metric::e2e) return fail(s.error("slo.e2e", "has no meaning here", "--ttft and --tpot"));
    (limit.metric == plan::Slo::Metric::ttft ? q.ttft_s : q.tpot_s) = limit.seconds;
    if (limit.metric == plan::Slo::Metric::ttft) limit.seconds -= q.round_trip_s;  // what the network leaves to the cloud
  }
  JEVONS_CHECK(put_device(c, s, small, *chip, q));

  const bool too_far = std::any_of(p.ask.slo.begin(), p.ask.slo.end(), [](const plan::Slo& x) { return x.seconds <= 0; });
  std::string cloud = "-";
  if (too_far) {
    q.no_cloud = fmt::format("the network alone takes {}", format_seconds(q.round_trip_s));
  } else {
    const auto context =
        std::int64_t(s.number("workload.isl") + s.number("workload.osl") + s.number("workload.shared_system_prompt_length"));
    JEVONS_TRY(plan::Space space, plan::space_of(c.catalog, p.model, p.knobs, p.budget, p.ask.closed, context, p.ask.threads));
    p.ask.choices = std::move(space.choices);
    p.ask.shapes = std::move(space.shapes);
    std::optional<plan::Search> found;
    if (!p.ask.shapes.empty()) {
      JEVONS_TRY(found, plan::search(p.ask));
    }
    if (found && found->best) {
      const plan::Point& best = found->points[*found->best];
      const plan::Shape& shape = p.ask.shapes[best.shape];
      if (shape.usd_per_s <= 0)
        return fail(
            s.error("accelerator", "the price of the cloud's accelerator is not known", "a chip with a price", "give --usd-per-gpu-hour"));
      q.cloud.ttft_s = best.metrics.ttft.mean;
      q.cloud.tpot_s = best.metrics.tpot.mean;
      q.cloud.usd = shape.usd_per_s / best.metrics.requests_per_s;
      cloud = shape_name(p.ask, shape);
    } else {
      q.no_cloud = "no deployment meets the limits; jevons plan names the nearest";
    }
  }
  const plan::EdgeAnswer a = plan::split_edge(q);
  const report::Origin origin{"derived", "plan::split_edge; cloud simulated by plan::search, device in closed form", "docs/planner.md"};
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} on {} beside {} in the cloud", small.name, chip->name, p.model.name);
  o.answer = a.feasible ? Answer::yes : Answer::no;
  if (!a.feasible) {
    d.answer = {{"Infeasible", a.explanation}};
  } else {
    d.answer = {{"Split", fmt::format("{:.3g} % on the device, {:.3g} % in the cloud ({})", a.device_share * 100,
                                      (1 - a.device_share) * 100, cloud)},
                {"Cost", fmt::format("${:.4g} a user and day, ${:.4g} with all of it in the cloud", a.usd_per_day, a.usd_all_cloud)},
                {"Binds", a.explanation}};
  }
  report::Table t{"sides",
                  "One request on either side",
                  {{"side", "side", "{}", {}},
                   {"ttft_ms", "TTFT ms", "{:.1f}", origin},
                   {"tpot_ms", "TPOT ms", "{:.2f}", origin},
                   {"joules", "J of device", "{:.1f}", origin},
                   {"usd_per_kreq", "$ per 1,000", "{:.5f}", origin},
                   {"meets", "meets limits", "{}", {}}},
                  {},
                  {},
                  true};
  const auto side = [&](std::string name, const plan::Side& x, double network, const std::optional<std::string>& missing, bool ok) {
    if (missing)
      t.rows.push_back({std::move(name), {}, {}, {}, {}, "no: " + *missing});
    else
      t.rows.push_back(
          {std::move(name), (x.ttft_s + network) * 1e3, x.tpot_s * 1e3, x.joules, x.usd * 1e3, std::string(ok ? "yes" : "no")});
  };
  side(fmt::format("device: {}", chip->name), q.device, 0, q.no_device, a.device_meets);
  side("cloud, network included", q.cloud, q.round_trip_s, q.no_cloud, a.cloud_meets);
  d.tables.push_back(std::move(t));
  const auto put = [&](std::string path, std::string unit, double v) {
    d.values.push_back({std::move(path), "", std::move(unit), a.feasible ? std::optional(v) : std::nullopt, origin});
  };
  put("split.device_share", "", a.device_share);
  put("split.least_device_share", "", a.least_share);
  put("split.most_device_share", "", a.most_share);
  put("cost.usd_per_user_day", "USD", a.usd_per_day);
  put("cost.all_cloud_usd_per_user_day", "USD", a.usd_all_cloud);
  put("device.joules_per_day", "J", a.joules_per_day);
  put("latency.ttft_mean_ms", "ms", a.mean_ttft_s * 1e3);
  put("latency.tpot_mean_ms", "ms", a.mean_tpot_s * 1e3);
  JEVONS_TRY(const double usd_per_kwh, electricity(c, s));
  d.notes.push_back(fmt::format(
      "The device is owned: its cost is ${:.3g} a kilowatt-hour of electricity; the cloud's is that of its best plan while busy.",
      usd_per_kwh));
  d.notes.push_back("What the device's model answers well enough is an assumption of yours (--eligible-share); quality is not modelled.");
  if (chip->attribute("kernel_constants").empty())
    d.notes.push_back(fmt::format("{}: kernel constants are borrowed, the band is wider (docs/step-time.md).", chip->name));
  return o;
}

}  // namespace jevons::engine
