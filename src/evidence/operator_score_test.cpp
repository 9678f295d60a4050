// Scores the curves of catalog/fits, as the program evaluates them, on the fifth of the shared operator tables that no fit has seen.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/text.hpp"
#include "evidence/calibrate.hpp"
#include "step/operator_fits.hpp"
#include "traffic/lines.hpp"

namespace jevons::evidence {
namespace {

using step::CurveRequest;
using step::Setting;

const std::string kOps = std::string(JEVONS_SOURCE_DIR) + "/../shared/measured/ops/aiconfigurator_";

// Reads a table and calls `row` with a getter of cells by column.
class Table {
 public:
  explicit Table(const std::string& name) {
    auto lines = traffic::Lines::open(kOps + name + ".csv.gz");
    if (!lines) return;
    std::string_view line;
    while (lines->next(line)) {
      std::vector<std::string> cells;
      for (const auto c : split(line, ',')) cells.emplace_back(c);
      if (columns_.empty())
        for (std::size_t i = 0; i < cells.size(); ++i) columns_[cells[i]] = i;
      else
        rows_.push_back(std::move(cells));
    }
  }
  std::size_t rows() const { return rows_.size(); }
  const std::string& text(std::size_t r, const char* column) const { return rows_[r][columns_.at(column)]; }
  double number(std::size_t r, const char* column) const { return std::strtod(text(r, column).c_str(), nullptr); }

 private:
  std::map<std::string, std::size_t> columns_;
  std::vector<std::vector<std::string>> rows_;
};

const std::map<std::string, std::string> kChips{
    {"a100_sxm", "a100-80g-sxm"}, {"h100_sxm", "h100-sxm"}, {"h200_sxm", "h200-sxm"},
    {"b200_sxm", "b200-sxm"},     {"b300_sxm", "b300-sxm"}, {"gb200", "gb200-nvl72"},
    {"gb300", "gb300-nvl72"},     {"l40s", "l40s"},         {"rtx_pro_6000_server", "rtx-pro-6000"}};
const std::map<std::string, std::string> kNames{{"bfloat16", "bf16"},
                                                {"fp8", "fp8"},
                                                {"fp8_block", "fp8-block"},
                                                {"nvfp4", "nvfp4"},
                                                {"sq", "int8"},
                                                {"int8_wo", "int8-weight-only"},
                                                {"int4_wo", "int4-weight-only"},
                                                {"w4a16_mxfp4", "mxfp4-w4a16"},
                                                {"w4a8_mxfp4_mxfp8", "mxfp4-w4a8"}};
std::string engine_of(const std::string& framework) { return lower(framework); }

bool held_out(std::initializer_list<double> shape) { return evidence::held_out(std::span<const double>(shape.begin(), shape.size())); }

template <class T>
T found(Result<T> r) {
  if (!r) throw InternalError(r.error().message());
  return *r;
}

double quantile(std::vector<double> v, double q) {
  if (v.empty()) return 0;
  std::sort(v.begin(), v.end());
  const double at = q * double(v.size() - 1);
  const auto below = std::size_t(at);
  return below + 1 < v.size() ? v[below] + (at - double(below)) * (v[below + 1] - v[below]) : v.back();
}

struct Scores {
  const catalog::Catalog catalog = catalog::Catalog::builtin();
  std::map<std::string, catalog::Accelerator> chips;
  std::map<std::string, std::vector<double>> by_table;  // key of a row of catalog/fits
  std::map<std::string, double> stated;                 // its median error there
  std::vector<double> all;

  const catalog::Accelerator& chip(const std::string& name) {
    const auto it = chips.find(name);
    if (it != chips.end()) return it->second;
    return chips.emplace(name, catalog::accelerator(**catalog.find(catalog::Section::accelerator, name))).first->second;
  }
  void add(const std::string& key, const step::CurveEvidence& evidence, Seconds predicted, double measured) {
    const double error = std::abs(predicted.value() / measured - 1);
    by_table[key].push_back(error);
    stated[key] = evidence.median_error;
    all.push_back(error);
  }
  // Pooled within the limit, and each table as its fit says.
  void check(double limit, std::size_t least) const {
    ASSERT_GT(all.size(), least);
    EXPECT_LE(quantile(all, 0.5), limit);
    for (const auto& [key, errors] : by_table) {
      EXPECT_NEAR(quantile(errors, 0.5), stated.at(key), 0.001) << key << ", " << errors.size() << " rows";
    }
    RecordProperty_("median", quantile(all, 0.5));
    std::printf("  %zu held-out rows: median %.1f %%, 90th percentile %.1f %%\n", all.size(), 100 * quantile(all, 0.5),
                100 * quantile(all, 0.9));
  }
  static void RecordProperty_(const char* name, double v) { testing::Test::RecordProperty(name, std::to_string(v)); }
};

class OperatorScores : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kOps + "gemm_sample.csv.gz")) GTEST_SKIP() << "needs ../shared/measured/ops";
  }
  Scores s;
};

