// jevons edge: which requests run on the device, which in the cloud.
#include <fmt/format.h>

#include <algorithm>

#include "base/units.hpp"
#include "engine/plan_page.hpp"
#include "engine/scenario.hpp"
#include "plan/edge.hpp"
#include "plan/subject.hpp"
#include "traffic/generate.hpp"

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
    {.path = "device.memory",
     .flag = "--device-memory",
     .type = T::number,
     .unit = "GB",
     .low = 0.01,
     .high = 1e5,
     .help = "that the model may take (default: what the system lets the GPU have of unified memory, else the engine's share)"},
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

// Part of the chip's memory that the model may take. Unified memory: all that the system lets the GPU hold. Nothing: as the engine does.
Result<std::optional<double>> memory_part(const Settings& s, const catalog::Thing& chip, const catalog::Accelerator& facts) {
  const double card = step::card_memory(facts);
  if (s.has("device.memory") && card > 0) {
    const double given = s.number("device.memory") * 1e9, most = std::max(card, facts.memory ? facts.memory->value.value() : 0);
    if (given > most)
      return fail(s.error("device.memory", fmt::format("is more than {} has", chip.name), fmt::format("at most {}", format_bytes(most))));
    return std::optional(given / card);
  }
  return chip.attribute("memory_type").ends_with("unified") ? std::optional(1.0) : std::nullopt;
}

// The plan's workload of one user, who waits for each answer before the next request.
Result<traffic::Workload> one_user(const PlanQuestion& p) {
  plan::Load load = p.load;
  load.block_tokens = plan::Load{}.block_tokens;  // the device's own, not the cloud's
  return plan::closed_load(load, 1);
}

// One request alone on the device. Errors: the chip lacks a fact; a model that does not fit is told in q.no_device.
Result<void> put_device(const Context& c, const PlanQuestion& p, const model::Model& m, const catalog::Thing& chip, plan::EdgeQuestion& q) {
  const Settings& s = p.settings;
  JEVONS_TRY(const step::Subject subject, plan::subject_of(m, chip, {s.text("device.weights"), "native"}));
  JEVONS_TRY(const traffic::Workload one, one_user(p));
  plan::Design design{.subject = &subject, .max_context = p.max_context};
  for (std::size_t r = 0; r < one.requests.size(); ++r)
    design.max_context = std::max(design.max_context, std::int64_t(one.requests.input_tokens[r]) + one.requests.output_tokens[r]);
  design.policy = serve::defaults_of(serve::Engine::vllm);
  design.policy.max_num_seqs = 1;
  design.policy.max_num_batched_tokens = 512;
  design.policy.max_model_len =
      std::int32_t(design.max_context);  // work spaces for the longest request, not for all that the model could read
  JEVONS_TRY(design.memory_fraction, memory_part(s, chip, subject.chip));
  JEVONS_TRY(const auto replica, plan::Replica::build(c.catalog, design));
  if (!replica->fits()) {
    const step::Memory& memory = replica->memory();
    q.no_device = fmt::format("{} in {} takes {} with one request, {} has {} for it", m.name, subject.weights.name,
                              format_bytes(memory.weights + memory.reserve + step::rank_cache(subject, {}, design.max_context)), chip.name,
                              format_bytes(memory.capacity));
    return {};
  }
  const serve::Deployment alone{{replica->pool(1)}};
  JEVONS_TRY(const serve::Simulation sim, serve::simulate(alone, one));
  const serve::Metrics here = serve::measure(sim, alone, one);
  if (!s.has("device.watts") && !subject.chip.tdp)
    return fail(
        s.error("device.accelerator", fmt::format("the power of {} is not known", chip.name), "a chip with tdp", "give --device-watts"));
  const double watts = s.has("device.watts") ? s.number("device.watts") : subject.chip.tdp->value.value();
  q.device.ttft_s = here.ttft.mean;
  q.device.tpot_s = here.tpot.mean;
  q.device.joules = watts * here.e2e.mean;
  JEVONS_TRY(const double usd_per_kwh, electricity(c, s));
  q.device.usd = q.device.joules / 3.6e6 * usd_per_kwh;
  return {};
}

