// jevons savings: what each technique saves at the deployment chosen anew, theta, published claims counted again, and a bill.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "base/units.hpp"
#include "engine/plan_verb.hpp"
#include "savings/ledger.hpp"
#include "savings/published.hpp"

namespace jevons::engine {
namespace {

const report::Origin kLedger{"simulated", "savings::ledger: plan::search for every combination, then Shapley", "docs/planner.md"};
const report::Origin kLmdi{"derived", "savings::lmdi over the factors of both ends", "docs/planner.md; Ang, Energy Policy 33(7), 2005"};

report::Cell maybe(const std::optional<double>& v) { return v ? report::Cell(*v) : report::Cell(std::monostate{}); }

std::string key_of(std::string_view name) {  // "KV bytes": kv_bytes
  std::string out;
  for (const char c : name) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      out += char(std::tolower(static_cast<unsigned char>(c)));
    else if (!out.empty() && out.back() != '_')
      out += '_';
  }
  while (!out.empty() && out.back() == '_') out.pop_back();
  return out;
}

// One row for everything on, one for each technique taken away, one for everything off.
struct LedgerRow {
  std::string name, off;
  std::optional<double> share, bytes;
  const savings::World* world;
};
std::vector<LedgerRow> rows_of(const savings::Ledger& l) {
  std::vector<LedgerRow> out{{"all on", "-", {}, {}, &l.all_on}};
  for (const auto& s : l.shares) out.push_back({s.what.name, s.what.off, s.usd, std::exp(s.log_bytes), &s.without});
  out.push_back({"all off", "-", {}, {}, &l.all_off});
  return out;
}

report::Table ledger_table(const savings::Ledger& l) {
  report::Table t{"ledger",
                  "Techniques: share of the saving, and each world without one at its own best deployment",
                  {{"technique", "technique", "{}", {}},
                   {"share_usd_per_mtok", "share\n$/Mtok", "{:.4f}", kLedger},
                   {"share_cache_factor", "cache\nx less", "{:.2f}", kLedger},
                   {"usd_per_mtok", "without:\n$/Mtok", "{:.4f}", kLedger},
                   {"cache_gib_per_user", "GiB\n/user", "{:.3f}", kLedger},
                   {"hbm_gb_per_token", "HBM GB\n/token", "{:.3f}", kLedger},
                   {"joules_per_token", "J\n/token", "{:.3f}", kLedger}},
                  {},
                  {"Shares are Shapley values: they sum to the difference between all off and all on, whatever the order.",
                   "HBM GB a token: cache and weights that decode steps read for one output token (thousands: TB per Mtok)."},
                  true};
  for (const auto& r : rows_of(l)) {
    std::vector<report::Cell> cells{r.name, maybe(r.share), maybe(r.bytes)};
    if (const auto& b = r.world->best) {
      cells.insert(cells.end(), {b->usd_per_mtok, r.world->bytes_per_user / 1073741824.0, b->hbm_bytes_per_token / 1e9,
                                 b->joules_per_token > 0 ? report::Cell(b->joules_per_token) : report::Cell()});
    } else {
      cells.resize(7);
    }
    t.rows.push_back(std::move(cells));
  }
  if (l.infeasible > 0)
    t.notes.push_back(
        fmt::format("Shares in dollars: null, {} of {} combinations have no deployment within the limits.", l.infeasible, l.plans));
  return t;
}

report::Table deployment_table(const savings::Ledger& l) {
  report::Table t{"deployments",
                  "What would be run without each",
                  {{"technique", "without", "{}", {}},
                   {"instead", "instead", "{}", {}},
                   {"accelerators_per_kuser", "GPUs per\n1,000 users", "{:.1f}", kLedger},
                   {"accelerator_s_per_mtok", "GPU·s\n/Mtok", "{:.0f}", kLedger},
                   {"deployment", "best deployment", "{}", {}}},
                  {},
                  {"Users: requests in flight."},
                  true};
  for (const auto& r : rows_of(l)) {
    if (const auto& b = r.world->best)
      t.rows.push_back({r.name, r.off, 1000 / b->users_per_accelerator, b->accelerator_s_per_token * 1e6, b->deployment});
    else
      t.rows.push_back({r.name, r.off, {}, {}, r.world->why_not});
  }
  return t;
}

report::Table factor_table(const savings::Ledger& l) {
  report::Table t{"factors",
                  "The same difference by factors (LMDI, no residual): from all off to all on",
                  {{"split", "split", "{}", {}},
                   {"factor", "factor", "{}", {}},
                   {"before", "all off", "{:.4g}", kLmdi},
                   {"after", "all on", "{:.4g}", kLmdi},
                   {"usd_per_mtok", "$/Mtok", "{:+.4f}", kLmdi}},
                  {},
                  {},
                  true};
  for (const auto& [name, factors] : {std::pair{"memory", &l.by_bytes}, {"compute", &l.by_flops}}) {
    double sum = 0;
    for (const auto& f : *factors) {
      t.rows.push_back({std::string(name), f.name, f.before, f.after, f.usd});
      sum += f.usd;
    }
    if (!factors->empty()) t.rows.push_back({std::string(name), std::string("sum"), {}, {}, sum});
  }
  return t;
}

report::Table theta_table(const std::vector<std::optional<double>>& all) {
  const report::Origin origin{"simulated", "ln ratio of optimal $/Mtok over ln ratio of the input, +-10 %, planned anew",
                              "docs/planner.md"};
  report::Table t{"theta",
                  "Elasticity of the optimal $/Mtok",
                  {{"input", "to", "{}", {}},
                   {"elasticity", "elasticity", "{:+.3f}", origin},
                   {"threshold", "halving it raises demand for it above elasticity", "{:.2f}", origin}},
                  {},
                  {},
                  true};
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto input = savings::Input(i);
    const auto threshold = input == savings::Input::cache_bytes && all[i] ? savings::rebound_threshold(*all[i]) : std::nullopt;
    t.rows.push_back({std::string(savings::name(input)), maybe(all[i]), maybe(threshold)});
  }
  return t;
}

