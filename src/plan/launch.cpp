#include "plan/launch.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace jevons::plan {
namespace {

using serve::Engine;
using serve::Role;

std::string_view role_name(Role r) { return r == Role::both ? "serve" : r == Role::prefill ? "prefill" : "decode"; }

// Arguments in order; one flag a line in scripts.
struct Line {
  std::string text;
  void add(std::string_view flag) { text += fmt::format(" {}", flag); }
  template <class T>
  void add(std::string_view flag, const T& value) {
    text += fmt::format(" {} {}", flag, value);
  }
};

bool fp8_cache(const Design& d) { return d.subject->cache_format != model::CacheFormat::bf16; }
bool changed_weights(const Design& d) { return d.subject->weights.name != d.subject->model->native_weights; }

// The share of memory is the engine's own notion of it: that of another engine would mean something else.
void add_memory(Line& l, std::string_view flag, const Design& d, const LaunchOptions& o, Engine engine) {
  if (o.memory_fraction || d.policy.engine == engine) l.add(flag, o.memory_fraction.value_or(d.subject->memory_utilization));
}

Line vllm(const Design& d, const LaunchOptions& o, Role role, std::string_view program) {
  Line l{std::string(program)};
  const auto& p = d.placement;
  l.add("--tensor-parallel-size", p.tp);
  if (p.pp > 1) l.add("--pipeline-parallel-size", p.pp);
  if (p.dp > 1) l.add("--data-parallel-size", p.dp);
  if (p.ep > 1) l.add("--enable-expert-parallel");
  if (p.dcp > 1) l.add("--decode-context-parallel-size", p.dcp);
  l.add("--max-num-seqs", d.policy.max_num_seqs);
  l.add("--max-num-batched-tokens", d.policy.max_num_batched_tokens);
  l.add("--max-model-len", o.max_model_len);
  l.add("--block-size", d.policy.block_size);
  add_memory(l, "--gpu-memory-utilization", d, o, Engine::vllm);
  if (changed_weights(d)) l.add("--quantization", d.subject->weights.name);
  if (fp8_cache(d)) l.add("--kv-cache-dtype", "fp8");
  if (!d.policy.enable_prefix_caching) l.add("--no-enable-prefix-caching");
  if (d.host_gib > 0) l.add("--kv-offloading-size", fmt::format("{:g}", d.host_gib));
  if (d.draft_tokens > 0)
    l.add("--speculative-config", fmt::format("'{{\"method\": \"mtp\", \"num_speculative_tokens\": {}}}'", d.draft_tokens));
  if (role != Role::both && program.starts_with("vllm"))
    l.add("--kv-transfer-config", fmt::format("'{{\"kv_connector\": \"NixlConnector\", \"kv_role\": \"{}\"}}'",
                                              role == Role::prefill ? "kv_producer" : "kv_consumer"));
  return l;
}

// SGLang counts all ranks as tensor parallel and divides its limits among the attention ranks.
Line sglang(const Design& d, const LaunchOptions& o, Role role) {
  Line l{fmt::format("python3 -m sglang.launch_server --model-path {}", o.model)};
  const auto& p = d.placement;
  l.add("--tp-size", p.tp * p.dp);
  if (p.pp > 1) l.add("--pp-size", p.pp);
  if (p.dp > 1) l.add("--dp-size", p.dp), l.add("--enable-dp-attention");
  if (p.ep > 1) l.add("--ep-size", p.ep);
  const int chunk = d.policy.chunk > 0 ? d.policy.chunk : d.policy.max_num_batched_tokens;
  l.add("--max-running-requests", d.policy.max_num_seqs * p.dp);
  l.add("--chunked-prefill-size", chunk * p.dp);
  if (d.policy.engine == Engine::sglang) l.add("--max-prefill-tokens", d.policy.max_num_batched_tokens);
  if (d.host_gib > 0)
    l.add("--enable-hierarchical-cache"), l.add("--hicache-size", fmt::format("{:.0f}", d.host_gib * 1.073741824 / (p.tp * p.pp)));
  l.add("--context-length", o.max_model_len);
  add_memory(l, "--mem-fraction-static", d, o, Engine::sglang);
  if (changed_weights(d)) l.add("--quantization", d.subject->weights.name);
  if (fp8_cache(d)) l.add("--kv-cache-dtype", "fp8_e4m3");
  if (!d.policy.enable_prefix_caching) l.add("--disable-radix-cache");
  if (d.draft_tokens > 0)
    l.add("--speculative-algorithm", "EAGLE"), l.add("--speculative-num-steps", d.draft_tokens), l.add("--speculative-eagle-topk", 1),
        l.add("--speculative-num-draft-tokens", d.draft_tokens + 1);
  if (role != Role::both) l.add("--disaggregation-mode", role_name(role)), l.add("--disaggregation-transfer-backend", "nixl");
  return l;
}

// What has no flag of its own goes into the file that --extra_llm_api_options names; it is written here as a heredoc.
Line trtllm(const Design& d, const LaunchOptions& o, Role role) {
  const auto& p = d.placement;
  std::string yaml;
  if (p.dp > 1) yaml += "enable_attention_dp: true\n";
  std::vector<std::string> cache;
  if (fp8_cache(d)) cache.push_back("dtype: fp8");
  if (d.host_gib > 0) cache.push_back(fmt::format("host_cache_size: {:.0f}", d.host_gib * 1073741824.0 / (p.tp * p.pp)));
  if (!cache.empty()) yaml += fmt::format("kv_cache_config: {{{}}}\n", fmt::join(cache, ", "));
  if (d.draft_tokens > 0) yaml += fmt::format("speculative_config: {{decoding_type: MTP, num_nextn_predict_layers: {}}}\n", d.draft_tokens);
  if (role != Role::both) yaml += "cache_transceiver_config: {backend: UCX}\n";
  if (role == Role::prefill) yaml += "disable_overlap_scheduler: true\n";
  Line l;
  if (!yaml.empty()) l.text = fmt::format("cat >{0}.yaml <<'YAML'\n{1}YAML\n", role_name(role), yaml);
  l.text += fmt::format("trtllm-serve {}", o.model);
  l.add("--tp_size", p.tp * p.dp);
  if (p.pp > 1) l.add("--pp_size", p.pp);
  if (p.ep > 1) l.add("--ep_size", p.ep);
  l.add("--max_batch_size", d.policy.max_num_seqs);
  l.add("--max_num_tokens", d.policy.max_num_batched_tokens);
  l.add("--max_seq_len", o.max_model_len);
  add_memory(l, "--kv_cache_free_gpu_memory_fraction", d, o, Engine::trtllm);
  if (!yaml.empty()) l.add("--extra_llm_api_options", fmt::format("{}.yaml", role_name(role)));
  return l;
}

std::string indented(const std::string& command) {  // one flag a line
  std::string out;
  const std::size_t start = command.rfind('\n') == std::string::npos ? 0 : command.rfind('\n') + 1;
  bool quoted = false;
  for (std::size_t i = 0; i < command.size(); ++i) {
    if (i >= start && command[i] == '\'') quoted = !quoted;
    if (i >= start && !quoted && command.compare(i, 3, " --") == 0)
      out += " \\\n  ";
    else
      out += command[i];
  }
  return out;
}

}  // namespace

