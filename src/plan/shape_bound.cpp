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
    for (const auto field :
         {&Demand::requests, &Demand::fresh, &Demand::fresh_least, &Demand::decodes, &Demand::input, &Demand::excess, &Demand::squares})
      d.*field = std::min(d.*field, x.*field);
    d.input_least = std::min(d.input_least, x.input_least);
    d.cached = std::max(d.cached, x.cached);
    d.decodes_most = std::max(d.decodes_most, x.decodes_most);
    d.burst = d.burst && x.burst;
    d.equal = d.equal && x.equal && x.input_least == all.front().input_least && x.decodes == all.front().decodes;
  }
  return d;
}

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

double Bounds::likely_concurrency(const Shape& s) const {
  double seats = 0;
  for (const Part& p : s.parts) {
    if (p.role == Role::prefill) continue;
    const ReplicaBound& b = of(p);
    const int each = tpot_ ? b.decodes_within(tpot_->seconds) : b.most_decodes();
    seats += double(each) * ask_.choices[p.choice].replica->design().placement.dp * p.replicas;
  }
  if (!tpot_ && !ask_.slo.empty()) seats = std::min(seats, capacity(s) * alone_s(s));
  return std::max(1.0, seats);
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

// Prefill and decode pools: decodes start after the first prompt, and end a whole answer after the last one.
std::optional<double> Bounds::with_tails(const Shape& s, int concurrency) const {
  double prefill = 0, decode = 0, prompt_s = 1e300, answer_s = 1e300;
  for (const Part& p : s.parts) {
    if (p.role == Role::both) return std::nullopt;
    const std::size_t i = p.choice * 3 + std::size_t(p.role);
    if (p.role == Role::prefill) {
      prefill += p.replicas / std::max(1e-12, free_[i]);
      prompt_s = std::min(prompt_s, bounds_[i]->first_token_s());
    } else {
      decode += p.replicas / std::max(1e-12, limited_[i]);
      answer_s = std::min(answer_s, bounds_[i]->decode_s());
    }
  }
  if (!least_.equal) return std::nullopt;
  const double n = concurrency > 0 ? double(ask_.rounds) * concurrency : least_.requests, host = host_s(s);
  return n / std::max(n / prefill + answer_s, n / decode + prompt_s - host);
}

double Bounds::host_s(const Shape& s) const {
  return double(ask_.choices[s.parts.front().choice].replica->design().policy.host_constant) * 1e-9;
}

// One request with the deployment to itself, by the kind of replica that is fastest at it.
Bounds::Alone Bounds::alone(const Shape& s) const {
  Alone a;
  double prefill = 1e300, decode = 1e300;
  for (const Part& p : s.parts) {
    const ReplicaBound& b = of(p);
    if (p.role != Role::decode) a.first_s = std::min(a.first_s, b.first_token_s());
    if (p.role != Role::prefill) a.decode_s = std::min(a.decode_s, b.decode_s());
    if (p.role == Role::both) a.all_s = std::min(a.all_s, b.first_token_s() + b.decode_s());
    if (p.role == Role::prefill) prefill = std::min(prefill, b.first_token_s());
    if (p.role == Role::decode) decode = std::min(decode, b.decode_s());
  }
  if (prefill < 1e300) a.all_s = std::min(a.all_s, prefill + decode);
  return a;
}

bool Bounds::meets(const Shape& s, int concurrency) const {
  const Alone one = alone(s);
  const double first = one.first_s, each = least_.decodes > 0 ? one.decode_s / least_.decodes : 0;
  const double n = concurrency > 0 ? double(ask_.rounds) * concurrency : least_.requests;
  double prompts = 0;  // prompts a second, of all replicas together
  for (const Part& p : s.parts) {
    if (p.role == Role::decode) continue;
    prompts += p.replicas / std::max(1e-12, of(p).prefill_s() * (least_.equal ? 1.0 : least_.fresh_least / least_.fresh));
  }
  std::optional<double> ttft_mean, tpot_mean, e2e_mean;
  for (const Slo& limit : ask_.slo) {
    if (limit.metric == Slo::Metric::ttft) {
      double least = first;
      if (concurrency > 0 && least_.burst) {  // the first prompts of a closed load come at once: the k-th is not done before k are computed
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
      if (least_.equal && one.all_s > limit.seconds) return false;
      if (!limit.quantile) e2e_mean = limit.seconds;
    }
  }
  if (ttft_mean && tpot_mean && least_.equal) e2e_mean = std::min(e2e_mean.value_or(1e300), *ttft_mean + *tpot_mean * least_.decodes);
  // Until the last row starts, `concurrency` requests are in flight, and all but as many must be done by then.
  if (e2e_mean && concurrency > 0 && least_.burst && concurrency * (n - concurrency) / (n * capacity(s, 0, {})) > *e2e_mean) return false;
  return true;
}

// Both parts of a bound rise with the concurrency, and so does what stands against a limit: the largest that may meet it decides.
double Bounds::shape(std::size_t shape, const std::vector<int>& loads) const {
  const auto first_over = std::partition_point(
      loads.begin(), loads.end(), [&](int c) { return ask_.objective == Objective::goodput_per_gpu || meets(ask_.shapes[shape], c); });
  if (first_over == loads.begin()) return 0;
  Point p{.shape = shape, .concurrency = *(first_over - 1)};
  look(p);
  return p.bound;
}

void Bounds::look(Point& p) const {
  const Shape& s = ask_.shapes[p.shape];
  if (ask_.objective != Objective::goodput_per_gpu && !meets(s, p.concurrency)) {
    p.state = Point::State::cannot_meet;
    return;
  }
  const Alone one = alone(s);
  double most = capacity(s, 0, tpot_);
  if (p.concurrency > 0) most = std::min(most, p.concurrency / one.all_s);
  if (const auto tails = with_tails(s, p.concurrency)) most = std::min(most, *tails);
  p.bound = score_of(ask_, s, most, most, output_most_);
  const double tpot = least_.decodes > 0 && least_.equal ? one.decode_s / least_.decodes : 0;
  p.user_bound = tpot > 0 ? 1 / tpot : 1e300;
}

void Bounds::look_closer(Point& p) const {
  if (p.concurrency == 0) return;
  const Shape& s = ask_.shapes[p.shape];
  const double most = capacity(s, p.concurrency, tpot_);
  p.bound = std::min(p.bound, score_of(ask_, s, most, most, output_most_));
}

}  // namespace jevons::plan
