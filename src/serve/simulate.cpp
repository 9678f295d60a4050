#include "serve/simulate.hpp"

#include <algorithm>
#include <optional>

#include "serve/events.hpp"
#include "serve/lockstep.hpp"

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

namespace {

/// Releases the requests of a closed load and of sessions as others finish.
class Clients {
 public:
  Clients(const traffic::Workload& w, EventHeap& events, Outcomes& outcomes) : requests_{w.requests}, events_{events}, outcomes_{outcomes} {
    if (const auto* closed = std::get_if<traffic::ClosedLoad>(&w.load)) closed_ = *closed;
    if (closed_ || requests_.sessions.known()) outcomes_.issued.resize(requests_.size());
    if (requests_.sessions.known()) index_children();
    if (closed_) {
      for (int i = 0; i < closed_->concurrency; ++i) start_next(0);
    }
  }
  /// The first row from `row` on that starts by its own arrival.
  std::size_t next_arrival(std::size_t row) const {
    const std::size_t n = requests_.size();
    if (closed_) return n;
    if (requests_.sessions.known()) {
      while (row < n && !requests_.sessions.parents(RequestId(row)).empty()) ++row;
    }
    return row;
  }
  void arrived(RequestId r) {
    if (!outcomes_.issued.empty()) outcomes_.issued[r] = requests_.arrival[r];
  }

  void finished(RequestId r, SimTime now) {
    if (requests_.sessions.known()) {
      for (std::uint32_t k = child_begin_[r]; k < child_begin_[r + 1]; ++k) {
        const RequestId child = child_[k];
        if (--open_parents_[child] > 0) continue;
        const SimTime earliest = closed_ ? 0 : requests_.arrival[child];
        events_.push(std::max(earliest, now + 1 + requests_.sessions.wait[child]), EventKind::release, child);
      }
      if (closed_ && --open_calls_[session_of_[r]] == 0) start_next(now + 1);
    } else if (closed_) {
      start_next(now + 1);  // a reply that arrives with a step's end is seen by no decision of that instant
    }
  }

 private:
  void start_next(SimTime at) {
    if (!requests_.sessions.known()) {
      if (next_ < requests_.size()) events_.push(at, EventKind::release, RequestId(next_++));
      return;
    }
    if (next_ >= requests_.sessions.count()) return;
    const auto& first = requests_.sessions.first;
    for (RequestId r = first[next_]; r < first[next_ + 1]; ++r) {
      if (open_parents_[r] == 0) events_.push(at, EventKind::release, r);
    }
    ++next_;
  }
  void index_children() {
    const auto& s = requests_.sessions;
    const std::size_t n = requests_.size();
    open_parents_.resize(n);
    child_begin_.assign(n + 1, 0);
    child_.resize(s.parent.size());
    for (const RequestId p : s.parent) ++child_begin_[p + 1];
    for (std::size_t i = 0; i < n; ++i) child_begin_[i + 1] += child_begin_[i];
    std::vector<std::uint32_t> at(child_begin_.begin(), child_begin_.end() - 1);
    for (RequestId r = 0; r < n; ++r) {
      open_parents_[r] = std::uint32_t(s.parents(r).size());
      for (const RequestId p : s.parents(r)) child_[at[p]++] = r;
    }
    if (!closed_) return;
    session_of_.resize(n);
    for (std::size_t i = 0; i < s.count(); ++i) {
      open_calls_.push_back(s.first[i + 1] - s.first[i]);
      std::fill(session_of_.begin() + s.first[i], session_of_.begin() + s.first[i + 1], std::uint32_t(i));
    }
  }

  const traffic::Requests& requests_;
  EventHeap& events_;
  Outcomes& outcomes_;
  std::optional<traffic::ClosedLoad> closed_;
  std::size_t next_ = 0;  // row, or session
  std::vector<std::uint32_t> open_parents_, child_begin_, open_calls_, session_of_;
  std::vector<RequestId> child_;
};

Result<void> check(const Deployment& d, const traffic::Workload& w) {
  if (d.replicas() < 1) return bad_input("replicas", "no replica to serve with", "at least one");
  if (d.ranks() > 65535) return bad_input("replicas", "too many", "at most 65535 attention ranks in all");
  for (const Pool& p : d.pools) {
    JEVONS_CHECK(checked(p.policy));
    // TensorRT-LLM pyexecutor/scheduler/scheduler.py schedule_step: one rule for attention data parallelism, another for the rest.
    if (p.ranks > 1 && p.policy.batch_wait_iters > 0)
      return bad_input("batch-wait-timeout-iters", "has no effect with attention data parallelism", "attention-dp-config.timeout-iters");
    if (p.ranks == 1 && p.policy.adp_balance)
      return bad_input("attention-dp-config.enable-balance", "has no effect with one attention rank", "a dp of 2 and more");
    JEVONS_CHECK(check_adapters(p.policy, w.requests, p.ranks));
    const std::int32_t content = w.requests.prefix.block_tokens;
    if (p.policy.enable_prefix_caching && content > 0 && content % p.policy.block_size != 0) {
      return bad_input("block-size", std::to_string(p.policy.block_size),
                       "a divisor of the workload's prefix blocks of " + std::to_string(content) + " tokens",
                       "choose another block size, or switch prefix caching off");
    }
    JEVONS_ENSURE(p.form != nullptr && p.form->max_batch() >= p.policy.max_num_seqs && p.step_tokens >= p.form->unit());
  }
  return {};
}

}  // namespace

