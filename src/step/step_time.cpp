#include "step/step_time.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace jevons::step {
namespace {

using model::Group;
using Operand = model::WeightFormat::Operand;

// Kernel times neither add nor hide each other fully: (a^q + b^q)^(1/q), q = 3 for products and 4 for attention.
double smooth_max3(double a, double b) { return std::cbrt(a * a * a + b * b * b); }
double smooth_max4(double a, double b) { return std::sqrt(std::sqrt(a * a * a * a + b * b * b * b)); }

struct Peak {
  double flops = 0;
  Operand used = Operand::bf16;
};
// The rate a format multiplies at. A chip without units for it dequantizes and multiplies in bf16.
Peak peak_of(const catalog::Accelerator& chip, Operand wanted) {
  const auto value = [](const catalog::Maybe<FlopsPerSecond>& p) { return p ? p->value.value() : 0; };
  if (wanted == Operand::fp4 && value(chip.peak_fp4) > 0) return {value(chip.peak_fp4), Operand::fp4};
  if (wanted == Operand::fp4 || wanted == Operand::fp8) {
    if (value(chip.peak_fp8) > 0 && wanted == Operand::fp8) return {value(chip.peak_fp8), Operand::fp8};
  }
  if (wanted == Operand::int8 && value(chip.peak_int8) > 0) return {value(chip.peak_int8), Operand::int8};
  return {value(chip.peak_bf16), Operand::bf16};
}

std::string_view suffix(Operand o) { return o == Operand::bf16 ? "bf16" : o == Operand::fp4 ? "fp4" : "fp8"; }

// Short kernels of a layer beside products, attention core and experts, counted in the engines' decoder layers.
double short_kernels(const model::Attention& a) {
  return std::visit(
      [](const auto& x) -> double {
        using A = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<A, std::monostate>)
          return 2;
        else if constexpr (std::is_same_v<A, model::Gqa>)
          return (x.qk_norm == model::QkNorm::per_layer ? 8 : x.qk_norm == model::QkNorm::per_head ? 6 : 5) + (x.index_heads > 0 ? 7 : 0);
        else if constexpr (std::is_same_v<A, model::Mla>)
          return x.indexer && x.indexer->own ? 16 : 9;
        else if constexpr (std::is_same_v<A, model::Csa>)
          return x.indexer.heads > 0 ? 16 : 12;
        else
          return 10;
      },
      a);
}

// Values that the short kernels of a layer move for each token, read and written, on one rank: norms with the residual stream, whole on
// every rank; what projections, rotary embedding, cache write, gates and activations pass on, split over the ranks.
double moved_values(const model::Layer& l, double hidden, double tp) {
  const double split = std::visit(
      [&](const auto& x) -> double {
        using A = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<A, std::monostate>) {
          return 0;
        } else if constexpr (std::is_same_v<A, model::Gqa>) {
          const double q = double(x.heads) * x.k_dim, kv = double(x.kv_heads) * x.k_dim;
          const double norm = x.qk_norm == model::QkNorm::none ? 0 : 2 * (q + kv);
          return 2 * (q + kv) + 4 * kv + norm + (x.gate == model::Gate::none ? 0 : 3 * q);
        } else if constexpr (std::is_same_v<A, model::Mla>) {
          return 2.0 * x.heads * (x.nope + 2 * x.rope + x.v_dim) + 4.0 * tp * (x.q_rank + x.kv_rank + x.rope);
        } else if constexpr (std::is_same_v<A, model::Csa>) {
          return 4.0 * x.heads * x.dim + 4.0 * tp * (x.q_rank + x.dim);
        } else if constexpr (std::is_same_v<A, model::GatedDeltaNet>) {
          return 6.0 * (2.0 * x.k_heads * x.k_dim + 2.0 * x.v_heads * x.v_dim);
        } else if constexpr (std::is_same_v<A, model::Mamba1>) {
          return 8.0 * x.inner;
        } else if constexpr (std::is_same_v<A, model::Mamba2>) {
          return 8.0 * x.heads * x.head_dim;
        } else {
          return 10.0 * x.heads * x.dim;
        }
      },
      l.attention);
  double ffn = l.dense ? 3.0 * double(l.dense->width) : 0;
  if (l.moe) ffn += 3.0 * double(l.moe->shared_width);
  return 4.0 * l.norms * hidden * l.streams + (split + ffn) / tp;
}

