#include "plan/bounds.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <unordered_map>

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

std::size_t uncounted(const traffic::Workload& w) {
  const auto* closed = std::get_if<traffic::ClosedLoad>(&w.load);
  return closed == nullptr ? 0 : std::min(closed->uncounted, w.requests.size() - 1);
}

traffic::Workload leading_rows(traffic::Workload w, std::size_t n) {
  traffic::Requests& q = w.requests;
  q.arrival.resize(n);
  q.input_tokens.resize(n);
  q.output_tokens.resize(n);
  if (!q.tenant.empty()) q.tenant.resize(n);
  if (!q.adapter.empty()) q.adapter.resize(n);
  if (q.prefix.known()) {
    q.prefix.offset.resize(n + 1);
    q.prefix.run.resize(q.prefix.offset.back());
  }
  return w;
}

Demand demand_of(const traffic::Workload& w) {
  const traffic::Requests& q = w.requests;
  const std::size_t first = uncounted(w);
  // Equal leading blocks of two requests are runs with equal first blocks: what no other request has cannot be found.
  std::unordered_map<traffic::BlockId, int> requests_with;
  for (traffic::RequestId r = 0; q.prefix.known() && r < q.size(); ++r) {
    for (const auto& run : q.prefix.of(r)) ++requests_with[run.first];
  }
  const auto most_found = [&](traffic::RequestId r) {
    double blocks = 0;
    for (const auto& run : q.prefix.of(r)) {
      if (requests_with[run.first] < 2) break;
      blocks += run.count;
    }
    return std::min(q.input_tokens[r] - 1.0, q.prefix.block_tokens * blocks);  // the last token is always computed
  };
  Demand d;
  d.requests = double(q.size() - first);
  d.burst = first == 0;
  d.input_least = *std::min_element(q.input_tokens.begin() + std::ptrdiff_t(first), q.input_tokens.end());
  d.equal = true;
  d.fresh_least = 1e300;
  for (auto r = traffic::RequestId(first); r < q.size(); ++r) {
    const double input = q.input_tokens[r], shared = q.prefix.known() ? std::floor(most_found(r)) : 0, out = q.output_tokens[r] - 1;
    d.cached = std::max(d.cached, std::int64_t(shared));
    d.fresh += input - shared;
    d.fresh_least = std::min(d.fresh_least, input - shared);
    d.input += input;
    d.decodes += out;
    d.excess += out * (input - double(d.input_least));
    d.squares += out * out;
    d.equal = d.equal && q.input_tokens[r] == q.input_tokens[first] && q.output_tokens[r] == q.output_tokens[first];
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

  // Blocks: every decoding sequence holds what it shares with no other.
  const std::int64_t own = std::max<std::int64_t>(0, demand.input_least - demand.cached);
  const std::int64_t each = demand.cached == 0 ? (own + policy.block_size - 1) / policy.block_size : own / policy.block_size;
  most_decodes_ = int(std::clamp<std::int64_t>(replica.pool(1).blocks / std::max<std::int64_t>(1, each), 1, seats));
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
  const double floor = seconds(form.prefill_floor());  // of every step with prompt tokens
  prefill_ = std::max(fresh * (per_token / ranks + shared_per_token) + prompt_attention / ranks, fresh / room / ranks * floor) * kRounding;
  const double host = double(policy.host_constant) * 1e-9;
  const double alone = std::max(demand.fresh_least * per_token + least_attention, std::ceil(demand.fresh_least / room) * floor);
  first_token_ = fresh > 0 ? (host + alone) * kRounding : 0;
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
    const double floor = seconds(form.prefill_floor());
    int from = 1;  // prompt tokens of a rank in the mean, rounded up
    for (std::size_t j = 0; j < hull_.size(); ++j) {
      while (from <= hull_[j].first - low) {
        int to = ranks > 1 ? std::min(hull_[j].first - low, std::max(from, from + from / 10)) : hull_[j].first - low;
        double shared = 0;
        if (ranks > 1) shared = std::max(0.0, seconds(form.shared_time(least + ranks * (from - 1) + 1)) - shared_decodes);
        const auto at = [&](int n) { return here + hull(j, low + n) + shared; };
        if (at(from) < floor && at(to) > floor) {  // an interval ends where its steps outgrow the floor
          const double part = (floor - at(from)) / (at(to) - at(from));
          to = std::clamp(from + int(part * (to - from)), from, to - 1);
        }
        put(double(ranks) * from, std::max(floor, at(from)));
        if (to > from) put(double(ranks) * to, std::max(floor, at(to)));
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

// The linear programme behind work bounds: steps x >= 0 of the corners' kinds, of least total time, that do the decodes and prompt tokens
// of a request and keep the limit: min Σ x·T subject to Σ x·b >= decodes, Σ x·p >= fresh, Σ x·b·(limit − T) >= 0. Its dual prices, by the
// revised simplex method from an artificial basis. Source: Dantzig, "Linear Programming and Extensions", 1963, chapter 9.
ReplicaBound::Prices ReplicaBound::best_prices(const std::vector<Corner>& corners, double decodes, double limit) const {
  using Row = std::array<double, 3>;
  const bool limited = limit > 0;
  const auto column = [&](const Corner& c) { return Row{c.decodes, c.prompt, limited ? c.decodes * (limit - c.seconds) : 0}; };
  constexpr double kLarge = 1e6;                             // seconds of one unit that no step does: far above what any step takes for it
  const double tiny = limited ? 1e-9 * decodes * limit : 0;  // keeps pivots from standing still
  Row cost{kLarge, kLarge, limited ? kLarge : 0}, level{decodes, demand_.fresh, tiny}, price{};
  std::array<Row, 3> inverse{Row{1, 0, 0}, Row{0, 1, 0}, Row{0, 0, 1}};
  for (int round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i < 3; ++i) price[i] = cost[0] * inverse[0][i] + cost[1] * inverse[1][i] + cost[2] * inverse[2][i];
    double most = 1e-7, entering_cost = 0;  // saved by the entering column, of its own time
    Row entering{};
    bool found = false;
    for (const Corner& c : corners) {
      const Row a = column(c);
      const double saved = (price[0] * a[0] + price[1] * a[1] + price[2] * a[2]) / c.seconds - 1;
      if (saved > most) most = saved, entering = a, entering_cost = c.seconds, found = true;
    }
    for (std::size_t i = 0; i < 3 && !found; ++i) {  // doing more than is asked
      if (price[i] < -1e-12) entering = {}, entering[i] = -1, entering_cost = 0, found = true;
    }
    if (!found) break;
    Row step{};
    for (std::size_t i = 0; i < 3; ++i) step[i] = inverse[i][0] * entering[0] + inverse[i][1] * entering[1] + inverse[i][2] * entering[2];
    std::size_t out = 3;
    for (std::size_t i = 0; i < 3; ++i) {
      if (step[i] > 1e-13 && (out == 3 || level[i] * step[out] < level[out] * step[i])) out = i;
    }
    if (out == 3) break;
    const double theta = level[out] / step[out];
    for (double& x : inverse[out]) x /= step[out];
    for (std::size_t i = 0; i < 3; ++i) {
      if (i == out) continue;
      level[i] = std::max(0.0, level[i] - theta * step[i]);
      for (std::size_t k = 0; k < 3; ++k) inverse[i][k] -= step[i] * inverse[out][k];
    }
    level[out] = theta;
    cost[out] = entering_cost;
  }
  return {std::max(0.0, price[0]), std::max(0.0, price[1]), limited ? std::max(0.0, price[2]) : 0};
}

// What any prices prove (weak duality): scaled so that no step costs less than its work is worth.
double ReplicaBound::value(const std::vector<Corner>& corners, const Prices& p, double decodes, double limit) const {
  double least = 1e300;
  for (const Corner& c : corners) {
    const double worth = p.decode * c.decodes + p.prompt * c.prompt;
    if (worth > 0) least = std::min(least, (c.seconds + p.slack * c.decodes * (c.seconds - limit)) / worth);
  }
  return least < 1e300 ? least * (p.decode * decodes + p.prompt * demand_.fresh) : 0;
}

int ReplicaBound::decodes_within(double tpot_s) const {
  int low = 1, high = most_decodes_;
  while (low < high) {
    const int m = (low + high + 1) / 2;
    const double step = seconds(replica_.form().base_time(m)) + attention_ * m;
    (step <= tpot_s * replica_.yield() ? low : high) = step <= tpot_s * replica_.yield() ? m : m - 1;
  }
  return low;
}

double ReplicaBound::work_s(int decodes, const std::optional<TpotLimit>& limit) const {
  const int b = std::clamp(decodes, 1, most_decodes_);
  if (role_ == serve::Role::prefill) return prefill_;
  const auto all = corners(b);
  double best = value(all, best_prices(all, steps_, 0), steps_, 0);
  if (limit && demand_.equal && steps_ > 0) {
    const double keeping = steps_ * std::min(1.0, limit->share), step_limit = limit->seconds * replica_.yield();
    best = std::max(best, value(all, best_prices(all, keeping, step_limit), keeping, step_limit));
  }
  if (demand_.fresh > 0) best = std::max(best, prefill_ - fixed_work_);
  return std::max(0.0, best + fixed_work_) * kRounding;
}

}  // namespace jevons::plan
