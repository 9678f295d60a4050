#include "step/served_blocks.hpp"

#include <fmt/format.h>

namespace jevons::step {

std::string block_key(std::string_view model, std::string_view accelerator, std::string_view engine, std::string_view weights,
                      std::string_view version) {
  return fmt::format("{}/{}/{}/{}/{}", model, accelerator, engine, weights, version);
}

Result<ServedBlocks> served_blocks(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* t, catalog.find(catalog::Section::efficiency, "served-blocks"));
  ServedBlocks out;
  const catalog::Series& s = t->series;
  for (std::size_t row = 0; row < s.rows(); ++row) {
    out[block_key(s.text(row, "model"), s.text(row, "accelerator"), s.text(row, "engine"), s.text(row, "weights"), s.text(row, "version"))] = {s.number(row, "decode").value_or(1), s.number(row, "prompt").value_or(1), s.number(row, "cases").value_or(0)};
  }
  return out;
}

}  // namespace jevons::step
