#pragma once
// Claims about tokens, prices and compute: the arithmetic behind each, what evidence says, and a verdict. catalog/demand/claims.yaml.
#include <optional>
#include <string>
#include <vector>

#include "catalog/catalog.hpp"

namespace jevons::market {

enum class ClaimVerdict : std::uint8_t { holds, holds_only_if, contradicted, ambiguous };
std::string_view name(ClaimVerdict v);

struct Claim {
  std::string id, seed, claim, formula, inputs, unit, evidence;
  double value = 0;      // computed from the inputs
  double expected = 0;   // as worked out when the claim was recorded
  double tolerance = 0;  // absolute
  ClaimVerdict verdict = ClaimVerdict::holds;
  std::string because;
};
/// Works out every claim. Errors: an unknown formula, a number that no table has: claim and place.
Result<std::vector<Claim>> claims(const catalog::Catalog& catalog);

}  // namespace jevons::market