double attention_gemms(const model::Attention& a) {
  return std::visit(
      [](const auto& x) -> double {
        using A = std::decay_t<decltype(x)>;
        if constexpr (std::is_same_v<A, std::monostate>)
          return 0;
        else if constexpr (std::is_same_v<A, model::Mla>)
          return 5 + (x.indexer && x.indexer->own ? 3 : 0);
        else if constexpr (std::is_same_v<A, model::Csa>)
          return 5 + (x.ratio > 0 ? 1 : 0) + (x.indexer.heads > 0 ? 2 : 0);
        else if constexpr (std::is_same_v<A, model::Gqa>)
          return x.q_rank > 0 ? 3 : 2;
        else
          return 3;
      },
      a);
}

std::string_view constants_name(const catalog::Accelerator& chip) {
  const std::string_view own = chip.thing->attribute("kernel_constants");
  return own.empty() ? "hopper" : own;
}

constexpr double kMeasuredStream = 0.855;  // achieved share of memory bandwidth on the chips of the fit
constexpr std::array kOperands{Operand::bf16, Operand::fp8, Operand::fp4, Operand::int8};

// moe: ending of the constants' names for the experts' format.
Result<KernelConstants> read_constants(const catalog::Catalog& catalog, const catalog::Accelerator& chip, std::string_view moe,
                                       std::string_view engine) {
  KernelConstants c{};
  const std::string_view own = chip.thing->attribute("kernel_constants");
  c.borrowed = own.empty();
  JEVONS_TRY(c.thing, catalog.find(catalog::Section::efficiency, constants_name(chip)));
  const catalog::Thing& t = *c.thing;
  std::string missing;
  const auto value = [&](const std::string& key) {
    const auto* f = t.find(key);
    if (f == nullptr) missing = key;
    return f == nullptr ? 0.0 : f->value;
  };
  c.dispatch_alpha = value("dispatch_alpha");
  c.dispatch_fraction = value("dispatch_fraction");
  const std::string e(moe);
  for (const Operand o : kOperands) {
    c.gemm_floor[std::size_t(o)] = value("gemm_floor_" + std::string(suffix(o)));
    c.gemm_fraction[std::size_t(o)] = value("gemm_fraction_" + std::string(suffix(o)));
  }
  // An engine whose own kernels for a format have another floor has it under its name.
  const std::string of_engine = "moe_floor_" + e + "_" + std::string(engine);
  c.moe_floor = value(t.find(of_engine) != nullptr ? of_engine : "moe_floor_" + e);
  c.moe_stream = value("moe_stream_" + e);
  c.moe_flop = value("moe_flop_" + e);
  c.moe_half_width = value("moe_half_width_" + e);
  c.moe_token = value("moe_token_" + e);
  c.allreduce_link = value("allreduce_link");
  JEVONS_TRY(const catalog::Thing* reduce, catalog.find(catalog::Section::efficiency, "all-reduce"));
  for (std::size_t row = 0; row < reduce->series.rows(); ++row) {
    const auto& r = reduce->series;
    if (r.text(row, "kernels") != constants_name(chip) || r.text(row, "engine") != engine) continue;
    const auto number = [&](std::string_view column) { return r.number(row, column).value_or(0); };
    c.allreduce[number("ranks") <= 2   ? 0
                : number("ranks") <= 4 ? 1
                                       : 2] = {number("floor_us") * 1e-6, number("kink_us") * 1e-6, number("kink_mb") * 1e6,
                                               number("us_per_mb") * 1e-12};
  }
  const auto* latency = reduce->find("network_latency");
  if (latency == nullptr)
    missing = "network_latency";
  else
    c.network_latency = Seconds{latency->value};
  if (c.allreduce[0].floor == 0) missing = "the all-reduce of engine " + std::string(engine);
  if (!missing.empty()) return bad_input(std::string(t.file), "lacks " + missing, "every constant of the step-time form");
  const catalog::Thing* band = c.thing;
  if (c.borrowed) {
    JEVONS_TRY(band, catalog.find(catalog::Section::efficiency, "borrowed"));
    // A chip's own measured fractions replace borrowed ones where it has them.
    const std::array own_fractions{chip.gemm_bf16_fraction, chip.gemm_fp8_fraction, chip.gemm_fp4_fraction, chip.gemm_int8_fraction};
    for (const Operand o : kOperands) {
      const auto i = std::size_t(o);
      c.gemm_fraction[i] = own_fractions[i].value_or(c.gemm_fraction[i]);
    }
    if (chip.hbm_fraction) c.weight_stream = *chip.hbm_fraction / kMeasuredStream;
  }
  c.band = band->number("band_p90").value_or(0.45);
  return c;
}

}  // namespace

