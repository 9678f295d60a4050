#include "traffic/order.hpp"

#include <algorithm>

#include "base/result.hpp"

namespace jevons::traffic {
namespace {

struct Key {
  SimTime at;
  RequestId row;
};

template <class T>
void permute(std::vector<T>& column, const std::vector<Key>& order) {
  if (column.empty()) return;
  std::vector<T> sorted(column.size());
  for (std::size_t i = 0; i < order.size(); ++i) sorted[i] = column[order[i].row];
  column = std::move(sorted);
}

}  // namespace

void sort_by_arrival(Requests& r) {
  JEVONS_ENSURE(!r.sessions.known());
  std::vector<Key> order(r.size());
  for (std::size_t i = 0; i < r.size(); ++i) order[i] = {r.arrival[i], RequestId(i)};
  std::sort(order.begin(), order.end(), [](Key a, Key b) { return a.at != b.at ? a.at < b.at : a.row < b.row; });
  permute(r.arrival, order);
  permute(r.input_tokens, order);
  permute(r.output_tokens, order);
  permute(r.tenant, order);
  permute(r.adapter, order);
  if (!r.prefix.known()) return;
  std::vector<std::uint64_t> offset{0};
  std::vector<BlockRun> run;
  offset.reserve(r.size() + 1);
  run.reserve(r.prefix.run.size());
  for (const Key& k : order) {
    const auto runs = r.prefix.of(k.row);
    run.insert(run.end(), runs.begin(), runs.end());
    offset.push_back(run.size());
  }
  r.prefix.offset = std::move(offset);
  r.prefix.run = std::move(run);
}

}  // namespace jevons::traffic
