#include "evidence/validate.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <mutex>

#include "base/stats.hpp"

namespace jevons::evidence {
namespace {

struct Sample {
  std::vector<double> error;
  std::size_t inside = 0;
  bool banded = false;
};

Score score(const Sample& s) {
  Score out;
  out.n = s.error.size();
  if (out.n == 0) return out;
  std::vector<double> signed_error = s.error, size;
  for (const double e : s.error) size.push_back(std::abs(e));
  std::sort(signed_error.begin(), signed_error.end());
  std::sort(size.begin(), size.end());
  out.median_ape = quantile_sorted(size, 0.5);
  out.p90_ape = quantile_sorted(size, 0.9);
  out.bias = quantile_sorted(signed_error, 0.5);
  if (s.banded) out.coverage90 = double(s.inside) / double(out.n);
  return out;
}

using Samples = std::map<std::string, Sample>;
void add(Samples& s, const Prediction& p) {
  const Case& c = *p.of;
  const auto put = [&](const char* metric, double predicted, double measured, bool banded) {
    Sample& x = s[metric];
    x.error.push_back(predicted / measured - 1);
    x.banded = x.banded || banded;
    if (banded && measured >= predicted * (1 - p.band) && measured <= predicted / (1 - std::min(0.9, p.band))) ++x.inside;
  };
  if (c.tpot_s && *c.tpot_s > 0) put("tpot_ms_mean", p.tpot_s, *c.tpot_s, true);
  if (c.ttft_s && *c.ttft_s > 0 && c.ttft_usable) put("ttft_ms_mean", p.ttft_s, *c.ttft_s, false);
  // Throughput follows from concurrency and both latencies by Little's law.
  if (c.ttft_s && c.tpot_s) put("output_tok_s", p.output_tok_s, c.concurrency * c.osl / (*c.ttft_s + (c.osl - 1) * *c.tpot_s), false);
}
Validation::Metrics scores(const Samples& s) {
  Validation::Metrics m;
  for (const auto& [name, sample] : s) m[name] = score(sample);
  return m;
}

}  // namespace

namespace {

Result<Prediction> predict(const catalog::Catalog& catalog, const Case& c) {
  JEVONS_TRY(const Prepared p, prepare(catalog, c));
  return simulate(p, *p.time);
}

}  // namespace

Validation validate(const catalog::Catalog& catalog, const Cases& cases, const std::function<void(double)>& progress) {
  Validation v;
  v.refused = cases.passed_over;
  std::vector<std::optional<Result<Prediction>>> done(cases.cases.size());
  std::atomic<std::size_t> count{0};
  std::mutex speaking;
  tbb::parallel_for(std::size_t{0}, cases.cases.size(), [&](std::size_t i) {
    done[i] = predict(catalog, cases.cases[i]);
    const std::size_t n = ++count;
    if (progress && n % 16 == 0) {
      const std::lock_guard lock(speaking);
      progress(double(n) / double(done.size()));
    }
  });
  Samples all, apart;
  std::map<std::string, std::map<std::string, Samples>> groups;
  for (std::size_t i = 0; i < done.size(); ++i) {
    const Case& c = cases.cases[i];
    const auto& p = *done[i];
    if (!p) {
      v.refused.push_back(fmt::format("{}: {}", c.id, p.error().message()));
      continue;
    }
    v.rows.push_back(*p);
    if (c.disaggregated) {
      add(apart, *p);
      continue;
    }
    add(all, *p);
    add(groups["model"][c.model], *p);
    add(groups["accelerator"][c.accelerator], *p);
    add(groups["engine"][c.engine], *p);
  }
  v.metrics = scores(all);
  v.disaggregated = scores(apart);
  for (const auto& [by, values] : groups) {
    for (const auto& [value, sample] : values) v.by[by][value] = scores(sample);
  }
  return v;
}

}  // namespace jevons::evidence
