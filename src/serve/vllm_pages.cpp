#include "serve/vllm_pages.hpp"

#include <algorithm>
#include <cmath>

namespace jevons::serve {
namespace {

constexpr std::int64_t kBlock = 256, kWindowBlock = 64;
double padded(double bytes) { return std::ceil(bytes / 576) * 576; }
std::int64_t pages(std::int64_t tokens, std::int64_t block) { return (tokens + block - 1) / block; }

// The layers of one group of the pool: as many as waste least when every group is padded to a multiple of them.
int layers_of_a_group(const std::vector<int>& groups) {
  const int most = *std::max_element(groups.begin(), groups.end());
  int best = groups.front(), waste = INT32_MAX;
  for (int d = groups.front(); d <= most; ++d) {
    int sum = 0;
    for (const int n : groups) sum += (n + d - 1) / d * d - n;
    if (sum <= waste) best = d, waste = sum;
  }
  return best;
}

}  // namespace

double VllmPages::printed_tokens(double blocks, std::int64_t longest, std::int64_t in_flight) const {
  double request = double(pages(longest, tokens));
  for (const Sliding& s : sliding)
    request += double(pages(std::min(s.window - 1 + in_flight, longest), s.block) + 1) * s.layers_bytes / full_bytes;
  return std::floor(std::floor(blocks) / std::ceil(request) * double(longest));
}

std::optional<VllmPages> vllm_pages(const model::Model& model, model::CacheFormat format) {
  if (model::resolve(model, format) == model::CacheFormat::bf16) return std::nullopt;
  const model::Csa* any = nullptr;
  int windows = 0, fine = 0, coarse = 0;  // layers with a window; of these with indexed and with plain compression
  int fine_ratio = 1, coarse_ratio = 1;
  for (const auto& k : model.kinds) {
    const auto* c = std::get_if<model::Csa>(&k.layer.attention);
    if (c == nullptr) return std::nullopt;
    windows += k.count;
    if (c->ratio > 0 && c->indexer.heads > 0) fine += k.count, fine_ratio = c->ratio, any = c;
    if (c->ratio > 0 && c->indexer.heads == 0) coarse += k.count, coarse_ratio = c->ratio;
  }
  if (any == nullptr) return std::nullopt;
  double entry = 0;
  for (const auto& g : model::cache_groups(model, format)) {
    if (g.kind == model::CacheGroup::Kind::compressed) entry = g.bytes_per_entry;
  }
  const double fine_page = padded(double(kBlock / fine_ratio) * entry), coarse_page = padded(double(kBlock / coarse_ratio) * entry);
  const double index_page = padded(double(kBlock / fine_ratio) * (any->indexer.dim + 4));  // an fp32 scale; fp4 keys take as much
  const double window_page = padded(double(kWindowBlock) * entry);
  // States in fp32: values and scores, twice where groups overlap (ratio 4).
  const double widest = std::max(fine_page, window_page);
  const auto fit = [&](double page) { return page <= index_page ? index_page : widest; };  // padded to a page of the pool
  const double fine_state = fit(padded(4.0 * 4 * any->dim * 4)), index_state = fit(padded(4.0 * 4 * any->indexer.dim * 4));
  const double coarse_state = fit(padded(8.0 * 2 * any->dim * 4));

  VllmPages out;
  const int d = layers_of_a_group({std::max(fine, coarse), windows, fine, coarse});
  const int window_groups = (windows + d - 1) / d, group = (windows + window_groups - 1) / window_groups;
  out.full_bytes = fine * (fine_page + index_page) + coarse * coarse_page;
  out.block_bytes = std::max({fine, group, coarse}) * widest + fine * index_page + coarse * coarse_page;
  out.sliding = {{any->window, kWindowBlock, windows * window_page, window_groups},
                 {2 * fine_ratio, 4, fine * (fine_state + index_state), 1},
                 {coarse_ratio, 8, coarse * coarse_state, 1}};
  return out;
}

}  // namespace jevons::serve