// What the user asks of both sides. The limits in `terms` become those of the cloud: less what the network takes.
Result<plan::EdgeQuestion> limits_of(const Settings& s, plan::Terms& terms) {
  plan::EdgeQuestion q;
  q.round_trip_s = s.number("network.round_trip") / 1e3;
  q.requests_per_day = s.number("users.requests_per_day");
  q.private_share = s.number("users.private");
  q.offline_share = s.number("users.offline");
  q.eligible_share = s.number("device.eligible");
  if (s.has("device.battery")) q.battery_joules = s.number("device.battery") * 3600;
  for (plan::Slo& limit : terms.slo) {
    const bool first = limit.metric == plan::Slo::Metric::ttft;
    if (limit.metric == plan::Slo::Metric::e2e) return fail(s.error("slo.e2e", "has no meaning here", "--ttft and --tpot"));
    if (limit.quantile)
      return fail(
          s.error(first ? "slo.ttft" : "slo.tpot", "is of a quantile", "a limit on the mean: the device serves one request at a time"));
    auto& least = first ? q.ttft_s : q.tpot_s;
    least = std::min(least.value_or(limit.seconds), limit.seconds);
    if (first) limit.seconds -= q.round_trip_s;
  }
  return q;
}

struct Cloud {
  std::string name = "-";
  std::optional<double> simulated, gap;
};
// The best plan of the cloud; where there is none, q.no_cloud tells why. Errors: the planner's; a chip without a price.
Result<Cloud> put_cloud(const PlanQuestion& p, plan::EdgeQuestion& q) {
  Cloud cloud;
  if (std::any_of(p.terms.slo.begin(), p.terms.slo.end(), [](const plan::Slo& x) { return x.seconds <= 0; })) {
    q.no_cloud = fmt::format("the network alone takes {}", format_seconds(q.round_trip_s));
    return cloud;
  }
  JEVONS_TRY(const plan::Answer found, plan::answer(p));
  cloud.simulated = double(found.found.simulated);
  cloud.gap = found.found.gap;
  const plan::Point* best = found.best();
  if (best == nullptr) {
    q.no_cloud = "no deployment meets the limits; jevons plan names the nearest";
    return cloud;
  }
  const plan::Shape& shape = found.shape(*best);
  if (shape.usd_per_s <= 0)
    return fail(p.settings.error("accelerator", "the price of the cloud's accelerator is not known", "a chip with a price",
                                 "give --usd-per-gpu-hour"));
  q.cloud.ttft_s = best->metrics.ttft.mean;
  q.cloud.tpot_s = best->metrics.tpot.mean;
  q.cloud.usd = shape.usd_per_s / best->metrics.requests_per_s;
  cloud.name = shape_name(found.ask, shape);
  return cloud;
}

const report::Origin kSplit{"derived", "plan::split_edge; both simulated: the cloud by plan::search, the device with one request at a time",
                            "docs/planner.md"};

