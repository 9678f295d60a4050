#include "evidence/validate.hpp"

#include <fmt/format.h>
#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>

#include "base/stats.hpp"
#include "evidence/fit.hpp"

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

const std::string& group_of(const Case& c, LeaveOut by) {
  return by == LeaveOut::model ? c.model : by == LeaveOut::accelerator ? c.accelerator : c.engine;
}

std::vector<Prepared> prepare_all(const catalog::Catalog& catalog, const Cases& cases, std::vector<std::string>& refused) {
  std::vector<std::optional<Result<Prepared>>> tried(cases.cases.size());
  tbb::parallel_for(std::size_t{0}, tried.size(), [&](std::size_t i) { tried[i] = prepare(catalog, cases.cases[i]); });
  std::vector<Prepared> ready;
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (*tried[i])
      ready.push_back(std::move(**tried[i]));
    else
      refused.push_back(fmt::format("{}: {}", cases.cases[i].id, tried[i]->error().message()));
  }
  return ready;
}

std::vector<char> aggregated_of(std::span<const Prepared> ready) {
  std::vector<char> yes(ready.size());
  for (std::size_t i = 0; i < ready.size(); ++i) yes[i] = !ready[i].of->disaggregated;
  return yes;
}

// Each group of cases predicted with constants that never saw it.
std::vector<Prediction> left_out(std::span<const Prepared> ready, const step::Served& shipped, const ValidateOptions& o) {
  constexpr int kRounds = 3;
  const auto say = [&](double share) {
    if (o.progress) o.progress(share);
  };
  const std::vector<char> aggregated = aggregated_of(ready);
  const Sensitivities moves = sensitivities(ready, aggregated, shipped, [&](double done) { say(0.6 * done); });
  std::map<std::string, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < ready.size(); ++i) groups[group_of(*ready[i].of, o.leave_out)].push_back(i);
  std::vector<Prediction> out(ready.size());
  std::size_t done = 0;
  for (const auto& [name, members] : groups) {
    std::vector<char> used = aggregated, scored(ready.size());
    for (const std::size_t i : members) used[i] = 0, scored[i] = 1;
    const step::Served constants = fit(ready, used, step::Served::priors(), moves, kRounds);
    const auto predicted = predict_all(ready, constants, scored);
    for (const std::size_t i : members) out[i] = predicted[i];
    say(0.6 + 0.4 * double(++done) / double(groups.size()));
  }
  return out;
}

step::Served refitted(std::span<const Prepared> ready, const ValidateOptions& o) {
  constexpr int kRounds = 3;
  const std::vector<char> used = aggregated_of(ready);
  step::Served now = step::Served::priors();
  for (int round = 0; round < kRounds; ++round) {
    const Sensitivities moves = sensitivities(ready, used, now, [&](double done) {
      if (o.progress) o.progress((round + done) / kRounds);
    });
    now = fit(ready, used, now, moves, 2);
  }
  return now;
}

}  // namespace

Result<Validation> validate(const catalog::Catalog& catalog, const Cases& cases, const ValidateOptions& options) {
  Validation v;
  v.refused = cases.passed_over;
  const std::vector<Prepared> ready = prepare_all(catalog, cases, v.refused);
  JEVONS_TRY(const step::Served shipped, step::Served::read(catalog));
  if (options.refit) v.fitted = refitted(ready, options);
  const step::Served constants = v.fitted.value_or(shipped);
  v.rows = options.leave_out == LeaveOut::nothing ? predict_all(ready, constants) : left_out(ready, constants, options);
  Samples all, apart;
  std::map<std::string, std::map<std::string, Samples>> groups;
  for (const Prediction& p : v.rows) {
    const Case& c = *p.of;
    if (c.disaggregated) {
      add(apart, p);
      continue;
    }
    add(all, p);
    add(groups["model"][c.model], p);
    add(groups["accelerator"][c.accelerator], p);
    add(groups["engine"][c.engine], p);
  }
  v.metrics = scores(all);
  v.disaggregated = scores(apart);
  for (const auto& [by, values] : groups) {
    for (const auto& [value, sample] : values) v.by[by][value] = scores(sample);
  }
  return v;
}

}  // namespace jevons::evidence
