// jevons plan --tenant …: several tenants on one fleet, or a pool for each.
#include <fmt/format.h>

#include <cmath>

#include "engine/plan_page.hpp"
#include "engine/scenario.hpp"
#include "engine/tenants_together.hpp"

namespace jevons::engine {
namespace {

Result<std::vector<plan::TenantLoad>> read_tenants(const Settings& s) {
  std::vector<plan::TenantLoad> out;
  const std::string& text = s.text("tenants");
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    std::vector<std::string> part;
    for (std::size_t b = 0; b <= word.size();) {
      const std::size_t e = std::min(word.find(',', b), word.size());
      part.push_back(word.substr(b, e - b));
      b = e + 1;
    }
    const auto bad = [&] {
      return fail(s.error("tenants", fmt::format("\"{}\" is no tenant", word.substr(0, 60)),
                          "NAME,MODEL,REQ_PER_S[,AMPLITUDE,PEAK_HOUR] or NAME,MODEL,REQ_PER_S,batch; then ,priority=N"));
    };
    const auto number = [](const std::string& t, double& v) {
      char* stop = nullptr;
      v = std::strtod(t.c_str(), &stop);
      return stop != t.c_str() && *stop == 0 && std::isfinite(v);
    };
    plan::TenantLoad t;
    constexpr std::string_view kPriority = "priority=";
    if (part.back().starts_with(kPriority)) {
      double level = 0;
      if (!number(part.back().substr(kPriority.size()), level) || level < 0 || level > 1000) return bad();
      t.priority = int(level);
      part.pop_back();
    }
    if (part.size() < 3 || part.size() > 5) return bad();
    t.name = part[0], t.model = part[1];
    if (!number(part[2], t.rate_mean) || t.rate_mean <= 0) return bad();
    t.batch = part.size() == 4 && part[3] == "batch";
    if (part.size() > 3 && !t.batch && (!number(part[3], t.amplitude) || t.amplitude < 0 || t.amplitude > 1)) return bad();
    if (part.size() > 4 && (!number(part[4], t.peak_hour) || t.peak_hour < 0 || t.peak_hour >= plan::kHours)) return bad();
    out.push_back(std::move(t));
  }
  return out;
}

// The unit that serves a tenant: the best closed-loop plan of its model; batch tenants have no limits on latency. Nothing: none meets them.
Result<std::unique_ptr<TenantUnit>> unit_of(Context& c, const Settings& given, plan::TenantLoad& t) {
  Context one{.catalog = c.catalog, .settings = Settings(plan_options()), .words = {}, .progress = {}, .stop = c.stop};
  one.settings.lay_over(given);
  JEVONS_CHECK(one.settings.set("model", t.model, "--tenant"));
  JEVONS_TRY(PlanQuestion question, read_plan(one));
  auto u = std::make_unique<TenantUnit>(TenantUnit{std::move(question), {}});
  if (t.batch) u->question.terms.slo.clear();
  JEVONS_TRY(u->answer, plan::answer(u->question));
  if (u->answer.best() == nullptr) return std::unique_ptr<TenantUnit>{};
  t.unit_rps = u->answer.best()->metrics.requests_per_s;
  t.unit_accelerators = u->answer.shape(*u->answer.best()).accelerators;
  return u;
}

}  // namespace

Result<Outcome> run_tenants(Context& c, const Settings& s) {
  for (const auto* path : {"load.request_rate", "shadow_prices", "workload.prefix_hit_rate"}) {
    if (s.has(path) && s.setting(path).file != "default")
      return fail(s.error(path, "beside --tenant", "rates and lengths of the tenants alone"));
  }
  for (const auto* path : {"accelerator", "workload.isl", "workload.osl"}) {
    if (!s.has(path)) return fail(s.error(path, "is missing", std::string(s.spec(path)->help), fmt::format("give {}", s.spec(path)->flag)));
  }
  JEVONS_TRY(auto tenants, read_tenants(s));
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} tenants on {}", tenants.size(), s.text("accelerator"));
  const report::Origin origin{"derived", "plan::share_fleet over units that plan::search chose", "docs/planner.md"};
  report::Table t{"tenants",
                  "Tenants, and the pool each would need alone",
                  {{"tenant", "tenant", "{}", {}},
                   {"class", "class", "{}", {}},
                   {"unit", "unit", "{}", {}},
                   {"unit_rps", "req/s\nof one", "{:.3g}", origin},
                   {"rate_mean", "mean\nreq/s", "{:.4g}", {}},
                   {"dedicated_accelerators", "own pool\nGPUs", "{:.0f}", origin}},
                  {},
                  {},
                  true};
  std::vector<std::unique_ptr<TenantUnit>> units;
  for (auto& x : tenants) {
    JEVONS_TRY(auto unit, unit_of(c, s, x));
    if (!unit) {
      o.answer = Answer::no;
      d.answer = {{"Infeasible", fmt::format("tenant {}: no deployment of {} meets the limits; jevons plan --model {} names the nearest",
                                             x.name, x.model, x.model)}};
      return o;
    }
    units.push_back(std::move(unit));
  }
  const plan::FleetSharing f = plan::share_fleet(tenants);
  for (std::size_t i = 0; i < tenants.size(); ++i)
    t.rows.push_back({tenants[i].name, std::string(tenants[i].batch ? "batch" : "interactive"),
                      shape_name(units[i]->answer.ask, units[i]->answer.shape(*units[i]->answer.best())), tenants[i].unit_rps,
                      tenants[i].rate_mean, f.dedicated[i]});
  d.tables.push_back(std::move(t));
  JEVONS_TRY(report::Table together, tenants_together(tenants, units, f, std::uint64_t(s.integer("seed"))));
  d.tables.push_back(std::move(together));
  d.answer = {
      {"Shared", fmt::format("{:.0f} accelerators for all, {:.0f} % of their hours in use", f.shared_total, f.shared_use * 100)},
      {"Apart", fmt::format("{:.0f} accelerators in pools of their own, {:.0f} % in use", f.dedicated_total, f.dedicated_use * 100)},
      {"Binds", fmt::format("interactive load at {:02d}:00 holds {:.0f}{}", f.peak_hour, f.interactive[std::size_t(f.peak_hour)],
                            f.shared_total > f.interactive[std::size_t(f.peak_hour)] ? "; batch work does not fit into the valleys" : "")}};
  report::Chart day{"day", "Accelerators that interactive tenants hold",       "line", "hour", "accelerators", false, false,
                    {},    {{"interactive", {}, {}}, {"shared fleet", {}, {}}}};
  for (int h = 0; h < plan::kHours; ++h) {
    day.series[0].x.push_back(h), day.series[0].y.push_back(f.interactive[std::size_t(h)]);
    day.series[1].x.push_back(h), day.series[1].y.push_back(f.shared_total);
  }
  d.charts.push_back(std::move(day));
  d.values = {{"shared.accelerators", "", "", f.shared_total, origin},
              {"dedicated.accelerators", "", "", f.dedicated_total, origin},
              {"shared.use", "", "", f.shared_use, origin},
              {"dedicated.use", "", "", f.dedicated_use, origin}};
  d.notes = {
      "Interactive tenants go first; units move between models by the hour. Pools are sized at each unit's planned load; what bursts do to "
      "latency there is in the simulated table."};
  return o;
}

}  // namespace jevons::engine