std::vector<LaunchLine> launch_lines(const Ask& ask, const Shape& shape, Engine engine, const LaunchOptions& o) {
  std::vector<LaunchLine> out;
  for (const Part& p : shape.parts) {
    const Design& d = ask.choices[p.choice].replica->design();
    const Line l = engine == Engine::vllm     ? vllm(d, o, p.role, fmt::format("vllm serve {}", o.model))
                   : engine == Engine::sglang ? sglang(d, o, p.role)
                                              : trtllm(d, o, p.role);
    out.push_back({std::string(role_name(p.role)), p.replicas, d.placement.accelerators(), l.text});
  }
  return out;
}

std::vector<LaunchLine> dynamo_lines(const Ask& ask, const Shape& shape, const LaunchOptions& o) {
  const bool by_prefix = shape.routing == serve::Routing::prefix_aware;
  const std::string_view mode = by_prefix ? "kv" : shape.routing == serve::Routing::random ? "random" : "round-robin";
  std::vector<LaunchLine> out{{"frontend", 1, 0, fmt::format("python3 -m dynamo.frontend --http-port 8000 --router-mode {}", mode)}};
  for (const Part& p : shape.parts) {
    const Design& d = ask.choices[p.choice].replica->design();
    Line l = vllm(d, o, p.role, fmt::format("python3 -m dynamo.vllm --model {}", o.model));
    if (p.role == Role::prefill) l.add("--is-prefill-worker");
    out.push_back({std::string(role_name(p.role)), p.replicas, d.placement.accelerators(), l.text});
  }
  return out;
}

