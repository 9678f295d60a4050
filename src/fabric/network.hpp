#pragma once
// A network from its endpoints up: shape, switches, links, modules, watts, dollars, latency, failures.
// Counting: folded Clos (Clos 1953; fat trees: Al-Fares, Loukissas, Vahdat, SIGCOMM 2008), split over parallel planes as in NVL72 or
// multi-plane Ethernet; torus and full mesh without packet switches.
#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/options.hpp"
#include "base/quantity.hpp"
#include "base/result.hpp"
#include "catalog/catalog.hpp"

namespace jevons::fabric {

enum class Shape : std::uint8_t { clos, torus, mesh };

/// What joins two ports: a copper cable (counted whole) or a pair of optical modules (counted by end).
struct Medium {
  std::string component;   // name in the catalogue's components, or as given
  std::string technology;  // DAC, ACC, AEC, AOC copper; DSP, LPO, NPO, CPO optics
  bool optical = false;
  BytesPerSecond rate{};               // one direction, of one cable or module
  std::optional<Watts> power;          // of one end
  std::optional<Usd> price;            // of one cable, or of one module
  std::optional<double> reach_m, fit;  // fit: failures in 1e9 hours, of one cable or module
};
/// Which end of the ranges of power, price and failure rate: each at its value, all at their low ends, or all at their high ends.
enum class At : std::uint8_t { centre, low, high };
/// A component of the catalogue as a medium. Errors: unknown name, or one without a module_rate.
Result<Medium> medium(const catalog::Catalog& catalog, std::string_view component, At at = At::centre);

struct Network {
  std::string name;
  Shape shape = Shape::clos;
  double endpoints = 0;
  BytesPerSecond endpoint_bandwidth{};  // one direction, all planes together
  // Clos
  BytesPerSecond switch_capacity{};  // one direction, of one switch chip
  double radix = 0;                  // ports of a chip; a port carries switch_capacity / radix
  int tiers = 1;
  double planes = 1;                         // identical networks an endpoint spreads its bandwidth over
  double oversubscription = 1;               // first-tier down bandwidth over up bandwidth
  std::optional<double> endpoints_per_leaf;  // where the machine fixes it (a node's own switch); else as many as ports allow
  double chips_per_tray = 1;
  std::optional<Watts> switch_power;  // of one chip with its share of the box
  std::optional<Usd> switch_price;
  std::optional<Seconds> switch_latency;
  std::optional<double> switch_fit;
  std::string switch_component;
  // torus
  std::vector<int> dimensions;
  // Media: the endpoint's end and the switch's end of the first link may differ (800G on the NIC, 1.6T on the leaf); nothing: a printed
  // board.
  std::optional<Medium> endpoint_end, leaf_end, uplink;
  std::optional<double> links_per_module;  // ports one uplink module serves, where it is not its rate over the port's
  double first_link_m = 0, uplink_m = 0;   // longest run, for reach and flight time
};

/// The form of a network: every key with its unit and meaning, as --help prints it and --set takes it.
std::span<const OptionSpec> network_keys();
/// A thing of the section fabric, or a file of the same form. A switch or medium named by attribute supplies what the facts leave out.
/// Errors name file and key: what is not published is said to be so (unsupported), never guessed.
Result<Network> network(const catalog::Catalog& catalog, const catalog::Thing& thing, At at = At::centre);

/// One line of a parts list.
struct Part {
  std::string what;        // "tier 1 switch chip", "uplink module"
  std::string component;   // "" when not named
  std::string technology;  // DAC …  CPO, or "switch"
  double count = 0;
  std::optional<Watts> power;  // each
  std::optional<Usd> price;    // each
  std::optional<double> fit;   // each
};

struct PartsList {
  std::vector<Part> parts;
  std::array<double, 6> chips_by_tier{};  // lowest first
  double switch_chips = 0, trays = 0;
  double endpoints_per_chip = 0;  // 0 without switches
  double ports_used = 0;          // of a first-tier chip
  double links = 0;               // port to port, all tiers
  double optical_modules = 0, cables = 0;
  BytesPerSecond aggregate{};      // both directions, at the endpoints
  BytesPerSecond bisection{};      // one direction, through the worst even cut
  BytesPerSecond switching{};      // one direction, switch capacity the design needs: N B a tier pass
  double hops = 0;                 // switches (Clos) or links (torus, mesh) on the longest shortest path
  std::optional<Seconds> latency;  // of that path: switches and flight, one way
  Watts power{};                   // of the parts whose power is known
  Usd price{};
  double failures_per_year = 0;      // of the parts whose rate is known
  std::vector<std::string> unknown;  // "power of tier 1 switch chip": what the sums leave out
};
/// Errors: sizes that are no sizes; a radix too small for its endpoints, with the limit and which change would fit; media out of reach.
Result<PartsList> parts_list(const Network& n);

/// Share of its leaf ports' rate that an endpoint's bandwidth in one plane uses, in (0, 1]; 1 without switches.
double port_use(const Network& n);
/// Endpoints that one plane of `tiers` tiers can hold: k for one tier, above it 2 (k/2)^L when o is 1,
/// more when the leaves are oversubscribed.
/// ports: switch ports each endpoint takes in the plane.
double reach(double radix, int tiers, double oversubscription = 1, double ports = 1);
/// Differential pairs of a copper design: one pair a lane and direction.
double copper_pairs(double endpoints, BytesPerSecond endpoint_bandwidth, BytesPerSecond lane_rate);
/// Modules on optical links of L tiers: N B / m at the endpoints, (2 L - 1) N B / m at the switches, where rates may differ;
/// copper on the first link takes the endpoints' and the leaves' away.
struct ModuleCount {
  double endpoint_side = 0, switch_side = 0;
  double total() const { return endpoint_side + switch_side; }
};
ModuleCount module_count(double endpoints, BytesPerSecond endpoint_bandwidth, int tiers, BytesPerSecond endpoint_rate,
                         BytesPerSecond switch_rate, bool copper_first_link);

}  // namespace jevons::fabric
