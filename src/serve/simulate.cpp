#include "serve/simulate.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "serve/clients.hpp"
#include "serve/fleet.hpp"
#include "serve/links.hpp"

namespace jevons::serve {

int Deployment::replicas() const {
  int n = 0;
  for (const Pool& p : pools) n += p.replicas;
  return n;
}
int Deployment::ranks() const {
  int n = 0;
  for (const Pool& p : pools) n += p.replicas * p.ranks;
  return n;
}
int Deployment::accelerators() const {
  int n = 0;
  for (const Pool& p : pools) n += p.replicas * p.accelerators;
  return n;
}
bool Deployment::disaggregated() const {
  return std::any_of(pools.begin(), pools.end(), [](const Pool& p) { return p.role != Role::both; });
}

namespace {

Result<void> check(const Pool& p, const Deployment& d, const traffic::Workload& w) {
  JEVONS_CHECK(checked(p.policy));
  // TensorRT-LLM pyexecutor/scheduler/scheduler.py schedule_step: one rule for attention data parallelism, another for the rest.
  if (p.ranks > 1 && p.policy.batch_wait_iters > 0)
    return bad_input("batch-wait-timeout-iters", "has no effect with attention data parallelism", "attention-dp-config.timeout-iters");
  if (p.ranks == 1 && p.policy.adp_balance)
    return bad_input("attention-dp-config.enable-balance", "has no effect with one attention rank", "a dp of 2 and more");
  JEVONS_CHECK(check_adapters(p.policy, w.requests, p.ranks == 1 && p.role == Role::both));
  JEVONS_CHECK(check_tiers(p.tiers, p.policy.enable_prefix_caching, w.requests, p.ranks == 1 && p.role == Role::both));
  const std::int32_t content = w.requests.prefix.block_tokens;
  if (p.policy.enable_prefix_caching && content > 0 && content % p.policy.block_size != 0) {
    return bad_input("block-size", std::to_string(p.policy.block_size),
                     "a divisor of the workload's prefix blocks of " + std::to_string(content) + " tokens",
                     "choose another block size, or switch prefix caching off");
  }
  if (p.scaling && (p.scaling->least < 1 || p.scaling->least > p.replicas || p.scaling->target <= 0 || p.scaling->interval_s <= 0))
    return bad_input("autoscaler", "a least number of replicas above the most, or no target", "1 <= least <= replicas, target > 0");
  if (d.disaggregated() && p.role != Role::both && p.link_bytes_per_s <= 0)
    return bad_input("pools", "a pool that hands caches over has no network bandwidth", "bytes a second above 0");
  JEVONS_ENSURE(p.form != nullptr && p.form->max_batch() >= p.policy.max_num_seqs && p.step_tokens >= p.form->unit());
  return {};
}

Result<void> check(const Deployment& d, const traffic::Workload& w) {
  if (d.replicas() < 1) return bad_input("replicas", "no replica to serve with", "at least one");
  if (d.ranks() > 65534) return bad_input("replicas", "too many", "at most 65534 attention ranks in all");
  for (const Pool& p : d.pools) JEVONS_CHECK(check(p, d, w));
  const auto has = [&](Role role) { return std::any_of(d.pools.begin(), d.pools.end(), [&](const Pool& p) { return p.role == role; }); };
  if (has(Role::prefill) != has(Role::decode))
    return bad_input("pools", "prefill without decode, or the other way round", "both, or neither");
  return {};
}

Simulation empty(std::size_t requests) {
  Simulation s;
  s.outcomes.resize(requests);
  return s;
}

/// One run. The loop takes whatever comes first; each kind of event is one method.
class Run {
 public:
  Run(const Deployment& deployment, const traffic::Workload& workload, const RunOptions& options)
      : deployment_{deployment},
        requests_{workload.requests},
        options_{options},
        out_{empty(requests_.size())},
        split_{deployment.disaggregated()},
        fleet_{deployment, requests_, out_.outcomes, out_.itl, options.longest_run},
        clients_{workload, events_, out_.outcomes},
        router_{deployment.routing, fleet_.ranks(), requests_, options.seed, options.replication},
        host_{deployment.pools.front().policy.host_constant} {
    if (const auto* closed = std::get_if<traffic::ClosedLoad>(&workload.load)) fleet_.sleep_until(closed->cold_start);
    if (split_) start_split();
    start_fleet();
    several_ = fleet_.ranks().size() > 1;
  }