std::string script(const std::vector<LaunchLine>& lines, const std::string& title) {
  std::string out = fmt::format("#!/bin/sh\n# {}\n", title);
  for (const LaunchLine& l : lines) {
    out += fmt::format("\n# {}: {} of these", l.role, l.replicas);
    if (l.accelerators > 0) out += fmt::format(", {} accelerator{} each", l.accelerators, l.accelerators == 1 ? "" : "s");
    out += "\n" + indented(l.command) + "\n";
  }
  return out;
}

std::string kubernetes(const Ask& ask, const Shape& shape, const LaunchOptions& o, int per_node) {
  const auto lines = launch_lines(ask, shape, Engine::vllm, o);
  std::string out;
  for (const LaunchLine& l : lines) {
    const int nodes = (l.accelerators + per_node - 1) / per_node, each = nodes > 1 ? per_node : l.accelerators;
    const std::string name = fmt::format("llm-{}", l.role);
    const auto pod = [&](std::string_view pad) {
      std::string block = "- name: engine\n  image: vllm/vllm-openai\n  command: [\"/bin/sh\", \"-c\"]\n  args:\n    - |\n      ";
      for (const char c : indented(l.command)) block += c == '\n' ? std::string("\n      ") : std::string(1, c);
      block += fmt::format("\n  ports: [{{containerPort: 8000}}]\n  resources: {{limits: {{nvidia.com/gpu: {}}}}}\n", each);
      block += "  readinessProbe: {httpGet: {path: /health, port: 8000}, periodSeconds: 10, failureThreshold: 180}\n";
      block += "  volumeMounts: [{name: shm, mountPath: /dev/shm}]\n";
      std::string padded;
      for (std::size_t at = 0; at < block.size();) {
        const std::size_t end = block.find('\n', at);
        padded += fmt::format("{}{}\n", pad, block.substr(at, end - at));
        at = end + 1;
      }
      return padded;
    };
    const auto volumes = [](std::string_view pad) {
      return fmt::format("{}volumes: [{{name: shm, emptyDir: {{medium: Memory}}}}]\n", pad);
    };
    if (nodes == 1) {
      out += fmt::format(
          "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {0}, labels: {{app: llm, role: {1}}}}}\nspec:\n  replicas: {2}\n"
          "  selector: {{matchLabels: {{app: llm, role: {1}}}}}\n  template:\n    metadata: {{labels: {{app: llm, role: {1}}}}}\n    "
          "spec:\n"
          "      containers:\n{3}{4}---\n",
          name, l.role, l.replicas, pod("        "), volumes("      "));
    } else {
      out += fmt::format(
          "apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\nmetadata: {{name: {0}, labels: {{app: llm, role: "
          "{1}}}}}\nspec:\n"
          "  replicas: {2}\n  leaderWorkerTemplate:\n    size: {3}\n    workerTemplate:\n      metadata: {{labels: {{app: llm, role: "
          "{1}}}}}\n"
          "      spec:\n        containers:\n{4}{5}---\n",
          name, l.role, l.replicas, nodes, pod("          "), volumes("        "));
    }
  }
  const std::string_view front = lines.front().role == "prefill" ? "prefill" : "serve";
  out += fmt::format(
      "apiVersion: v1\nkind: Service\nmetadata: {{name: llm}}\nspec:\n  selector: {{app: llm, role: {}}}\n  ports: [{{port: 80, "
      "targetPort: 8000}}]\n",
      front);
  return out;
}

}  // namespace jevons::plan
