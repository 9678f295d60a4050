// Scheduling alone against published closed-loop benchmarks: with prefill speed and step time of each configuration given by its own
// measurements, how far is the mean TTFT? Method and mechanisms: docs/closed-loop.md.
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "base/stats.hpp"
#include "base/text.hpp"
#include "serve/cache_blocks.hpp"
#include "serve/metrics.hpp"
#include "step/linear_step.hpp"

namespace jevons::serve {
namespace {

struct Row {
  std::map<std::string, std::string> cell;
  const std::string& at(const std::string& k) const { return cell.at(k); }
  double number(const std::string& k) const { return std::stod(cell.at(k)); }
  std::string argument(const std::string& flag) const {
    for (const auto& pair : split(at("engine_args"), ';')) {
      const auto parts = split(pair, '=');
      if (parts.size() == 2 && parts[0] == flag) return std::string(parts[1]);
    }
    return {};
  }
};

std::vector<Row> usable_rows() {
  std::ifstream in(JEVONS_SOURCE_DIR "/../shared/measured/cases.csv");
  std::vector<Row> rows;
  std::string line;
  if (!std::getline(in, line)) return rows;
  const auto header = csv_cells(line);
  while (std::getline(in, line)) {
    const auto cells = csv_cells(line);
    Row r;
    for (std::size_t i = 0; i < header.size(); ++i) r.cell[std::string(header[i])] = std::string(cells[i]);
    if (r.at("mode") == "agg" && r.at("load") == "concurrency" && r.at("ttft_usable") == "yes" && !r.at("ttft_ms_mean").empty() &&
        !r.at("tpot_ms_mean").empty())
      rows.push_back(r);
  }
  return rows;
}

EnginePolicy policy_of(const Row& r) {
  EnginePolicy p = defaults_of(*parse_engine(r.at("engine")));
  p.enable_prefix_caching = false;
  p.max_num_seqs = 1024;
  for (const auto& pair : split(r.at("engine_args"), ';')) {
    const auto parts = split(pair, '=');
    if (parts.size() == 2) (void)set_option(p, parts[0], parts[1] == "on" ? "true" : std::string_view(parts[1]));
  }
  if (p.engine == Engine::vllm && r.argument("max-num-batched-tokens").empty()) p.max_num_batched_tokens = 8192;
  if (p.engine == Engine::sglang) p.max_num_batched_tokens = std::max(16384, p.chunk);
  p.max_num_seqs = std::min(p.max_num_seqs, p.prefill_first ? p.max_num_seqs : p.max_num_batched_tokens);
  return p;
}

// Cache of a row's replica: the memory of its chip at the fraction it was given.
CacheBlocks blocks_of(const catalog::Catalog& facts, const Row& r, int block_size) {
  const auto model = *model::parse_entry((*facts.find_model(r.at("model")))->json, "case");
  step::Subject s;
  s.model = &model;
  s.parameters = model::parameters(model);
  s.weights = *model::weight_scheme(model, r.at("weights").empty() ? "native" : r.at("weights"));
  s.weight_bytes = model::weight_bytes(model, s.parameters, s.weights);
  s.reserve.runtime = 4e9;  // of these engines, on the whole
  s.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, r.at("accelerator")));
  const bool fp8 = r.argument("kv-cache-dtype") == "fp8" || r.at("engine") == "trtllm";
  s.cache = model::cache_groups(model, fp8 && r.at("accelerator") != "h100-sxm" ? model::CacheFormat::fp8 : model::CacheFormat::bf16);
  for (const char* flag : {"gpu-memory-utilization", "mem-fraction-static"}) {
    if (const auto v = r.argument(flag); !v.empty()) s.memory_utilization = std::stod(v);
  }
  step::Placement p{std::stoi(r.at("tp")), std::stoi(r.at("pp")), std::stoi(r.at("dp_attention")), std::stoi(r.at("ep"))};
  if (p.dp > 1) p.tp = std::max(1, std::stoi(r.at("n_accelerators")) / p.dp);
  const double whole = r.number("isl") + r.number("osl");
  CacheBlocks cache = cache_blocks(s, p, block_size);
  cache.blocks *= p.dp;  // the time of these rows is a measured one, of all attention ranks together
  // Where the weights leave no room by our count although the run happened, the cache is not what limits it.
  if (double(cache.blocks) * block_size <= whole) cache = {std::int64_t(whole * 1024) / block_size, 0, {}};
  return cache;
}