Result<StepTime> StepTime::make(const catalog::Catalog& catalog, const Subject& s, const Placement& p) {
  JEVONS_CHECK(check_placement(*s.model, p));
  const auto lacks = [&](std::string_view key) {
    return fail({ErrorCode::bad_input, std::string(s.chip.thing->file), 0, std::string(key),
                 fmt::format("{} has no {} in the catalogue", s.chip.thing->name, key), "a value with its source",
                 "no public figure was found; give yours with --catalog DIR"});
  };
  if (!s.chip.hbm_bandwidth) return lacks("hbm_bandwidth");
  if (!s.chip.memory) return lacks("memory");
  if (!s.chip.peak_bf16) return lacks("peak_bf16");
  StepTime t;
  JEVONS_TRY(t.served_, Served::read(catalog));
  t.subject_ = &s;
  t.placement_ = p;
  // Experts in mxfp4 multiply with wider activations; which, depends on the kernel generation.
  JEVONS_TRY(const catalog::Thing* kernels, catalog.find(catalog::Section::efficiency, constants_name(s.chip)));
  const bool mxfp4 = s.weights.routed.name == "mxfp4";
  const Operand routed = !mxfp4 ? s.weights.routed.operand : kernels->attribute("mxfp4_operand") == "fp8" ? Operand::fp8 : Operand::bf16;
  const Peak gemm = peak_of(s.chip, s.weights.attention.operand), moe = peak_of(s.chip, routed);
  if (gemm.used != s.weights.attention.operand || moe.used != routed) {
    t.operand_note =
        fmt::format("{} has no units for {}: weights are dequantized and multiplied in bf16", s.chip.thing->name, s.weights.name);
  }
  const bool blackwell = constants_name(s.chip) == "blackwell";
  const std::string_view experts = mxfp4 ? "mxfp4" : suffix(s.weights.routed.operand);
  t.moe_fraction_ = experts == "mxfp4" ? blackwell ? Fit::moe_fraction_blackwell_mxfp4 : Fit::moe_fraction_hopper_mxfp4
                    : experts == "fp4" ? blackwell ? Fit::moe_fraction_blackwell_fp4 : Fit::moe_fraction_hopper_mxfp4
                    : blackwell        ? Fit::moe_fraction_blackwell_fp8
                                       : Fit::moe_fraction_hopper_fp8;
  JEVONS_TRY(t.constants_, read_constants(catalog, s.chip, experts, s.engine));
  t.bandwidth_ = s.chip.hbm_bandwidth->value.value();
  // Experts inside one scale-up domain talk over its fabric, wider placements over the network.
  const bool inside = p.tp * p.dp <= s.chip.scaleup_domain.value_or(1);
  const auto& wire = inside ? s.chip.scaleup_bandwidth : s.chip.scaleout_bandwidth;
  if (p.dp > 1 && !wire) return lacks(inside ? "scaleup_bandwidth" : "scaleout_bandwidth");
  t.dispatch_bandwidth_ = wire ? wire->value.value() * t.constants_.dispatch_fraction : 1;
  t.domain_ = std::min(p.tp, std::max(1, int(s.chip.scaleup_domain.value_or(p.tp))));
  if (p.tp > t.domain_) {
    if (!s.chip.scaleout_bandwidth) return lacks("scaleout_bandwidth");
    t.network_ = s.chip.scaleout_bandwidth->value;
  }
  if (s.chip.scaleup_bandwidth) {
    t.link_ = s.chip.scaleup_bandwidth->value.value();
  } else {
    JEVONS_TRY(const catalog::Thing* borrowed, catalog.find(catalog::Section::efficiency, "borrowed"));
    const auto* f = borrowed->find("link_when_unknown");
    if (f == nullptr) return lacks("scaleup_bandwidth");
    t.link_ = f->value;
  }
  for (const Operand o : kOperands) t.gemm_peak_[std::size_t(o)] = peak_of(s.chip, o).flops;
  t.moe_peak_ = moe.flops;
  t.bf16_peak_ = s.chip.peak_bf16->value.value();
  for (const auto& k : s.model->kinds) {
    const model::Counts c = model::layer_parameters(k.layer, s.model->hidden);
    KindCost kc;
    kc.count = double(k.count) / p.pp;
    const auto bits = [&](Group g) { return model::format_of(s.weights, g).bits / 8; };
    const auto product = [&](Group g) -> Product& {
      return kc.products[std::size_t(peak_of(s.chip, model::format_of(s.weights, g).operand).used)];
    };
    for (const Group g : {Group::attn, Group::linear_attn, Group::compressor, Group::indexer, Group::indexer_bf16, Group::latent,
                          Group::dense_ffn, Group::shared, Group::router, Group::hc}) {
      const double held = rank_parameters(k.layer, s.model->hidden, g, double(c[g]), p.tp);
      product(g).bytes += held * bits(g);
      product(g).flops_per_token += 2 * held;
    }
    kc.latent = std::holds_alternative<model::Mla>(k.layer.attention);
    kc.has_attention = !std::holds_alternative<std::monostate>(k.layer.attention);
    product(kc.has_attention && c[Group::attn] == 0 ? Group::linear_attn : Group::attn).kernels += attention_gemms(k.layer.attention);
    if (k.layer.dense) product(Group::dense_ffn).kernels += 2;
    if (const auto* gqa = std::get_if<model::Gqa>(&k.layer.attention); gqa != nullptr && gqa->qk_norm == model::QkNorm::per_layer) {
      kc.small_reductions = 1;
    }
    kc.short_kernels = short_kernels(k.layer.attention) + (k.layer.moe ? 3 : 0);
    // TensorRT-LLM joins an all-reduce, the residual sum and the norm after it in one kernel (AllReduceFusionOp::RESIDUAL_RMS_NORM).
    const double group_heads = double(p.dcp) / p.tp;  // of all heads
    if (const auto* g = std::get_if<model::Gqa>(&k.layer.attention))
      kc.query_row = 2 * group_heads * g->heads * g->k_dim, kc.output_row = 2 * group_heads * g->heads * g->v_dim;
    if (const auto* m = std::get_if<model::Mla>(&k.layer.attention))
      kc.query_row = 2 * group_heads * m->heads * (m->kv_rank + m->rope), kc.output_row = 2 * group_heads * m->heads * m->kv_rank;
    if (const auto* csa = std::get_if<model::Csa>(&k.layer.attention))
      kc.query_row = kc.output_row = 2 * group_heads * csa->heads * csa->dim;
    kc.moved_values = moved_values(k.layer, double(s.model->hidden), p.tp);
    const bool fused = s.engine == "trtllm" && p.tp > 1;
    kc.reductions = (kc.has_attention ? 1 : 0) + (k.layer.dense || k.layer.moe ? 1 : 0);
    if (fused) kc.short_kernels -= kc.reductions;
    if (const auto& e = k.layer.moe) {
      kc.has_moe = true;
      product(Group::router).kernels += 1;
      product(Group::shared).kernels += (e->shared_width > 0 ? 2 : 0) + (e->latent > 0 ? 2 : 0);
      kc.experts = e->experts;
      kc.top_k = e->real_top_k > 0 ? e->real_top_k : e->top_k;
      const double one = double(c[Group::routed]) / e->experts / p.expert_tp();
      kc.expert_bytes = one * bits(Group::routed);
      kc.expert_flops = 2 * one;
      kc.expert_width = double(e->width) / p.expert_tp();
    }
    t.kinds_.push_back(kc);
  }
  const Group head = s.model->tied ? Group::embed : Group::head;
  t.head_bytes_ = s.weight_bytes[head] / p.tp;
  t.head_flops_per_token_ = 2.0 * double(s.parameters.main[head]) / p.tp;
  return t;
}

