// jevons fabric: a network counted from its endpoints up, beside others where it names them.
#include "engine/fabric_verb.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "base/units.hpp"
#include "catalog/keys.hpp"
#include "engine/used_facts.hpp"
#include "fabric/comparison.hpp"
#include "fabric/drawing.hpp"
#include "fabric/times.hpp"

namespace jevons::engine {
namespace {

const report::Origin kCounted{"derived", "fabric::parts_list in src/fabric/network.cpp", "src/fabric/README.md"};
const report::Origin kCompared{"derived", "fabric::savings in src/fabric/comparison.cpp, ranges of the parts carried through", ""};
const report::Origin kTimed{"derived", "fabric::collective_times in src/fabric/times.cpp", "src/fabric/README.md"};

// How a quantity of the network is counted, for --explain.
report::Origin counted(std::string_view path) {
  constexpr std::pair<std::string_view, std::string_view> kHow[] = {
      {"switch_chips",
       "first tier: endpoints x ports / ports down, whole in each plane; above: uplinks below / ports (half of them, but at the top)"},
      {"endpoints_per_chip", "endpoints / switch chips of all tiers"},
      {"trays", "switch chips / chips a tray, whole"},
      {"links", "endpoints x planes x ports x (1 + (tiers - 1) / oversubscription); torus, mesh: pairs joined"},
      {"optical_modules", "bandwidth of each stage of links / module rate, whole, at both ends"},
      {"cables", "bandwidth of each stage of links / cable rate, whole"},
      {"copper_pairs", "2 x endpoints x lanes of one"},
      {"aggregate", "2 x endpoints x bandwidth of one"},
      {"bisection", "bandwidth through the worst even cut"},
      {"hops", "switches on the longest path, 2 tiers - 1; torus: half of each dimension"},
      {"latency", "hops x latency of a switch + flight over both first links and all uplinks"},
      {"watts", "count x watts of each part"},
      {"usd", "count x dollars of each part"},
      {"known_", "the parts whose figure is published"}};
  for (const auto& [prefix, how] : kHow) {
    if (path.starts_with(prefix)) return {"derived", std::string(how), kCounted.how};
  }
  return kCounted;
}

template <class Q>
report::Cell cell(const std::optional<Q>& v, double scale = 1) {
  if constexpr (std::is_same_v<Q, double>)
    return v ? report::Cell(*v / scale) : report::Cell(std::monostate{});
  else
    return v ? report::Cell(v->value() / scale) : report::Cell(std::monostate{});
}

report::Table parts_table(const fabric::PartsList& list) {
  report::Table t{"parts",
                  "Parts",
                  {{"part", "part", "{}", {}},
                   {"kind", "kind", "{}", {}},
                   {"component", "component", "{}", {}},
                   {"count", "count", "{:.0f}", kCounted},
                   {"watts_each", "W each", "{:.1f}", kCounted},
                   {"watts", "W", "{:.0f}", kCounted},
                   {"usd_each", "$ each", "{:.0f}", kCounted},
                   {"usd", "$", "{:.0f}", kCounted},
                   {"fit_each", "FIT each", "{:.0f}", kCounted}},
                  {},
                  {},
                  true};
  const auto dash = [](const std::string& s) { return s.empty() ? std::string("-") : s; };
  for (const auto& p : list.parts) {
    const auto watts = p.power ? std::optional(*p.power * p.count) : std::nullopt;
    const auto usd = p.price ? std::optional(*p.price * p.count) : std::nullopt;
    t.rows.push_back(
        {p.what, dash(p.technology), dash(p.component), p.count, cell(p.power), cell(watts), cell(p.price), cell(usd), cell(p.fit)});
  }
  // One note a quantity: "Not in the sums of power: …".
  for (const std::string_view quantity : {"power", "price", "failure rate"}) {
    std::string left_out;
    for (const auto& u : list.unknown) {
      const std::string prefix = std::string(quantity) + " of ";
      if (u.starts_with(prefix)) left_out += (left_out.empty() ? "" : ", ") + u.substr(prefix.size());
    }
    const std::string remedy = left_out.find("switch chip") == std::string::npos || quantity == "failure rate"
                                   ? ""
                                   : fmt::format("; --set switch_{}='… {}' fills a switch's", quantity, quantity == "power" ? "W" : "USD");
    if (!left_out.empty())
      t.notes.push_back(fmt::format("Not in the sum of {}, because it is not published: {}{}.", quantity, left_out, remedy));
  }
  return t;
}

report::Table network_table(const catalog::Thing& thing, const fabric::Design& d, report::Document& doc) {
  const auto& list = d.centre;
  report::Table t{"network",
                  fmt::format("{} endpoints of {} in one direction", format_number(d.network.endpoints, 9),
                              format_si(d.network.endpoint_bandwidth.value() * 8, "bit/s")),
                  {{"quantity", "quantity", "{}", {}},
                   {"value", "value", "{}", {}},
                   {"exact", "exact", "{:.6g}", kCounted},
                   {"unit", "unit", "{}", {}}},
                  {},
                  {},
                  true};
  const auto row = [&](std::string path, std::string what, std::string shown, double exact, std::string unit) {
    doc.values.push_back({path, what, unit, exact, counted(path)});
    t.rows.push_back({std::move(what), std::move(shown), exact, std::move(unit)});
  };
  const auto count = [&](std::string path, std::string what, double v, std::string unit) {
    row(std::move(path), std::move(what), format_number(v, v == std::floor(v) ? 9 : 3), v, std::move(unit));
  };
  // A sum that lacks a part is no sum: null, and the parts that are known stand apart.
  const auto sum = [&](std::string path, std::string what, std::optional<double> whole, double known, std::string unit) {
    doc.values.push_back(
        {path, what, unit, whole, whole ? counted(path) : report::Origin{"derived", "not known: a part of it is not published", ""}});
    t.rows.push_back({what, whole ? format_si(*whole, unit) : std::string("not known"),
                      whole ? report::Cell(*whole) : report::Cell(std::monostate{}), unit});
    if (!whole && known > 0) row("known_" + path, "  of the parts known", format_si(known, unit), known, unit);
  };
  count("switch_chips", "switch chips", list.switch_chips, "chips");
  for (std::size_t i = 0; i < list.chips_by_tier.size() && d.network.tiers > 1; ++i) {
    if (list.chips_by_tier[i] > 0)
      count(fmt::format("switch_chips_tier_{}", i + 1), fmt::format("  tier {}", i + 1), list.chips_by_tier[i], "chips");
  }
  if (list.endpoints_per_chip > 0)
    row("endpoints_per_chip", "endpoints per chip", format_number(list.endpoints_per_chip), list.endpoints_per_chip, "");
  count("trays", "trays", list.trays, "");
  count("links", "links", list.links, "");
  count("optical_modules", "optical modules", list.optical_modules, "modules");
  count("optical_modules_per_endpoint", "  per endpoint", list.optical_modules / d.network.endpoints, "modules");
  count("cables", "cables", list.cables, "cables");
  if (const auto* lane = thing.find("lane_rate"); lane != nullptr && thing.attribute("medium").find("copper") != std::string_view::npos)
    count("copper_pairs", "copper pairs, both directions",
          fabric::copper_pairs(d.network.endpoints, d.network.endpoint_bandwidth, BytesPerSecond{lane->value}), "pairs");
  row("aggregate_bytes_per_s", "aggregate, both directions", format_si(list.aggregate.value(), "B/s"), list.aggregate.value(), "B/s");
  row("bisection_bytes_per_s", "bisection, one direction", format_si(list.bisection.value(), "B/s"), list.bisection.value(), "B/s");
  count("hops", "hops on the longest path", list.hops, "");
  if (list.latency) row("latency_s", "latency of that path", format_seconds(list.latency->value()), list.latency->value(), "s");
  const auto plain = [](auto q) { return q ? std::optional(q->value()) : std::nullopt; };
  sum("watts", "power", plain(fabric::fabric_power(list)), list.power.value(), "W");
  sum("usd", "price", plain(fabric::fabric_price(list)), list.price.value(), "USD");
  if (const double use = fabric::port_use(d.network); use < 0.8)
    t.notes.push_back(fmt::format(
        "An endpoint's {} in each plane leave {:.0f} % of its port unused: ports of that rate (a radix of {:.0f}), or fewer "
        "planes, would need fewer switches.",
        format_si(d.network.endpoint_bandwidth.value() * 8 / d.network.planes, "bit/s"), 100 * (1 - use), d.network.radix / use));
  if (list.failures_per_year > 0)
    row("known_failures_per_year", "failures of the parts known", format_number(list.failures_per_year), list.failures_per_year, "1/year");
  return t;
}

report::Table times_table(const catalog::Catalog& catalog, const fabric::Design& d, Bytes bytes, const fabric::ExchangeQuestion& exchange) {
  report::Table t{"collectives",
                  fmt::format("Collective operations, {} a rank", format_bytes(bytes.value())),
                  {{"operation", "operation", "{}", {}},
                   {"how", "how", "{}", {}},
                   {"ranks", "ranks", "{:.0f}", kTimed},
                   {"bytes_per_rank", "bytes a rank", "{:.0f}", kTimed},
                   {"time_us", "us", "{:.1f}", kTimed},
                   {"mean_error_pct", "fit error %", "{:.0f}", kTimed}},
                  {},
                  {},
                  true};
  for (const auto& c : fabric::collective_times(catalog, d.network, d.centre, bytes, exchange)) {
    t.rows.push_back({c.operation, c.how, double(c.ranks), c.per_rank.value(), c.time.value() * 1e6,
                      c.error ? report::Cell(*c.error * 100) : report::Cell(std::monostate{})});
  }
  if (!d.centre.latency && d.network.shape == fabric::Shape::clos)
    t.notes.push_back("The latency of this switch is not published: bounds are of bandwidth alone.");
  if (d.network.shape != fabric::Shape::clos)
    t.notes.push_back(
        "No latency of a hop between accelerators is counted: bounds are of bandwidth alone, rings over all of an accelerator's links.");
  return t;
}

report::Table comparison_table(const std::vector<fabric::Design>& designs) {
  report::Table t{"comparison",
                  "Side by side",
                  {{"design", "design", "{}", {}},
                   {"tiers", "tiers", "{:.0f}", kCounted},
                   {"switch_chips", "chips", "{:.0f}", kCounted},
                   {"optical_modules", "modules", "{:.0f}", kCounted},
                   {"cables", "cables", "{:.0f}", kCounted},
                   {"runs", "runs\nto plug", "{:.0f}", kCounted},
                   {"links_kw", "kW of\nlinks", "{:.1f}", kCounted},
                   {"fabric_kw", "kW of\nfabric", "{:.1f}", kCounted},
                   {"links_kusd", "k$ of\nlinks", "{:.0f}", kCounted},
                   {"fabric_kusd", "k$ of\nfabric", "{:.0f}", kCounted},
                   {"failures_per_year", "failures\na year", "{:.1f}", kCounted},
                   {"hops", "hops", "{:.0f}", kCounted}},
                  {},
                  {},
                  true};
  for (const auto& d : designs) {
    const auto& l = d.centre;
    const bool media = fabric::media_power(l).has_value() || l.optical_modules + l.cables > 0;
    const bool rates =
        media && std::none_of(l.parts.begin(), l.parts.end(), [](const fabric::Part& p) { return p.technology != "switch" && !p.fit; });
    const auto [kw, kusd] = std::pair{fabric::media_power(l), fabric::media_price(l)};
    t.rows.push_back({d.name, double(d.network.tiers), l.switch_chips, l.optical_modules, l.cables, fabric::runs(l), cell(kw, 1e3),
                      cell(fabric::fabric_power(l), 1e3), cell(kusd, 1e3), cell(fabric::fabric_price(l), 1e3),
                      rates ? report::Cell(l.failures_per_year) : report::Cell(std::monostate{}), l.hops});
  }
  t.notes.push_back("-: a part of it is not published. Failures are those of cables and modules.");
  return t;
}

// The owner's claims against what the parts of the designs give.
report::Table claims_table(const catalog::Thing& thing, const std::vector<fabric::Design>& designs, report::Document& doc) {
  report::Table t{"claims",
                  "What it saves against the others, and the owner's claims",
                  {{"against", "against", "{}", {}},
                   {"what", "what", "{}", {}},
                   {"saving_pct", "saving %", "{:.0f}", kCompared},
                   {"low_pct", "low %", "{:.0f}", kCompared},
                   {"high_pct", "high %", "{:.0f}", kCompared},
                   {"claimed_pct", "claimed %", "{:.0f}", {}},
                   {"verdict", "claim", "{}", {}}},
                  {},
                  {},
                  true};
  const auto tested = split(thing.attribute("claims_against"), ',');
  for (std::size_t i = 1; i < designs.size(); ++i) {
    const bool baseline = std::any_of(tested.begin(), tested.end(), [&](auto name) { return trim(name) == designs[i].name; });
    for (const auto& s : fabric::savings(designs[0], designs[i])) {
      const bool power = s.what.starts_with("power"), price = s.what.starts_with("price");
      const auto* claim = !baseline ? nullptr
                          : power   ? thing.find("claimed_power_saving")
                          : price   ? thing.find("claimed_cost_saving")
                                    : nullptr;
      std::string verdict = "-";
      if (claim != nullptr) {
        verdict = !s.centre                           ? "not testable: a part is not published"
                  : *s.centre >= claim->value         ? "met"
                  : s.high && *s.high >= claim->value ? "only at the ends of the ranges"
                                                      : "not met";
      }
      const auto pct = [](const std::optional<double>& v) { return v ? report::Cell(*v * 100) : report::Cell(std::monostate{}); };
      t.rows.push_back({designs[i].name, s.what, pct(s.centre), pct(s.low), pct(s.high),
                        claim != nullptr ? report::Cell(claim->value * 100) : report::Cell(std::monostate{}), verdict});
      std::string path = s.what;
      std::replace(path.begin(), path.end(), ' ', '_');
      doc.values.push_back({fmt::format("saving.{}.{}", designs[i].name, path), "saving in " + s.what, "fraction", s.centre, kCompared});
    }
  }
  return t;
}

// What is known of a system whose design is not published: its facts, and what is missing for the count.
void published_only(const catalog::Thing& thing, const Error& why, report::Document& doc) {
  doc.values.push_back({"switch_chips", "switch chips", "chips", std::nullopt, {"derived", why.what, ""}});
  report::Table t{"published",
                  "What is published of it",
                  {{"fact", "fact", "{}", {}}, {"value", "value", "{}", {}}, {"kind", "kind", "{}", {}}, {"confidence", "conf.", "{}", {}}},
                  {},
                  {},
                  true};
  for (const auto& f : thing.facts)
    t.rows.push_back(
        {std::string(f.key), std::string(f.text), std::string(catalog::name(f.kind)), std::string(catalog::name(f.confidence))});
  t.notes.push_back(fmt::format("Parts, watts and dollars: null, {}. Remedy: {}.", why.what, why.hint));
  doc.tables.push_back(std::move(t));
}

Result<std::vector<const catalog::Thing*>> others(const catalog::Catalog& catalog, const catalog::Thing& thing) {
  std::vector<const catalog::Thing*> out;
  for (const auto name : split(thing.attribute("compare_with"), ',')) {
    if (trim(name).empty()) continue;
    auto other = catalog.find(catalog::Section::fabric, trim(name));
    if (!other) {
      Error e = other.error();
      e.file = std::string(thing.file);
      e.key = "compare_with";
      return fail(std::move(e));
    }
    out.push_back(*other);
  }
  return out;
}

// A design beside one whose bandwidth a setting changed: with the same bandwidth over as many more planes, so that they compare.
Result<const catalog::Thing*> as_fast(catalog::Store& store, const catalog::Thing& other, const Settings& given) {
  const auto* own = other.find("endpoint_bandwidth");
  if (!given.has("endpoint_bandwidth") || own == nullptr) return &other;
  Settings same(fabric::network_keys());
  const std::string& wanted = given.text("endpoint_bandwidth");
  JEVONS_CHECK(same.set("endpoint_bandwidth", wanted, "--set"));
  const auto bandwidth = parse_measure(wanted);
  const auto* planes = other.find("planes");
  if (bandwidth && planes != nullptr)
    JEVONS_CHECK(same.set("planes", fmt::format("{:.9g}", planes->value * bandwidth->value / own->value), "--set"));
  return catalog::with_settings(store, other, fabric::network_keys(), same);
}

constexpr OptionSpec kMessage{.path = "message",
                              .flag = "--message",
                              .type = OptionType::text,
                              .fallback = "64 MiB",
                              .help = "bytes a rank of the collective operations timed"};
constexpr OptionSpec kExchange[] = {
    {.path = "exchange.tokens",
     .flag = "--tokens",
     .type = OptionType::list,
     .fallback = "128 4096",
     .help = "tokens a rank of the expert dispatch and combine timed, where they were measured"},
    {.path = "exchange.ranks",
     .flag = "--ep",
     .type = OptionType::integer,
     .fallback = "64",
     .low = 2,
     .high = 1024,
     .help = "ranks that share the experts; measured at 2 to 64"},
    {.path = "exchange.format",
     .flag = "--dispatch-format",
     .type = OptionType::choice,
     .fallback = "bf16",
     .choices = "bf16|fp8|nvfp4",
     .help = "of the rows dispatched"},
    {.path = "exchange.routing",
     .flag = "--routing",
     .type = OptionType::choice,
     .fallback = "random",
     .choices = "random|balanced",
     .help = "of tokens to experts; benchmarks balance"},
};

}  // namespace

std::span<const OptionSpec> fabric_options() {
  static const auto table = [] {
    std::vector<OptionSpec> v{kMessage};
    v.insert(v.end(), std::begin(kExchange), std::end(kExchange));
    const auto keys = fabric::network_keys();
    v.insert(v.end(), keys.begin(), keys.end());
    return v;
  }();
  return table;
}

namespace {

Result<fabric::ExchangeQuestion> exchange_of(const Settings& s) {
  fabric::ExchangeQuestion q{.tokens = {}, .format = s.text("exchange.format"), .balanced = s.text("exchange.routing") == "balanced"};
  q.ranks = double(s.integer("exchange.ranks"));
  for (const auto word : split(s.text("exchange.tokens"), ' ')) {
    if (trim(word).empty()) continue;
    const auto tokens = parse_measure(trim(word));
    if (!tokens || !(tokens->value >= 1 && tokens->value <= 1e9))
      return fail(s.error("exchange.tokens", fmt::format("'{}' is no number of tokens", word), "1 to 1e9, separated by blanks"));
    q.tokens.push_back(tokens->value);
  }
  return q;
}

// An option of the expert exchange that cannot change this page is refused.
Result<void> check_exchange(const Settings& s, const fabric::Network& n, const report::Table& times, report::Document& d) {
  const bool timed = std::any_of(times.rows.begin(), times.rows.end(), [](const auto& row) {
    const auto* operation = std::get_if<std::string>(&row[0]);
    return operation != nullptr && *operation == "expert dispatch";
  });
  for (const auto& o : kExchange) {
    if (s.setting(o.path).file == "default") continue;
    if (!timed)
      return fail(s.error(o.path, fmt::format("has no effect on {}", n.name), "a system whose expert exchange was measured",
                          "gb200-nvl72 is the one"));
  }
  if (!timed) return {};
  const double ranks = double(s.integer("exchange.ranks"));
  if (ranks > n.endpoints && s.setting("exchange.ranks").file != "default")
    return fail(s.error("exchange.ranks", fmt::format("{:.0f} ranks on {:.0f} endpoints", ranks, n.endpoints), "at most the endpoints"));
  if (ranks > 64) d.notes.push_back("Expert exchange beyond 64 ranks follows the form, no measurement.");
  return {};
}

Result<Outcome> counted_network(Context& c) {
  const auto message = parse_measure(c.settings.text("message"));
  if (!message || !(message->dim == Bytes::dim) || !(message->value > 0 && message->value < 1e15))
    return fail(c.settings.error("message", fmt::format("'{}' is no size", c.settings.text("message")), "bytes, such as 64 MiB"));
  JEVONS_TRY(const fabric::ExchangeQuestion exchange, exchange_of(c.settings));
  catalog::Store store;
  JEVONS_TRY(const catalog::Thing* thing,
             catalog::thing_for(c.catalog, store, catalog::Section::fabric, c.words[0], fabric::network_keys(), c.settings));
  JEVONS_TRY(const auto beside, others(c.catalog, *thing));
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = fmt::format("{} ({})", thing->title.empty() ? thing->name : thing->title, thing->file);
  std::vector<fabric::Design> designs;
  const bool only_names = thing->facts.empty() && !beside.empty();  // a name with several meanings
  if (!only_names) {
    auto own = fabric::design(c.catalog, *thing);
    const bool ours = c.catalog.find(catalog::Section::fabric, thing->name).has_value();
    if (!own && !(own.error().code == ErrorCode::unsupported && ours)) return fail(std::move(own).error());
    if (own) {
      d.tables = {network_table(*thing, *own, d), parts_table(own->centre), times_table(c.catalog, *own, Bytes{message->value}, exchange)};
      JEVONS_CHECK(check_exchange(c.settings, own->network, d.tables.back(), d));
      o.files.push_back({"topology.svg", fabric::topology_svg(own->network, own->centre)});
      d.notes.push_back("-o DIR draws it as topology.svg.");
      designs.push_back(std::move(*own));
    } else {
      published_only(*thing, own.error(), d);
    }
  }
  for (const auto* other : beside) {
    JEVONS_TRY(const catalog::Thing* alike, as_fast(store, *other, c.settings));
    if (auto design = fabric::design(c.catalog, *alike)) {
      designs.push_back(std::move(*design));
    } else {
      d.notes.push_back(fmt::format("{} ({}): null, {}.", other->name, other->title, design.error().what));
    }
  }
  if (designs.size() > 1 || only_names) d.tables.push_back(comparison_table(designs));
  for (const auto* other : beside) {
    if (designs.size() > 1 && !other->attribute("note").empty())
      d.tables.back().notes.push_back(fmt::format("{}: {}", other->name, other->attribute("note")));
  }
  if (only_names) {
    for (const auto* other : beside) d.tables.back().notes.push_back(fmt::format("{}: {}.", other->name, other->title));
  } else if (designs.size() > 1) {
    d.tables.push_back(claims_table(*thing, designs, d));
  }
  if (const auto note = thing->attribute("note"); !note.empty()) d.notes.push_back(std::string(note));
  use_facts(d, *thing);
  for (const std::string_view key : {"switch", "endpoint_medium", "leaf_medium", "uplink_medium"}) {
    if (const auto part = c.catalog.find(catalog::Section::component, thing->attribute(key))) use_facts(d, **part);
  }
  return o;
}

}  // namespace

Result<Outcome> run_fabric(Context& c) {
  auto outcome = counted_network(c);
  return outcome ? std::move(outcome) : fail(catalog::placed(std::move(outcome).error(), c.settings));
}

}  // namespace jevons::engine
