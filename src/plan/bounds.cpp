#include "plan/bounds.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::plan {
namespace {

using step::Ticks;

double seconds(Ticks t) { return double(t) / (1e9 * double(step::kTicksPerNs)); }
// Integer tables round to 2^-20 ns a step, the simulator to 1 ns an event: bounds give way by as much.
constexpr double kRounding = 1 - 1e-6;

// Lower convex hull of f(0) … f(n).
template <class F>
std::vector<std::pair<int, double>> lower_hull(int n, F&& f) {
  std::vector<std::pair<int, double>> hull;
  for (int i = 0; i <= n; ++i) {
    const std::pair<int, double> p{i, f(i)};
    while (hull.size() > 1) {
      const auto &a = hull[hull.size() - 2], &b = hull.back();
      if ((b.second - a.second) * (p.first - a.first) < (p.second - a.second) * (b.first - a.first)) break;
      hull.pop_back();
    }
    hull.push_back(p);
  }
  return hull;
}

// Attention over the caches of `batch` sequences of one rank: f(sum) >= first·batch + slope·(sum − least·batch) for every sum up to
// most·batch. Chords end at the joints of a piecewise linear function.
struct Line {
  double first, slope;
};
Line attention_line(const step::StepForm& form, int batch, std::int64_t least, std::int64_t most) {
  const double unit = form.unit();
  const std::int64_t low = least * batch * form.unit(), high = std::max(low + 1, most * batch * form.unit());
  const Ticks at_low = form.decode_time(batch, low), base = form.base_time(batch);
  double slope = seconds(form.decode_time(batch, high) - at_low) / double(high - low);
  for (const auto& s : form.decode(batch)) {
    if (s.from > low && s.from < high) slope = std::min(slope, seconds(s.base - at_low) / double(s.from - low));
  }
  return {seconds(at_low - base) / batch, std::max(0.0, slope) * unit};
}

}  // namespace

Demand demand_of(const traffic::Workload& w) {
  const traffic::Requests& q = w.requests;
  Demand d;
  d.requests = double(q.size());
  d.input_least = *std::min_element(q.input_tokens.begin(), q.input_tokens.end());
  d.equal = true;
  d.fresh_least = 1e300;
  for (traffic::RequestId r = 0; r < q.size(); ++r) {
    double input = q.input_tokens[r], shared = 0;
    if (q.prefix.known()) {  // whatever may be found is taken to be found, but for the last token
      shared = std::min(input - 1, double(q.prefix.block_tokens) * std::floor(input / q.prefix.block_tokens));
      d.cached = std::max(d.cached, std::int64_t(shared));
    }
    const double out = q.output_tokens[r] - 1;
    d.fresh += input - shared;
    d.fresh_least = std::min(d.fresh_least, input - shared);
    d.input += input;
    d.decodes += out;
    d.excess += out * (input - double(d.input_least));
    d.squares += out * out;
    d.equal = d.equal && q.input_tokens[r] == q.input_tokens[0] && q.output_tokens[r] == q.output_tokens[0];
  }
  for (double* sum : {&d.fresh, &d.input, &d.decodes, &d.excess, &d.squares}) *sum /= d.requests;
  d.decodes_most = d.decodes;
  return d;
}

