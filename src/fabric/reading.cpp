// Reading a network: its form, and what a named switch or medium supplies.
#include <fmt/format.h>

#include <cmath>

#include "catalog/keys.hpp"
#include "fabric/network.hpp"

namespace jevons::fabric {
namespace {

constexpr int kMostDimensions = 6;

constexpr OptionSpec kKeys[] = {
    {.path = "shape", .help = "clos (default), torus or mesh (every pair joined)"},
    {.path = "switch", .help = "switch of catalog/components: supplies radix, switch_capacity, watts, dollars, latency"},
    {.path = "endpoint_medium", .help = "cable or module at the endpoint, such as dac-800g, aec-800g, opt-800g-lpo; none: printed board"},
    {.path = "leaf_medium", .help = "module at the leaf's end of that link, where it differs"},
    {.path = "uplink_medium", .help = "cable or module between tiers"},
    {.path = "compare_with", .help = "names of other fabrics to print beside this one, separated by commas"},
    {.path = "endpoints", .unit = "count", .help = "accelerators, or ports of network cards"},
    {.path = "endpoint_bandwidth", .unit = "bit/s", .help = "of one endpoint, one direction, all planes together"},
    {.path = "link_bandwidth", .unit = "bit/s", .help = "mesh: of one link, instead of endpoint_bandwidth"},
    {.path = "switch_capacity", .unit = "bit/s", .help = "of one switch chip or box, one direction"},
    {.path = "radix", .unit = "count", .help = "ports of a switch; a port carries switch_capacity / radix"},
    {.path = "lane_rate", .unit = "bit/s", .help = "of one port, where no radix is stated: the radix is switch_capacity / lane_rate"},
    {.path = "tiers", .unit = "count", .help = "switch tiers, 1 to 6 (default 1)"},
    {.path = "planes",
     .unit = "count",
     .help = "parallel networks that each endpoint spreads its bandwidth over (default 1). Rails that meet at the spine are one network; "
             "rails that "
             "never meet are planes of an endpoint that is a whole node"},
    {.path = "oversubscription", .unit = "count", .help = "leaf bandwidth down over up (default 1: none)"},
    {.path = "endpoints_per_leaf", .unit = "count", .help = "where the machine fixes it; else as many as the ports allow"},
    {.path = "chips_per_tray", .unit = "count", .help = "switch chips in one box (default 1)"},
    {.path = "switch_power", .unit = "W", .help = "of one switch chip or box without its modules"},
    {.path = "switch_price", .unit = "USD", .help = "of one switch chip or box without its modules"},
    {.path = "switch_latency", .unit = "s", .help = "through one switch"},
    {.path = "module_power", .unit = "W", .help = "of each module or cable end, over the component's own"},
    {.path = "module_price", .unit = "USD", .help = "of each module or cable, over the component's own"},
    {.path = "links_per_module", .unit = "count", .help = "switch ports one uplink module serves"},
    {.path = "first_link_length", .unit = "m", .help = "longest run from endpoint to leaf, checked against reach"},
    {.path = "uplink_length", .unit = "m", .help = "longest run between tiers, checked against reach"},
    {.path = "dimension_1", .unit = "count", .help = "torus: places along the first dimension"},
    {.path = "dimension_2", .unit = "count", .help = "torus: second"},
    {.path = "dimension_3", .unit = "count", .help = "torus: third (up to dimension_6)"},
    {.path = "dimension_4", .unit = "count", .help = "torus: fourth"},
    {.path = "dimension_5", .unit = "count", .help = "torus: fifth"},
    {.path = "dimension_6", .unit = "count", .help = "torus: sixth"},
};

constexpr OptionSpec kComponentKeys[] = {{.path = "module_rate", .unit = "bit/s"},
                                         {.path = "power", .unit = "W"},
                                         {.path = "price", .unit = "USD"},
                                         {.path = "reach", .unit = "m"},
                                         {.path = "latency", .unit = "s"},
                                         {.path = "failure_rate", .unit = "FIT"},
                                         {.path = "switch_capacity", .unit = "bit/s"},
                                         {.path = "radix", .unit = "count"}};

// A fact's value, or the end of its range that is asked for.
double value_at(const catalog::Fact& f, At at) { return at == At::centre || !f.has_range ? f.value : at == At::low ? f.low : f.high; }

template <class Q>
std::optional<Q> quantity(const catalog::Thing& t, std::string_view key, At at) {
  const auto known = t.get<Q>(key);
  return known ? std::optional(Q{value_at(*known->fact, at)}) : std::nullopt;
}

std::optional<double> plain(const catalog::Thing& t, std::string_view key, At at) {
  const auto* f = t.find(key);
  return f != nullptr ? std::optional(value_at(*f, at)) : std::nullopt;
}

// Whole numbers that become an int: anything else is no number of tiers.
Result<int> whole(const catalog::Thing& t, const catalog::Fact* f, int fallback, double most) {
  if (f == nullptr) return fallback;
  if (f->value >= 1 && f->value <= most && f->value == std::floor(f->value)) return int(f->value);
  return fail({ErrorCode::bad_input,
               std::string(t.file),
               f->line,
               std::string(f->key),
               fmt::format("{}", f->text),
               fmt::format("a whole number from 1 to {:.0f}", most),
               {}});
}

// An unknown component is an error of the key that names it.
tl::unexpected<Error> at_key(Error e, const catalog::Thing& t, std::string_view key) {
  if (e.code == ErrorCode::not_found) {
    e.code = ErrorCode::bad_input;
    e.file = std::string(t.file);
    e.key = std::string(key);
  }
  return fail(std::move(e));
}

struct Reader {
  const catalog::Catalog& catalog;
  const catalog::Thing& t;
  At at;
  const catalog::Thing* chip = nullptr;