struct Speed {
  double step = 0, token = 0, floor = 0, host = 0.02;
};
constexpr double kKappa = 2.5e-5;  // attention's share of a prompt: per pair of tokens, of the time per token

struct Means {
  double ttft = 0, tpot = 0;
};
Means run(const Row& r, const EnginePolicy& base, const CacheBlocks& cache, const Speed& v, std::uint64_t seeds) {
  EnginePolicy p = base;
  p.host_constant = SimTime(v.host * 1e9);
  const int c = int(r.number("load_value"));
  const auto form = step::form_of({.fixed = v.step, .per_prefill_token = v.token, .per_pair = v.token * kKappa, .prefill_floor = v.floor},
                                  p.max_num_seqs, p.max_num_batched_tokens);
  Deployment d;
  d.pools = {{p, &form, cache.blocks, 1, 1, 1, 1, cache.capped}};
  Means out;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    traffic::Workload w;
    Stream in({1}, seed, Draw::input_length, 0), len({1}, seed, Draw::output_length, 0);
    const auto draw = [](Stream& s, double n) {
      return std::int32_t(std::int64_t(0.8 * n) + std::int64_t(s.below(std::uint64_t(n) - std::uint64_t(0.8 * n) + 1)));
    };
    for (std::size_t i = 0; i < traffic::benchmark_requests(c); ++i) {
      w.requests.arrival.push_back(0);
      w.requests.input_tokens.push_back(draw(in, r.number("isl")));
      w.requests.output_tokens.push_back(draw(len, r.number("osl")));
    }
    w.load = traffic::ClosedLoad{.concurrency = c};
    const auto sim = *simulate(d, w);
    const auto m = measure(sim, d, w);
    out.ttft += m.ttft.mean / double(seeds);
    out.tpot += m.tpot.mean / double(seeds);
  }
  return out;
}

// x in [low, high] at which a rising f is zero: regula falsi (Illinois), to a thousandth of x or of `scale`.
template <class F>
double root(F&& f, double low, double high, double scale) {
  double at_low = f(low), at_high = f(high), x = low;
  if (at_low >= 0) return low;
  if (at_high <= 0) return high;
  for (int i = 0; i < 12; ++i) {
    x = (low * at_high - high * at_low) / (at_high - at_low);
    const double y = f(x);
    if (std::abs(y) < 1e-3 * scale) break;
    if (y > 0) {
      high = x, at_high = y;
      at_low /= 2;
    } else {
      low = x, at_low = y;
      at_high /= 2;
    }
  }
  return x;
}

// The pure decode step at which the simulated TPOT is the measured one.
Means solve_step(const Row& r, const EnginePolicy& p, const CacheBlocks& blocks, Speed& v, std::uint64_t seeds = 1) {
  const double wanted = r.number("tpot_ms_mean") * 1e-3;
  Means m;
  v.step = root(
      [&](double x) {
        v.step = x;
        m = run(r, p, blocks, v, seeds);
        return m.tpot - wanted;
      },
      wanted * 0.02, wanted, wanted);
  return m;
}

std::string configuration(const Row& r) {
  std::string key;
  for (const char* k : {"model", "accelerator", "weights", "engine", "engine_version", "date", "tp", "dp_attention", "ep", "notes"})
    key += r.at(k) + "|";
  return key;
}

// Prefill speed from the rows of lowest concurrency. One row gives the time per token. Where a configuration has long and short prompts,
// the long ones give it, and what short ones take beyond it is a constant before the engine (vLLM) or a floor of a prefill step
// (TensorRT-LLM, SGLang): that study, sections 3.7, 3.8 and 5.
struct Prefill {
  const Row& row;
  EnginePolicy policy;
  CacheBlocks blocks;
  double excess(Speed& v) const { return solve_step(row, policy, blocks, v, 2).ttft - wanted(); }
  double wanted() const { return row.number("ttft_ms_mean") * 1e-3; }
  void solve(Speed& v, double Speed::* what, double high) const {
    v.*what = root(
        [&](double x) {
          v.*what = x;
          return excess(v);
        },
        0, high, wanted());
  }
  void solve_token(Speed& v) const { solve(v, &Speed::token, wanted() / row.number("isl") * 1.5); }
};

Speed usual(const EnginePolicy& p) {
  Speed v;
  v.host = p.engine == Engine::sglang ? 0.03 : 0.02;
  return v;
}

