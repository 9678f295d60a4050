#include "plan/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cmath>
#include <map>

#include "plan/parallel.hpp"
#include "plan/shape_bound.hpp"

namespace jevons::plan {
namespace {

constexpr std::size_t kWave = 8;  // points simulated before the search looks again: on any number of threads the same ones

double quantile_of(std::vector<double>& v, const std::optional<double>& q) {
  if (v.empty()) return 0;
  if (!q) {
    double sum = 0;
    for (const double x : v) sum += x;
    return sum / double(v.size());
  }
  const double at = *q * double(v.size() - 1);
  const auto k = v.begin() + std::ptrdiff_t(at);
  std::nth_element(v.begin(), k, v.end());
  const double low = *k, part = at - std::floor(at);
  return part == 0 ? low : low + part * (*std::min_element(k + 1, v.end()) - low);
}

// A latency as `measure` defines it, at the limit's own quantile. Seconds.
double latency(const Slo& limit, const serve::Simulation& sim, const traffic::Workload& w) {
  const serve::Outcomes& o = sim.outcomes;
  const traffic::Requests& q = w.requests;
  std::vector<double> v;
  for (std::size_t r = uncounted(w); r < q.size(); ++r) {
    if (o.status[r] != serve::Status::finished) continue;
    const double sent = double(o.issued.empty() ? q.arrival[r] : o.issued[r]);
    const double first = double(o.first_token[r]) - sent, all = double(o.finished[r]) - sent;
    if (limit.metric == Slo::Metric::ttft) v.push_back(first * 1e-9);
    if (limit.metric == Slo::Metric::e2e) v.push_back(all * 1e-9);
    if (limit.metric == Slo::Metric::tpot && q.output_tokens[r] > 1) v.push_back((all - first) * 1e-9 / (q.output_tokens[r] - 1));
  }
  return quantile_of(v, limit.quantile);
}

class Searcher {
 public:
  explicit Searcher(const Ask& ask) : ask_{ask} {}
  Result<Search> run(bool everything);

 private:
  Result<void> prepare();
  std::vector<int> loads(const Shape& s) const;
  void look_into(std::size_t shape);
  Result<const traffic::Workload*> workload(int concurrency);
  Result<void> simulate(std::vector<std::size_t> wave);
  void judge(Point& p, const serve::Deployment& d, const serve::Simulation& sim, const traffic::Workload& w,
             const std::optional<double>& added_s) const;
  Result<void> climb();
  Result<void> close_gap();
  Result<void> descend();
  bool expected_worse(std::size_t point) const;
  Result<void> look_for_nearest();
  bool can_win(const Point& p) const;
  bool worth(double bound) const { return !out_.best || bound > out_.points[*out_.best].score * (1 + ask_.gap); }
  bool above_infeasible(std::size_t point) const;
  bool spent() const { return out_.requests >= ask_.max_simulated || (ask_.stop != nullptr && ask_.stop->load()); }
  void account();
  // The worst latency of a simulated point over its limit; 0: nothing to go by.
  double excess_of(const Point& p) const {
    double worst = 0;
    for (std::size_t k = 0; k < p.latency.size(); ++k) worst = std::max(worst, p.latency[k] / ask_.slo[k].seconds);
    return worst;
  }

