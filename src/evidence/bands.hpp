#pragma once
// 90 % intervals of predictions, by how much is known about a deployment.
#include <map>
#include <set>

#include "evidence/case_run.hpp"

namespace jevons::evidence {

/// What is known about a deployment, from most to least. near_limit goes before all others: there the cache decides.
enum class Regime : std::uint8_t { seen_block, seen_engine_format, new_model, new_chip, near_limit };
inline constexpr std::size_t kRegimes = 5;
std::string_view name(Regime r);

/// measured / predicted lies between low and high in nine of ten cases. Near the KV limit these are factors beyond what the uncertain size
/// of the cache explains.
struct MetricBands : Intervals {
  double cases = 0;  // left-out predictions behind them
};
using Bands = std::array<MetricBands, kRegimes>;
/// From catalog/efficiency/served-bands.yaml.
Result<Bands> read_bands(const catalog::Catalog& catalog);

/// What the constants and corrections have seen.
struct Seen {
  std::set<std::string, std::less<>> blocks, models, chips;
};
Seen seen_in(const step::ServedBlocks& blocks);
struct Deployed {
  std::string_view model, accelerator, block;
};
Regime regime_of(const Deployed& d, bool near_limit, const Seen& seen);
/// The band of one prediction: its regime's, about what the uncertain size of the cache allows.
MetricBands band_of(const Prediction& p, const MetricBands& regime);

/// One left-out prediction: the regime it stands for, and ln(measured/predicted) where measured, less what the cache's size explains.
struct Residual {
  Regime regime{};
  std::optional<double> tpot, ttft, output_tok_s;
};
Residual residual_of(const Prediction& p, Regime regime);
/// The 5th and 95th percentiles of each regime, widened to the (n + 1)-th rank of conformal prediction; regimes of fewer than 20 residuals
/// take those of the next less known one; near the KV limit 8 will do.
Bands bands_of(std::span<const Residual> residuals);

}  // namespace jevons::evidence
