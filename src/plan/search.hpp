#pragma once
// Which deployment is best: every candidate bounded in closed form, those that can still win simulated.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "plan/bounds.hpp"
#include "serve/metrics.hpp"

namespace jevons::plan {

enum class Objective : std::uint8_t { usd_per_mtok, tok_s_per_gpu, goodput_per_gpu, tok_s_per_watt, fewest_accelerators, pareto };
std::string_view name(Objective o);
Result<Objective> parse_objective(std::string_view text);

/// A limit on a latency: of its mean, or of a quantile in (0, 1).
struct Slo {
  enum class Metric : std::uint8_t { ttft, tpot, e2e } metric{};
  std::optional<double> quantile;
  double seconds = 0;
};
std::string name(const Slo& s);

/// One kind of replica that may be used, and what an accelerator of it costs.
struct Choice {
  std::unique_ptr<Replica> replica;
  std::string chip;
  double usd_per_s = 0, watts = 0;  // of one accelerator, at the meter
  double capital = 0;               // USD to own one; 0: not known
  int stock = 1 << 20;              // accelerators of this chip there are
};

struct Part {
  std::size_t choice = 0;
  int replicas = 1;
  serve::Role role = serve::Role::both;
};
/// What is deployed: replicas of one or more kinds behind one router.
struct Shape {
  std::vector<Part> parts;
  serve::Routing routing = serve::Routing::least_outstanding;
  serve::Handover handover;  // with prefill and decode parts
  int accelerators = 0;
  double usd_per_s = 0, watts = 0, capital = 0;
};

/// What is asked of every deployment, whatever there is to choose from.
struct Terms {
  Objective objective = Objective::usd_per_mtok;
  std::vector<Slo> slo;
  /// The workload at a closed-loop concurrency, `rounds` counted requests of each user; or, where it is 0, the open one. Deterministic.
  std::function<Result<traffic::Workload>(int concurrency)> workload;
  bool closed = true;
  bool equal_requests = true;  // the same lengths at every concurrency
  int max_concurrency = 1 << 20;
  int per_octave = 12;  // concurrencies tried for each factor of two
  int threads = 0;
  double gap = 0.01;  // stop once nothing left can be better by more than this
  int rounds = 10;    // counted requests of each user of a closed load
  /// What a closed load with warm-up settles at: throughput without the drain at its end (the counted requests over what they add to the
  /// length of the run), and each shape at its highest load within the limits. That neither more nor fewer in flight are better there is
  /// likely, not proved: latency and throughput grow with concurrency.
  bool steady = false;
  double max_simulated = 1e300;  // requests; the search ends once so many are simulated
  const std::atomic<bool>* stop = nullptr;
  std::function<void(double, std::string_view)> progress;
};
struct Ask : Terms {
  std::vector<Choice> choices;
  std::vector<Shape> shapes;
};

/// A shape under a load.
struct Point {
  std::size_t shape = 0;
  int concurrency = 0;  // 0: open load
  enum class State : std::uint8_t { open, cannot_meet, simulated } state = State::open;
  double bound = 0;       // of the score, from above
  double user_bound = 0;  // of tokens per second and user, from above
  // Once simulated:
  bool feasible = false;
  double score = 0;             // larger is better
  std::string violated;         // the first limit that is not met
  std::vector<double> latency;  // of each limit asked for, seconds
  serve::Metrics metrics;
};

struct Search {
  std::vector<Point> points;          // of the shapes that were looked into
  std::optional<std::size_t> best;    // into points; nothing: no point is feasible
  std::vector<std::size_t> frontier;  // tokens per GPU against tokens per user, from the fastest for a user on
  /// Points of the space: simulated; whose limits no schedule meets; that no schedule makes better than the best; and those left when the
  /// effort was spent.
  std::size_t simulated = 0, cannot_meet = 0, bounded_out = 0, left = 0;
  std::size_t screened() const { return simulated + cannot_meet + bounded_out + left; }
  double requests = 0;  // simulated
  /// Of the best shape: requests a second that it can do at most, and the concurrency at which that bound meets that of an empty system:
  /// from there on requests mostly queue. Denning, Buzen, "The operational analysis of queueing network models", Computing Surveys 10(3),
  /// 1978.
  double capacity_rps = 0, knee = 0;
  double gap = 0;         // proved: a point that was not simulated may be better by this part at most
  double likely_gap = 0;  // likewise if latency grows with concurrency, so that a shape that missed a limit misses it with more in flight;
                          // and of a steady state, if throughput grows too
};

/// Concurrencies that are tried: `per_octave` for each factor of two, rounded to whole multiples of `step`, up to `most`.
std::vector<int> concurrencies(int step, int most, int per_octave = 12);

/// Score of a simulated point, and of a bound on requests per second.
double score_of(const Ask& ask, const Shape& shape, double requests_per_s, double goodput_rps, double output_tokens);

/// Errors: bad input. "No" is a search without best.
Result<Search> search(const Ask& ask);
/// Simulates every point: what `search` must agree with.
Result<Search> exhaustive(const Ask& ask);

serve::Deployment deployment_of(const Ask& ask, const Shape& shape);

}  // namespace jevons::plan
