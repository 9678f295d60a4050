#include "engine/simulate_tiers.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "serve/host_tier.hpp"

namespace jevons::engine {
namespace {

const report::Origin kCounted{"simulated", "serve::Counters in src/serve/outcomes.hpp", "docs/glossary.md"};

using T = OptionType;
constexpr OptionSpec kTierOptions[] = {
    {.path = "tiers.max_local_cpu_size",
     .flag = "--max-local-cpu-size",
     .type = T::number,
     .unit = "GiB",
     .low = 1e-3,
     .high = 1e7,
     .help = "cache blocks in host memory, all accelerators of a replica together (LMCache)"},
    {.path = "tiers.max_local_disk_size",
     .flag = "--max-local-disk-size",
     .type = T::number,
     .unit = "GiB",
     .low = 1e-3,
     .high = 1e9,
     .help = "cache blocks on local SSD (LMCache)"},
    {.path = "tiers.remote_size",
     .flag = "--remote-size",
     .type = T::number,
     .unit = "GiB",
     .low = 1e-3,
     .high = 1e9,
     .help = "cache blocks in a remote store, a replica's share"},
    {.path = "tiers.host_rate",
     .type = T::number,
     .unit = "GB/s",
     .low = 1e-3,
     .high = 1e5,
     .help = "link of one accelerator to host memory, each way (default: catalogue)"},
    {.path = "tiers.disk_rate", .type = T::number, .unit = "GB/s", .low = 1e-3, .high = 1e5, .help = "SSD of a replica, each way"},
    {.path = "tiers.remote_rate", .type = T::number, .unit = "GB/s", .low = 1e-3, .high = 1e5, .help = "a replica to the store, each way"},
    {.path = "tiers.write_policy",
     .flag = "--kv-write-policy",
     .type = T::choice,
     .choices = "write-through|write-back",
     .help = "blocks go to the tiers when computed, or when the tier above drops them"},
    {.path = "tiers.fetch_policy",
     .flag = "--kv-fetch-policy",
     .type = T::choice,
     .choices = "fastest|always",
     .help = "found blocks are fetched if that is sooner than computing them (default), or always (vLLM, LMCache)"},
};

constexpr std::string_view kTierNames[] = {"host", "disk", "remote"};
constexpr double kGiB = 1 << 30;

}  // namespace

std::span<const OptionSpec> tier_options() { return kTierOptions; }

Result<serve::TierSet> tiers_of(const catalog::Catalog& catalog, const Settings& s, const step::Subject& subject,
                                const step::Placement& placement, const serve::EnginePolicy& policy, const serve::CacheBlocks& cache) {
  const int accelerators = placement.tp * placement.pp;
  const double block = cache.block_bytes * accelerators;  // what ranks hold more than once is stored more than once
  std::array<double, serve::kTiers> bytes{serve::host_cache_bytes(policy, accelerators, block * double(cache.blocks)), 0, 0};
  constexpr const char* kSizes[] = {"tiers.max_local_cpu_size", "tiers.max_local_disk_size", "tiers.remote_size"};
  constexpr const char* kRates[] = {"tiers.host_rate", "tiers.disk_rate", "tiers.remote_rate"};
  if (bytes[0] > 0 && s.has(kSizes[0])) return fail(s.error(kSizes[0], "beside the engine's own size of the host cache", "one of the two"));
  JEVONS_TRY(const catalog::Thing* facts, catalog.find(catalog::Section::efficiency, "kv-tiers"));
  JEVONS_TRY(const double host, serve::host_link_rate(catalog, subject.chip));
  double rates[] = {host * accelerators, facts->get<BytesPerSecond>("ssd_rate")->value.value(),
                    facts->get<BytesPerSecond>("remote_rate")->value.value()};
  constexpr const char* kLatencies[] = {"host_latency", "ssd_latency", "remote_latency"};
  serve::TierSet tiers;
  for (std::size_t t = 0; t < serve::kTiers; ++t) {
    if (s.has(kSizes[t])) bytes[t] = s.number(kSizes[t]) * kGiB;
    if (s.has(kRates[t])) rates[t] = s.number(kRates[t]) * 1e9 * (t == 0 ? accelerators : 1);
    if (bytes[t] == 0) {
      if (s.has(kRates[t])) return fail(s.error(kRates[t], "has no effect without that tier", fmt::format("{} as well", kSizes[t])));
      continue;
    }
    const step::Ticks each = step::ticks_of(block / rates[t]);
    tiers.tier[t] = {std::int64_t(bytes[t] / block), each, each, step::ticks_of(facts->get<Seconds>(kLatencies[t])->value.value())};
    if (tiers.tier[t].blocks == 0)
      return fail(s.error(kSizes[t], fmt::format("is below one cache block of {:.4g} MB", block / 1e6), "more"));
  }
  for (const auto* path : {"tiers.write_policy", "tiers.fetch_policy"}) {
    if (s.has(path) && !tiers.any()) return fail(s.error(path, "has no effect without a tier", "the size of one as well"));
  }
  tiers.write = serve::write_policy(policy);
  if (s.has("tiers.write_policy"))
    tiers.write = s.text("tiers.write_policy") == "write-back" ? serve::WritePolicy::write_back : serve::WritePolicy::write_through;
  if (s.has("tiers.fetch_policy") && s.text("tiers.fetch_policy") == "always") tiers.fetch = serve::FetchPolicy::always;
  return tiers;
}

void put_tiers(report::Document& d, const serve::Pool& pool, const serve::Metrics& m) {
  if (!pool.tiers.any()) return;
  std::string links;
  for (std::size_t t = 0; t < serve::kTiers; ++t) {
    const serve::TierSpec& tier = pool.tiers.tier[t];
    if (tier.blocks == 0) continue;
    d.values.push_back({fmt::format("kv_cache.hit_rate_{}", kTierNames[t]), fmt::format("prompt tokens fetched from {}", kTierNames[t]), "",
                        m.tier_hit_rate[t], kCounted});
    d.values.push_back({fmt::format("kv_cache.written_{}", kTierNames[t]), fmt::format("cache blocks written to {}", kTierNames[t]), "",
                        double(m.tier_written[t]), kCounted});
    links += fmt::format("{}{} {} blocks, {:.3g} ms each", links.empty() ? "" : "; ", kTierNames[t], tier.blocks,
                         step::seconds_of(tier.read) * 1e3);
  }
  d.values.push_back({"kv_cache.recomputed", "prompt tokens that a tier had, sooner computed", "", m.tier_recomputed, kCounted});
  d.values.push_back({"kv_cache.fetches", "requests that waited for a tier", "", double(m.fetches), kCounted});
  d.values.push_back({"kv_cache.fetch_wait_ms", "their mean wait", "ms", m.fetch_wait_s * 1e3, kCounted});
  d.notes.push_back(fmt::format("Cache tiers of a replica, {}: {} (links: catalog/efficiency/kv-tiers.yaml unless given).",
                                pool.tiers.write == serve::WritePolicy::write_back ? "write-back" : "write-through", links));
}

Result<double> expert_imbalance_of(const Settings& s, const model::Model& model, const step::Placement& placement) {
  constexpr const char* kPath = "placement.expert_imbalance";
  if (!s.has(kPath)) return 0.0;
  if (!model::has_experts(model) || placement.ep == 1)
    return fail(s.error(kPath, "has no effect without experts spread over ranks", "a model with experts, ep above 1"));
  if (s.number(kPath) > placement.ep)
    return fail(s.error(kPath, fmt::format("{} is more than {} ranks can be off", s.number(kPath), placement.ep),
                        fmt::format("1 to {}", placement.ep)));
  return s.number(kPath);
}

Result<serve::LoraCost> adapters_of(const catalog::Catalog& catalog, step::Subject& subject, const step::Placement& placement,
                                    const serve::EnginePolicy& policy) {
  if (!policy.enable_lora) return serve::LoraCost{};
  JEVONS_TRY(const serve::LoraModel lora, serve::lora_model(catalog, subject, placement, policy.max_lora_rank));
  subject.reserve.adapters += policy.max_loras * lora.slot_bytes;
  return lora.cost;
}

void put_adapters(report::Document& d, const serve::Pool& pool, const serve::Metrics& m) {
  if (!pool.policy.enable_lora) return;
  d.values.push_back({"lora.loads", "adapters loaded into a slot", "", double(m.adapter_loads), kCounted});
  d.values.push_back({"lora.storage_reads", "of these read from storage first", "", double(m.adapter_reads), kCounted});
  d.values.push_back({"lora.passed", "admissions past a request waiting for a slot", "", double(m.adapter_passed), kCounted});
  d.values.push_back({"lora.time_share", "busy time that adapters add, loads included", "", m.adapter_time, kCounted});
  d.notes.push_back(
      fmt::format("Adapters: {} slots of rank {}; a step with adapters takes {:.3g} ms more, {:.3g} ms for each; loading one "
                  "{:.3g} ms (facts of catalog/efficiency/lora.yaml).",
                  pool.policy.max_loras, pool.policy.max_lora_rank, step::seconds_of(pool.lora.any) * 1e3,
                  step::seconds_of(pool.lora.each) * 1e3, step::seconds_of(pool.lora.load) * 1e3));
}

}  // namespace jevons::engine
