#include "step/served_blocks.hpp"

namespace jevons::step {

Result<ServedBlocks> served_blocks(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::efficiency, "served-blocks"));
  ServedBlocks out;
  const catalog::Series& s = t->series;
  for (std::size_t row = 0; row < s.rows(); ++row) {
    std::string key;
    for (const char* part : {"model", "accelerator", "engine", "weights"}) key += std::string(s.text(row, part)) + "/";
    key += s.text(row, "version");
    out[key] = {s.number(row, "decode").value_or(1), s.number(row, "prompt").value_or(1), s.number(row, "cases").value_or(0)};
  }
  return out;
}

}  // namespace jevons::step