double StepTime::product_seconds(double bytes, double flops, std::size_t o) const {
  const double stream = served_[Fit::weight_stream] * constants_.weight_stream,
               share = constants_.gemm_fraction[o] * served_[Fit::gemm_fraction];
  return smooth_max3(bytes / (stream * bandwidth_), flops / (share * gemm_peak_[o]));
}

double StepTime::moe_seconds(const KindCost& k, double tokens) const {
  const KernelConstants& c = constants_;
  const double ep = placement_.ep;
  const double hit = model::distinct_experts(k.experts, k.top_k, std::pow(tokens, served_[Fit::routing_exponent])) / ep;
  const double stream = hit * (k.expert_bytes / (c.moe_stream * served_[Fit::moe_stream] * bandwidth_) + served_[Fit::expert_cost]);
  const double efficiency = c.moe_flop * served_[moe_fraction_] * k.expert_width / (k.expert_width + c.moe_half_width);
  // The rows of each expert fill whole tiles: half a tile is lost on average.
  const double rows = tokens * k.top_k / ep + hit * served_[Fit::moe_tile] / 2;
  const double compute = rows * k.expert_flops / (efficiency * moe_peak_);
  const double imbalance = subject_->expert_imbalance > 0 ? std::min(ep, subject_->expert_imbalance)
                           : ep > 1 ? std::min(ep, 1 + served_[Fit::imbalance] * std::sqrt(ep / std::max(1.0, tokens * k.top_k)) +
                                                       served_[Fit::expert_skew] * std::log2(ep))
                                    : 1;
  return smooth_max3(stream, compute) * imbalance + c.moe_floor * served_[Fit::moe_floor] +
         c.moe_token * served_[Fit::moe_token] * tokens * k.top_k * double(subject_->model->hidden) / 7168 +
         served_[Fit::moe_route] * tokens;
}

