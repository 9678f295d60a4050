#include "savings/counterfactual.hpp"

#include <algorithm>
#include <functional>

namespace jevons::savings {
namespace {

// A model like `m` with every layer's attention passed through `change`.
model::Model rebuilt(const model::Model& m, const std::function<model::Attention(const model::Attention&)>& change) {
  model::Model out = m;
  out.kinds.clear();
  out.order.clear();
  for (const auto k : m.order) {
    model::Layer layer = m.kinds[k].layer;
    layer.attention = change(layer.attention);
    out.add(std::move(layer));
  }
  return out;
}

}  // namespace

model::Model without_sparsity(const model::Model& m) {
  return rebuilt(m, [](const model::Attention& a) -> model::Attention {
    if (auto x = std::get_if<model::Mla>(&a)) {
      model::Mla y = *x;
      y.indexer.reset();
      return y;
    }
    if (auto x = std::get_if<model::Gqa>(&a)) {
      model::Gqa y = *x;
      y.index_heads = 0;
      return y;
    }
    return a;
  });
}

model::Model without_windows(const model::Model& m) {
  return rebuilt(m, [](const model::Attention& a) -> model::Attention {
    if (auto x = std::get_if<model::Gqa>(&a)) {
      model::Gqa y = *x;
      y.window = y.chunk = 0;
      return y;
    }
    return a;
  });
}

model::Model with_gqa(const model::Model& m, int kv_heads) {
  return rebuilt(m, [&](const model::Attention& a) -> model::Attention {
    int heads = 0;
    if (auto x = std::get_if<model::Mla>(&a)) heads = x->heads;
    if (auto x = std::get_if<model::Csa>(&a)) heads = x->heads;
    if (heads == 0) return a;
    model::Gqa g;
    g.heads = heads;
    g.kv_heads = kv_heads == 0 ? heads : std::min(heads, kv_heads);
    while (heads % g.kv_heads != 0) --g.kv_heads;
    g.k_dim = g.v_dim = 128;
    return g;
  });
}

}  // namespace jevons::savings