Result<report::Table> published_table(const catalog::Catalog& catalog) {
  JEVONS_TRY(const auto rows, savings::published_savings(catalog));
  const report::Origin origin{"derived", "savings::published_savings in src/savings/published.cpp", "docs/model-accounting.md"};
  report::Table t{"published",
                  "Published savings, counted again under their conventions",
                  {{"model", "model", "{}", {}},
                   {"baseline", "against", "{}", {}},
                   {"quantity", "quantity", "{}", {}},
                   {"published_percent", "published\n%", "{:.1f}", {}},
                   {"counted_percent", "counted\n%", "{:.2f}", origin}},
                  {},
                  {},
                  true};
  for (const auto& p : rows) {
    t.rows.push_back({p.model, p.baseline, p.quantity, p.published * 100, p.counted * 100});
    t.notes.push_back(fmt::format("{} against {}, {}: {}. {}.", p.model, p.baseline, p.quantity, p.convention, p.source));
  }
  return t;
}

// What a buyer pays for a million tokens of a segment's mix, cached input at list input price or at one tenth of it.
Result<report::Table> bill_table(const catalog::Catalog& catalog, const Settings& s) {
  JEVONS_TRY(const catalog::Thing* prices, catalog.find(catalog::Section::demand, "list-prices"));
  JEVONS_TRY(const catalog::Thing* segments, catalog.find(catalog::Section::demand, "segments"));
  const std::string& wanted = s.text("bill.price_of");
  std::optional<std::size_t> row;
  for (std::size_t r = 0; r < prices->series.rows(); ++r) {
    if (prices->series.text(r, "model") == wanted) row = r;
  }
  if (!row)
    return fail(
        s.error("bill.price_of", fmt::format("'{}' has no list price", wanted.substr(0, 40)), "a model of catalog show list-prices"));
  const double input = prices->series.number(*row, "input").value_or(0), output = prices->series.number(*row, "output").value_or(0);
  constexpr double kCachedShare = 0.1;
  const report::Origin origin{"derived", "token shares x list prices, cached input at a tenth of input",
                              "catalog/demand/segments.yaml, list-prices.yaml"};
  report::Table t{
      "bill",
      fmt::format("A buyer's bill at {}'s list price (${:g} in, ${:g} out), per million tokens of each mix", wanted, input, output),
      {{"segment", "segment", "{}", {}},
       {"fresh", "fresh", "{:.3f}", {}},
       {"cached", "cached", "{:.3f}", {}},
       {"output", "output", "{:.3f}", {}},
       {"usd_full", "$ cached\nas input", "{:.4f}", origin},
       {"usd_tenth", "$ cached at\none tenth", "{:.4f}", origin},
       {"saved_percent", "saved\n%", "{:.1f}", origin}},
      {},
      {fmt::format("Price: {}", std::string(prices->series.text(*row, "source")))},
      true};
  for (std::size_t r = 0; r < segments->series.rows(); ++r) {
    const auto name = segments->series.text(r, "segment");
    if (name != "chat" && !name.ends_with("agent")) continue;
    const double fresh = segments->series.number(r, "fresh").value_or(0), cached = segments->series.number(r, "cached").value_or(0),
                 out = segments->series.number(r, "output").value_or(0);
    const double full = (fresh + cached) * input + out * output, tenth = (fresh + kCachedShare * cached) * input + out * output;
    t.rows.push_back({std::string(name), fresh, cached, out, full, tenth, (1 - tenth / full) * 100});
  }
  return t;
}

}  // namespace