double StepTime::all_reduce_seconds(double bytes) const {
  if (placement_.tp <= 1) return 0;
  const int n = domain_, domains = (placement_.tp + n - 1) / n;
  double across = 0;
  if (domains > 1) across = fabric::all_reduce_across(n, domains, Bytes{bytes}, network_, constants_.network_latency).value();
  if (n <= 1) return across;
  // Measured at 2, 4 and 8 ranks; above 8 the latency grows with the tiers of the domain, as log2 of the ranks.
  const int i = n <= 2 ? 0 : n <= 4 ? 1 : 2;
  const double stretch = n > 8 ? std::log2(double(n)) / 3 : 1;
  // Chips with slower links than the measured ones take longer in proportion.
  const double slower = std::max(1.0, constants_.allreduce_link / link_);
  return across + fabric::collective_time(constants_.allreduce[std::size_t(i)], Bytes{bytes}, stretch * served_[Fit::allreduce_latency],
                                          slower * served_[Fit::allreduce_size])
                      .value();
}

// Ranks of a context-parallel group attend for all their heads over their own positions: queries are gathered before, partial outputs
// reduced and scattered after, each half of an all-reduce of the whole group's rows and one latency. vLLM v1/attention, cp_lse_ag_out_rs.
double StepTime::context_parallel_seconds(const KindCost& k, double sequences) const {
  if (placement_.dcp <= 1) return 0;
  const double latency = all_reduce_seconds(0);
  return latency + (all_reduce_seconds(sequences * k.query_row) + all_reduce_seconds(sequences * k.output_row)) / 2;
}

