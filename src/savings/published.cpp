#include "savings/published.hpp"

#include <algorithm>

namespace jevons::savings {
namespace {

Result<model::Model> find(const catalog::Catalog& catalog, std::string_view name) {
  JEVONS_TRY(const catalog::ModelEntry* entry, catalog.find_model(name));
  return model::parse_entry(entry->json, entry->file);
}

// bits: of a cached value; 0: the model's own layout.
double cache(const model::Model& m, double bits, std::int64_t context) {
  const auto format = bits > 0 ? model::CacheFormat::bf16 : model::CacheFormat::native;
  return model::cache_stored(m, model::resolve(m, format), context) * (bits > 0 ? bits / 16 : 1);
}

}  // namespace

Result<double> fp8_equivalent_flops(const model::Model& m, std::int64_t context) {
  const model::Parameters p = model::parameters(m);
  JEVONS_TRY(const model::WeightScheme scheme, model::weight_scheme(m, "native"));
  double wide = 0;  // parameters of products with bf16 operands
  using model::Group;
  for (const Group g : {Group::head, Group::attn, Group::linear_attn, Group::compressor, Group::hc, Group::latent, Group::dense_ffn,
                        Group::router, Group::shared, Group::indexer, Group::indexer_bf16}) {
    if (model::format_of(scheme, g).operand == model::WeightFormat::Operand::bf16) wide += double(p.main[g]);
  }
  const auto a = model::decode_attention_flops(m, context);
  const bool fp4_index =
      std::any_of(m.kinds.begin(), m.kinds.end(), [](const auto& k) { return std::holds_alternative<model::Csa>(k.layer.attention); });
  return model::decode_linear_flops(p) + 2 * wide + 2 * a.core + a.index * (fp4_index ? 0.5 : 1.0);
}

Result<std::vector<PublishedSaving>> published_savings(const catalog::Catalog& catalog) {
  JEVONS_TRY(const catalog::Thing* thing, catalog.find(catalog::Section::efficiency, "published-savings"));
  const catalog::Series& s = thing->series;
  std::vector<PublishedSaving> out;
  for (std::size_t r = 0; r < s.rows(); ++r) {
    PublishedSaving p{std::string(s.text(r, "model")), std::string(s.text(r, "baseline")), std::string(s.text(r, "quantity")),
                      std::string(s.text(r, "convention")), std::string(s.text(r, "source"))};
    JEVONS_TRY(const model::Model m, find(catalog, p.model));
    JEVONS_TRY(const model::Model base, find(catalog, p.baseline));
    p.context = s.number(r, "context").value_or(0);
    p.published = s.number(r, "published").value_or(0);
    const auto context = std::int64_t(p.context);
    if (p.quantity == "flops_share") {
      JEVONS_TRY(const double mine, fp8_equivalent_flops(m, context));
      JEVONS_TRY(const double theirs, fp8_equivalent_flops(base, context));
      p.counted = mine / theirs;
    } else if (p.quantity == "kv_share" || p.quantity == "kv_cut") {
      const double share =
          cache(m, s.number(r, "bits").value_or(0), context) / cache(base, s.number(r, "baseline_bits").value_or(0), context);
      p.counted = p.quantity == "kv_cut" ? 1 - share : share;
    } else {
      return fail({ErrorCode::bad_input, std::string(thing->file), 0, "quantity", "unknown '" + p.quantity + "'",
                   "kv_cut, kv_share or flops_share", ""});
    }
    out.push_back(std::move(p));
  }
  return out;
}

}  // namespace jevons::savings
