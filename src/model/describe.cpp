#include "model/describe.hpp"

#include <nlohmann/json.hpp>
#include <string>

namespace jevons::model {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::int64_t kContexts[] = {1, 1024, 8192, 131072, 1048576};

Json groups_json(const Counts& c) {
  Json j = Json::object();
  for (std::size_t i = 0; i < kGroups; ++i) {
    if (c.of[i] != 0) j[std::string(name(Group(i)))] = c.of[i];
  }
  return j;
}

Json flops_json(const AttentionFlops& f) { return {{"core", f.core}, {"index", f.index}, {"recurrent", f.recurrent}}; }

}  // namespace

Json describe(const Model& m, const Parameters& p) {
  Json j;
  j["total_params"] = p.total;
  j["mtp_params"] = p.mtp.total();
  j["active_params"] = p.active;
  j["active_params_no_input_embedding"] = p.active_no_input_embedding;
  j["active_params_no_embeddings"] = p.active_no_embeddings;
  j["groups"] = groups_json(p.main);
  j["mtp_groups"] = groups_json(p.mtp);
  for (const auto format : {CacheFormat::bf16, CacheFormat::fp8}) {
    const auto groups = cache_groups(m, format);
    const std::string suffix(name(format));
    for (const auto n : kContexts) j["kv_" + suffix][std::to_string(n)] = cache_stored(groups, n);
    for (const auto n : kContexts) {
      if (n >= 8192) j["cache_read_" + suffix][std::to_string(n)] = cache_read(groups, n);
    }
    if (format == CacheFormat::bf16) {
      j["kv_slope_bf16"] = cache_slope(groups);
      j["state_fixed_bf16"] = cache_fixed(groups);
    }
  }
  j["compressor_state_bytes"] = compressor_state(m);
  j["decode_linear_flops"] = decode_linear_flops(p);
  for (const auto n : kContexts) {
    if (n > 1) j["decode_attn_flops"][std::to_string(n)] = flops_json(decode_attention_flops(m, n));
  }
  j["decode_attn_flops_naive_mla"]["8192"] = flops_json(decode_attention_flops(m, 8192, MlaMode::naive));
  const PrefillFlops f = prefill_flops(m, p, 8192);
  j["prefill_flops_8192"] = {{"linear", f.linear}, {"attention", f.attention}, {"total", f.total()}};
  return j;
}

}  // namespace jevons::model