StepTime::Parts StepTime::parts_of(const Step& x) const {
  const KernelConstants& c = constants_;
  const Subject& s = *subject_;
  const Placement& p = placement_;
  Parts out;
  const double tokens = x.decode_sequences + x.prefill_tokens;  // of the replica: what the experts see
  const double own = tokens / p.dp;                             // of one attention rank
  const double row = 2.0 * double(s.model->hidden);
  for (const auto& k : kinds_) {
    for (std::size_t o = 0; o < k.products.size(); ++o) {
      const Product& q = k.products[o];
      if (q.bytes > 0)
        out.gemm +=
            k.count * (product_seconds(q.bytes, own * q.flops_per_token, o) + q.kernels * c.gemm_floor[o] * served_[Fit::gemm_floor]);
    }
    if (k.has_moe) out.moe += k.count * moe_seconds(k, tokens);
    if (k.has_attention) out.attention += k.count * served_[Fit::attention_floor];
    out.small +=
        k.count * (k.short_kernels * served_[Fit::short_kernel] + own * 2 * k.moved_values * served_[Fit::short_kernel_bytes] / bandwidth_);
    out.communication += k.count * (k.reductions * all_reduce_seconds(own * row) + k.small_reductions * all_reduce_seconds(own * 8));
    if (x.decode_sequences > 0) out.communication += k.count * context_parallel_seconds(k, x.decode_sequences / p.dp);
    if (k.has_moe && p.dp > 1) {  // dispatch and combine between attention ranks
      out.exchange +=
          2 * k.count *
          fabric::all_to_all_time(Seconds{c.dispatch_alpha * served_[Fit::dispatch_latency]},
                                  BytesPerSecond{dispatch_bandwidth_ * served_[Fit::dispatch_fraction]}, own, Bytes{row}, p.dp, k.top_k)
              .value();
    }
  }
  const double sampled = x.decode_sequences / p.dp + (x.prefill_tokens > 0 ? 1 : 0);
  // The head runs in the last stage only.
  constexpr auto kHead = std::size_t(Operand::bf16);
  out.gemm +=
      (product_seconds(head_bytes_, sampled * head_flops_per_token_, kHead) + c.gemm_floor[kHead] * served_[Fit::gemm_floor]) / p.pp;
  if (x.decode_sequences > 0) {
    double read = 0;
    for (const auto& g : s.cache) read += model::cache_read(std::span(&g, 1), std::int64_t(x.decode_context)) * rank_share(g, p);
    const auto f = model::decode_attention_flops(*s.model, std::int64_t(x.decode_context));
    const double per_rank = x.decode_sequences / p.dp / p.pp;
    out.attention += smooth_max4(per_rank * read / (served_[Fit::kv_stream] * bandwidth_),
                                 per_rank * f.total() / p.tp / (served_[Fit::decode_attention] * bf16_peak_));
  }
  if (x.prefill_tokens > 0) {
    out.prefill_attention = prefill_attention_seconds(x.prefill_tokens, x.prefill_cached) / p.pp;
  }
  out.host = served_[Fit::host_step] / p.pp + served_[Fit::host_sequence] * x.decode_sequences / p.dp;
  return out;
}

