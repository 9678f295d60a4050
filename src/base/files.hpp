#pragma once
#include <string>
#include <vector>

#include "base/result.hpp"

namespace jevons {

struct File {
  std::string name, content;
};
/// Writes all files into `folder` (made when absent), or none: they are completed beside it first and then moved in. A name may hold
/// sub-folders ("fits/gemm.yaml").
/// Errors: io, with the path and what the system said.
Result<void> write_files(const std::string& folder, const std::vector<File>& files);
/// Reads a whole file of at most `limit` bytes. Errors: not_found, io, bad_input when larger.
Result<std::string> read_file(const std::string& path, std::size_t limit);

}  // namespace jevons
