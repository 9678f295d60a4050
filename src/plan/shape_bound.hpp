#pragma once
// Bounds of a whole deployment under a load, from those of its replicas.
#include "plan/search.hpp"

namespace jevons::plan {

/// Everything a point's bounds need, computed once for all points of a question.
class Bounds {
 public:
  /// demands: of every workload that will be asked for; bounds hold for each of them. Reads `ask` later on.
  Bounds(const Ask& ask, const std::vector<Demand>& demands);

  /// Score of a shape under each of these loads, ascending, from above; 0 where none can meet the limits.
  double shape(std::size_t shape, const std::vector<int>& loads) const;
  /// Bounds of a point at first sight: whether it cannot meet its limits, score and tokens per second and user from above.
  void look(Point& p) const;
  /// The same with the step mix that its own concurrency allows: tighter, and about a millisecond of work.
  void look_closer(Point& p) const;

  /// Requests per second without limits; seconds of a request that has the deployment to itself.
  double capacity(const Shape& s) const { return capacity(s, 0, {}); }
  double alone_s(const Shape& s) const { return alone(s).all_s; }
  /// Where to look first: requests in flight of which the decodes just keep the limit on TPOT, or the knee where there is another limit.
  double likely_concurrency(const Shape& s) const;

 private:
  const ReplicaBound& of(const Part& part) const { return *bounds_[part.choice * 3 + std::size_t(part.role)]; }
  double capacity(const Shape& s, int concurrency, const std::optional<TpotLimit>& limit) const;
  bool meets(const Shape& s, int concurrency) const;
  std::optional<double> with_tails(const Shape& s, int concurrency) const;
  double host_s(const Shape& s) const;
  struct Alone {
    double first_s = 1e300, decode_s = 1e300, all_s = 1e300;
  };
  Alone alone(const Shape& s) const;

  const Ask& ask_;
  Demand least_;             // of all demands
  double output_most_ = 0;   // tokens of a request, mean
  double last_arrival_ = 0;  // open load
  std::vector<std::unique_ptr<ReplicaBound>> bounds_;
  std::vector<double> free_, limited_;  // work_s at any concurrency, likewise
  std::optional<TpotLimit> tpot_;
};

}  // namespace jevons::plan