ReplicaBound::ReplicaBound(const Replica& replica, const Demand& demand, serve::Role role)
    : replica_{replica}, demand_{demand}, role_{role} {
  const step::StepForm& form = replica.form();
  const auto& policy = replica.design().policy;
  const int ranks = replica.design().placement.dp;
  const int seats = std::min(policy.max_num_seqs, form.max_batch());
  steps_ = role == serve::Role::prefill ? 0 : demand.decodes / replica.yield();
  const double fresh = role == serve::Role::decode ? 0 : demand.fresh;
  if (role == serve::Role::decode) demand_.fresh = 0;

  // Blocks: every decoding sequence holds its whole prompt, where none of it is shared.
  most_decodes_ = seats;
  if (demand.cached == 0) {
    const auto pool = replica.pool(1);
    const std::int64_t each = (demand.input_least + policy.block_size - 1) / policy.block_size;
    most_decodes_ = int(std::clamp<std::int64_t>(pool.blocks / std::max<std::int64_t>(1, each), 1, seats));
  }
  Line line{1e300, 1e300};
  const std::int64_t most = replica.design().max_context;
  for (int b = 1; b <= most_decodes_; ++b) {
    const Line l = attention_line(form, b, demand.input_least, most);
    line = {std::min(line.first, l.first), std::min(line.slope, l.slope)};
  }
  attention_ = line.first;
  // Step j = 0 … n − 1 of n = out/yield reads j·yield tokens more than the prompt: Σ = (out²/yield − out)/2.
  const double grown = std::max(0.0, demand.squares / replica.yield() - demand.decodes_most) / 2;
  const double growth = role == serve::Role::prefill ? 0 : line.slope * (demand.excess / replica.yield() + grown);
  double prompt_attention = 0, least_attention = 0;
  if (fresh > 0) {  // convex in the position: its mean is at least that of the mean prompt
    prompt_attention = std::max(0.0, seconds(form.position_time(std::int64_t(demand.input)) - form.position_time(demand.cached)));
    least_attention = std::max(0.0, seconds(form.position_time(demand.input_least) - form.position_time(demand.cached)));
  }
  fixed_work_ = (prompt_attention + growth) / ranks;

  const int room = policy.step_tokens();
  hull_ = lower_hull(room + seats, [&](int n) { return seconds(form.token_time(n)); });
  double per_token = 1e300, shared_per_token = ranks > 1 ? 1e300 : 0;
  for (const auto& [n, s] : hull_) {
    if (n > 0) per_token = std::min(per_token, s / n);
  }
  for (int n = 1; ranks > 1 && n <= room; ++n)
    shared_per_token = std::min(shared_per_token, seconds(form.shared_time(ranks * (n - 1) + 1)) / (ranks * double(n)));
  rest_.assign(std::size_t(most_decodes_) + 2, 1e300);
  for (int m = most_decodes_; m >= 1; --m) {
    rest_[std::size_t(m)] = std::min(rest_[std::size_t(m) + 1], seconds(form.base_time(m) - form.token_time(m)));
  }
  rest_[0] = 0;
  prefill_ = (fresh * (per_token / ranks + shared_per_token) + prompt_attention / ranks) * kRounding;
  const double host = double(policy.host_constant) * 1e-9;
  first_token_ = fresh > 0 ? (host + demand.fresh_least * per_token + least_attention) * kRounding : 0;
  decode_ = (steps_ * (seconds(form.base_time(1)) + attention_) + growth) * kRounding;
}

