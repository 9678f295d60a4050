// jevons claims: what is said about demand, worked out and judged.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "engine/verb.hpp"
#include "market/claims.hpp"

namespace jevons::engine {

Result<Outcome> run_claims(Context& c) {
  JEVONS_TRY(const auto all, market::claims(c.catalog));
  const report::Origin origin{"derived", "market::claims in src/market/claims.cpp", "catalog/demand/claims.yaml"};
  Outcome o;
  auto& d = o.document;
  d.version = std::string(version());
  d.title = "Claims about tokens, prices and compute";
  report::Table t{"claims",
                  fmt::format("{} claims: the arithmetic, and the verdict", all.size()),
                  {{"id", "id", "{}", {}},
                   {"value", "value", "{:.6g}", origin},
                   {"expected", "expected", "{:.6g}", {"derived", "worked out when the claim was recorded", ""}},
                   {"unit", "unit", "{}", {}},
                   {"verdict", "verdict", "{}", {"derived", "by the rule of the row", "catalog/demand/claims.yaml"}},
                   {"because", "because", "{}", {}}},
                  {},
                  {},
                  true};
  report::Table full{"evidence",
                     "Claims with source and evidence",
                     {{"id", "id", "{}", {}},
                      {"seed", "said by", "{}", {}},
                      {"claim", "claim", "{}", {}},
                      {"formula", "formula", "{}", {}},
                      {"inputs", "inputs", "{}", {}},
                      {"verdict", "verdict", "{}", {}},
                      {"because", "because", "{}", {}},
                      {"evidence", "evidence", "{}", {}}},
                     {},
                     {},
                     false};
  const auto cut = [](const std::string& s, std::size_t n) { return s.size() <= n ? s : s.substr(0, n - 2) + ".."; };
  std::array<int, 4> count{};
  int off = 0;
  for (const auto& x : all) {
    ++count[std::size_t(x.verdict)];
    off += std::abs(x.value - x.expected) > x.tolerance + 5e-6 * std::abs(x.expected);
    const std::string verdict(market::name(x.verdict));
    t.rows.push_back({x.id, x.value, x.expected, cut(x.unit, 10), verdict, cut(x.because, 35)});
    full.rows.push_back({x.id, x.seed, x.claim, x.formula, x.inputs, verdict, x.because, x.evidence});
  }
  static constexpr const char* kPaths[] = {"claims.holds", "claims.holds_only_if", "claims.contradicted", "claims.ambiguous"};
  for (std::size_t k = 0; k < count.size(); ++k)
    d.values.push_back({kPaths[k], std::string(market::name(market::ClaimVerdict(k))), "claims", double(count[k]), origin});
  d.answer = {
      {"Claims",
       fmt::format(
           "{} hold, {} hold only if their condition does, {} are contradicted, {} are ambiguous; {} of {} reproduce the recorded number",
           count[0], count[1], count[2], count[3], int(all.size()) - off, all.size())}};
  for (const auto& x : all) {
    if (x.verdict == market::ClaimVerdict::contradicted)
      t.notes.push_back(fmt::format("{}: {}. {}; {}.", x.id, x.claim, x.because, x.evidence));
  }
  d.tables = {std::move(t), std::move(full)};
  return o;
}

}  // namespace jevons::engine
