#pragma once
// A question as one value, and its answer: the space of deployments, searched.
#include "plan/space.hpp"
#include "traffic/generate.hpp"

namespace jevons::plan {

/// `catalog` and `model` must outlive it and its answer.
struct Question {
  const catalog::Catalog* catalog = nullptr;
  const model::Model* model = nullptr;
  Knobs knobs;
  Budget budget;
  Terms terms;
  std::int64_t max_context = 1;  // tokens of the longest request
};
struct Answer {
  Space space;  // its choices and shapes are in `ask`
  Ask ask;
  Search found;  // empty where the space is
  const Point* best() const { return found.best ? &found.points[*found.best] : nullptr; }
  const Shape& shape(const Point& p) const { return ask.shapes[p.shape]; }
};
/// Errors: bad input. "No" is an answer without best.
Result<Answer> answer(const Question& question);

/// Requests that a plan is made for, all of one kind.
struct Load {
  traffic::ClassSpec users;    // lengths, shared prompt, and when open the law of arrivals
  double prefix_hit_rate = 0;  // when closed: share of each request's input that its user has sent before, in whole blocks
  /// When closed: leading requests of each user that are not counted. The first ones have answers of every length up to the full one, so
  /// that users come back one after the other and not in step. With a hit rate at least two: the first of each user finds nothing and holds
  /// up others' second ones.
  int warmup_rounds = 0;
  int rounds = 10;  // when closed: counted requests of each user
  std::int32_t block_tokens = 16;
  Seed seed;
};
/// `concurrency` users, each with one request in flight. Errors: as traffic::generate.
Result<traffic::Workload> closed_load(const Load& load, int concurrency);
Result<traffic::Workload> open_load(const Load& load, std::size_t requests);

}  // namespace jevons::plan
