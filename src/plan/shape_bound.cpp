#include "plan/shape_bound.hpp"

#include <algorithm>
#include <cmath>

#include "plan/parallel.hpp"

namespace jevons::plan {
namespace {

using serve::Role;

// What holds for each of several demands.
Demand least_of(const std::vector<Demand>& all) {
  Demand d = all.front();
  for (const Demand& x : all) {
    for (const auto field : {&Demand::requests, &Demand::fresh, &Demand::fresh_least, &Demand::decodes, &Demand::input, &Demand::excess})
      d.*field = std::min(d.*field, x.*field);
    d.input_least = std::min(d.input_least, x.input_least);
    d.cached = std::max(d.cached, x.cached);
    d.equal = d.equal && x.equal && x.input_least == all.front().input_least && x.decodes == all.front().decodes;
  }
  return d;
}

double rows_of(int concurrency) { return double(traffic::benchmark_requests(concurrency)); }

}  // namespace

Bounds::Bounds(const Ask& ask, const std::vector<Demand>& demands) : ask_{ask}, least_{least_of(demands)} {
  for (const Demand& d : demands) output_most_ = std::max(output_most_, d.decodes + 1);
  for (const Slo& s : ask.slo) {
    if (s.metric != Slo::Metric::tpot || ask.objective == Objective::goodput_per_gpu) continue;
    // A quantile interpolates between ranks: of n requests at least q (n − 1) keep the limit.
    const double share = s.quantile ? *s.quantile * (1 - 1 / least_.requests) : 1;
    if (!tpot_ || s.seconds / share < tpot_->seconds / tpot_->share) tpot_ = TpotLimit{s.seconds, share};
  }
  std::vector<bool> used(ask.choices.size() * 3);
  for (const Shape& s : ask.shapes) {
    for (const Part& p : s.parts) used[p.choice * 3 + std::size_t(p.role)] = true;
  }
  bounds_.resize(used.size());
  free_.resize(used.size());
  limited_.resize(used.size());
  for_each_index(used.size(), ask.threads, [&](std::size_t i) {
    if (!used[i]) return;
    bounds_[i] = std::make_unique<ReplicaBound>(*ask.choices[i / 3].replica, least_, Role(i % 3));
    free_[i] = bounds_[i]->work_s(bounds_[i]->most_decodes());
    limited_[i] = tpot_ ? bounds_[i]->work_s(bounds_[i]->most_decodes(), tpot_) : free_[i];
  });
}

// Requests per second from above. concurrency 0: any.
double Bounds::capacity(const Shape& s, int concurrency, const std::optional<TpotLimit>& limit) const {
  double whole = 0, prefill = 0, decode = 0;
  for (const Part& p : s.parts) {
    const std::size_t i = p.choice * 3 + std::size_t(p.role);
    double work = limit ? limited_[i] : free_[i];
    if (concurrency > 0 && p.role != Role::prefill) {
      const int ranks = ask_.choices[p.choice].replica->design().placement.dp;
      work = std::max(work, bounds_[i]->work_s((concurrency + ranks - 1) / ranks, limit));
    }
    (p.role == Role::both ? whole : p.role == Role::prefill ? prefill : decode) += p.replicas / std::max(work, 1e-12);
  }
  return whole + std::min(prefill, decode);
}

double Bounds::alone_s(const Shape& s, bool first_token_only) const {
  double whole = 1e300, prefill = 1e300, decode = 1e300;
  for (const Part& p : s.parts) {
    const ReplicaBound& b = of(p);
    if (p.role == Role::both) whole = std::min(whole, b.first_token_s() + (first_token_only ? 0 : b.decode_s()));
    if (p.role == Role::prefill) prefill = std::min(prefill, b.first_token_s());
    if (p.role == Role::decode) decode = std::min(decode, b.decode_s());
  }
  if (prefill < 1e300) whole = std::min(whole, prefill + (first_token_only ? 0 : decode));
  return whole;
}

bool Bounds::meets(const Shape& s, int concurrency) const {
  const double first = alone_s(s, true), each = least_.decodes > 0 ? (alone_s(s, false) - first) / least_.decodes : 0;
  const double n = concurrency > 0 ? rows_of(concurrency) : least_.requests;
  double prompts = 0;  // prompts a second, of all replicas together
  for (const Part& p : s.parts) {
    if (p.role == Role::decode) continue;
    prompts += p.replicas / std::max(1e-12, of(p).prefill_s() * (least_.equal ? 1.0 : least_.fresh_least / least_.fresh));
  }
  std::optional<double> ttft_mean, tpot_mean, e2e_mean;
  for (const Slo& limit : ask_.slo) {
    if (limit.metric == Slo::Metric::ttft) {
      double least = first;
      if (concurrency > 0) {  // the first prompts of a closed load come at once: the k-th is not done before k are computed
        const double c = concurrency, alone = std::floor(std::min(c, first * prompts));
        if (limit.quantile) {
          const double rank = std::floor(*limit.quantile * (n - 1)) - (n - c);
          least = rank >= alone ? std::max(first, (rank + 1) / prompts) : first;
        } else {
          least = ((n - c + alone) * first + (c * (c + 1) - alone * (alone + 1)) / 2 / prompts) / n;
          ttft_mean = limit.seconds;
        }
      } else if (!limit.quantile) {
        ttft_mean = limit.seconds;
      }
      if (least > limit.seconds) return false;
    } else if (limit.metric == Slo::Metric::tpot) {
      if (least_.equal && each > limit.seconds) return false;
      if (!limit.quantile) tpot_mean = limit.seconds;
    } else {
      if (least_.equal && first + each * least_.decodes > limit.seconds) return false;
      if (!limit.quantile) e2e_mean = limit.seconds;
    }
  }
  if (ttft_mean && tpot_mean && least_.equal) e2e_mean = std::min(e2e_mean.value_or(1e300), *ttft_mean + *tpot_mean * least_.decodes);
  // Until the last row starts, `concurrency` requests are in flight, and all but as many must be done by then.
  if (e2e_mean && concurrency > 0 && concurrency * (n - concurrency) / (n * capacity(s, 0, {})) > *e2e_mean) return false;
  return true;
}

double Bounds::shape(const Shape& s) const {
  const double most = capacity(s, 0, tpot_);
  return score_of(ask_, s, most, most, output_most_);
}

void Bounds::look(Point& p) const {
  const Shape& s = ask_.shapes[p.shape];
  if (ask_.objective != Objective::goodput_per_gpu && !meets(s, p.concurrency)) {
    p.state = Point::State::cannot_meet;
    return;
  }
  const double whole = alone_s(s, false);
  double most = capacity(s, 0, tpot_);
  if (p.concurrency > 0) most = std::min(most, p.concurrency / whole);
  p.bound = score_of(ask_, s, most, most, output_most_);
  const double tpot = least_.decodes > 0 && least_.equal ? (whole - alone_s(s, true)) / least_.decodes : 0;
  p.user_bound = tpot > 0 ? 1 / tpot : 1e300;
}

void Bounds::look_closer(Point& p) const {
  if (p.concurrency == 0) return;
  const Shape& s = ask_.shapes[p.shape];
  const double most = capacity(s, p.concurrency, tpot_);
  p.bound = std::min(p.bound, score_of(ask_, s, most, most, output_most_));
}

}  // namespace jevons::plan
