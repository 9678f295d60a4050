#include "evidence/replay.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/files.hpp"
#include "base/text.hpp"
#include "fabric/collectives.hpp"
#include "serve/cache_blocks.hpp"
#include "serve/engine_memory.hpp"
#include "serve/simulate.hpp"
#include "step/form_of.hpp"

namespace jevons::evidence {
namespace {

using nlohmann::json;

// vllm/config/vllm.py _set_cudagraph_sizes of 0.19: 1, 2, 4, every 8th up to 256, every 16th up to twice max_num_seqs and 512.
std::vector<int> default_captures(int max_num_seqs) {
  const int most = std::min(2 * max_num_seqs, 512);
  std::vector<int> sizes;
  for (int n = 1; n <= most; n += n < 4 ? n : n < 8 ? 4 : n < 256 ? 8 : 16) sizes.push_back(n);
  return sizes;
}

/// Values of the metadata by place: what vLLM resolved comes before what it was asked.
class Meta {
 public:
  Meta(const json& root, const std::string& file) : root_{root}, file_{file} {}

  /// The first of the places "a.b.c" that holds something; nothing if none does.
  template <class T>
  std::optional<T> find(std::initializer_list<const char*> places, double low = 0, double high = 1e15) {
    for (const auto* place : places) {
      const json* at = &root_;
      for (const auto key : split(place, '.')) {
        const auto next = at->is_object() ? at->find(std::string(key)) : at->end();
        at = at->is_object() && next != at->end() ? &*next : nullptr;
        if (at == nullptr) break;
      }
      if (at == nullptr || at->is_null()) continue;
      bool ok = false;
      if constexpr (std::is_same_v<T, std::string>) ok = at->is_string();
      if constexpr (std::is_same_v<T, bool>) ok = at->is_boolean();
      if constexpr (std::is_same_v<T, std::vector<int>>)
        ok = at->is_array() && std::all_of(at->begin(), at->end(), [](const json& v) { return v.is_number_integer(); });
      if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>)
        ok = (std::is_same_v<T, double> ? at->is_number() : at->is_number_integer()) && at->get<double>() >= low &&
             at->get<double>() <= high;
      if (ok) return at->get<T>();
      if (!error_) {
        const char* expected = std::is_same_v<T, std::string> ? "text" : std::is_same_v<T, bool> ? "true or false" : "numbers in range";
        error_ = Error{ErrorCode::bad_input, file_, 0, place, fmt::format("'{}'", at->dump().substr(0, 40)), expected, {}};
      }
      return std::nullopt;
    }
    return std::nullopt;
  }
  template <class T, class To>
  void set(To& to, std::initializer_list<const char*> places, double low = 0, double high = 1 << 30) {
    if (const auto v = find<T>(places, low, high)) to = *v;
  }
  const std::optional<Error>& error() const { return error_; }