Speed solve_speed(const Prefill& base, const Prefill* longer, const Prefill* shorter) {
  const Engine engine = base.policy.engine;
  Speed v = usual(base.policy);
  if (longer == nullptr && shorter == nullptr) {
    base.solve_token(v);
    return v;
  }
  const Prefill &far = longer != nullptr ? *longer : base, &near = shorter != nullptr ? *shorter : base;
  for (int i = 0; i < 3; ++i) {
    far.solve_token(v);
    if (engine == Engine::vllm)
      near.solve(v, &Speed::host, near.wanted());
    else
      near.solve(v, &Speed::floor, near.wanted());
  }
  return v;
}

TEST(ClosedLoop, MeanTtftOfPublishedBenchmarks) {
#ifndef NDEBUG
  GTEST_SKIP() << "ten thousand simulations: release builds only";
#endif
  const auto rows = usable_rows();
  if (rows.empty()) GTEST_SKIP() << "../shared/measured/cases.csv is not there";
  const auto facts = catalog::Catalog::builtin();
  std::map<std::string, std::map<std::pair<int, int>, std::vector<const Row*>>> configurations;  // by -isl, osl
  for (const Row& r : rows) configurations[configuration(r)][{-std::stoi(r.at("isl")), std::stoi(r.at("osl"))}].push_back(&r);
  std::vector<double> errors;
  std::map<std::string, std::vector<double>> by_engine;
  for (auto& [key, groups] : configurations) {
    for (auto& [lengths, group] : groups) {
      std::sort(group.begin(), group.end(), [](const Row* a, const Row* b) { return a->number("load_value") < b->number("load_value"); });
    }
    const auto blocks = [&](const Row& r) { return blocks_of(facts, r, policy_of(r).block_size); };
    const auto prefill = [&](const std::vector<const Row*>& group) {
      return Prefill{*group.front(), policy_of(*group.front()), blocks(*group.front())};
    };
    const bool both = groups.begin()->first.first < -4096 && groups.rbegin()->first.first > -4096;
    const Prefill longest = prefill(groups.begin()->second);
    std::optional<Speed> of_both;  // long prompts and the first kind of short ones
    int short_kinds = 0;
    for (auto& [lengths, group] : groups) {
      const Row& base = *group.front();
      const bool is_long = -lengths.first > 4096;
      Speed given;
      if (!both) {
        given = solve_speed(prefill(group), nullptr, nullptr);
      } else if (is_long || short_kinds++ == 0) {
        const Prefill shortest = prefill(std::next(groups.begin())->second);
        if (!of_both) of_both = solve_speed(longest, nullptr, &shortest);
        given = *of_both;
      } else {
        given = solve_speed(prefill(group), &longest, nullptr);
      }
      for (std::size_t i = 1; i < group.size(); ++i) {
        const Row& r = *group[i];
        Speed v = given;
        const Means m = solve_step(r, policy_of(r), blocks(r), v);
        const double error = m.ttft / (r.number("ttft_ms_mean") * 1e-3) - 1;
        errors.push_back(error);
        by_engine[r.at("engine")].push_back(error);
        if (std::getenv("VERBOSE") != nullptr)
          std::printf("%6.1f%% %s %dx%d c=%s step %.2f ms token %.1f us floor %.0f host %.0f ttft %.0f/%s base %s\n", 100 * error,
                      key.c_str(), -lengths.first, lengths.second, r.at("load_value").c_str(), v.step * 1e3, v.token * 1e6, v.floor * 1e3,
                      v.host * 1e3, m.ttft * 1e3, r.at("ttft_ms_mean").c_str(), base.at("ttft_ms_mean").c_str());
      }
    }
  }
  const auto report = [](const std::string& name, std::vector<double> e) {
    std::vector<double> a = e;
    for (double& x : a) x = std::abs(x);
    std::sort(a.begin(), a.end());
    std::sort(e.begin(), e.end());
    std::printf("%-8s n %zu  median %.1f %%  p90 %.1f %%  bias %.1f %%\n", name.c_str(), e.size(), 100 * quantile_sorted(a, 0.5),
                100 * quantile_sorted(a, 0.9), 100 * quantile_sorted(e, 0.5));
    return std::pair{quantile_sorted(a, 0.5), quantile_sorted(a, 0.9)};
  };
  for (const auto& [name, e] : by_engine) report(name, e);
  const auto [median, p90] = report("all", errors);
  EXPECT_LE(median, 0.06);
  EXPECT_LE(p90, 0.22);
}

}  // namespace
}  // namespace jevons::serve