std::span<const OptionSpec> savings_options() {
  static const auto table = [] {
    const auto plan = plan_options();
    std::vector<OptionSpec> v(plan.begin(), plan.end());
    std::erase_if(v, [](const OptionSpec& o) {
      return o.path == "objective" || o.path == "tenants" || o.path == "shadow_prices" || o.path == "finalists";
    });
    v.push_back({.path = "theta",
                 .flag = "--theta",
                 .type = OptionType::boolean,
                 .fallback = "false",
                 .help = "elasticities of the optimal cost as well: ten more plans on a fine grid"});
    v.push_back({.path = "bill.price_of",
                 .flag = "--price-of",
                 .type = OptionType::text,
                 .fallback = "V3.2-Exp",
                 .help = "model of catalog show list-prices whose list price the bill uses"});
    return v;
  }();
  return table;
}

Result<Outcome> run_savings(Context& c) {
  JEVONS_TRY(PlanQuestion q, read_plan(c));
  const Settings& s = q.settings;
  const savings::Frame f{q, s.number("workload.isl") + s.number("workload.shared_system_prompt_length"), s.number("workload.osl")};
  if (!q.terms.equal_requests) return fail(s.error("workload.lengths", "is drawn", "fixed lengths: worlds are compared at one context"));
  for (const auto& chip : q.knobs.chips) {
    if (!chip.usd_per_s)
      return fail(s.error("accelerator", fmt::format("the price of {} is not known", chip.thing->name), "a chip with a price",
                          "give --usd-per-gpu-hour"));
  }
  const auto levers = savings::levers_in_use(f);
  JEVONS_TRY(const savings::Ledger l, savings::ledger(f, levers));
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{}: what each technique saves on {}, deployments chosen anew", q.model->name, q.knobs.chips.front().thing->name);
  if (!l.all_on.best) {
    o.answer = Answer::no;
    d.answer = {{"Infeasible", fmt::format("with all techniques on: {}", l.all_on.why_not)}};
    d.notes = {"jevons plan with the same flags names what binds and the nearest feasible change."};
    return o;
  }
  const auto text = [](const savings::World& w) {
    return w.best ? fmt::format("${:.4g} per million output tokens on {}", w.best->usd_per_mtok, w.best->deployment) : "null: " + w.why_not;
  };
  d.answer = {{"On", text(l.all_on)}, {"Off", text(l.all_off)}};
  const auto largest = std::max_element(l.shares.begin(), l.shares.end(),
                                        [](const auto& a, const auto& b) { return a.usd.value_or(0) < b.usd.value_or(0); });
  if (largest != l.shares.end() && largest->usd)
    d.answer.push_back({"Most", fmt::format("{}: ${:.4g} of the ${:.4g} saved", largest->what.name, *largest->usd,
                                            l.all_off.best->usd_per_mtok - l.all_on.best->usd_per_mtok)});
  d.tables.push_back(ledger_table(l));
  d.tables.push_back(deployment_table(l));
  d.tables.push_back(factor_table(l));
  if (s.boolean("theta")) {
    std::vector<std::optional<double>> theta;
    for (int i = 0; i < savings::kInputs; ++i) {
      JEVONS_TRY(const auto e, savings::elasticity(f, savings::Input(i)));
      theta.push_back(e);
      d.values.push_back({"theta." + key_of(savings::name(savings::Input(i))), "", "", e, kLedger});
    }
    d.tables.push_back(theta_table(theta));
  }
  JEVONS_TRY(report::Table published, published_table(c.catalog));
  d.tables.push_back(std::move(published));
  JEVONS_TRY(report::Table bill, bill_table(c.catalog, s));
  d.tables.push_back(std::move(bill));
  for (const auto& x : l.shares)
    d.values.push_back({fmt::format("shares.{}_usd_per_mtok", key_of(x.what.name)), "", "USD/Mtok", x.usd, kLedger});
  d.values.push_back({"all_on.usd_per_mtok", "", "USD/Mtok", l.all_on.best->usd_per_mtok, kLedger});
  d.values.push_back(
      {"all_off.usd_per_mtok", "", "USD/Mtok", l.all_off.best ? std::optional(l.all_off.best->usd_per_mtok) : std::nullopt, kLedger});
  d.values.push_back({"search.simulated", "", "", double(l.simulated), kLedger});
  d.values.push_back({"search.gap", "", "", l.gap, kLedger});
  if (l.gap > s.number("search.gap"))
    d.notes.push_back(
        fmt::format("The search stopped at --effort: a best deployment may cost up to {:.3g} % more than the optimum.", l.gap * 100));
  for (const auto& u : q.unpriced) d.notes.push_back(u);
  d.notes.push_back(
      fmt::format("{} plans. Quality is not in it: attention that is swapped has the same heads, not the same loss.", l.plans));
  return o;
}

}  // namespace jevons::engine