double peak_of(const catalog::Accelerator& c, std::string_view operand) {
  return (operand == "fp8" ? c.peak_fp8 : operand == "fp4" ? c.peak_fp4 : operand == "int8" ? c.peak_int8 : c.peak_bf16)->value.value();
}

TEST_F(OperatorScores, Gemm) {
  const Table t("gemm_sample");
  const std::map<std::string, std::string> operand{{"fp8", "fp8"}, {"fp8-block", "fp8"}, {"nvfp4", "fp4"}, {"int8", "int8"}};
  std::map<std::string, std::optional<step::GemmCurve>> curves;
  for (std::size_t r = 0; r < t.rows(); ++r) {
    const auto name = kChips.find(t.text(r, "system"));
    if (name == kChips.end()) continue;
    const auto& chip = s.chip(name->second);
    const std::string engine = engine_of(t.text(r, "framework")), format = kNames.at(t.text(r, "gemm_dtype"));
    if (engine == "vllm" && format == "fp8-block") continue;  // launched eagerly
    const std::string key = name->second + " " + engine + " " + format;
    auto& curve = curves[key];
    if (!curve) curve = found(step::gemm_curve({&s.catalog, &chip, engine}, format));
    const double m = t.number(r, "m"), n = t.number(r, "n"), k = t.number(r, "k"), measured = t.number(r, "latency") * 1e-3;
    if (!held_out({m, n, k})) continue;
    const auto o = operand.find(format);
    if (2 * m * n * k / measured > peak_of(chip, o == operand.end() ? "bf16" : o->second)) continue;
    if (n * k * curve->weight_bytes / measured > chip.hbm_bandwidth->value.value()) continue;  // from the last-level cache
    s.add(key, curve->evidence, gemm_time(*curve, m, n, k, Setting::benchmark), measured);
  }
  s.check(0.05, 7000);
}

TEST_F(OperatorScores, ContextAttention) {
  const Table t("context_attention_sample"), mla("mla_sample");
  for (std::size_t r = 0; r < t.rows(); ++r) {
    const auto& chip = s.chip(kChips.at(t.text(r, "system")));
    const std::string engine = engine_of(t.text(r, "framework")), operand = kNames.at(t.text(r, "attn_dtype")),
                      kv = kNames.at(t.text(r, "kv_cache_dtype"));
    const double b = t.number(r, "batch_size"), n = t.number(r, "isl"), h = t.number(r, "num_heads"),
                 g = t.number(r, "num_key_value_heads");
    const double measured = t.number(r, "latency") * 1e-3;
    if (!held_out({b, n, h, g}) || 2 * 128 * b * h * n * (n + 1) / measured > peak_of(chip, operand)) continue;
    const auto c = found(step::context_curve({&s.catalog, &chip, engine}, step::AttentionFamily::gqa, operand, kv));
    s.add(std::string(chip.thing->name) + " " + engine + " gqa " + operand + " " + kv, c.evidence,
          context_attention_time(c, {.sequences = b, .tokens = n, .heads = h, .kv_heads = g}), measured);
  }
  for (std::size_t r = 0; r < mla.rows(); ++r) {
    if (mla.text(r, "op_name") != "mla_context") continue;
    const auto& chip = s.chip(kChips.at(mla.text(r, "system")));
    const std::string engine = engine_of(mla.text(r, "framework")), kv = kNames.at(mla.text(r, "kv_cache_dtype"));
    const double b = mla.number(r, "batch_size"), n = mla.number(r, "isl"), h = mla.number(r, "num_heads");
    const double measured = mla.number(r, "latency") * 1e-3;
    if (!held_out({b, n, h}) || 320 * b * h * n * (n + 1) / measured > peak_of(chip, "bf16")) continue;
    const auto c = found(step::context_curve({&s.catalog, &chip, engine}, step::AttentionFamily::naive_mla, "bf16", kv));
    s.add(std::string(chip.thing->name) + " " + engine + " mla " + kv, c.evidence,
          context_attention_time(c, {.sequences = b, .tokens = n, .heads = h, .kv_heads = h}), measured);
  }
  s.check(0.08, 4000);
}