Result<Simulation> simulate(const Deployment& deployment, const traffic::Workload& workload, const RunOptions& options) {
  JEVONS_CHECK(check(deployment, workload));
  const traffic::Requests& requests = workload.requests;
  const std::size_t n = requests.size();
  Simulation out;
  out.outcomes.resize(n);

  std::vector<std::unique_ptr<Replica>> owned;
  std::vector<Replica*> replicas;  // attention ranks of one replica side by side
  std::vector<std::unique_ptr<Lockstep>> together;
  std::vector<Lockstep*> group;  // of each rank; null: alone
  for (const Pool& p : deployment.pools) {
    for (int i = 0; i < p.replicas; ++i) {
      for (int k = 0; k < p.ranks; ++k) {
        const ReplicaModel model{p.form, p.blocks, p.step_tokens, std::uint32_t(owned.size()), options.longest_run, p.capped, p.lora};
        owned.push_back(std::make_unique<Replica>(p.policy, model, requests, out.outcomes, out.itl));
        replicas.push_back(owned.back().get());
      }
      if (p.ranks > 1)
        together.push_back(std::make_unique<Lockstep>(std::vector(replicas.end() - p.ranks, replicas.end()), *p.form, p.policy));
      group.insert(group.end(), std::size_t(p.ranks), p.ranks > 1 ? together.back().get() : nullptr);
    }
  }
  Router router(deployment.routing, replicas, requests, options.seed, options.replication);
  Tournament clock(replicas.size());
  EventHeap events;
  Clients clients(workload, events, out.outcomes);
  if (const auto* closed = std::get_if<traffic::ClosedLoad>(&workload.load)) {
    for (Replica* r : replicas) r->sleep_until(closed->cold_start);
    for (auto& t : together) t->sleep_until(closed->cold_start);
  }
  const SimTime host = deployment.pools.front().policy.host_constant;

  std::size_t row = clients.next_arrival(0), done = 0, next_report = RunOptions::kProgressEvery;
  std::vector<RequestId> finished;
  const auto settle = [&](SimTime now) {
    for (const RequestId r : finished) clients.finished(r, now);
    done += finished.size();
    finished.clear();
  };
  const auto arrive = [&](RequestId r, SimTime now) {
    const std::uint32_t to = replicas.size() == 1 ? 0 : router.choose(r);
    Lockstep* const ranks = group[to];
    const std::uint32_t player = ranks == nullptr ? to : ranks->first();
    ranks == nullptr ? replicas[to]->arrive(r, now) : ranks->arrive(to - player, r, now);
    if (out.outcomes.status[r] == Status::rejected) finished.push_back(r), settle(now);
    clock.set(player, ranks == nullptr ? replicas[to]->next() : ranks->next());
    if (replicas.size() > 1) router.changed(to);
  };

  for (;;) {
    const SimTime arrival = row < n ? requests.arrival[row] + host : kNever;
    const SimTime event = events.next(), boundary = clock.first_key();
    const SimTime now = std::min({arrival, event, boundary});
    if (now == kNever) break;
    out.end = now;
    if (arrival == now) {
      clients.arrived(RequestId(row));
      arrive(RequestId(row), now);
      row = clients.next_arrival(row + 1);
    } else if (event == now) {
      const Event e = events.pop();
      switch (e.kind) {
        case EventKind::release:
          out.outcomes.issued[e.subject] = now;
          if (host > 0)
            events.push(now + host, EventKind::arrive, e.subject);
          else
            arrive(e.subject, now);
          break;
        case EventKind::arrive:
          arrive(e.subject, now);
          break;
      }
    } else {
      const std::uint32_t i = clock.first();
      Lockstep* const ranks = group[i];
      ranks == nullptr ? replicas[i]->advance(finished) : ranks->advance(finished);
      settle(now);
      clock.set(i, ranks == nullptr ? replicas[i]->next() : ranks->next());
      if (replicas.size() > 1) {
        for (std::uint32_t k = 0; k < (ranks == nullptr ? 1 : ranks->size()); ++k) router.changed(i + k);
      }
      if (done >= next_report) {
        next_report += RunOptions::kProgressEvery;
        if (options.progress) options.progress(done, n);
      }
      if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) {
        out.partial = true;
        break;
      }
    }
  }
  for (const Replica* r : replicas) {
    out.replicas.push_back(r->counters());
    out.block_seconds.push_back(r->block_seconds());
  }
  return out;
}

}  // namespace jevons::serve