 private:
  const json& root_;
  const std::string& file_;
  std::optional<Error> error_;
};

std::string meta_file(const std::string& log) {
  const std::filesystem::path path(log);
  std::string name = path.filename().string();
  for (const std::string_view ending : {".gz", ".jsonl", "requests"}) {
    if (name.ends_with(ending)) name.resize(name.size() - ending.size());
  }
  if (!name.empty() && !name.ends_with('_')) name += '_';
  return (path.parent_path() / (name + "meta.json")).string();
}

Result<void> read_meta(Meta& m, RunSetup& s) {
  m.set<std::string>(s.model, {"resolved_config.model_config.model", "engine_kwargs.model", "model"});
  m.set<std::string>(s.gpu, {"hardware.device_name"});
  s.memory = m.find<double>({"hardware.device_total_memory_bytes"}, 1);
  s.memory_fraction = m.find<double>(
      {"resolved_config.cache_config.gpu_memory_utilization", "kv_cache.gpu_memory_utilization", "engine_kwargs.gpu_memory_utilization"},
      0.01, 1);
  m.set<std::string>(s.version, {"vllm_version"});
  m.set<int>(s.tp, {"resolved_config.parallel_config.tensor_parallel_size", "engine_kwargs.tensor_parallel_size"}, 1, 1024);
  s.policy = serve::defaults_of(serve::Engine::vllm, s.memory.value_or(0), s.gpu.find("A100") != std::string::npos);
  auto& p = s.policy;
  using Places = std::initializer_list<const char*>;
  const auto count = [&](std::int32_t& to, const Places& places) { m.set<std::int32_t>(to, places, 1); };
  count(p.max_num_seqs, {"resolved_config.scheduler_config.max_num_seqs", "engine_kwargs.max_num_seqs"});
  count(p.max_num_batched_tokens, {"resolved_config.scheduler_config.max_num_batched_tokens", "engine_kwargs.max_num_batched_tokens"});
  count(p.max_model_len, {"resolved_config.model_config.max_model_len", "engine_kwargs.max_model_len"});
  count(p.block_size, {"resolved_config.cache_config.block_size", "kv_cache.block_size", "engine_kwargs.block_size"});
  m.set<bool>(p.enable_prefix_caching, {"resolved_config.cache_config.enable_prefix_caching", "kv_cache.enable_prefix_caching",
                                        "engine_kwargs.enable_prefix_caching"});
  m.set<bool>(p.chunked_prefill, {"resolved_config.scheduler_config.enable_chunked_prefill", "engine_kwargs.enable_chunked_prefill"});
  bool async = p.lag > 0, whole = p.admission == serve::Admission::prompt, eager = false;
  m.set<bool>(async, {"resolved_config.scheduler_config.async_scheduling", "engine_kwargs.async_scheduling"});
  m.set<bool>(whole, {"resolved_config.scheduler_config.scheduler_reserve_full_isl", "engine_kwargs.scheduler_reserve_full_isl"});
  m.set<bool>(eager, {"resolved_config.model_config.enforce_eager", "engine_kwargs.enforce_eager"});
  p.lag = async ? 1 : 0;
  p.admission = whole ? serve::Admission::prompt : serve::Admission::chunk;
  s.blocks = m.find<std::int64_t>({"resolved_config.cache_config.num_gpu_blocks", "kv_cache.num_gpu_blocks"}, 2);
  s.capture_sizes =
      m.find<std::vector<int>>({"resolved_config.compilation_config.cudagraph_capture_sizes"}).value_or(default_captures(p.max_num_seqs));
  if (eager) s.capture_sizes.clear();
  std::sort(s.capture_sizes.begin(), s.capture_sizes.end());
  int pp = 1, dp = 1;
  m.set<int>(pp, {"resolved_config.parallel_config.pipeline_parallel_size", "engine_kwargs.pipeline_parallel_size"}, 1, 1024);
  m.set<int>(dp, {"resolved_config.parallel_config.data_parallel_size", "engine_kwargs.data_parallel_size"}, 1, 1024);
  if (m.error()) return fail(*m.error());
  if (pp > 1 || dp > 1)
    return fail({ErrorCode::unsupported,
                 s.file,
                 0,
                 pp > 1 ? "pipeline_parallel_size" : "data_parallel_size",
                 fmt::format("{} is not replayed", std::max(pp, dp)),
                 "1: one engine of tensor-parallel ranks",
                 {}});
  return {};
}

}  // namespace

Result<RunSetup> read_setup(const std::string& log) {
  RunSetup s;
  s.policy = serve::defaults_of(serve::Engine::vllm);
  s.capture_sizes = default_captures(s.policy.max_num_seqs);
  const std::string file = meta_file(log);
  std::error_code status;
  if (!std::filesystem::exists(file, status)) return s;
  s.file = file;
  JEVONS_TRY(const std::string text, read_file(file, 16u << 20));
  const json root = json::parse(text, nullptr, false);
  if (!root.is_object()) return fail({ErrorCode::bad_input, file, 0, {}, "is no JSON object", "the metadata of a vLLM run", {}});
  Meta meta(root, file);
  JEVONS_CHECK(read_meta(meta, s));
  return s;
}

double ks_distance(std::vector<double> a, std::vector<double> b) {
  JEVONS_ENSURE(!a.empty() && !b.empty());
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  double most = 0;
  for (std::size_t i = 0, k = 0; i < a.size() && k < b.size();) {
    const double x = std::min(a[i], b[k]);
    while (i < a.size() && a[i] <= x) ++i;
    while (k < b.size() && b[k] <= x) ++k;
    most = std::max(most, std::abs(double(i) / double(a.size()) - double(k) / double(b.size())));
  }
  return most;
}

