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
void add(Samples& s, const Prediction& p, const MetricBands& band) {
  const Case& c = *p.of;
  const auto put = [&](const char* metric, double predicted, double measured, const Interval& in) {
    Sample& x = s[metric];
    x.error.push_back(predicted / measured - 1);
    x.banded = true;
    if (measured >= predicted * in.low && measured <= predicted * in.high) ++x.inside;
  };
  if (c.tpot_s && *c.tpot_s > 0) put("tpot_ms_mean", p.tpot_s, *c.tpot_s, band.tpot);
  if (c.ttft_s && *c.ttft_s > 0 && c.ttft_usable) put("ttft_ms_mean", p.ttft_s, *c.ttft_s, band.ttft);
  if (const auto measured = measured_output(c)) put("output_tok_s", p.output_tok_s, *measured, band.output_tok_s);
}
Validation::Metrics scores(const Samples& s) {
  Validation::Metrics m;
  for (const auto& [name, sample] : s) m[name] = score(sample);
  return m;
}

}  // namespace

namespace {

constexpr int kFolds = 5;

std::string group_of(const Case& c, LeaveOut by) {
  switch (by) {
    case LeaveOut::model:
      return c.model;
    case LeaveOut::accelerator:
      return c.accelerator;
    case LeaveOut::engine:
      return c.engine;
    case LeaveOut::block:
      return c.block();
    default: {
      // The same fold for all concurrencies of a configuration, from its name alone (FNV-1a).
      std::uint64_t h = 1469598103934665603u;
      for (const char ch : fmt::format("{} {} {}x{}", c.block(), step::name(c.placement), c.nominal_isl, c.nominal_osl)) {
        h = (h ^ std::uint64_t(static_cast<unsigned char>(ch))) * 1099511628211u;
      }
      return fmt::format("fold {}", (h >> 32) % kFolds);
    }
  }
}

// What a left-out prediction stands for.
Regime regime_of(const Prediction& p, LeaveOut by) {
  if (p.near_limit) return Regime::near_limit;
  return by == LeaveOut::configuration ? Regime::seen_block
         : by == LeaveOut::block       ? Regime::seen_engine_format
         : by == LeaveOut::accelerator ? Regime::new_chip
                                       : Regime::new_model;
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

// Each group of cases predicted by what was fitted without it.
struct LeftOut {
  std::vector<Prediction> rows;
  std::vector<std::string> groups;  // of each row
};
LeftOut left_out(std::span<const Prepared> ready, const step::Served& start, const Sensitivities& moves, LeaveOut by,
                 const std::function<void(double)>& say) {
  constexpr int kRounds = 2;
  std::map<std::string, std::vector<std::size_t>> groups;
  LeftOut out{std::vector<Prediction>(ready.size()), std::vector<std::string>(ready.size())};
  for (std::size_t i = 0; i < ready.size(); ++i) groups[out.groups[i] = group_of(*ready[i].of, by)].push_back(i);
  std::size_t done = 0;
  for (const auto& [name, members] : groups) {
    std::vector<char> used = aggregated_of(ready), scored(ready.size());
    for (const std::size_t i : members) used[i] = 0, scored[i] = 1;
    const step::Served constants = fit(ready, used, start, moves, kRounds);
    const auto blocks = by == LeaveOut::configuration ? fit_blocks(ready, used, constants) : step::ServedBlocks{};
    const auto predicted = predict_all(ready, constants, blocks, scored);
    for (const std::size_t i : members) out.rows[i] = predicted[i];
    say(double(++done) / double(groups.size()));
  }
  return out;
}

std::vector<Residual> residuals_of(const LeftOut& l, LeaveOut by, const std::string* but = nullptr) {
  std::vector<Residual> r;
  for (std::size_t i = 0; i < l.rows.size(); ++i) {
    if (l.rows[i].of->disaggregated || (but != nullptr && l.groups[i] == *but)) continue;
    r.push_back(residual_of(l.rows[i], regime_of(l.rows[i], by)));
  }
  return r;
}

Learned learn(std::span<const Prepared> ready, const std::function<void(double)>& say) {
  constexpr int kRounds = 3;
  const std::vector<char> used = aggregated_of(ready);
  Learned out{step::Served::priors(), {}, {}};
  Sensitivities moves;
  for (int round = 0; round < kRounds; ++round) {
    moves = sensitivities(ready, used, out.constants, [&](double done) { say(0.5 * (round + done) / kRounds); });
    out.constants = fit(ready, used, out.constants, moves, 2);
  }
  out.blocks = fit_blocks(ready, used, out.constants);
  std::vector<Residual> residuals;
  int done = 0;
  for (const LeaveOut by : {LeaveOut::configuration, LeaveOut::block, LeaveOut::model, LeaveOut::accelerator}) {
    const auto r = residuals_of(left_out(ready, out.constants, moves, by, [](double) {}), by);
    residuals.insert(residuals.end(), r.begin(), r.end());
    say(0.5 + 0.125 * ++done);
  }
  out.bands = bands_of(residuals);
  return out;
}

// Bands of left-out rows come from the residuals of the other groups alone.
void predict_left_out(Validation& v, std::span<const Prepared> ready, const step::Served& start, const ValidateOptions& o) {
  const auto say = [&](double share) {
    if (o.progress) o.progress(share);
  };
  const Sensitivities moves = sensitivities(ready, aggregated_of(ready), start, [&](double done) { say(0.5 * done); });
  LeftOut l = left_out(ready, start, moves, o.leave_out, [&](double done) { say(0.5 + 0.5 * done); });
  std::map<std::string, Bands> bands;
  for (const auto& group : l.groups) {
    if (!bands.contains(group)) bands[group] = bands_of(residuals_of(l, o.leave_out, &group));
  }
  for (std::size_t i = 0; i < l.rows.size(); ++i) {
    v.regimes.push_back(regime_of(l.rows[i], o.leave_out));
    v.bands.push_back(band_of(l.rows[i], bands[l.groups[i]][std::size_t(v.regimes.back())]));
  }
  v.rows = std::move(l.rows);
}

void score_all(Validation& v) {
  Samples all, apart;
  std::map<std::string, std::map<std::string, Samples>> groups;
  for (std::size_t i = 0; i < v.rows.size(); ++i) {
    const Prediction& p = v.rows[i];
    const Case& c = *p.of;
    if (c.disaggregated) {
      add(apart, p, v.bands[i]);
      continue;
    }
    add(all, p, v.bands[i]);
    add(groups["model"][c.model], p, v.bands[i]);
    add(groups["accelerator"][c.accelerator], p, v.bands[i]);
    add(groups["engine"][c.engine], p, v.bands[i]);
    add(groups["regime"][std::string(name(v.regimes[i]))], p, v.bands[i]);
  }
  v.metrics = scores(all);
  v.disaggregated = scores(apart);
  for (const auto& [by, values] : groups) {
    for (const auto& [value, sample] : values) v.by[by][value] = scores(sample);
  }
}

}  // namespace

Result<Validation> validate(const catalog::Catalog& catalog, const Cases& cases, const ValidateOptions& options) {
  Validation v;
  v.refused = cases.passed_over;
  const std::vector<Prepared> ready = prepare_all(catalog, cases, v.refused);
  for (const Prepared& p : ready) {
    if (const auto why = breaks_physics(p)) v.notes.push_back(fmt::format("{}: the measured point breaks physics: {}", p.of->id, *why));
    for (const auto& note : p.notes) v.notes.push_back(fmt::format("{}: not modelled: {}", p.of->id, note));
  }
  JEVONS_TRY(const step::Served shipped, step::Served::read(catalog));
  JEVONS_TRY(const step::ServedBlocks shipped_blocks, step::served_blocks(catalog));
  JEVONS_TRY(const Bands shipped_bands, read_bands(catalog));
  if (options.refit) v.learned = learn(ready, options.progress ? options.progress : [](double) {});
  const Learned use = v.learned.value_or(Learned{shipped, shipped_blocks, shipped_bands});
  if (options.leave_out != LeaveOut::nothing) {
    predict_left_out(v, ready, use.constants, options);
  } else {
    const Seen seen = seen_in(use.blocks);
    v.rows = predict_all(ready, use.constants, use.blocks);
    Samples physics;
    for (const Prediction& p : v.rows) {
      v.regimes.push_back(evidence::regime_of({p.of->model, p.of->accelerator, p.of->block()}, p.near_limit, seen));
      v.bands.push_back(band_of(p, use.bands[std::size_t(v.regimes.back())]));
    }
    for (const Prediction& p : predict_all(ready, use.constants)) {
      if (!p.of->disaggregated) add(physics, p, band_of(p, use.bands[std::size_t(Regime::new_model)]));
    }
    v.physics = scores(physics);
  }
  score_all(v);
  return v;
}

}  // namespace jevons::evidence
