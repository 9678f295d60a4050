#pragma once
// Savings that reports claim, counted again under the convention that each used.
#include <string>
#include <vector>

#include "catalog/catalog.hpp"
#include "model/weights.hpp"

namespace jevons::savings {

struct PublishedSaving {
  std::string model, baseline, quantity, convention, source;
  double context = 0, published = 0, counted = 0;
};
/// Every row of catalog/efficiency/published-savings.yaml. Errors: a row that names an unknown model or quantity.
Result<std::vector<PublishedSaving>> published_savings(const catalog::Catalog& catalog);

/// FLOPs of one decoded token in fp8 equivalents: products with bf16 operands and the attention core count twice, those with narrower
/// ones once, an indexer over fp4 keys half. Uses the vendor's weight formats.
Result<double> fp8_equivalent_flops(const model::Model& m, std::int64_t context);

}  // namespace jevons::savings
