#pragma once
#include <nlohmann/json_fwd.hpp>

#include "model/account.hpp"

namespace jevons::model {

/// Every number of the accounting at fixed contexts, under fixed names: what `jevons model --format json` prints.
/// total_params, mtp_params, active_params…, groups, mtp_groups, kv_bf16 and kv_fp8 at 1, 1024, 8192, 131072 and 1048576 tokens,
/// cache_read_*, kv_slope_bf16, state_fixed_bf16, decode_linear_flops, decode_attn_flops, decode_attn_flops_naive_mla, prefill_flops_8192.
nlohmann::ordered_json describe(const Model& model, const Parameters& parameters);

}  // namespace jevons::model