TEST_F(OperatorScores, DecodeAttention) {
  const Table t("generation_attention_sample");
  for (std::size_t r = 0; r < t.rows(); ++r) {
    const auto& chip = s.chip(kChips.at(t.text(r, "system")));
    const std::string engine = engine_of(t.text(r, "framework")), kv = kNames.at(t.text(r, "kv_cache_dtype"));
    const double b = t.number(r, "batch_size"), n = t.number(r, "step") + 1, h = t.number(r, "num_heads"),
                 g = t.number(r, "num_key_value_heads");
    const double measured = t.number(r, "latency") * 1e-3;
    if (!held_out({b, n, h, g})) continue;
    const auto c = found(step::decode_curve({&s.catalog, &chip, engine}, kv));
    if (b * n * g * 256 * c.kv_bytes / measured > chip.hbm_bandwidth->value.value()) continue;
    s.add(std::string(chip.thing->name) + " " + engine + " " + kv, c.evidence,
          decode_attention_time(c, {.sequences = b, .keys = n, .heads = h, .kv_heads = g}, Setting::benchmark), measured);
  }
  s.check(0.08, 2500);
}

TEST_F(OperatorScores, MlaDecodeAttention) {
  const Table t("mla_sample");
  for (std::size_t r = 0; r < t.rows(); ++r) {
    const std::string engine = engine_of(t.text(r, "framework"));
    if (t.text(r, "op_name") == "mla_context" || engine == "vllm") continue;  // vLLM 0.14: launched eagerly
    const auto& chip = s.chip(kChips.at(t.text(r, "system")));
    const std::string kv = kNames.at(t.text(r, "kv_cache_dtype"));
    const double b = t.number(r, "batch_size"), n = t.number(r, "step") + 1, h = t.number(r, "num_heads");
    const double measured = t.number(r, "latency") * 1e-3;
    if (!held_out({b, n, h})) continue;
    const auto c = found(step::mla_decode_curve({&s.catalog, &chip, engine}, kv));
    if (b * n * 576 * c.kv_bytes / measured > chip.hbm_bandwidth->value.value()) continue;
    s.add(std::string(chip.thing->name) + " " + engine + " " + kv, c.evidence, mla_decode_time(c, b, n, h), measured);
  }
  s.check(0.08, 2500);
}

TEST_F(OperatorScores, Experts) {
  const Table t("moe_sample");
  const std::map<std::string, step::Routing> routing{
      {"balanced", step::Routing::balanced}, {"power_law_1.01", step::Routing::skewed}, {"power_law_1.2", step::Routing::very_skewed}};
  for (std::size_t r = 0; r < t.rows(); ++r) {
    if (t.text(r, "kernel_source").ends_with("min_latency")) continue;  // cached weights
    const double m = t.number(r, "num_tokens"), d = t.number(r, "hidden_size"), i = t.number(r, "inter_size"), k = t.number(r, "topk"),
                 e = t.number(r, "num_experts"), tp = t.number(r, "moe_tp_size"), ep = t.number(r, "moe_ep_size");
    const auto route = routing.at(t.text(r, "distribution"));
    if (!held_out({m, d, i, k, e, tp, ep, double(route)})) continue;
    const auto& chip = s.chip(kChips.at(t.text(r, "system")));
    const std::string engine = engine_of(t.text(r, "framework")), format = kNames.at(t.text(r, "moe_dtype"));
    const auto c = found(step::moe_curve({&s.catalog, &chip, engine}, format));
    const double measured = t.number(r, "latency") * 1e-3, sent = m * k / ep, one = 3 * d * i / tp;
    const double hit = route == step::Routing::balanced ? std::min(e / ep, std::max(1.0, sent)) : 0;
    const std::string_view operand = format.starts_with("fp8") || format == "mxfp4-w4a8" ? "fp8" : format == "nvfp4" ? "fp4" : "bf16";
    if (hit * one * c.weight_bytes / measured > chip.hbm_bandwidth->value.value() || 2 * sent * one / measured > peak_of(chip, operand))
      continue;
    const auto layer = moe_layer(c, {.hidden = d, .width = i, .experts = e, .top_k = k, .tp = tp, .ep = ep, .routing = route});
    s.add(std::string(chip.thing->name) + " " + engine + " " + format, c.evidence, moe_time(layer, m), measured);
  }
  s.check(0.10, 11000);
}

