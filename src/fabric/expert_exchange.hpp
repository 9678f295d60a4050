#pragma once
// Time of expert dispatch and combine by a kernel whose warps each copy rows to one peer through a queue in the peer's memory.
#include <optional>

#include "base/quantity.hpp"
#include "catalog/catalog.hpp"
#include "fabric/collectives.hpp"

namespace jevons::fabric {

/// Ranks that a token's copies go to when its top_k experts are spread as evenly as can be, as benchmarks do; `random_destinations` when
/// not.
double balanced_destinations(double ranks, double top_k);

/// Coefficients of one operation on one chip, a row of catalog/collectives/trtllm-two-sided.yaml (the same for all ranks and formats).
struct ExchangeKernel {
  Seconds floor{}, destination{}, field{};  // launch; a destination's first row; a second field of a row (scales of nvfp4)
  Seconds row{}, field_row{};               // of one warp for one row: hand-shakes of the queue, of a second field
  double destination_per_byte = 0;          // seconds
  double row_per_byte = 0;                  // seconds; of one warp that has its multiprocessor alone
  double blocks = 0;                        // thread blocks that send; a block holds warps for eight peers
  BytesPerSecond block_rate{}, link{};      // all blocks together; the chip's scale-up link, one direction
  Bytes header{};                           // beside a row's values: experts, weights, flags
  double power = 1;                         // how sharply the slowest of the three decides
  double spill = 0;                         // share by which a warp's row takes longer once the rows outgrow the cache
  Bytes spill_at{1};
  double error = 0;  // median absolute error on points held out
};

/// How the rows of `op` (moe_dispatch, moe_combine) travel on an accelerator; nothing where they were not measured.
std::optional<ExchangeKernel> exchange_kernel(const catalog::Catalog& catalog, std::string_view accelerator, std::string_view op);

struct Exchange {
  double tokens = 0;        // of one rank
  Bytes row{};              // of one token, values with their scales
  int fields = 1;           // 2: values and scales are separate arrays
  double ranks = 1;         // that share the experts
  double destinations = 1;  // distinct ranks a token goes to, its own included
};

/// floor + destinations (a + b row) + tokens x |warp, blocks, link|_power:
/// warp: destinations / ranks / channels x (row time + bytes), channels = blocks / ceil(ranks / 8), since a channel's warp sends the rows
/// of one peer one after the other; blocks: copies to other ranks over what the sending blocks can move together; link: the same over the
/// link. Every rank sends and receives as much as any other. One rank takes no time. Requires ranks >= 1, 0 < destinations <= ranks.
/// Source: launch code of TensorRT-LLM's fused two-sided kernels for channels and blocks; coefficients by tools/fit_exchange.py.
/// Measured at 2 to 64 ranks, 1 to 65,536 tokens: of 540 dispatches 95 % within 7 %, of those above 300 tokens 98 %.
Seconds exchange_time(const ExchangeKernel& kernel, const Exchange& exchange);

}  // namespace jevons::fabric