std::vector<double> longest_over_mean(const traffic::Requests& q, double share, int max_n) {
  // The contexts of the batch as a sample, then its quantile function at the middles of kCells equal parts.
  constexpr std::size_t kCells = 512, kRequests = 4096;
  constexpr int kStride = 8;
  std::vector<double> sample;
  for (std::size_t r = 0; r < q.size(); r += 1 + q.size() / kRequests) {
    for (int t = 0; t < q.output_tokens[r]; t += kStride) sample.push_back(q.input_tokens[r] + t + kStride / 2.0);
  }
  std::sort(sample.begin(), sample.end());
  std::vector<double> context(kCells);
  for (std::size_t i = 0; i < kCells; ++i) context[i] = sample[(2 * i + 1) * sample.size() / (2 * kCells)];
  const double mean = std::accumulate(context.begin(), context.end(), 0.0) / double(kCells);
  std::vector<double> out{1};
  for (int n = 1; n <= max_n; ++n) {
    // A sequence at quantile u is among the longest k of n if at most k − 1 of the other n − 1 are longer: a binomial sum.
    const int k = std::max(1, int(std::lround(share * n)));
    double sum = 0;
    for (std::size_t i = 0; i < kCells; ++i) {
      const double u = (double(i) + 0.5) / double(kCells), odds = (1 - u) / u;
      double term = std::pow(u, n - 1), among = 0;
      for (int longer = 0; longer < k; ++longer) {
        among += term;
        term *= odds * double(n - 1 - longer) / double(longer + 1);
      }
      sum += context[i] * among;
    }
    out.push_back(std::max(1.0, sum * n / double(kCells) / k / mean));
  }
  return out;
}