  // The system's own figure wins over that of the switch it names.
  const catalog::Fact* find(std::string_view key) const {
    return t.find(key) != nullptr || chip == nullptr ? t.find(key) : chip->find(key);
  }
  double number(std::string_view key, double fallback) const {
    const auto* f = t.find(key);
    return f == nullptr ? fallback : f->value;
  }
  tl::unexpected<Error> unpublished(std::string_view key) const {
    return fail({ErrorCode::unsupported, std::string(t.file), 0, std::string(key), fmt::format("{} of {} is not known", key, t.name),
                 "a value with its source", fmt::format("give it with --set {}=…, or in a file of your own", key)});
  }

  Result<Shape> shape() const {
    const std::string s(t.attribute("shape"));
    if (s.empty() || s == "clos") return Shape::clos;
    if (s == "torus") return Shape::torus;
    if (s == "mesh") return Shape::mesh;
    return fail({ErrorCode::bad_input, std::string(t.file), 0, "shape", fmt::format("'{}'", s), "clos, torus or mesh", {}});
  }

  // A key that cannot change the answer is a mistake of whoever wrote it.
  Result<void> refuse_idle(const Network& n) const {
    const auto idle = [&](std::initializer_list<std::string_view> keys, std::string_view why) -> Result<void> {
      for (const auto key : keys) {
        const auto* f = t.find(key);
        if (f == nullptr && t.attribute(key).empty()) continue;
        return fail({ErrorCode::bad_input,
                     std::string(f != nullptr ? f->file : t.file),
                     f != nullptr ? f->line : 0,
                     std::string(key),
                     fmt::format("has no meaning here: {}", why),
                     "a key that changes the answer, or none",
                     {}});
      }
      return {};
    };
    if (n.shape != Shape::clos) {
      JEVONS_CHECK(idle(
          {"switch", "leaf_medium", "uplink_medium", "switch_capacity", "radix", "tiers", "planes", "oversubscription",
           "endpoints_per_leaf", "chips_per_tray", "switch_power", "switch_price", "switch_latency", "links_per_module", "uplink_length"},
          "a torus or mesh has no switches"));
    }
    if (n.shape != Shape::torus) {
      JEVONS_CHECK(
          idle({"dimension_1", "dimension_2", "dimension_3", "dimension_4", "dimension_5", "dimension_6"}, "only a torus has dimensions"));
    }
    if (n.shape != Shape::mesh) JEVONS_CHECK(idle({"link_bandwidth"}, "only a mesh is given by its links"));
    if (n.shape == Shape::clos && n.tiers == 1)
      JEVONS_CHECK(idle({"uplink_medium", "uplink_length", "oversubscription", "links_per_module"}, "a single tier has no uplinks"));
    if (!n.uplink) JEVONS_CHECK(idle({"links_per_module"}, "no uplink_medium is named"));
    if (!n.endpoint_end && !n.uplink) JEVONS_CHECK(idle({"module_power", "module_price"}, "no medium is named"));
    return {};
  }

  Result<void> ends(Network& n) const {
    if (find("endpoints") == nullptr) return unpublished("endpoints");
    n.endpoints = find("endpoints")->value;
    const auto* link = t.find("link_bandwidth");
    if (link != nullptr && n.shape == Shape::mesh)
      n.endpoint_bandwidth = BytesPerSecond{link->value * (n.endpoints - 1)};
    else if (find("endpoint_bandwidth") != nullptr)
      n.endpoint_bandwidth = BytesPerSecond{find("endpoint_bandwidth")->value};
    else
      return unpublished("endpoint_bandwidth");
    if (n.shape != Shape::torus) return {};
    for (int d = 1; d <= kMostDimensions; ++d) {
      const auto* f = t.find(fmt::format("dimension_{}", d));
      if (f == nullptr) continue;
      JEVONS_TRY(n.dimensions.emplace_back(), whole(t, f, 0, 1e6));
    }
    if (n.dimensions.empty()) return unpublished("dimension_1");
    return {};
  }

