#include "fabric/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/text.hpp"

namespace jevons::fabric {
namespace {

constexpr int kMostTiers = 6;
constexpr double kMostPorts = 1e6, kLeastRate = 1e3, kMostRate = 1e18;
constexpr double kHoursOfFit = 1e9;
constexpr Seconds kFlightPerMetre{4.9e-9};  // group index 1.47 of silica fibre over the speed of light; copper pairs are within 15 %
// Counts that formulas give as 17.999999 are 18.
double up(double x) { return std::ceil(x - 1e-9); }

Result<void> check(const Network& n) {
  const auto refuse = [&](std::string_view key, std::string what, std::string expected, std::string hint = {}) {
    return bad_input(n.name.empty() ? std::string(key) : n.name + "." + std::string(key), std::move(what), std::move(expected),
                     std::move(hint));
  };
  const auto not_negative = [&](std::string key, const auto& v) -> Result<void> {
    if (!v || v->value() >= 0) return {};
    return refuse(key, fmt::format("{} is negative", v->value()), "0 or more: money and power are spent, not earned");
  };
  if (!(n.endpoints >= 1 && n.endpoints <= 1e9 && n.endpoints == std::floor(n.endpoints)))
    return refuse("endpoints", fmt::format("{}", n.endpoints), "a whole number of endpoints, 1 to 1e9");
  if (!(n.endpoint_bandwidth.value() >= kLeastRate && n.endpoint_bandwidth.value() <= kMostRate))
    return refuse("endpoint_bandwidth", fmt::format("{} B/s", n.endpoint_bandwidth.value()), "a bandwidth of 1 kB/s to 1 EB/s");
  for (const auto& m : {n.endpoint_end, n.leaf_end, n.uplink}) {
    if (!m) continue;
    if (!(m->rate.value() > 0)) return refuse("module_rate", fmt::format("{} B/s for {}", m->rate.value(), m->component), "a rate above 0");
    JEVONS_CHECK(not_negative(m->component + ".power", m->power));
    JEVONS_CHECK(not_negative(m->component + ".price", m->price));
  }
  JEVONS_CHECK(not_negative("switch_power", n.switch_power));
  JEVONS_CHECK(not_negative("switch_price", n.switch_price));
  const auto in_reach = [&](const std::optional<Medium>& m, double metres, std::string_view key) -> Result<void> {
    if (!m || !m->reach_m || metres <= *m->reach_m) return {};
    return refuse(key, fmt::format("{} reaches {} m, the link is {} m long", m->component, *m->reach_m, metres),
                  fmt::format("at most {} m", *m->reach_m), "a medium that reaches further, or a shorter run");
  };
  JEVONS_CHECK(in_reach(n.endpoint_end, n.first_link_m, "first_link_length"));
  JEVONS_CHECK(in_reach(n.uplink, n.uplink_m, "uplink_length"));
  if (n.shape == Shape::torus) {
    double product = 1;
    for (const int d : n.dimensions) {
      if (d < 2) return refuse("dimensions", fmt::format("a dimension of {}", d), "2 or more");
      product *= d;
    }
    if (n.dimensions.empty() || product != n.endpoints)
      return refuse("dimensions",
                    fmt::format("{} endpoints in dimensions whose product is {}", n.endpoints, n.dimensions.empty() ? 0 : product),
                    "dimensions whose product is the endpoints");
    return {};
  }
  if (n.shape == Shape::mesh) return n.endpoints >= 2 ? Result<void>{} : refuse("endpoints", "a mesh of one", "2 or more endpoints");
  if (!(n.switch_capacity.value() >= kLeastRate && n.switch_capacity.value() <= kMostRate))
    return refuse("switch_capacity", fmt::format("{} B/s", n.switch_capacity.value()), "a capacity of 1 kB/s to 1 EB/s");
  if (!(n.radix >= 2 && n.radix <= kMostPorts && n.radix == std::floor(n.radix))) {
    return refuse("radix", fmt::format("{} ports", n.radix), fmt::format("a whole number of ports, 2 to {:.0f}", kMostPorts),
                  "a chip divides its capacity into ports: 51.2 Tbit/s is 64 ports of 800G, 128 of 400G or 512 of 100G");
  }
  if (!(n.tiers >= 1 && n.tiers <= kMostTiers))
    return refuse("tiers", fmt::format("{}", n.tiers), fmt::format("1 to {}", kMostTiers), "3 tiers of radix 64 hold 65,536 endpoints");
  if (!(n.planes >= 1 && n.planes <= kMostPorts && n.planes == std::floor(n.planes)))
    return refuse("planes", fmt::format("{}", n.planes), fmt::format("a whole number of planes, 1 to {:.0f}", kMostPorts));
  if (!(n.oversubscription >= 1))
    return refuse("oversubscription", fmt::format("{}", n.oversubscription), "1 (none) or more: down bandwidth over up bandwidth");
  if (n.endpoints_per_leaf && !(*n.endpoints_per_leaf >= 1 && *n.endpoints_per_leaf == std::floor(*n.endpoints_per_leaf)))
    return refuse("endpoints_per_leaf", fmt::format("{}", *n.endpoints_per_leaf), "a whole number, 1 or more");
  if (n.links_per_module && !(*n.links_per_module >= 1e-3 && *n.links_per_module <= kMostPorts))
    return refuse("links_per_module", fmt::format("{}", *n.links_per_module), "0.001 to 1e6 ports a module");
  if (!(n.chips_per_tray >= 1)) return refuse("chips_per_tray", fmt::format("{}", n.chips_per_tray), "1 or more");
  return {};
}

// Ports an endpoint takes on its plane's leaf.
double ports_of(const Network& n) { return up(n.endpoint_bandwidth / n.planes / (n.switch_capacity / n.radix)); }

// Where the machine fixes how many endpoints share a leaf, its ports and those of the tiers above must do for it.
Result<void> check_leaf(const Network& n, double ports) {
  const double down = *n.endpoints_per_leaf * ports, uplinks = n.tiers > 1 ? up(down / n.oversubscription) : 0;
  if (down + uplinks > n.radix) {
    const double most = std::floor(n.radix / (ports * (1 + (n.tiers > 1 ? 1 / n.oversubscription : 0))) + 1e-9);
    return bad_input(n.name + ".endpoints_per_leaf",
                     fmt::format("{} endpoints of {} port(s) and {} uplinks need {} ports, the chip has {}", *n.endpoints_per_leaf, ports,
                                 uplinks, down + uplinks, n.radix),
                     fmt::format("at most {:.0f} endpoints a leaf", most), "more planes, a larger radix, or more oversubscription");
  }
  const double leaves = up(n.endpoints / *n.endpoints_per_leaf);
  const double limit = n.tiers == 1 ? 1 : n.tiers == 2 ? n.radix : 2 * std::pow(std::floor(n.radix / 2), n.tiers - 1);
  if (leaves <= limit) return {};
  return bad_input(n.name + ".endpoints",
                   fmt::format("{} leaves of {} endpoints do not fit under {} tier(s) of radix {}: the limit is {:.0f}", leaves,
                               *n.endpoints_per_leaf, n.tiers - 1, n.radix, limit),
                   fmt::format("at most {:.0f} endpoints", limit * *n.endpoints_per_leaf), fmt::format("would fit: {} tiers", n.tiers + 1));
}

Result<void> check_radix(const Network& n) {
  const double ports = ports_of(n), limit = reach(n.radix, n.tiers, n.oversubscription, ports);
  if (n.endpoints_per_leaf) return check_leaf(n, ports);
  if (n.endpoints <= limit) return {};
  std::vector<std::string> ways;
  for (int t = n.tiers + 1; t <= kMostTiers; ++t) {
    if (reach(n.radix, t, n.oversubscription, ports) >= n.endpoints) {
      ways.push_back(fmt::format("{} tiers", t));
      break;
    }
  }
  if (ports > 1 && reach(n.radix, n.tiers, n.oversubscription, 1) >= n.endpoints)
    ways.push_back(fmt::format("{} planes, one port each", n.planes * ports));
  double radix = n.radix;
  while (radix < 65536 && reach(radix, n.tiers, n.oversubscription, ports) < n.endpoints)
    radix *= 2;  // slower ports, more planes: as many ports a plane
  if (radix < 65536)
    ways.push_back(
        fmt::format("switches of {} ports at 1/{} of the port rate, with {} planes", radix, radix / n.radix, n.planes * radix / n.radix));
  return bad_input(n.name + ".endpoints",
                   fmt::format("{} endpoints do not fit {} tier(s) of radix {} with {} port(s) each: the limit is {:.0f}", n.endpoints,
                               n.tiers, n.radix, ports, limit),
                   fmt::format("at most {:.0f} endpoints", limit), fmt::format("would fit: {}", fmt::join(ways, "; ")));
}

void add(PartsList& b, Part part) {
  if (part.count <= 0) return;
  const std::string name = part.component.empty() ? part.what : part.what + " (" + part.component + ")";
  if (part.power)
    b.power += *part.power * part.count;
  else
    b.unknown.push_back("power of " + name);
  if (part.price)
    b.price += *part.price * part.count;
  else
    b.unknown.push_back("price of " + name);
  if (part.fit)
    b.failures_per_year += *part.fit * part.count * kHoursPerYear / kHoursOfFit;
  else
    b.unknown.push_back("failure rate of " + name);
  b.parts.push_back(std::move(part));
}

// Modules or cables that carry `bandwidth` (one direction) over one stage of links; ends: 1 or 2 of each link use this medium.
void add_links(PartsList& b, const std::optional<Medium>& m, std::string_view what, BytesPerSecond bandwidth, int ends) {
  if (!m) return;  // a printed board: no part
  const double whole = up(bandwidth / m->rate);
  if (m->optical) {
    b.optical_modules += whole * ends;
    add(b, {std::string(what) + " module", m->component, m->technology, whole * ends, m->power, m->price, m->fit});
  } else {
    b.cables += whole;
    const auto power = m->power ? std::optional(*m->power * 2) : std::nullopt;  // a cable has two ends
    add(b, {std::string(what) + " cable", m->component, m->technology, whole, power, m->price, m->fit});
  }
}

void clos_switches(const Network& n, PartsList& b) {
  const double k = n.radix, ports = ports_of(n), o = n.oversubscription, N = n.endpoints;
  std::array<double, kMostTiers> chips{};
  if (n.tiers == 1) {
    // Fewer endpoints than the radix can share a chip between planes only where planes are one network: chips stay whole in each plane.
    chips[0] = up(N * ports / k);
    b.ports_used = N * ports / chips[0];
  } else {
    const double down = n.endpoints_per_leaf ? *n.endpoints_per_leaf * ports : std::floor(k * o / (1 + o) + 1e-9);
    chips[0] = up(N * ports / down);
    const double uplinks = up(down / o);  // of one leaf
    b.ports_used = down + uplinks;
    // Above the leaves every chip but the top one has as many ports up as down.
    for (int t = 1; t < n.tiers; ++t) chips[std::size_t(t)] = up(chips[0] * uplinks / (t + 1 == n.tiers ? k : std::floor(k / 2)));
  }
  for (int t = 0; t < n.tiers; ++t) {
    const double count = chips[std::size_t(t)] * n.planes;
    b.chips_by_tier[std::size_t(t)] = count;
    b.switch_chips += count;
    add(b, {fmt::format("tier {} switch chip", t + 1), n.switch_component, "switch", count, n.switch_power, n.switch_price, n.switch_fit});
  }
  b.trays = up(b.switch_chips / n.chips_per_tray);
  b.endpoints_per_chip = N / b.switch_chips;
}

void clos_links(const Network& n, PartsList& b) {
  const BytesPerSecond first = n.endpoint_bandwidth * n.endpoints, upper = first / n.oversubscription;
  // A port's worth each, but one to a plane at least: planes may take unequal shares (NVLink 4: 5, 4, 4 and 5 of 18).
  const double port_links = n.endpoints * std::max(n.planes, up(n.endpoint_bandwidth / (n.switch_capacity / n.radix)));
  b.links = port_links * (1 + (n.tiers - 1) / n.oversubscription);
  if (n.endpoint_end && n.leaf_end && n.endpoint_end->component != n.leaf_end->component) {
    add_links(b, n.endpoint_end, "endpoint", first, 1);
    add_links(b, n.leaf_end, "leaf", first, 1);
  } else {
    add_links(b, n.endpoint_end, "endpoint link", first, 2);
  }
  if (n.tiers > 1 && n.uplink) {
    Medium m = *n.uplink;
    if (n.links_per_module) m.rate = n.switch_capacity / n.radix * *n.links_per_module;
    add_links(b, m, "uplink", upper * (n.tiers - 1.0), 2);
  }
  b.switching = first + upper * (2 * (n.tiers - 1.0));
  b.bisection = n.tiers == 1 ? first / 2.0 : upper / 2.0;
  b.hops = 2 * n.tiers - 1;
  if (n.switch_latency) b.latency = *n.switch_latency * b.hops + kFlightPerMetre * (2 * n.first_link_m + 2 * (n.tiers - 1) * n.uplink_m);
}

void torus(const Network& n, PartsList& b) {
  double ports = 0, largest = 0;
  for (const int d : n.dimensions) {
    ports += d == 2 ? 1 : 2;
    b.hops += d / 2;
    largest = std::max(largest, double(d));
  }
  b.links = n.endpoints * ports / 2;
  const BytesPerSecond link = n.endpoint_bandwidth / ports;
  // The worst even cut is across the longest dimension: two links (one, if it has two places) of every line.
  b.bisection = link * (n.endpoints / largest * (largest == 2 ? 1 : 2));
  add_links(b, n.endpoint_end, "torus link", n.endpoint_bandwidth * (n.endpoints / 2), 2);
}

void mesh(const Network& n, PartsList& b) {
  const double N = n.endpoints;
  b.links = N * (N - 1) / 2;
  b.hops = 1;
  b.bisection = n.endpoint_bandwidth / (N - 1) * std::floor(N / 2) * std::ceil(N / 2);
  add_links(b, n.endpoint_end, "mesh link", n.endpoint_bandwidth * (N / 2), 2);
}

}  // namespace

double port_use(const Network& n) {
  if (n.shape != Shape::clos) return 1;
  return n.endpoint_bandwidth / n.planes / (n.switch_capacity / n.radix * ports_of(n));
}

double reach(double radix, int tiers, double o, double ports) {
  const double usable = std::floor(radix / ports);
  if (tiers == 1) return usable;
  // Leaves are limited by the reach of the tiers above, which each uplink enters on its own.
  const double leaf_down = std::floor(std::floor(radix * o / (1 + o) + 1e-9) / ports);
  return leaf_down * (tiers == 2 ? radix : 2 * std::pow(std::floor(radix / 2), tiers - 1));
}

double copper_pairs(double endpoints, BytesPerSecond endpoint_bandwidth, BytesPerSecond lane_rate) {
  return 2 * endpoints * up(endpoint_bandwidth / lane_rate);
}

ModuleCount module_count(double endpoints, BytesPerSecond endpoint_bandwidth, int tiers, BytesPerSecond endpoint_rate,
                         BytesPerSecond switch_rate, bool copper_first_link) {
  const BytesPerSecond all = endpoint_bandwidth * endpoints;
  if (copper_first_link) return {0, 2 * (tiers - 1.0) * up(all / switch_rate)};
  return {up(all / endpoint_rate), (2.0 * tiers - 1) * up(all / switch_rate)};
}

Result<PartsList> parts_list(const Network& n) {
  JEVONS_CHECK(check(n));
  PartsList b;
  b.aggregate = n.endpoint_bandwidth * (2 * n.endpoints);
  if (n.shape == Shape::torus) {
    torus(n, b);
  } else if (n.shape == Shape::mesh) {
    mesh(n, b);
  } else {
    JEVONS_CHECK(check_radix(n));
    clos_switches(n, b);
    clos_links(n, b);
  }
  return b;
}

}  // namespace jevons::fabric