report::Table sides_table(const plan::EdgeQuestion& q, const plan::EdgeAnswer& a, std::string_view chip) {
  report::Table t{"sides",
                  "One request on either side",
                  {{"side", "side", "{}", {}},
                   {"ttft_ms", "TTFT ms", "{:.1f}", kSplit},
                   {"tpot_ms", "TPOT ms", "{:.2f}", kSplit},
                   {"joules", "J of device", "{:.1f}", kSplit},
                   {"usd_per_kreq", "$ per 1,000", "{:.5f}", kSplit},
                   {"meets", "meets limits", "{}", {}}},
                  {},
                  {},
                  true};
  const auto side = [&](std::string name, const plan::Side& x, double network, const std::optional<std::string>& missing, bool ok) {
    const std::string meets = ok ? "yes" : "no";
    if (missing) {
      t.notes.push_back(fmt::format("{}: {}.", name, *missing));
      t.rows.push_back({std::move(name), {}, {}, {}, {}, meets});
    } else {
      t.rows.push_back({std::move(name), (x.ttft_s + network) * 1e3, x.tpot_s * 1e3, x.joules, x.usd * 1e3, meets});
    }
  };
  side(fmt::format("device: {}", chip), q.device, 0, q.no_device, a.device_meets);
  side("cloud, network included", q.cloud, q.round_trip_s, q.no_cloud, a.cloud_meets);
  return t;
}

void put_values(const plan::EdgeAnswer& a, const Cloud& cloud, report::Document& d) {
  const auto put = [&](std::string path, std::string unit, double v) {
    d.values.push_back({std::move(path), "", std::move(unit), a.feasible ? std::optional(v) : std::nullopt, kSplit});
  };
  put("split.device_share", "", a.device_share);
  put("split.least_device_share", "", a.least_share);
  put("split.most_device_share", "", a.most_share);
  put("cost.usd_per_user_day", "USD", a.usd_per_day);
  put("cost.all_cloud_usd_per_user_day", "USD", a.usd_all_cloud);
  put("device.joules_per_day", "J", a.joules_per_day);
  put("latency.ttft_mean_ms", "ms", a.mean_ttft_s * 1e3);
  put("latency.tpot_mean_ms", "ms", a.mean_tpot_s * 1e3);
  d.values.push_back({"search.simulated", "", "", cloud.simulated, kSplit});
  d.values.push_back({"search.gap", "", "", cloud.gap, kSplit});
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
  auto known = find_chip(c.catalog, s.text("device.accelerator"), keep);
  if (!known && known.error().key.empty()) known.error().key = "device.accelerator";
  JEVONS_TRY(const catalog::Thing* chip, std::move(known));
  JEVONS_TRY(plan::EdgeQuestion q, limits_of(s, p.terms));
  JEVONS_CHECK(put_device(c, p, small, *chip, q));
  JEVONS_TRY(const Cloud cloud, put_cloud(p, q));
  JEVONS_TRY(const double usd_per_kwh, electricity(c, s));
  const plan::EdgeAnswer a = plan::split_edge(q);
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} on {} beside {} in the cloud", small.name, chip->name, p.model->name);
  o.answer = a.feasible ? Answer::yes : Answer::no;
  if (!a.feasible) {
    d.answer = {{"Infeasible", a.explanation}};
  } else {
    d.answer = {{"Split", fmt::format("{:.3g} % on the device, {:.3g} % in the cloud ({})", a.device_share * 100,
                                      (1 - a.device_share) * 100, cloud.name)},
                {"Cost", fmt::format("${:.4g} a user and day, ${:.4g} with all of it in the cloud", a.usd_per_day, a.usd_all_cloud)},
                {"Binds", a.explanation}};
  }
  d.tables.push_back(sides_table(q, a, chip->name));
  put_values(a, cloud, d);
  d.notes.push_back(fmt::format(
      "The device is owned: its cost is ${:.3g} a kilowatt-hour of electricity; the cloud's is that of its best plan while busy.",
      usd_per_kwh));
  d.notes.push_back("What the device's model answers well enough is an assumption of yours (--eligible-share); quality is not modelled.");
  if (s.number("workload.prefix_hit_rate") > 0 || s.integer("workload.shared_system_prompt_length") > 0)
    d.notes.push_back("The device keeps what it cached of a shared prompt and of its user's earlier requests.");
  if (chip->attribute("kernel_constants").empty())
    d.notes.push_back(fmt::format("{}: kernel constants are borrowed, the band is wider (docs/step-time.md).", chip->name));
  return o;
}

}  // namespace jevons::engine