  Simulation run();

 private:
  // Life of a request
  void arrive(RequestId r, SimTime now);
  void settle(SimTime now);
  void hand_over(RequestId r, SimTime now);
  void fetch_for(std::uint32_t player, SimTime now);
  void land(SimTime now);
  // Life of the fleet
  void start_split();
  void start_fleet();
  void fail(std::uint32_t part, SimTime now);
  void repair(std::uint32_t part, SimTime now);
  void take_down(Fleet::Site& s, SimTime now);
  void ready(std::uint32_t site, SimTime now);
  void scale(std::uint32_t pool, SimTime now);
  void stop_drained(std::uint32_t player, SimTime now);
  void open(const Fleet::Site& s, bool open);
  void off(Fleet::Site& s, SimTime now);
  const Pool& pool(const Fleet::Site& s) const { return deployment_.pools[s.pool]; }
  Router& router_of(const Fleet::Site& s) { return split_ && pool(s).role == Role::decode ? *decode_router_ : router_; }
  void changed(std::uint32_t rank) {
    if (!several_) return;
    router_.changed(rank);
    if (split_) decode_router_->changed(rank);
  }
  void finish(SimTime now);

  const Deployment& deployment_;
  const traffic::Requests& requests_;
  const RunOptions& options_;
  Simulation out_;
  const bool split_;                      // prefill and decode pools
  bool several_ = false, lives_ = false;  // more than one rank; replicas come and go
  Fleet fleet_;
  EventHeap events_;
  Clients clients_;
  Router router_;
  std::optional<Router> decode_router_;
  std::optional<Links> links_;
  std::optional<Failures> failures_;
  const SimTime host_;
  std::vector<RequestId> finished_, lost_, parked_;
  std::vector<Replica::Fetch> fetches_;
  std::vector<std::deque<std::pair<SimTime, int>>> wanted_;  // of each pool with a scaler: looks within the window
  std::size_t done_ = 0;
};

Simulation Run::run() {
  const std::size_t n = requests_.size();
  std::size_t row = clients_.next_arrival(0), next_report = RunOptions::kProgressEvery;
  for (;;) {
    const SimTime arrival = row < n ? requests_.arrival[row] + host_ : kNever;
    const SimTime event = events_.next(), landing = split_ ? links_->next() : kNever, boundary = fleet_.next();
    const SimTime now = std::min({arrival, event, landing, boundary});
    if (now == kNever || (lives_ && done_ == n)) break;
    out_.end = now;
    if (arrival == now) {
      clients_.arrived(RequestId(row));
      arrive(RequestId(row), now);
      row = clients_.next_arrival(row + 1);
    } else if (event == now) {
      const Event e = events_.pop();
      switch (e.kind) {
        case EventKind::release:
          out_.outcomes.issued[e.subject] = now;
          host_ > 0 ? events_.push(now + host_, EventKind::arrive, e.subject) : arrive(e.subject, now);
          break;
        case EventKind::arrive:
          arrive(e.subject, now);
          break;
        case EventKind::hand_over:
          hand_over(e.subject, now);
          break;
        case EventKind::fail:
          fail(e.subject, now);
          break;
        case EventKind::repair:
          repair(e.subject, now);
          break;
        case EventKind::ready:
          ready(e.subject, now);
          break;
        case EventKind::scale:
          scale(e.subject, now);
          break;
      }
    } else if (landing == now) {
      land(now);
    } else {
      const std::uint32_t i = fleet_.advance_first(finished_);
      if (split_) fetch_for(i, now);
      settle(now);
      if (several_) {
        for (std::uint32_t k = 0; k < fleet_.size(i); ++k) changed(i + k);
      }
      if (lives_) stop_drained(i, now);
      if (done_ >= next_report) {
        next_report += RunOptions::kProgressEvery;
        if (options_.progress) options_.progress(done_, n);
      }
      if (options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed)) {
        out_.partial = true;
        break;
      }
    }
  }
  finish(out_.end);
  return std::move(out_);
}

void Run::arrive(RequestId r, SimTime now) {
  if (lives_ && !router_.any_open()) {
    parked_.push_back(r);
    return;
  }
  const std::uint32_t to = several_ ? router_.choose(r) : 0;
  fleet_.arrive(to, r, now);
  if (out_.outcomes.status[r] == Status::rejected) finished_.push_back(r), settle(now);
  changed(to);
}

void Run::settle(SimTime now) {
  for (const RequestId r : finished_) {
    if (split_ && out_.outcomes.status[r] == Status::pending) {
      events_.push(now + 1, EventKind::hand_over, r);  // seen by no decision of this instant
      continue;
    }
    clients_.finished(r, now);
    ++done_;
  }
  finished_.clear();
}

void Run::hand_over(RequestId r, SimTime now) {
  Outcomes& o = out_.outcomes;
  if (o.holder[r] == Outcomes::kNobody || o.replica[r] != o.holder[r]) return;  // its holder died meanwhile: it was sent on
  if (!decode_router_->any_open()) {
    events_.push(now + traffic::kNsPerSecond, EventKind::hand_over, r);  // the router tries again in a second
    return;
  }
  const std::uint32_t to = decode_router_->choose(r);
  fleet_.arrive(to, r, now);
  if (o.status[r] == Status::rejected) {
    fleet_.release(o.holder[r], r, now);
    finished_.push_back(r), settle(now);
  }
  changed(to);
}

// Blocks were reserved for these: their cache sets out.
void Run::fetch_for(std::uint32_t player, SimTime now) {
  const Handover& h = deployment_.handover;
  for (std::uint32_t to = player; to < player + fleet_.size(player); ++to) {
    fetches_.clear();
    fleet_.rank(to).take_fetches(fetches_);
    for (const auto& f : fetches_) {
      const std::uint32_t from = out_.outcomes.holder[f.id];
      double bytes = h.bytes_per_token * f.tokens + h.bytes_fixed;
      out_.fleet.handed_over_bytes += bytes;
      if (h.overlapped_layers > 0) {
        const double seconds = double(out_.outcomes.prefilled[f.id] - out_.outcomes.scheduled[f.id]) * 1e-9;
        const double sent = seconds * std::min(links_->bandwidth(from), links_->bandwidth(to));
        bytes = std::max(bytes / h.overlapped_layers, bytes - sent);
      }
      links_->start(f.id, from, to, bytes, now);
      ++out_.fleet.handed_over;
    }
  }
}

// A cache has arrived: its first token goes to the client, the replica that made it may forget it.
void Run::land(SimTime now) {
  Outcomes& o = out_.outcomes;
  const RequestId r = links_->pop();
  const std::uint32_t to = o.replica[r], from = o.holder[r];
  if (o.first_token[r] == 0)
    o.first_token[r] = now;
  else  // it has had outputs before, from a replica that died
    out_.itl.add((now - o.finished[r]) << step::kTickBits, 1);
  fleet_.landed(to, r, now);
  fleet_.release(from, r, now);
  changed(to);
  changed(from);
}

void Run::start_split() {
  out_.outcomes.holder.assign(requests_.size(), Outcomes::kNobody);
  out_.outcomes.prefilled.resize(requests_.size());
  decode_router_.emplace(deployment_.routing, fleet_.ranks(), requests_, options_.seed, options_.replication + (std::uint64_t{1} << 32));
  std::vector<double> bandwidth;
  for (const auto& s : fleet_.sites()) {
    bandwidth.insert(bandwidth.end(), s.ranks, pool(s).link_bytes_per_s);
    Router& other = pool(s).role == Role::decode ? router_ : *decode_router_;
    for (std::uint32_t i = s.first; i < s.first + s.ranks; ++i) other.set_open(i, false);
  }
  links_.emplace(std::move(bandwidth));
}

void Run::start_fleet() {
  out_.fleet.accelerator_s.resize(deployment_.pools.size());
  wanted_.resize(deployment_.pools.size());
  for (std::uint32_t k = 0; k < deployment_.pools.size(); ++k) {
    const Pool& p = deployment_.pools[k];
    if (!p.scaling) continue;
    lives_ = true;
    events_.push(SimTime(p.scaling->interval_s * 1e9), EventKind::scale, k);
    int number = 0;
    for (auto& s : fleet_.sites()) {
      if (s.pool != k || number++ < p.scaling->least) continue;
      s.state = Fleet::Site::State::off;
      open(s, false);
    }
  }
  if (deployment_.failures.empty()) return;
  lives_ = true;
  failures_.emplace(deployment_.failures, deployment_.accelerators(), options_.seed, options_.replication);
  for (std::uint32_t p = 0; p < failures_->parts(); ++p) {
    if (const SimTime t = failures_->lifetime(p); t < kNever) events_.push(t, EventKind::fail, p);
  }
}

void Run::open(const Fleet::Site& s, bool open) {
  for (std::uint32_t i = s.first; i < s.first + s.ranks; ++i) {
    router_of(s).set_open(i, open);
  }
}

void Run::fail(std::uint32_t part, SimTime now) {
  ++out_.fleet.failures;
  if (now > kNever / 4) return out_.partial = true, void();  // 73 years: what never stays up long enough serves nobody
  events_.push(now + failures_->repair(part), EventKind::repair, part);
  for (auto& s : fleet_.sites()) {
    if (s.first_accelerator >= failures_->last(part) || s.first_accelerator + pool(s).accelerators <= failures_->first(part)) continue;
    if (s.broken++ == 0 && s.state != Fleet::Site::State::off) take_down(s, now);
  }
}

// What a dying replica had goes to others; caches that it kept for others are lost, those that others kept for it are sent elsewhere.
void Run::take_down(Fleet::Site& s, SimTime now) {
  Outcomes& o = out_.outcomes;
  const auto here = [&](std::uint32_t rank) { return rank >= s.first && rank < s.first + s.ranks; };
  if (s.state != Fleet::Site::State::starting) s.down_from = now;
  s.state = Fleet::Site::State::up;  // a replica that was to stop comes back: the scaler decides anew
  open(s, false);
  lost_.clear();
  fleet_.fail(s, now, lost_);
  for (const RequestId r : lost_) {
    ++out_.fleet.lost;
    if (split_ && o.holder[r] != Outcomes::kNobody) {
      links_->cancel(r, now);
      if (!here(o.holder[r])) {
        o.replica[r] = o.holder[r];
        events_.push(now + 1, EventKind::hand_over, r);
        continue;
      }
      o.holder[r] = Outcomes::kNobody;
      if (!here(o.replica[r])) {  // queued or reserved where it was to decode: it computes its prompt there
        fleet_.come_no_more(o.replica[r], r, now);
        continue;
      }
    }
    events_.push(now + 1, EventKind::arrive, r);
  }
  for (std::uint32_t i = s.first; i < s.first + s.ranks; ++i) changed(i);
}

void Run::repair(std::uint32_t part, SimTime now) {
  for (std::uint32_t i = 0; i < fleet_.sites().size(); ++i) {
    auto& s = fleet_.sites()[i];
    if (s.first_accelerator >= failures_->last(part) || s.first_accelerator + pool(s).accelerators <= failures_->first(part)) continue;
    if (--s.broken > 0 || s.state == Fleet::Site::State::off) continue;
    s.state = Fleet::Site::State::starting;
    events_.push(now + SimTime(pool(s).start_up_s * 1e9), EventKind::ready, i);
  }
  if (const SimTime t = failures_->lifetime(part); t < kNever - now) events_.push(now + t, EventKind::fail, part);
}

void Run::ready(std::uint32_t site, SimTime now) {
  auto& s = fleet_.sites()[site];
  if (s.state != Fleet::Site::State::starting || s.broken > 0) return;
  s.state = Fleet::Site::State::up;
  out_.fleet.accelerator_down_s += s.down_from > 0 ? double(now - s.down_from) * 1e-9 * pool(s).accelerators : 0;
  s.down_from = 0;
  open(s, true);
  const auto waiting = std::move(parked_);
  parked_.clear();
  for (const RequestId r : waiting) arrive(r, now);
}

void Run::scale(std::uint32_t k, SimTime now) {
  using State = Fleet::Site::State;
  const Pool& p = deployment_.pools[k];
  const Scaling& rule = *p.scaling;
  events_.push(now + SimTime(rule.interval_s * 1e9), EventKind::scale, k);
  int outstanding = pool(fleet_.sites().front()).role == p.role ? int(parked_.size()) : 0, ordered = 0;
  for (const auto& s : fleet_.sites()) {
    if (s.pool != k) continue;
    outstanding += fleet_.outstanding(s);
    ordered += s.state == State::up || s.state == State::starting;
  }
  auto& looks = wanted_[k];
  looks.push_back({now, std::clamp(int(std::ceil(outstanding / rule.target)), rule.least, p.replicas)});
  while (looks.front().first < now - SimTime(rule.stabilization_s * 1e9)) looks.pop_front();
  int wanted = looks.back().second;
  if (wanted < ordered) {
    for (const auto& l : looks) wanted = std::max(wanted, l.second);
    wanted = std::min(wanted, ordered);
  }
  // Those that still drain come back first, then new ones start; the highest numbers stop first.
  for (std::uint32_t i = 0; i < fleet_.sites().size() && ordered < wanted; ++i) {
    auto& s = fleet_.sites()[i];
    if (s.pool != k || s.broken > 0 || s.state != State::draining) continue;
    s.state = State::up;
    open(s, true);
    ++ordered;
  }
  for (std::uint32_t i = 0; i < fleet_.sites().size() && ordered < wanted; ++i) {
    auto& s = fleet_.sites()[i];
    if (s.pool != k || s.broken > 0 || s.state != State::off) continue;
    s.state = State::starting;
    s.paid_from = now;
    events_.push(now + SimTime(p.start_up_s * 1e9), EventKind::ready, i);
    ++out_.fleet.started;
    ++ordered;
  }
  for (std::uint32_t i = std::uint32_t(fleet_.sites().size()); i-- > 0 && ordered > wanted;) {
    auto& s = fleet_.sites()[i];
    if (s.pool != k || s.broken > 0 || s.state != State::up) continue;
    s.state = State::draining;
    open(s, false);
    --ordered;
    if (fleet_.outstanding(s) == 0) off(s, now);
  }
}

void Run::stop_drained(std::uint32_t player, SimTime now) {
  auto& s = fleet_.sites()[fleet_.site_of(player)];
  if (s.state == Fleet::Site::State::draining && fleet_.outstanding(s) == 0) off(s, now);
}

void Run::off(Fleet::Site& s, SimTime now) {
  s.state = Fleet::Site::State::off;
  ++out_.fleet.stopped;
  out_.fleet.accelerator_s[s.pool] += double(now - s.paid_from) * 1e-9 * pool(s).accelerators;
}

void Run::finish(SimTime now) {
  for (const auto& s : fleet_.sites()) {
    if (s.state == Fleet::Site::State::off) continue;
    out_.fleet.accelerator_s[s.pool] += double(now - s.paid_from) * 1e-9 * pool(s).accelerators;
    if (s.down_from > 0) out_.fleet.accelerator_down_s += double(now - s.down_from) * 1e-9 * pool(s).accelerators;
  }
  for (const Replica* r : fleet_.ranks()) {
    out_.replicas.push_back(r->counters());
    out_.block_seconds.push_back(r->block_seconds());
  }
}

}  // namespace

Result<Simulation> simulate(const Deployment& deployment, const traffic::Workload& workload, const RunOptions& options) {
  JEVONS_CHECK(check(deployment, workload));
  return Run(deployment, workload, options).run();
}

}  // namespace jevons::serve
