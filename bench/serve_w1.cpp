// The serving simulator's reference workloads as whole processes: serve_w1 [requests] [rate] [replicas].
// Llama-3.1-8B on A100-80G, vLLM, 256 sequences, 2,048 tokens a step, Poisson arrivals, 1,000 tokens in, 200 out.
#include <fmt/format.h>

#include <cstdlib>

#include "catalog/catalog.hpp"
#include "model/describe.hpp"
#include "serve/cache_blocks.hpp"
#include "serve/metrics.hpp"
#include "step/form_of.hpp"
#include "traffic/generate.hpp"

using namespace jevons;

int main(int argc, char** argv) {
  const auto requests = std::size_t(argc > 1 ? std::atoll(argv[1]) : 100000);
  const double rate = argc > 2 ? std::atof(argv[2]) : 4;
  const int replicas = argc > 3 ? std::atoi(argv[3]) : 1;
  const auto facts = catalog::Catalog::builtin();
  const auto model = *model::parse_entry((*facts.find_model("llama-3.1-8b"))->json, "llama-3.1-8b");
  step::Subject subject;
  subject.model = &model;
  subject.parameters = model::parameters(model);
  subject.weights = *model::weight_scheme(model, "native");
  subject.weight_bytes = model::weight_bytes(model, subject.parameters, subject.weights);
  subject.cache = model::cache_groups(model, model::CacheFormat::bf16);
  subject.chip = catalog::accelerator(**facts.find(catalog::Section::accelerator, "a100-80g-sxm"));
  const auto time = *step::StepTime::make(facts, subject, {});

  auto policy = serve::defaults_of(serve::Engine::vllm);
  policy.max_num_seqs = 256;
  policy.max_num_batched_tokens = 2048;
  const auto form = step::form_of(time, {.max_batch = 256, .max_tokens = 2048, .max_context = 8192});
  serve::Deployment deployment;
  deployment.pools = {{policy, &form, serve::cache_blocks(subject, {}, 16, 1200), 1, replicas, 1}};

  traffic::GenerateSpec spec;
  spec.classes.push_back(
      {.tenant = {}, .arrivals = {rate, {}, {}}, .input = traffic::Fixed{1000}, .output = traffic::Fixed{200}, .session = {}});
  spec.num_requests = requests;
  traffic::Workload workload{*traffic::generate(spec, {1}), traffic::OpenLoad{}};
  const auto simulation = *serve::simulate(deployment, workload);
  const auto m = serve::measure(simulation, deployment, workload);
  fmt::print("requests {} finished {} rejected {} steps {} preemptions {}\n", m.requests, m.finished, m.rejected, m.steps, m.preemptions);
  fmt::print("ttft mean {:.6f} p99 {:.6f}  tpot mean {:.6f} p99 {:.6f}  itl p99 {:.6f}  batch {:.2f}  busy {:.3f}  kv {:.3f}  {}\n",
             m.ttft.mean, m.ttft.p99, m.tpot.mean, m.tpot.p99, m.itl.p99, m.mean_batch, m.busy, m.kv_use,
             m.load == serve::Load::saturated ? "saturated" : "sustained");
}
