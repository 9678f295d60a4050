#include "fabric/comparison.hpp"

#include <algorithm>

namespace jevons::fabric {
namespace {

// The part of a refusal's key behind the thing's name is the fact it is about.
Error placed(Error e, const catalog::Thing& t) {
  if (e.file.empty()) e.file = std::string(t.file);
  const auto dot = e.key.rfind('.');
  if (const auto* f = t.find(dot == std::string::npos ? e.key : e.key.substr(dot + 1)); f != nullptr && e.line == 0) {
    e.line = f->line;
    if (!f->file.empty()) e.file = std::string(f->file);
  }
  return e;
}

template <class Q>
std::optional<Q> sum(const PartsList& list, std::optional<Q> Part::* value, bool with_switches) {
  // A design that names no medium says nothing about its links.
  const bool media = std::any_of(list.parts.begin(), list.parts.end(), [](const Part& p) { return p.technology != "switch"; });
  if (!media && (!with_switches || list.parts.empty())) return std::nullopt;
  Q total{};
  for (const auto& p : list.parts) {
    if (!with_switches && p.technology == "switch") continue;
    if (!(p.*value)) return std::nullopt;
    total += *(p.*value) * p.count;
  }
  return total;
}

template <class Total>
Saving saving(std::string what, const Design& a, const Design& b, Total total) {
  const auto of = [&](const PartsList& mine, const PartsList& theirs) -> std::optional<double> {
    const std::optional<double> x = total(mine), y = total(theirs);
    return x && y && *y > 0 ? std::optional(1 - *x / *y) : std::nullopt;
  };
  return {std::move(what), of(a.centre, b.centre), of(a.high, b.low), of(a.low, b.high)};
}

template <class Q>
std::optional<double> plain(const std::optional<Q>& q) {
  return q ? std::optional(q->value()) : std::nullopt;
}

}  // namespace

std::optional<Watts> media_power(const PartsList& list) { return sum(list, &Part::power, false); }
std::optional<Usd> media_price(const PartsList& list) { return sum(list, &Part::price, false); }
std::optional<Watts> fabric_power(const PartsList& list) { return sum(list, &Part::power, true); }
std::optional<Usd> fabric_price(const PartsList& list) { return sum(list, &Part::price, true); }
double runs(const PartsList& list) { return list.cables + list.optical_modules / 2; }

Result<Design> design(const catalog::Catalog& catalog, const catalog::Thing& thing) {
  Design d;
  d.name = std::string(thing.name);
  d.title = std::string(thing.title);
  for (const auto& [at, list] : {std::pair{At::low, &d.low}, std::pair{At::high, &d.high}, std::pair{At::centre, &d.centre}}) {
    auto n = network(catalog, thing, at);
    if (!n) return fail(placed(std::move(n).error(), thing));
    auto counted = parts_list(*n);
    if (!counted) return fail(placed(std::move(counted).error(), thing));
    *list = std::move(*counted);
    d.network = std::move(*n);
  }
  return d;
}

std::vector<Saving> savings(const Design& a, const Design& b) {
  const auto number = [](double v) { return std::optional(v); };
  return {saving("power of links", a, b, [](const PartsList& l) { return plain(media_power(l)); }),
          saving("price of links", a, b, [](const PartsList& l) { return plain(media_price(l)); }),
          saving("power of the fabric", a, b, [](const PartsList& l) { return plain(fabric_power(l)); }),
          saving("price of the fabric", a, b, [](const PartsList& l) { return plain(fabric_price(l)); }),
          saving("optical modules", a, b, [&](const PartsList& l) { return number(l.optical_modules); }),
          saving("runs to plug", a, b, [&](const PartsList& l) { return number(runs(l)); })};
}

}  // namespace jevons::fabric