// Two halves of a batch in turn: experts' tokens of one travel while the other computes. Both read all weights. Engines split a step only
// where it is long enough to gain (vLLM dbo_*_token_threshold, SGLang tbo_token_distribution_threshold): here, where it gains.
StepTime::Parts StepTime::parts(const Step& x) const {
  Parts whole = parts_of(x);
  if (!subject_->two_batch_overlap || whole.exchange <= 0) return whole;
  Step half = x;
  half.decode_sequences /= 2;
  half.prefill_tokens /= 2;
  Parts two = parts_of(half);
  for (double* part : {&two.gemm, &two.moe, &two.attention, &two.communication, &two.exchange, &two.small}) *part *= 2;
  two.prefill_attention = whole.prefill_attention;
  two.host = whole.host;
  two.exchange = std::max(0.0, two.exchange - (two.total() - two.exchange - two.host));
  return two.total() < whole.total() ? two : whole;
}

double StepTime::seconds(const Step& step) const {
  // With pipeline stages the decoding sequences form one micro-batch a stage, and a token passes all stages in turn.
  Step micro = step;
  micro.decode_sequences /= placement_.pp;
  return parts(micro).total() * placement_.pp;
}

std::vector<Term> StepTime::terms(const Step& step) const {
  Step micro = step;
  micro.decode_sequences /= placement_.pp;
  const Parts t = parts(micro);
  const double n = placement_.pp;
  return {{"dense products", t.gemm * n},
          {"experts", t.moe * n},
          {"attention over the cache", t.attention * n},
          {"prefill attention", t.prefill_attention * n},
          {"communication", (t.communication + t.exchange) * n},
          {"short kernels", t.small * n},
          {"host", t.host * n}};
}

double StepTime::prefill_attention_seconds(double tokens, double cached) const {
  const auto f = model::prefill_flops(*subject_->model, subject_->parameters, std::int64_t(tokens), std::int64_t(cached));
  return f.attention / placement_.tp / placement_.dp / (served_[Fit::prefill_attention] * bf16_peak_);
}

double StepTime::token_seconds(double tokens) const { return seconds({0, 0, tokens, 0}) - prefill_attention_seconds(tokens, 0); }

double StepTime::expert_seconds(double tokens) const {
  double sum = 0;
  for (const auto& k : kinds_) sum += k.has_moe ? k.count * moe_seconds(k, tokens) : 0;
  return sum * placement_.pp;
}

double StepTime::prefill_floor() const {
  double sum = 0;
  for (const auto& k : kinds_) sum += k.count * served_[k.latent ? Fit::prefill_latent_layer : Fit::prefill_layer];
  return sum * placement_.pp;
}

double StepTime::decode_bound(double sequences, double context) const {
  double bytes = head_bytes_;
  for (const auto& k : kinds_) {
    for (const Product& q : k.products) bytes += k.count * placement_.pp * q.bytes;
    if (!k.has_moe) continue;
    const double hit = std::max(k.top_k, 0.5 * model::distinct_experts(k.experts, k.top_k, std::pow(std::max(1.0, sequences), 0.85)));
    bytes += k.count * placement_.pp * hit / placement_.ep * k.expert_bytes;
  }
  for (const auto& g : subject_->cache) {
    bytes +=
        sequences / placement_.dp / placement_.pp * model::cache_read(std::span(&g, 1), std::int64_t(context)) * rank_share(g, placement_);
  }
  return bytes / bandwidth_;
}

double StepTime::prefill_bound(double tokens, double cached) const {
  const auto f = model::prefill_flops(*subject_->model, subject_->parameters, std::int64_t(tokens), std::int64_t(cached));
  return f.total() / (std::max(*std::max_element(gemm_peak_.begin(), gemm_peak_.end()), moe_peak_) * placement_.accelerators());
}

}  // namespace jevons::step