TEST_F(OperatorScores, Collectives) {
  // Repeats of one message are one point: the median.
  std::map<std::tuple<std::string, std::string, std::string, double, double>, std::vector<double>> points;
  std::map<std::string, std::string> newest;
  const Table nccl("nccl"), own("custom_allreduce");
  for (std::size_t r = 0; r < nccl.rows(); ++r)
    newest[nccl.text(r, "system")] = std::max(newest[nccl.text(r, "system")], nccl.text(r, "version"));
  for (std::size_t r = 0; r < nccl.rows(); ++r) {
    if (nccl.text(r, "version") != newest.at(nccl.text(r, "system"))) continue;
    std::string op = nccl.text(r, "op_name");
    std::replace(op.begin(), op.end(), '_', '-');
    if (op == "alltoall") op = "all-to-all";
    const double bytes = nccl.number(r, "message_size") * (nccl.text(r, "nccl_dtype") == "half" ? 2 : 1);
    points[{kChips.at(nccl.text(r, "system")), "nccl", op, nccl.number(r, "num_gpus"), bytes}].push_back(nccl.number(r, "latency") * 1e-3);
  }
  for (std::size_t r = 0; r < own.rows(); ++r) {
    const auto chip = kChips.find(own.text(r, "system"));
    if (chip == kChips.end() || own.text(r, "backend").ends_with("eager")) continue;
    points[{chip->second, engine_of(own.text(r, "framework")), "all-reduce", own.number(r, "num_gpus"), own.number(r, "message_size") * 2}]
        .push_back(own.number(r, "latency") * 1e-3);
  }
  for (auto& [at, times] : points) {
    const auto& [name, library, op, ranks, bytes] = at;
    double code = ranks;
    for (const char c : op + library) code += c;
    if (!held_out({code, bytes})) continue;
    std::sort(times.begin(), times.end());
    const double measured = (times[(times.size() - 1) / 2] + times[times.size() / 2]) / 2;
    const auto c = found(step::collective_curve({&s.catalog, &s.chip(name), {}}, library, op, ranks));
    s.add(name + " " + library + " " + op + " " + std::to_string(int(ranks)), c.evidence, collective_time(c, Bytes{bytes}), measured);
  }
  s.check(0.10, 600);
}

TEST_F(OperatorScores, ExpertExchange) {
  const Table t("deepep"), a2a("trtllm_alltoall");
  for (std::size_t r = 0; r < t.rows(); ++r) {
    if (t.text(r, "system") == "h200_sxm" && t.text(r, "version") == "0.5.0") continue;  // a copy of the H100 table
    const std::string name = kChips.at(t.text(r, "system")), mode = t.text(r, "op_name") == "ll" ? "low-latency" : "normal";
    const double ranks = t.number(r, "node_num") * (name.starts_with("gb") ? 4 : 8);
    if (t.text(r, "version") == "0.5.0" && ranks == 8) continue;  // an older release of a table we have
    const double m = t.number(r, "num_token"), d = t.number(r, "hidden_size"), k = t.number(r, "num_topk");
    const double sms = t.text(r, "dispatch_sms").empty() ? 20 : t.number(r, "dispatch_sms");
    if (!held_out({m, d, k, sms, t.number(r, "num_experts")})) continue;
    for (const std::string leg : {"dispatch", "combine"}) {
      const double us = mode == "low-latency" ? t.number(r, (leg + "_avg_t_us").c_str())
                                              : t.number(r, (leg + "_transmit_us").c_str()) + t.number(r, (leg + "_notify_us").c_str());
      if (us <= 0) continue;
      const auto c = found(step::exchange_curve({&s.catalog, &s.chip(name), {}}, "deepep", mode, leg, ranks));
      s.add(name + " deepep " + mode + " " + leg + " " + std::to_string(int(ranks)), c.collective.evidence, exchange_time(c, m, d, k, sms),
            us * 1e-6);
    }
  }
  for (std::size_t r = 0; r < a2a.rows(); ++r) {
    const std::string mode = a2a.text(r, "kernel_source") == "NVLinkOneSided" ? "one-sided" : "two-sided",
                      format = kNames.at(a2a.text(r, "moe_dtype"));
    std::string leg = a2a.text(r, "op_name").substr(9);
    std::replace(leg.begin(), leg.end(), '_', '-');
    const double m = a2a.number(r, "num_tokens"), d = a2a.number(r, "hidden_size"), k = a2a.number(r, "topk"),
                 ranks = a2a.number(r, "moe_ep_size");
    if (!held_out({m, d, k, 20, ranks})) continue;
    const auto c = found(step::exchange_curve({&s.catalog, &s.chip("gb200-nvl72"), {}}, "trtllm", mode, leg, ranks, format));
    s.add("gb200 " + mode + " " + leg + " " + format + " " + std::to_string(int(ranks)), c.collective.evidence, exchange_time(c, m, d, k),
          a2a.number(r, "latency") * 1e-3);
  }
  s.check(0.10, 5000);
}

}  // namespace
}  // namespace jevons::evidence
