#pragma once
// What is asked of a simulated deployment, from settings.
#include "base/options.hpp"
#include "serve/metrics.hpp"

namespace jevons::engine {

struct Asked {
  traffic::Workload workload;
  std::uint64_t skipped_rows = 0;  // of a file
  std::int64_t longest = 1;        // tokens of the longest request, prompt and output
};
/// block_size, max_model_len: of the engine that serves it (prefix blocks; 0: no limit). `replication` moves the seed of every stream.
/// Errors: contradictory or ineffective options, unreadable files.
Result<Asked> workload_of(const Settings& settings, std::int32_t block_size, std::int32_t max_model_len, std::uint64_t replication = 0);

/// --goodput ttft:500 tpot:30 e2el:10000, ms.
Result<serve::Goodput> goodput_of(const Settings& settings);

}  // namespace jevons::engine