namespace {

// "meta-llama/Llama-3.1-8B" and "NVIDIA GeForce RTX 4090" as the catalogue names them.
std::string model_name(const std::string& recorded) { return lower(recorded.substr(recorded.rfind('/') + 1)); }
// Each word of the catalogue's name is one of the device's; how it is mounted, only SXM cards of the older ones say.
const catalog::Thing* find_gpu(const catalog::Catalog& catalog, std::string device) {
  std::replace(device.begin(), device.end(), '-', ' ');
  const std::string text = " " + lower(device) + " ";
  const auto has = [&](std::string_view word) { return text.find(fmt::format(" {} ", word)) != std::string::npos; };
  const catalog::Thing* best = nullptr;
  for (const auto* t : catalog.things(catalog::Section::accelerator)) {
    bool all = true;
    for (const auto word : split(t->name, '-')) {
      const bool mount = (word == "sxm" && !has("pcie")) || word.starts_with("nvl");
      all = all && (mount || has(word) || (word.ends_with('g') && has(fmt::format("{}b", word))));
    }
    if (all && (best == nullptr || t->name.size() > best->name.size())) best = t;
  }
  return best;
}

struct World {
  std::optional<model::Model> model;
  step::Subject subject;
  const catalog::Thing* gpu = nullptr;
};

bool is_tuning(std::string_view word) {
  constexpr std::string_view kWords[] = {"instruct", "chat", "thinking", "it", "base", "hf"};
  const bool date = word.size() == 4 && word.find_first_not_of("0123456789") == std::string_view::npos;
  return date || std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

Result<void> look_up(const catalog::Catalog& catalog, Replay& r, World& w) {
  auto entry = catalog.find_model(model_name(r.model));
  // A tuned model has the shape of the one it was tuned from: "Qwen3-30B-A3B-Instruct-2507".
  for (std::string name = model_name(r.model); !entry;) {
    const auto dash = name.rfind('-');
    if (dash == std::string::npos || !is_tuning(std::string_view(name).substr(dash + 1))) break;
    name.resize(dash);
    entry = catalog.find_model(name);
    if (entry) r.notes.push_back(fmt::format("{} has the shape of {}.", r.model, name));
  }
  if (!entry) {
    Error e = entry.error();
    e.file = r.setup.file;
    e.key = "model";
    return fail(std::move(e));
  }
  JEVONS_TRY(w.model, model::parse_entry((*entry)->json, (*entry)->file));
  w.gpu = find_gpu(catalog, r.gpu);
  if (w.gpu == nullptr) return {};
  step::Subject& s = w.subject;
  s.model = &*w.model;
  s.parameters = model::parameters(*w.model);
  JEVONS_TRY(s.weights, model::weight_scheme(*w.model, "native"));
  s.weight_bytes = model::weight_bytes(*w.model, s.parameters, s.weights);
  s.cache_format = model::resolve(*w.model, model::CacheFormat::native);
  s.cache = model::cache_groups(*w.model, s.cache_format);
  s.chip = catalog::accelerator(*w.gpu);
  if (r.setup.memory && s.chip.memory) {
    s.chip.memory_reported = s.chip.memory;
    s.chip.memory_reported->value = Bytes{*r.setup.memory};
  }
  return serve::share_memory(catalog, r.setup.policy, {.tp = r.tp}, r.setup.memory_fraction, s, r.setup.version);
}

Error unknown_gpu(const Replay& r, std::string_view why) {
  return {ErrorCode::not_found,
          r.setup.file,
          0,
          "hardware.device_name",
          fmt::format("'{}' is not in the catalogue", r.gpu),
          "a GPU it knows (jevons catalog list)",
          std::string(why)};
}

Result<std::int64_t> blocks_of(Replay& r, const World& w) {
  if (r.setup.blocks) return *r.setup.blocks - 1;  // one is vLLM's null block (vllm/v1/core/block_pool.py)
  if (w.gpu == nullptr) return fail(unknown_gpu(r, "its memory gives the cache blocks, which the run's metadata does not state"));
  const std::int64_t blocks = serve::cache_blocks(w.subject, {.tp = r.tp}, r.setup.policy.block_size).blocks - 1;
  r.notes.push_back(fmt::format("The metadata state no num_gpu_blocks: {} follow from memory, weights and a reserve of {:.2g} GB.", blocks,
                                w.subject.reserve.total() / 1e9));
  return blocks;
}

// Reductions of a tensor-parallel step: after the embedding, and twice a layer; logits are gathered from all ranks.
// Source: RowParallelLinear, VocabParallelEmbedding and LogitsProcessor of vLLM; times: catalog/collectives.
Result<void> add_collectives(const catalog::Catalog& catalog, const Replay& r, const World& w, StepContent& c) {
  if (r.tp == 1) return {};
  if (w.gpu == nullptr) return fail(unknown_gpu(r, "its all-reduce is not in the profile"));
  const auto fit = [&](std::string_view op) {  // both formats have two bytes
    const auto own = fabric::measured_fit(catalog, w.gpu->name, op, r.tp, "bf16");
    return own ? own : fabric::measured_fit(catalog, w.gpu->name, op, r.tp, "fp16");
  };
  const auto reduce = fit("all_reduce"), gather = fit("all_gather"), own = fit("custom_all_reduce");
  if (!reduce || !gather)
    return fail({ErrorCode::unsupported,
                 r.setup.file,
                 0,
                 "tensor_parallel_size",
                 fmt::format("nobody measured collectives of {} x {}", r.tp, w.gpu->name),
                 "all_reduce and all_gather in catalog/collectives",
                 {}});
  constexpr double kBytes = 2;            // activations are bf16
  constexpr Bytes kCustomLimit{8 << 20};  // above, vLLM leaves it to NCCL (custom_all_reduce.py should_custom_ar)
  const double hidden = double(w.model->hidden), vocab = double(w.model->vocab);
  c.reduce = [nccl = *reduce, own = own.value_or(*reduce), row = hidden * kBytes, tp = r.tp, times = 1 + 2 * c.layers](double tokens) {
    const Bytes bytes{tokens * row};
    return times * fabric::fitted_time(bytes < kCustomLimit ? own : nccl, "all_reduce", tp, bytes).value();
  };
  c.gather = [time = *gather, row = vocab * kBytes, tp = r.tp](double n) {
    return fabric::fitted_time(time, "all_gather", tp, Bytes{n * row}).value();
  };
  return {};
}

// The run's requests as its engine met them. Nothing is known about shared prefixes, so each has blocks of its own: a preempted request
// finds what is left of them.
traffic::Workload workload_of(const traffic::Trace& t, const RunSetup& s) {
  const auto& queued = t.measured->queued;
  std::vector<std::size_t> order(queued.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return queued[a] < queued[b]; });
  traffic::Workload w;
  auto& q = w.requests;
  traffic::BlockId block = 0;
  if (s.policy.enable_prefix_caching) {
    q.prefix.block_tokens = s.policy.block_size;
    q.prefix.offset.push_back(0);
  }
  for (const std::size_t r : order) {
    q.arrival.push_back(queued[r] - queued[order[0]]);
    q.input_tokens.push_back(t.requests.input_tokens[r]);
    q.output_tokens.push_back(t.requests.output_tokens[r]);
    if (!s.policy.enable_prefix_caching) continue;
    const auto count = std::uint32_t((q.input_tokens.back() + q.output_tokens.back() + s.policy.block_size - 1) / s.policy.block_size);
    q.prefix.run.push_back({block, count});
    q.prefix.offset.push_back(q.prefix.run.size());
    block += count;
  }
  w.load = traffic::OpenLoad{};
  return w;
}

void score(Replay& r, const traffic::Trace& t, const traffic::Workload& w, const serve::Outcomes& o) {
  constexpr double kNs = 1e-9;
  const auto& m = *t.measured;
  std::vector<double> tpot, tpot_measured;
  traffic::SimTime first = m.queued[0], last = 0, end = 0;
  for (std::size_t i = 0; i < w.requests.size(); ++i) {
    const double outputs = w.requests.output_tokens[i] - 1;
    r.ttft_s.push_back(double(o.first_token[i] - w.requests.arrival[i]) * kNs);
    if (outputs > 0) tpot.push_back(double(o.finished[i] - o.first_token[i]) * kNs / outputs);
    end = std::max(end, o.finished[i]);
    r.ttft_measured_each_s.push_back(double(m.first_token[i] - m.queued[i]) * kNs);
    const double recorded = t.requests.output_tokens[i] - 1;
    if (recorded > 0) tpot_measured.push_back(double(m.last_token[i] - m.first_token[i]) * kNs / recorded);
    first = std::min(first, m.queued[i]);
    last = std::max(last, m.last_token[i]);
  }
  const auto mean = [](const std::vector<double>& v) {
    return v.empty() ? 0 : std::accumulate(v.begin(), v.end(), 0.0) / double(v.size());
  };
  r.n = w.requests.size();
  r.n_tpot = tpot.size();
  r.ttft_mean_s = mean(r.ttft_s);
  r.ttft_measured_s = mean(r.ttft_measured_each_s);
  r.tpot_mean_s = mean(tpot);
  r.tpot_measured_s = mean(tpot_measured);
  r.makespan_s = double(end) * kNs;
  r.makespan_measured_s = double(last - first) * kNs;
  r.ttft_ks = ks_distance(r.ttft_s, r.ttft_measured_each_s);
  if (!tpot.empty()) r.tpot_ks = ks_distance(tpot, tpot_measured);
}

Result<void> agree(const Replay& r) {
  const Profile& p = *r.profile;
  const auto differ = [&](const char* key, std::string what, std::string expected) {
    return fail({ErrorCode::bad_input, p.files[0], 0, key, std::move(what), std::move(expected), "name the profile of the run's own"});
  };
  if (model_name(p.model) != model_name(r.model))
    return differ("model", fmt::format("the profile is of {}", p.model), fmt::format("{}, the model of {}", r.model, r.setup.file));
  if (p.tp != r.tp)
    return differ("tp", fmt::format("the profile is of tensor parallelism {}", p.tp), fmt::format("{}, as {} states", r.tp, r.setup.file));
  return {};
}

struct Mean {
  double input = 0;
  std::int64_t longest = 1;
};
Mean mean_of(const traffic::Requests& q) {
  Mean m;
  for (std::size_t i = 0; i < q.size(); ++i) {
    m.input += q.input_tokens[i] / double(q.size());
    m.longest = std::max(m.longest, std::int64_t(q.input_tokens[i]) + q.output_tokens[i]);
  }
  return m;
}

// Experts by their own table; where the profile has none, by the step model of docs/step-time.md.
Result<void> add_experts(const catalog::Catalog& catalog, Replay& r, const World& w, StepContent& c) {
  const model::Moe* moe = nullptr;
  for (const auto& kind : w.model->kinds) {
    if (!kind.layer.moe || kind.layer.dense) continue;
    moe = &*kind.layer.moe;
    c.expert_layers += kind.count;
  }
  if (c.expert_layers < w.model->layers() && !r.profile->dense.contains("down_proj"))
    return fail({ErrorCode::bad_input, r.profile->files[1], 0, "layer", "'down_proj' is missing", "rows of it", {}});
  if (moe == nullptr) return {};
  if (w.gpu == nullptr) return fail(unknown_gpu(r, "how many experts its steps touch, or what they take, is not in the profile"));
  JEVONS_TRY(step::StepTime time, step::StepTime::make(catalog, w.subject, {.tp = r.tp}));
  if (r.profile->experts.x.empty()) {
    r.notes.push_back("The profile has no table of experts (moe.csv): theirs are the times of docs/step-time.md.");
    c.experts = [time = std::move(time)](double tokens) { return time.expert_seconds(tokens); };
  } else {
    c.distinct_experts = [experts = moe->experts, k = moe->top_k, exponent = time.served()[step::Fit::routing_exponent]](double tokens) {
      return model::distinct_experts(experts, k, std::pow(tokens, exponent));
    };
  }
  return {};
}

Result<step::StepForm> step_times(const catalog::Catalog& catalog, Replay& r, const World& w, const traffic::Requests& q) {
  const Mean mean = mean_of(q);
  const auto& policy = r.setup.policy;
  if (r.profile) {
    StepContent c{.layers = w.model->layers(),
                  .max_num_seqs = policy.max_num_seqs,
                  .max_num_batched_tokens = policy.max_num_batched_tokens,
                  .capture_sizes = r.setup.capture_sizes,
                  .chunk = std::min(mean.input, double(policy.max_num_batched_tokens)),
                  .longest = longest_over_mean(q, r.profile->skew_share, policy.max_num_seqs)};
    JEVONS_CHECK(add_experts(catalog, r, w, c));
    JEVONS_CHECK(add_collectives(catalog, r, w, c));
    return form_of(*r.profile, c);
  }
  if (w.gpu == nullptr) return fail(unknown_gpu(r, "give the GPU's operator profile with --profile"));
  JEVONS_TRY(const step::StepTime time, step::StepTime::make(catalog, w.subject, {.tp = r.tp}));
  return step::form_of(time, {.max_batch = policy.max_num_seqs, .max_tokens = policy.max_num_batched_tokens, .max_context = mean.longest});
}

}  // namespace

