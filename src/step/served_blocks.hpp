#pragma once
// Second layer over the step-time form: what measurements of one very deployment (model, accelerator, engine, weight format, engine
// version) say about it. Used inside that block only; what one block says was found not to hold in another.
#include <map>
#include <string>

#include "catalog/catalog.hpp"

namespace jevons::step {

struct BlockFactors {
  double decode = 1;  // on decode steps
  double prompt = 1;  // on what prompt tokens add, and on the host time of a request
  double cases = 0;   // measured points behind them
};
/// "model/accelerator/engine/weights/version".
std::string block_key(std::string_view model, std::string_view accelerator, std::string_view engine, std::string_view weights,
                      std::string_view version);
using ServedBlocks = std::map<std::string, BlockFactors, std::less<>>;
/// From catalog/efficiency/served-blocks.yaml. Errors: the file is missing.
Result<ServedBlocks> served_blocks(const catalog::Catalog& catalog);

}  // namespace jevons::step
