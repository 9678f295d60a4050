#pragma once
#include "catalog/catalog.hpp"
#include "report/document.hpp"

namespace jevons::engine {

/// A fact as the report lists it, once.
inline void use_fact(report::Document& d, const catalog::Fact& f) {
  report::Document::UsedFact used{std::string(f.thing),
                                  std::string(f.key),
                                  std::string(f.text),
                                  std::string(catalog::name(f.kind)),
                                  std::string(catalog::name(f.confidence)),
                                  std::string(f.source.empty() ? f.why : f.source),
                                  std::string(f.date)};
  for (const auto& u : d.facts) {
    if (u.thing == used.thing && u.key == used.key) return;
  }
  d.facts.push_back(std::move(used));
}
inline void use_facts(report::Document& d, const catalog::Thing& t) {
  for (const auto& f : t.facts) use_fact(d, f);
}

}  // namespace jevons::engine