  Result<void> switches(Network& n) const {
    if (n.shape != Shape::clos) return {};
    if (find("switch_capacity") == nullptr) return unpublished("switch_capacity");
    n.switch_capacity = BytesPerSecond{find("switch_capacity")->value};
    const auto* lane = t.find("lane_rate");
    if (lane != nullptr && !(lane->value > 0)) {
      return fail({ErrorCode::bad_input, std::string(lane->file), lane->line, "lane_rate", std::string(lane->text), "a rate above 0", {}});
    }
    if (find("radix") != nullptr) {
      n.radix = find("radix")->value;
    } else if (lane != nullptr && lane->value > 0) {
      n.radix = std::floor(n.switch_capacity.value() / lane->value + 1e-9);
    } else {
      return unpublished("radix");
    }
    JEVONS_TRY(n.tiers, whole(t, t.find("tiers"), 1, 6));
    n.planes = number("planes", 1);
    n.oversubscription = number("oversubscription", 1);
    if (t.find("endpoints_per_leaf") != nullptr) n.endpoints_per_leaf = t.find("endpoints_per_leaf")->value;
    if (t.find("links_per_module") != nullptr) n.links_per_module = t.find("links_per_module")->value;
    n.chips_per_tray = number("chips_per_tray", 1);
    if (chip != nullptr) {
      n.switch_component = std::string(chip->name);
      n.switch_power = quantity<Watts>(*chip, "power", at);
      n.switch_price = quantity<Usd>(*chip, "price", at);
      n.switch_latency = quantity<Seconds>(*chip, "latency", at);
      n.switch_fit = plain(*chip, "failure_rate", at);
    }
    if (const auto v = quantity<Watts>(t, "switch_power", at)) n.switch_power = v;
    if (const auto v = quantity<Usd>(t, "switch_price", at)) n.switch_price = v;
    if (const auto v = quantity<Seconds>(t, "switch_latency", at)) n.switch_latency = v;
    return {};
  }

  Result<void> media(Network& n) const {
    for (const auto& [key, out] :
         {std::pair{"endpoint_medium", &n.endpoint_end}, std::pair{"leaf_medium", &n.leaf_end}, std::pair{"uplink_medium", &n.uplink}}) {
      const auto name = t.attribute(key);
      if (name.empty()) continue;
      auto found = medium(catalog, name, at);
      if (!found) return at_key(std::move(found).error(), t, key);
      *out = std::move(*found);
      // Figures that the system's own source gives for its modules win over the component's.
      if (const auto v = quantity<Watts>(t, "module_power", at)) (*out)->power = v;
      if (const auto v = quantity<Usd>(t, "module_price", at)) (*out)->price = v;
    }
    if (!n.leaf_end) n.leaf_end = n.endpoint_end;
    n.first_link_m = number("first_link_length", 0);
    n.uplink_m = number("uplink_length", 0);
    return {};
  }
};

}  // namespace

std::span<const OptionSpec> network_keys() { return kKeys; }

Result<Medium> medium(const catalog::Catalog& catalog, std::string_view component, At at) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::component, component));
  if (t->find("module_rate") == nullptr) {
    return fail({ErrorCode::bad_input,
                 std::string(t->file),
                 0,
                 "module_rate",
                 fmt::format("{} does not carry data", t->name),
                 "a cable or an optical module",
                 {}});
  }
  JEVONS_CHECK(catalog::check_units(*t, kComponentKeys));
  Medium m;
  m.component = std::string(t->name);
  m.technology = std::string(t->attribute("technology"));
  m.optical = t->attribute("kind") == "optic";
  m.rate = BytesPerSecond{t->find("module_rate")->value};
  m.power = quantity<Watts>(*t, "power", at);
  m.price = quantity<Usd>(*t, "price", at);
  m.reach_m = t->number("reach");
  m.fit = plain(*t, "failure_rate", at);
  return m;
}

Result<Network> network(const catalog::Catalog& catalog, const catalog::Thing& t, At at) {
  JEVONS_CHECK(catalog::check_units(t, kKeys));
  Reader r{catalog, t, at};
  if (const auto name = t.attribute("switch"); !name.empty()) {
    const auto found = catalog.find(catalog::Section::component, name);
    if (!found) return at_key(found.error(), t, "switch");
    r.chip = *found;
    JEVONS_CHECK(catalog::check_units(*r.chip, kComponentKeys));
  }
  Network n;
  n.name = std::string(t.name);
  JEVONS_TRY(n.shape, r.shape());
  JEVONS_CHECK(r.ends(n));
  JEVONS_CHECK(r.switches(n));
  JEVONS_CHECK(r.media(n));
  JEVONS_CHECK(r.refuse_idle(n));
  return n;
}

}  // namespace jevons::fabric
