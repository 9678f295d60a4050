#pragma once
// A deployment as the commands that start it: vLLM, SGLang, TensorRT-LLM, Dynamo, Kubernetes.
#include <string>
#include <vector>

#include "plan/space.hpp"

namespace jevons::plan {

/// One process group: what starts every replica of a part.
struct LaunchLine {
  std::string role;  // "serve", "prefill", "decode"
  int replicas = 1;
  int accelerators = 1;  // of one replica
  std::string command;
};
struct LaunchOptions {
  std::string model;  // path or Hugging Face id of the weights
  std::int64_t max_model_len = 0;
  std::optional<double> memory_fraction;  // as asked for; unset: what the design has, for its own engine, else the default
};

/// The lines of an engine for every part of a shape. Placement, formats, limits and speculation under the engine's own flag names; what an
/// engine has no flag for stays at its default. Sources: docs.vllm.ai "Engine Arguments", docs.sglang.ai "Server Arguments",
/// trtllm-serve --help; disaggregation: vLLM NixlConnector, SGLang --disaggregation-mode, TensorRT-LLM disaggregated serving.
std::vector<LaunchLine> launch_lines(const Ask& ask, const Shape& shape, serve::Engine engine, const LaunchOptions& options);
/// The same through NVIDIA Dynamo with vLLM workers: front end and workers.
std::vector<LaunchLine> dynamo_lines(const Ask& ask, const Shape& shape, const LaunchOptions& options);
/// Lines as a shell script with comments.
std::string script(const std::vector<LaunchLine>& lines, const std::string& title);
/// A Deployment (a LeaderWorkerSet where a replica needs more than one machine of `per_node` accelerators) for each part, and a Service.
std::string kubernetes(const Ask& ask, const Shape& shape, const LaunchOptions& options, int per_node);

}  // namespace jevons::plan