  const Ask& ask_;
  Search out_;
  std::unique_ptr<Bounds> bounds_;
  std::map<int, traffic::Workload> workloads_;
  std::vector<double> shape_bound_;
  std::vector<std::size_t> order_;  // shapes by bound
  std::size_t looked_into_ = 0;     // of `order_`
  std::vector<bool> closer_;
  std::vector<double> expected_most_;           // of each shape in steady state: score, once a load that is too high tells
  std::vector<int> lowest_miss_, highest_fit_;  // of each shape: the lowest concurrency that missed a limit, the highest that missed none
};

int seats_of(const Ask& ask, const Shape& s) {
  double seats = 0;
  for (const Part& p : s.parts) {
    if (p.role == serve::Role::prefill) continue;
    const Replica& r = *ask.choices[p.choice].replica;
    // Twice what the cache holds: beyond it more only queue.
    const double each = std::min<double>(r.design().policy.max_num_seqs, 2.0 * double(r.sequences()));
    seats += each * r.design().placement.dp * p.replicas;
  }
  return int(std::min({seats, double(ask.max_concurrency), 65536.0}));
}

// Requests whose whole contexts the caches hold at once.
double cached_seats(const Ask& ask, const Shape& s) {
  double seats = 0;
  for (const Part& p : s.parts) {
    const Replica& r = *ask.choices[p.choice].replica;
    if (p.role != serve::Role::prefill) seats += double(r.sequences()) * r.design().placement.dp * p.replicas;
  }
  return seats;
}

std::vector<int> Searcher::loads(const Shape& s) const {
  if (!ask_.closed) return {0};
  int ranks = 1;
  for (const Part& p : s.parts) {
    if (p.role != serve::Role::prefill) ranks = std::max(ranks, ask_.choices[p.choice].replica->design().placement.dp * p.replicas);
  }
  return concurrencies(ranks, seats_of(ask_, s), ask_.per_octave);
}

Result<void> Searcher::prepare() {
  std::vector<Demand> demands;
  // Fixed lengths ask the same at every concurrency; drawn ones do not.
  JEVONS_TRY(const traffic::Workload* first, workload(ask_.closed ? 1 : 0));
  demands.push_back(demand_of(*first));
  if (ask_.closed && !ask_.equal_requests) {
    int most = 1;
    for (const Shape& s : ask_.shapes) most = std::max(most, seats_of(ask_, s));
    for (int c = 2; c <= most; ++c) {
      const bool asked = std::any_of(ask_.shapes.begin(), ask_.shapes.end(), [&](const Shape& s) {
        const auto all = loads(s);
        return std::binary_search(all.begin(), all.end(), c);
      });
      if (!asked) continue;
      JEVONS_TRY(const traffic::Workload* w, workload(c));
      demands.push_back(demand_of(*w));
    }
  }
  bounds_ = std::make_unique<Bounds>(ask_, demands);
  lowest_miss_.assign(ask_.shapes.size(), INT_MAX);
  highest_fit_.assign(ask_.shapes.size(), 0);
  expected_most_.assign(ask_.shapes.size(), 1e300);
  shape_bound_.resize(ask_.shapes.size());
  for_each_index(ask_.shapes.size(), ask_.threads, [&](std::size_t i) { shape_bound_[i] = bounds_->shape(i, loads(ask_.shapes[i])); });
  for (std::size_t i = 0; i < ask_.shapes.size(); ++i) order_.push_back(i);
  std::stable_sort(order_.begin(), order_.end(), [&](std::size_t a, std::size_t b) { return shape_bound_[a] > shape_bound_[b]; });
  return {};
}

void Searcher::look_into(std::size_t shape) {
  for (const int c : loads(ask_.shapes[shape])) {
    Point p{.shape = shape, .concurrency = c};
    bounds_->look(p);
    out_.points.push_back(std::move(p));
  }
  closer_.resize(out_.points.size());
}

Result<const traffic::Workload*> Searcher::workload(int concurrency) {
  auto it = workloads_.find(concurrency);
  if (it == workloads_.end()) {
    JEVONS_TRY(traffic::Workload w, ask_.workload(concurrency));
    it = workloads_.emplace(concurrency, std::move(w)).first;
  }
  return &it->second;
}

// added_s: by which the counted requests lengthen the run, where that is to be their makespan.
void Searcher::judge(Point& p, const serve::Deployment& d, const serve::Simulation& sim, const traffic::Workload& w,
                     const std::optional<double>& added_s) const {
  serve::Goodput goodput;
  for (const Slo& s : ask_.slo) {
    (s.metric == Slo::Metric::ttft ? goodput.ttft_s : s.metric == Slo::Metric::tpot ? goodput.tpot_s : goodput.e2e_s) = s.seconds;
  }
  p.state = Point::State::simulated;
  p.metrics = serve::measure(sim, d, w, goodput);
  if (added_s && *added_s > 0) {
    const double faster = p.metrics.makespan_s / *added_s;
    p.metrics.makespan_s = *added_s;
    for (double* rate : {&p.metrics.requests_per_s, &p.metrics.output_tok_s, &p.metrics.input_tok_s, &p.metrics.output_tok_s_per_gpu})
      *rate *= faster;
    if (p.metrics.goodput_rps) *p.metrics.goodput_rps *= faster;
  }
  const serve::Metrics& m = p.metrics;
  p.feasible = true;
  const auto violate = [&](std::string what) {
    if (p.feasible) p.violated = std::move(what);
    p.feasible = false;
  };
  if (m.rejected > 0) violate("cache capacity: requests can never fit");
  if (m.finished == 0) violate("nothing finished");
  if (m.load == serve::Load::saturated) violate("saturated: more comes than can be served");
  if (ask_.objective != Objective::goodput_per_gpu) {
    for (const Slo& s : ask_.slo) {
      p.latency.push_back(latency(s, sim, w));
      if (p.latency.back() > s.seconds) violate(name(s));
    }
  }
  const double output = m.requests_per_s > 0 ? m.output_tok_s / m.requests_per_s : 0;
  p.score = score_of(ask_, ask_.shapes[p.shape], m.requests_per_s, m.goodput_rps.value_or(m.requests_per_s), output);
}

Result<void> Searcher::simulate(std::vector<std::size_t> wave) {
  std::sort(wave.begin(), wave.end(),
            [&](std::size_t a, std::size_t b) { return out_.points[a].concurrency > out_.points[b].concurrency; });
  std::vector<const traffic::Workload*> load;
  for (const std::size_t i : wave) {
    JEVONS_TRY(const traffic::Workload* w, workload(out_.points[i].concurrency));
    load.push_back(w);
    out_.requests += double(w->requests.size());
  }
  std::vector<std::optional<Error>> errors(wave.size());
  for_each_index(wave.size(), ask_.threads, [&](std::size_t k) {
    Point& p = out_.points[wave[k]];
    const serve::Deployment d = deployment_of(ask_, ask_.shapes[p.shape]);
    const auto sim = serve::simulate(d, *load[k]);
    if (!sim) return void(errors[k] = sim.error());
    if (!ask_.steady || uncounted(*load[k]) == 0) return judge(p, d, *sim, *load[k], {});
    const traffic::Workload before = leading_rows(*load[k], uncounted(*load[k]));
    const auto warming = serve::simulate(d, before);
    if (!warming) return void(errors[k] = warming.error());
    judge(p, d, *sim, *load[k], double(sim->end - warming->end) * 1e-9);
  });
  for (const auto& e : errors) {
    if (e) return fail(*e);
  }
  for (const std::size_t i : wave) {
    const Point& p = out_.points[i];
    if (p.feasible) highest_fit_[p.shape] = std::max(highest_fit_[p.shape], p.concurrency);
    if (!p.feasible) lowest_miss_[p.shape] = std::min(lowest_miss_[p.shape], p.concurrency);
    if (p.feasible && (!out_.best || p.score > out_.points[*out_.best].score)) out_.best = i;
  }
  out_.simulated += wave.size();
  if (ask_.progress) ask_.progress(std::min(0.99, out_.requests / std::min(1e9, ask_.max_simulated)), "simulating");
  return {};
}

bool Searcher::can_win(const Point& p) const {
  if (p.state != Point::State::open) return false;
  if (ask_.objective == Objective::pareto) {
    for (const Point& s : out_.points) {
      if (s.feasible && s.score * (1 + ask_.gap) >= p.bound && s.metrics.output_tok_s_per_user * (1 + ask_.gap) >= p.user_bound)
        return false;
    }
    return true;
  }
  return worth(p.bound);
}

// A good answer soon, so that bounds can rule the rest out: the highest concurrency that each shape can take, the most promising shapes
// first. Only the order of simulation rests on latency growing with concurrency, not the answer.
Result<void> Searcher::climb() {
  struct Climb {
    std::size_t low, high, probe;  // the points below `low` are feasible, those from `high` on are not
    double bound;
    double low_excess = 0,
           high_excess = 0;  // of the last feasible and the lowest infeasible point: latency over its limit; 0: not yet known
    int probes = 0;
  };
  while (looked_into_ < order_.size() && !spent()) {
    std::vector<Climb> climbs;
    for (; looked_into_ < order_.size() && climbs.size() < kWave; ++looked_into_) {
      const std::size_t shape = order_[looked_into_], from = out_.points.size();
      if (!worth(shape_bound_[shape])) break;
      look_into(shape);
      std::size_t high = out_.points.size();
      while (high > from && out_.points[high - 1].state == Point::State::cannot_meet) --high;
      if (high == from) continue;
      const double likely = std::min(bounds_->likely_concurrency(ask_.shapes[shape]), cached_seats(ask_, ask_.shapes[shape]));
      std::size_t first = high - 1;
      while (first > from && out_.points[first].concurrency > likely) --first;
      climbs.push_back({from, high, first, shape_bound_[shape]});
    }
    // The highest concurrency bounds all others of its shape.
    for_each_index(climbs.size(), ask_.threads, [&](std::size_t k) { bounds_->look_closer(out_.points[climbs[k].high - 1]); });
    for (Climb& c : climbs) {
      closer_[c.high - 1] = true;
      c.bound = std::min(c.bound, out_.points[c.high - 1].bound);
      for (std::size_t i = c.low; i < c.high; ++i) out_.points[i].bound = std::min(out_.points[i].bound, c.bound);
    }
    if (climbs.empty() && (looked_into_ == order_.size() || !worth(shape_bound_[order_[looked_into_]]))) break;
    for (;;) {
      std::vector<std::size_t> wave;
      std::vector<Climb*> of;
      for (Climb& c : climbs) {
        if (c.low >= c.high || !worth(c.bound)) continue;
        wave.push_back(c.probe);
        of.push_back(&c);
      }
      if (wave.empty() || spent()) break;
      JEVONS_CHECK(simulate(wave));
      for (Climb* c : of) {
        const Point& p = out_.points[c->probe];
        const double excess = excess_of(p);
        if (p.feasible) {
          c->low = c->probe + 1;
          c->low_excess = excess;
        } else {
          c->high = c->probe;
          c->high_excess = excess;
          if (ask_.steady && p.metrics.preemptions == 0 && p.concurrency <= cached_seats(ask_, ask_.shapes[p.shape]))
            c->bound = expected_most_[p.shape] = std::min(c->bound, p.score);  // fewer in flight do less
        }
        if (c->low >= c->high) continue;
        // Latency is about linear in the concurrency; where a guess fails too often, halve.
        double guess = double(out_.points[c->low].concurrency);
        const double here = p.concurrency;
        if (c->low_excess > 0 && c->high_excess > c->low_excess) {
          const double low = out_.points[c->low - 1].concurrency, high = out_.points[c->high].concurrency;
          guess = low + (high - low) * (1 - c->low_excess) / (c->high_excess - c->low_excess);
        } else if (excess > 0) {
          guess = here / excess;
        }
        std::size_t next = c->low;
        while (next + 1 < c->high && out_.points[next + 1].concurrency <= guess) ++next;
        c->probe = ++c->probes > 4 ? c->low + (c->high - c->low) / 2 : next;
      }
    }
  }
  return {};
}

// From the best point down, as long as fewer in flight are better: the cache may be too small for as many as the limits allow.
Result<void> Searcher::descend() {
  while (out_.best && !spent()) {
    const std::size_t at = *out_.best;
    if (at == 0 || out_.points[at - 1].shape != out_.points[at].shape || out_.points[at - 1].state != Point::State::open) break;
    JEVONS_CHECK(simulate({at - 1}));
    if (*out_.best == at) break;
  }
  return {};
}

// Whether fewer in flight missed a latency limit already. That more would too is likely, not proved.
bool Searcher::above_infeasible(std::size_t point) const {
  const Point& p = out_.points[point];
  return p.concurrency > lowest_miss_[p.shape];
}

// What nobody expects of the point, from others of its shape.
bool Searcher::expected_worse(std::size_t point) const {
  const Point& p = out_.points[point];
  return above_infeasible(point) || (ask_.steady && p.concurrency < highest_fit_[p.shape]);
}

Result<void> Searcher::close_gap() {
  while (!spent()) {
    std::vector<std::size_t> open;
    for (std::size_t i = 0; i < out_.points.size(); ++i) {
      if (can_win(out_.points[i])) open.push_back(i);
    }
    std::stable_sort(open.begin(), open.end(), [&](std::size_t a, std::size_t b) {
      const bool later_a = above_infeasible(a), later_b = above_infeasible(b);
      return later_a != later_b ? later_b : out_.points[a].bound > out_.points[b].bound;
    });
    std::vector<std::size_t> wave, look;
    for (const std::size_t i : open) {
      if (wave.size() + look.size() >= kWave) break;
      (closer_[i] ? wave : look).push_back(i);
    }
    if (look.empty() && wave.empty()) break;
    if (!look.empty()) {
      for_each_index(look.size(), ask_.threads, [&](std::size_t k) { bounds_->look_closer(out_.points[look[k]]); });
      for (const std::size_t i : look) closer_[i] = true;
      continue;
    }
    JEVONS_CHECK(simulate(wave));
  }
  return {};
}

// Nothing meets the limits: what the least load of each shape does tells what would.
Result<void> Searcher::look_for_nearest() {
  constexpr std::size_t kMost = 64;
  std::vector<std::size_t> wave;
  std::vector<bool> seen(ask_.shapes.size());
  for (; looked_into_ < order_.size() && looked_into_ < kMost; ++looked_into_) look_into(order_[looked_into_]);
  for (std::size_t i = 0; i < out_.points.size() && wave.size() < kMost; ++i) {
    if (seen[out_.points[i].shape]) continue;
    seen[out_.points[i].shape] = true;
    if (out_.points[i].state != Point::State::simulated) wave.push_back(i);
  }
  return simulate(wave);
}

void Searcher::account() {
  const double best = out_.best ? out_.points[*out_.best].score : 0;
  double open_bound = 0, likely_bound = 0;
  for (std::size_t i = 0; i < out_.points.size(); ++i) {
    const Point& p = out_.points[i];
    if (p.state == Point::State::cannot_meet) ++out_.cannot_meet;
    if (p.state != Point::State::open) continue;
    (can_win(p) ? out_.left : out_.bounded_out) += 1;
    open_bound = std::max(open_bound, p.bound);
    if (!expected_worse(i)) likely_bound = std::max(likely_bound, std::min(p.bound, expected_most_[p.shape]));
  }
  for (std::size_t k = looked_into_; k < order_.size(); ++k) {
    const double bound = shape_bound_[order_[k]];
    (worth(bound) ? out_.left : out_.bounded_out) += loads(ask_.shapes[order_[k]]).size();
    open_bound = std::max(open_bound, bound);
    likely_bound = std::max(likely_bound, bound);
  }
  if (best > 0) {
    out_.gap = std::max(0.0, open_bound / best - 1);
    out_.likely_gap = std::max(0.0, likely_bound / best - 1);
  }
  if (out_.best) {
    const Shape& shape = ask_.shapes[out_.points[*out_.best].shape];
    out_.capacity_rps = bounds_->capacity(shape);
    out_.knee = out_.capacity_rps * bounds_->alone_s(shape);
  }
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < out_.points.size(); ++i) {
    if (out_.points[i].feasible) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    const auto &x = out_.points[a].metrics, &y = out_.points[b].metrics;
    return x.output_tok_s_per_user != y.output_tok_s_per_user ? x.output_tok_s_per_user > y.output_tok_s_per_user
                                                              : x.output_tok_s_per_gpu > y.output_tok_s_per_gpu;
  });
  double top = 0;
  for (const std::size_t i : order) {
    if (out_.points[i].metrics.output_tok_s_per_gpu <= top) continue;
    top = out_.points[i].metrics.output_tok_s_per_gpu;
    out_.frontier.push_back(i);
  }
}

