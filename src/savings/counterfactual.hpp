#pragma once
// Models as they would be without a technique.
#include "model/model.hpp"

namespace jevons::savings {

/// Every layer sees all cached tokens: indexers are taken out.
model::Model without_sparsity(const model::Model& m);
/// Every layer sees the whole context: windows and chunks are taken out.
model::Model without_windows(const model::Model& m);
/// The model with its latent or compressed attention replaced by grouped-query attention of the same number of heads, 128 wide:
/// kv_heads of them cached (0: all, plain multi-head attention).
model::Model with_gqa(const model::Model& m, int kv_heads);

}  // namespace jevons::savings
