#pragma once
// Designs side by side: what one saves against another, with the range that the ranges of their parts allow.
#include "fabric/network.hpp"

namespace jevons::fabric {

/// A network counted three times: with every part at its value, and with all at the low and at the high ends of their ranges.
struct Design {
  std::string name, title;
  Network network;
  PartsList centre, low, high;
};
/// Errors of network() and parts_list(), with the file and line of the fact they are about.
Result<Design> design(const catalog::Catalog& catalog, const catalog::Thing& thing);

/// Totals of a parts list without its switches; nothing when one of the parts is not known.
std::optional<Watts> media_power(const PartsList& list);
std::optional<Usd> media_price(const PartsList& list);
/// The same with the switches.
std::optional<Watts> fabric_power(const PartsList& list);
std::optional<Usd> fabric_price(const PartsList& list);
/// Runs to plug: cables, and one fibre run for each pair of modules.
double runs(const PartsList& list);

/// 1 - a/b, and its extremes when every part of `a` is at one end of its range and every part of `b` at the other.
struct Saving {
  std::string what;
  std::optional<double> centre, low, high;
};
/// What `a` saves against `b`: power and price of links, power and price of the fabric, optical modules, runs. A count without a range has
/// its centre as both ends; nothing where a part is not known or `b` has none.
std::vector<Saving> savings(const Design& a, const Design& b);

}  // namespace jevons::fabric