Result<Search> Searcher::run(bool everything) {
  JEVONS_CHECK(prepare());
  const bool by_shape = ask_.closed && ask_.objective != Objective::pareto && !everything;
  for (; !by_shape && looked_into_ < order_.size(); ++looked_into_) look_into(order_[looked_into_]);
  if (everything) {
    std::vector<std::size_t> all(out_.points.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    JEVONS_CHECK(simulate(all));
  } else {
    if (by_shape) JEVONS_CHECK(climb());
    JEVONS_CHECK(by_shape && ask_.steady ? descend() : close_gap());
    if (!out_.best) JEVONS_CHECK(look_for_nearest());
  }
  account();
  return std::move(out_);
}

}  // namespace

std::vector<int> concurrencies(int step, int most, int per_octave) {
  std::vector<int> out;
  for (double x = 1;; x *= std::exp2(1.0 / per_octave)) {
    const double c = std::round(x) * step;
    if (c > most) break;
    if (out.empty() || int(c) != out.back()) out.push_back(int(c));
  }
  if (out.empty()) out.push_back(std::max(1, std::min(step, most)));
  return out;
}

serve::Deployment deployment_of(const Ask& ask, const Shape& shape) {
  serve::Deployment d;
  for (const Part& p : shape.parts) d.pools.push_back(ask.choices[p.choice].replica->pool(p.replicas, p.role));
  d.routing = shape.routing;
  d.handover = shape.handover;
  return d;
}

Result<Search> search(const Ask& ask) { return Searcher(ask).run(false); }
Result<Search> exhaustive(const Ask& ask) { return Searcher(ask).run(true); }

}  // namespace jevons::plan