// Steps with few decodes are taken one by one, larger ones in groups of 4 %: a group is as fast as its smallest and does as much as its
// largest. In the number of prompt tokens a step's time is at least the hull, linear between its joints, and the experts' part that of the
// fewest tokens between two joints: corners are the ends of these intervals.
std::vector<ReplicaBound::Corner> ReplicaBound::corners(int decodes) const {
  const step::StepForm& form = replica_.form();
  const int ranks = replica_.design().placement.dp;
  std::vector<Corner> out;
  const auto hull = [&](std::size_t j, int n) {  // joint j is the first with hull_[j].first >= n
    const auto &b = hull_[j], &a = hull_[j == 0 ? 0 : j - 1];
    return b.first == n ? b.second : a.second + (b.second - a.second) * double(n - a.first) / double(b.first - a.first);
  };
  const auto add = [&](int low, int high) {  // decodes of a rank in the mean, rounded up: low … high
    const int least = low == 0 ? 0 : ranks * (low - 1) + 1, most = ranks * high;
    const double attention = attention_ * least / ranks;
    const auto put = [&](double prompt, double s) {
      if (least > 0) out.push_back({double(least), prompt, s});
      if (most > least) out.push_back({double(most), prompt, s});
      if (most == 0) out.push_back({0, prompt, s});
    };
    if (low > 0) put(0, seconds(form.base_time(low)) + attention);
    if (demand_.fresh <= 0) return;
    const double here = (low == 0 ? 0 : rest_[std::size_t(low)]) + attention;
    const double shared_decodes = ranks > 1 ? seconds(form.shared_time(most)) : 0;
    int from = 1;  // prompt tokens of a rank in the mean, rounded up
    for (std::size_t j = 0; j < hull_.size(); ++j) {
      while (from <= hull_[j].first - low) {
        const int to = ranks > 1 ? std::min(hull_[j].first - low, std::max(from, from + from / 10)) : hull_[j].first - low;
        double shared = 0;
        if (ranks > 1) shared = std::max(0.0, seconds(form.shared_time(least + ranks * (from - 1) + 1)) - shared_decodes);
        put(double(ranks) * from, here + hull(j, low + from) + shared);
        if (to > from) put(double(ranks) * to, here + hull(j, low + to) + shared);
        from = to + 1;
      }
    }
  };
  if (demand_.fresh > 0) add(0, 0);
  for (int m = 1; m <= decodes;) {
    const int high = std::min(decodes, std::max(m, int(m * 1.04)));
    add(m, high);
    m = high + 1;
  }
  return out;
}

// The largest price a of a decode so that every step takes at least a·(decodes + prompt_price·prompt) − slack_price·decodes·(T − limit).
double ReplicaBound::rate(const std::vector<Corner>& corners, double prompt_price, double slack_price, double limit) const {
  double a = 1e300;
  for (const Corner& c : corners) {
    const double work = c.decodes + prompt_price * c.prompt;
    a = std::min(a, (c.seconds + slack_price * c.decodes * (c.seconds - limit)) / work);
  }
  return a;
}

double ReplicaBound::work_s(int decodes, const std::optional<TpotLimit>& limit) const {
  const int b = std::clamp(decodes, 1, most_decodes_);
  if (role_ == serve::Role::prefill) return prefill_;
  const auto all = corners(b);
  const bool limited = limit && demand_.equal && steps_ > 0;
  const double share = limited ? std::min(1.0, limit->share) : 1;
  const double step_limit = limited ? limit->seconds * replica_.yield() : 0;
  const double fresh = demand_.fresh;
  // Any pair of prices is a bound (weak duality): take good ones, by steps on a grid that shrinks.
  const auto value = [&](double log_price, double log_slack, bool slack) {
    const double price = fresh > 0 ? std::exp(log_price) : 0, s = slack ? std::exp(log_slack) : 0;
    return rate(all, price, s, step_limit) * (steps_ * (slack ? share : 1.0) + price * fresh);
  };
  double best = 0;
  for (const bool slack : {false, true}) {
    if (slack && !limited) break;
    double p = std::log(0.2), s = std::log(0.01), here = value(p, s, slack);
    for (double width = 1.6; width > 0.04; width *= 0.5) {
      for (int round = 0; round < 4; ++round) {
        bool moved = false;
        for (const auto& [dp, ds] : {std::pair{width, 0.0}, {-width, 0.0}, {0.0, width}, {0.0, -width}, {width, width}, {-width, -width}}) {
          if ((dp != 0 && fresh <= 0) || (ds != 0 && !slack)) continue;
          if (const double v = value(p + dp, s + ds, slack); v > here) p += dp, s += ds, here = v, moved = true;
        }
        if (!moved) break;
      }
    }
    best = std::max(best, here);
  }
  if (fresh > 0) best = std::max(best, prefill_ - fixed_work_);
  return std::max(0.0, best + fixed_work_) * kRounding;
}

}  // namespace jevons::plan