Result<Replay> replay(const catalog::Catalog& catalog, const std::string& log, const std::vector<std::string>& profile) {
  Replay r;
  const auto read = traffic::read_trace(log, {.format = traffic::Format::vllm_run});
  if (!read) {
    Error e = read.error();
    e.hint = "a log of a vLLM run has the fields of docs/replay.md";  // rows are not skipped: every request weighs on the others
    return fail(std::move(e));
  }
  const traffic::Trace& trace = *read;
  JEVONS_TRY(r.setup, read_setup(log));
  if (!profile.empty()) {
    JEVONS_TRY(r.profile, read_profile(profile));
  }
  const bool known = !r.setup.model.empty();
  if (!known && !r.profile)
    return fail({ErrorCode::not_found, meta_file(log), 0, "model", "nothing says which model ran", "the run's metadata, or a profile", {}});
  r.model = known ? r.setup.model : r.profile->model;
  r.gpu = r.setup.gpu.empty() && r.profile ? r.profile->gpu : r.setup.gpu;
  r.tp = known ? r.setup.tp : r.profile->tp;
  if (r.setup.file.empty()) r.notes.push_back(fmt::format("No {}: the engine's options are vLLM's defaults.", meta_file(log)));
  if (r.profile) JEVONS_CHECK(agree(r));
  World world;
  JEVONS_CHECK(look_up(catalog, r, world));
  JEVONS_TRY(r.setup.policy, serve::checked(r.setup.policy));
  const traffic::Workload workload = workload_of(trace, r.setup);
  JEVONS_TRY(r.blocks, blocks_of(r, world));
  JEVONS_TRY(const step::StepForm form, step_times(catalog, r, world, workload.requests));
  serve::Pool pool{.policy = r.setup.policy, .form = &form, .blocks = r.blocks + 1, .accelerators = r.tp};
  JEVONS_TRY(const serve::Simulation simulation, serve::simulate({{pool}}, workload));
  r.preemptions = simulation.replicas[0].preemptions;
  if (const auto rejected = simulation.replicas[0].rejected; rejected > 0)
    return fail({ErrorCode::bad_input,
                 log,
                 0,
                 {},
                 fmt::format("{} of its requests cannot fit {} cache blocks", rejected, r.blocks),
                 "a run that its engine could serve",
                 "check num_gpu_blocks and max_model_len of the metadata"});
  score(r, trace, workload, simulation.outcomes);
  return r;
}

}  // namespace jevons::evidence
