#include "market/paths.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "market/vector_math.hpp"

// One function, compiled for the vector width at hand; the lanes' arithmetic is the same, so are the bytes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define JEVONS_LANES __attribute__((target_clones("avx2", "default")))
#else
#define JEVONS_LANES
#endif

namespace jevons::market {
namespace {

constexpr std::size_t kLanes = 64;
constexpr double kMonth = 1.0 / 12;
constexpr double kLn2 = 0.69314718055994531;
constexpr int kPipeline = 24;                 // months an order can take at most
constexpr double kJumpsPerYear = 2;           // price changes of a tier
constexpr double kMarkupHalfLife = 1;         // years until half of a jump is competed away
constexpr double kSwitchMonths = 2;           // users follow a price with this lag
constexpr double kChinaHalfLife = 2;          // years
constexpr double kLongRunCapexGrowth = 0.05;  // ln/yr
constexpr double kMostExpectedGrowth = 1.5;   // ln/yr that owners plan for
constexpr double kPlannedTightness = 0.9;     // of demand over capacity

using Lane = std::array<double, kLanes>;

// Everything a block of paths carries, one array per quantity.
struct alignas(64) Block {
  // Constants of the path.
  std::array<Lane, kSegments> z0, sigma_inverse, overhead, capability, intensity, short_weight, odds_factor, base, responds, response0;
  Lane intensity_fade, intensity_half, lag_step, pass_through, cost_slope, switching, jump_size, budget, capped;
  Lane common_keep, common_kick, region_keep, region_kick, china_fade, china_start, time_gain, memory_gain, feedback;
  Lane nontoken, nontoken_decline, capex_excess, capex_fade, hardware_gain, serving0;
  std::array<int, kLanes> lead;
  // State.
  std::array<Lane, kSegments> slow, wanted, offset, odds, spent, allowed, tokens;
  std::array<Lane, kTiers> markup, seen;
  std::array<std::array<double, kPipeline>, kLanes> pipeline;
  Lane intensity_left, common_rate, china_rate, rest_rate, common, china, rest, rent, stock, waiting, watts, capex_level, capex_growth;
  Lane demand_before, growth, first_time, first_hbm;
  // Of the month.
  std::array<Lane, kTiers> price, weight;
  Lane china_factor, rest_factor, tokens_all, tokens_china, spend, time, hbm, unmet, served, tight, needed, share, ordered, order_usd;
};

std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
  return z ^ (z >> 31);
}

// Nearly normal, mean 0, variance 1: the sum of four 16-bit uniforms (Irwin-Hall), so |x| <= 3.47. Sums over months are normal.
double kick(std::uint64_t bits) {
  const auto sum = (bits & 0xFFFF) + ((bits >> 16) & 0xFFFF) + ((bits >> 32) & 0xFFFF) + (bits >> 48);
  return (double(std::int64_t(sum)) - 131070.0) * (1.7320508075688772 / 65536.0);
}

// Numbers of the chance of one month: three growth rates, then two per tier.
struct Chance {
  std::array<Lane, 3> growth;
  std::array<Lane, kTiers> jump, happens;
};

void draw(Chance& c, Seed seed, std::uint64_t first, std::size_t lanes, int month) {
  for (std::size_t l = 0; l < lanes; ++l) {
    const std::uint64_t key = mixed(mixed(mixed(seed.value) + first + l) + std::uint64_t(Draw::market) * 0x100000001ull + std::uint64_t(month));
    for (std::size_t g = 0; g < 3; ++g) c.growth[g][l] = kick(mixed(key + 0x9E3779B97F4A7C15ull * (g + 1)));
    for (std::size_t j = 0; j < kTiers; ++j) {
      const std::uint64_t bits = mixed(key + 0x9E3779B97F4A7C15ull * (j + 4));
      c.jump[j][l] = kick(bits);
      c.happens[j][l] = double(std::int64_t(mixed(bits) >> 11)) * 0x1p-53 < kJumpsPerYear * kMonth ? 1.0 : 0.0;
    }
  }
}

void fill(Block& b, const World& world, const PathInput& in, std::size_t l, const Switches& on) {
  const Values& v = in.values;
  double sum = 0;
  std::array<double, kSegments> tokens;
  for (std::size_t s = 0; s < kSegments; ++s) sum += tokens[s] = world.segments[s].tokens_per_day * std::exp(in.level[s]);
  for (std::size_t s = 0; s < kSegments; ++s) {
    const SegmentLaw law = law_of(world.segments[s], world.segments, v, {});
    const double share = sum > 0 ? tokens[s] / sum : 0;
    const double adopted = 1 / (1 + std::exp(-law.logit));
    b.z0[s][l] = law.responds ? law.z0 : 0;
    b.sigma_inverse[s][l] = law.responds ? 1 / law.sigma : 0;
    b.overhead[s][l] = law.overhead;
    b.capability[s][l] = law.capability;
    b.responds[s][l] = law.responds ? 1 : 0;
    b.response0[s][l] = b.responds[s][l] * lane_log_above(b.z0[s][l]);
    b.intensity[s][l] = law.intensity;
    b.short_weight[s][l] = law.responds ? law.short_weight : 1;
    b.odds_factor[s][l] = std::exp(law.adoption_speed * kMonth);
    b.base[s][l] = in.total_tokens * share / adopted;
    b.odds[s][l] = std::exp(law.logit - law.adoption_speed * (kAnchor + kMonth));  // the first step brings it to month 0
    b.spent[s][l] = 0;
    b.allowed[s][l] = 1e300;
  }
  const auto slope = [&](double rate) { return on.efficiency ? rate : 0; };
  const double theta = v[Param::theta];
  b.intensity_half[l] = v[Param::intensity_half_life] / kLn2;
  b.intensity_fade[l] = std::exp(-kMonth / b.intensity_half[l]);
  b.intensity_left[l] = std::exp((kAnchor + kMonth) / b.intensity_half[l]);
  b.lag_step[l] = -std::expm1(-kMonth / v[Param::response_lag]);
  b.pass_through[l] = v[Param::pass_through];
  b.cost_slope[l] = cost_decline(v);
  b.time_gain[l] = slope((1 - theta) * v[Param::compute_gain] + theta * v[Param::memory_gain]);
  b.memory_gain[l] = slope(v[Param::memory_gain]);
  b.switching[l] = v[Param::switching];
  b.jump_size[l] = v[Param::price_jumps];
  b.budget[l] = v[Param::budget_growth];
  b.capped[l] = v[Param::capped_share];
  const auto ou = [&](Param half_life, Param rate, Lane& keep, Lane& kick_size) {
    const double speed = kLn2 / v[half_life];
    keep[l] = std::exp(-speed * kMonth);
    kick_size[l] = v[rate] * std::sqrt(-std::expm1(-2 * speed * kMonth) / (2 * speed));
  };
  ou(Param::common_half_life, Param::common_rate, b.common_keep, b.common_kick);
  ou(Param::service_half_life, Param::region_rate, b.region_keep, b.region_kick);
  b.common_rate[l] = in.momentum.common;
  b.china_rate[l] = in.momentum.china;
  b.rest_rate[l] = in.momentum.rest;
  b.common[l] = b.china[l] = b.rest[l] = 0;
  b.china_start[l] = v[Param::china_growth];
  b.china_fade[l] = std::exp(-kLn2 * kMonth / kChinaHalfLife);
  b.feedback[l] = v[Param::supply_feedback];
  b.nontoken[l] = v[Param::nontoken_share];
  b.nontoken_decline[l] = v[Param::nontoken_decline];
  b.capex_excess[l] = v[Param::capex_growth] - kLongRunCapexGrowth;
  b.capex_fade[l] = std::exp(-kLn2 * kMonth / v[Param::capex_half_life]);
  b.hardware_gain[l] = slope(v[Param::hardware_gain]);
  b.lead[l] = std::clamp(int(std::lround(v[Param::lead_time] * 12)), 1, kPipeline - 1);
  for (std::size_t j = 0; j < kTiers; ++j) b.markup[j][l] = b.seen[j][l] = 0;
  b.rent[l] = 1;
  b.stock[l] = world.fleet.stock;
  b.watts[l] = world.fleet.fleet_watts;
  b.capex_level[l] = 1;
  b.capex_growth[l] = b.capex_excess[l];
  b.waiting[l] = 0;
  b.pipeline[l].fill(0);
  b.growth[l] = 0;
  b.demand_before[l] = 0;
}

// Prices of tiers relative to the anchor, and how users weigh them.
JEVONS_LANES void step_prices(Block& b, const Chance& c, int month, bool chance, bool efficiency) {
  const double years = (month - kAnchorMonth) * kMonth, past = years < 0 || efficiency ? years : 0;
  const double keep = std::exp(-kLn2 * kMonth / kMarkupHalfLife);
  for (std::size_t j = 0; j < kTiers; ++j) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      if (chance) b.markup[j][l] = b.markup[j][l] * keep + c.happens[j][l] * b.jump_size[l] * c.jump[j][l];
      const double ln = b.pass_through[l] * (lane_log(b.rent[l]) - b.cost_slope[l] * past) + b.markup[j][l];
      b.price[j][l] = lane_exp(ln);
      b.seen[j][l] = month == 0 ? ln : b.seen[j][l] + (ln - b.seen[j][l]) / kSwitchMonths;
      b.weight[j][l] = lane_exp(-b.switching[l] * (b.seen[j][l] - b.seen[0][l]));
    }
  }
}

// Growth rates that wander, and the two regions.
JEVONS_LANES void step_growth(Block& b, const Chance& c, int month, bool chance) {
  for (std::size_t l = 0; l < kLanes; ++l) {
    b.intensity_left[l] *= b.intensity_fade[l];
    if (month > kAnchorMonth) {
      b.common[l] += b.common_rate[l] * kMonth;
      b.china[l] += (b.china_rate[l] + b.china_start[l]) * kMonth;
      b.rest[l] += b.rest_rate[l] * kMonth;
      b.china_start[l] *= b.china_fade[l];
      b.common_rate[l] = b.common_rate[l] * b.common_keep[l] + (chance ? b.common_kick[l] * c.growth[0][l] : 0.0);
      b.china_rate[l] = b.china_rate[l] * b.region_keep[l] + (chance ? b.region_kick[l] * c.growth[1][l] : 0.0);
      b.rest_rate[l] = b.rest_rate[l] * b.region_keep[l] + (chance ? b.region_kick[l] * c.growth[2][l] : 0.0);
    }
    b.china_factor[l] = lane_exp(b.common[l] + b.china[l]);
    b.rest_factor[l] = lane_exp(b.common[l] + b.rest[l]);
    b.tokens_all[l] = b.tokens_china[l] = b.spend[l] = b.time[l] = b.hbm[l] = 0;
  }
}

// One segment's demand, and what it takes. `response` is ln of the share of tasks run.
JEVONS_LANES void step_segment(Block& b, const Segment& segment, const std::array<Resource, kTiers>& r, std::size_t s, int month, bool budgets) {
  const double years = (month - kAnchorMonth) * kMonth;
  double price0 = 0;  // a mark-up or a rent of one: the anchor's price
  for (std::size_t j = 0; j < kTiers; ++j) price0 += segment.tiers[j] * r[j].usd_per_token;
  const double per_price = price0 > 0 ? 1 / price0 : 0;
  const bool anchor = month == kAnchorMonth;
  for (std::size_t l = 0; l < kLanes; ++l) {
    double all = 0, price = 0, time = 0, hbm = 0;
    for (std::size_t j = 0; j < kTiers; ++j) {
      const double w = segment.tiers[j] * b.weight[j][l];
      all += w;
      price += w * r[j].usd_per_token * b.price[j][l];
      time += w * r[j].h100e_seconds_per_token;
      hbm += w * r[j].hbm_byte_seconds_per_token;
    }
    const double share = 1 / all, relative = price0 > 0 ? price * share * per_price : b.price[0][l];
    const double h = b.overhead[s][l];
    const double z = b.z0[s][l] + (lane_log((relative + h) / (1 + h)) - b.capability[s][l] * years) * b.sigma_inverse[s][l];
    const double wanted = b.responds[s][l] * lane_log_above(z);
    // Before the anchor the response is complete; there it splits into what is immediate and what lags a steady trend.
    const double trend = wanted - b.wanted[s][l];
    b.wanted[s][l] = wanted;
    const double lagging = b.slow[s][l] + b.lag_step[l] * (wanted - b.slow[s][l]);
    b.slow[s][l] = anchor ? wanted - trend * (1 - b.lag_step[l]) / b.lag_step[l] : lagging;
    const double quick = b.short_weight[s][l];
    const double blend = quick * wanted + (1 - quick) * b.slow[s][l];
    b.offset[s][l] = anchor ? blend : b.offset[s][l];
    const double response = month < kAnchorMonth ? wanted - b.response0[s][l] : blend - b.offset[s][l];
    b.odds[s][l] *= b.odds_factor[s][l];
    const double adopted = b.odds[s][l] / (1 + b.odds[s][l]);
    const double grown = b.intensity[s][l] * b.intensity_half[l] * (1 - b.intensity_left[l]);
    const double plain = b.base[s][l] * adopted * lane_exp(response + grown);
    const double china = plain * segment.china * b.china_factor[l];
    double tokens = china + plain * (1 - segment.china) * b.rest_factor[l];
    const double cost = relative * tokens;
    const double capped = budgets ? b.capped[l] * segment.metered : 0;
    const double over = b.allowed[s][l] / (cost + 1e-300);
    const double cut = 1 - capped + capped * (over < 1 ? over : 1);
    tokens *= cut;
    b.spent[s][l] += cost * cut;
    b.tokens[s][l] = tokens;
    b.tokens_all[l] += tokens;
    b.tokens_china[l] += china * cut;
    b.spend[l] += tokens * price * share;
    b.time[l] += tokens * time * share;
    b.hbm[l] += tokens * hbm * share;
  }
}

// Budgets of the new year: a multiple of what the last year cost, by month.
void renew_budgets(Block& b, int month) {
  const double months = month < kAnchorMonth + 12 ? month - kAnchorMonth : 12;
  for (std::size_t s = 0; s < kSegments; ++s) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      b.allowed[s][l] = months > 0 ? b.budget[l] * b.spent[s][l] / months : 1e300;
      b.spent[s][l] = 0;
    }
  }
}

// The fleet against demand: what is served, what it costs to wait, what is ordered and what arrives.
JEVONS_LANES void step_fleet(Block& b, const Fleet& f, int month, bool scarcity) {
  const double years = (month - kAnchorMonth) * kMonth;
  const double keep = std::exp(-kMonth / f.life_years);
  for (std::size_t l = 0; l < kLanes; ++l) {
    const double nontoken = b.nontoken[l] - b.nontoken_decline[l] * (years > 0 ? years : 0);
    const double n = nontoken < 0.05 ? 0.05 : nontoken > 0.95 ? 0.95 : nontoken;
    b.share[l] = 1 - n;
    const bool first = month <= kAnchorMonth;
    b.first_time[l] = first ? b.time[l] : b.first_time[l];
    b.first_hbm[l] = first ? b.hbm[l] : b.first_hbm[l];
    // At the anchor demand fills the stock: owners said they were constrained.
    const double serving = (1 - b.nontoken[l]) * f.stock * b.time[l] / b.first_time[l] * lane_exp(-b.time_gain[l] * (years > 0 ? years : 0));
    b.needed[l] = serving / (1 - n);
    b.hbm[l] = (1 - b.nontoken[l]) * f.hbm_bytes * b.hbm[l] / b.first_hbm[l] * lane_exp(-b.memory_gain[l] * (years > 0 ? years : 0));
    b.tight[l] = b.needed[l] / b.stock[l];
    const double served = scarcity && b.tight[l] > 1 ? 1 / b.tight[l] : 1;
    b.served[l] = served;
    b.unmet[l] = b.tokens_all[l] * (1 - served);
    b.spend[l] *= served;
    b.tokens_all[l] *= served;
    b.tokens_china[l] *= served;
    const double bounded = b.tight[l] < 0.1 ? 0.1 : b.tight[l] > 100 ? 100 : b.tight[l];
    b.rent[l] = scarcity && month >= kAnchorMonth ? lane_exp(b.feedback[l] * lane_log(bounded)) : 1;
  }
  for (std::size_t s = 0; s < kSegments; ++s) {
    for (std::size_t l = 0; l < kLanes; ++l) b.tokens[s][l] *= b.served[l];
  }
  if (month < kAnchorMonth) return;
  for (std::size_t l = 0; l < kLanes; ++l) {
    const double change = month == kAnchorMonth ? 0.5 : 12 * lane_log(b.needed[l] / b.demand_before[l]);
    const double growth = month == kAnchorMonth ? change : b.growth[l] + (change - b.growth[l]) / 12;
    b.growth[l] = growth < -1 ? -1 : growth > kMostExpectedGrowth ? kMostExpectedGrowth : growth;
    b.demand_before[l] = b.needed[l];
    const double ahead = b.lead[l] * kMonth;
    const double planned = b.needed[l] * lane_exp(b.growth[l] * ahead) / kPlannedTightness;
    const double coming = b.stock[l] * lane_exp(-ahead / f.life_years) + b.waiting[l];
    const double price = f.usd_per_h100e * lane_exp(-b.hardware_gain[l] * years);
    const double most = f.capex_per_year * b.capex_level[l] * kMonth / price;
    const double gap = planned - coming;
    const double ordered = gap < 0 ? 0 : gap > most ? most : gap;
    b.ordered[l] = ordered;
    b.order_usd[l] = ordered * price;
    b.stock[l] *= keep;
    b.watts[l] *= keep;
    b.capex_growth[l] *= b.capex_fade[l];
    b.capex_level[l] *= lane_exp((kLongRunCapexGrowth + b.capex_growth[l]) * kMonth);
  }
}

// Vintages: orders of this month join the queue, those whose lead time is over join the stock.
void step_vintages(Block& b, const Fleet& f, int month) {
  const double years = (month - kAnchorMonth) * kMonth;
  for (std::size_t l = 0; l < kLanes; ++l) {
    const int now = month % kPipeline;
    const double arrived = b.pipeline[l][std::size_t(now)];
    b.pipeline[l][std::size_t(now)] = 0;
    b.pipeline[l][std::size_t((month + b.lead[l]) % kPipeline)] += b.ordered[l];
    b.waiting[l] += b.ordered[l] - arrived;
    b.stock[l] += arrived;
    b.watts[l] += arrived * f.watts_per_h100e * std::exp(-b.hardware_gain[l] * f.power_gain_share * years);
  }
}

// What is already on order at the anchor: capital spending of the lead time before it, arriving month by month.
void fill_pipeline(Block& b, const Fleet& f) {
  for (std::size_t l = 0; l < kLanes; ++l) {
    for (int k = 1; k <= b.lead[l]; ++k) {
      const double ago = (b.lead[l] - k) * kMonth;  // ordered this long before the anchor
      const double amount = f.capex_per_year * std::exp(-(b.capex_excess[l] + kLongRunCapexGrowth) * ago) * kMonth /
                            (f.usd_per_h100e * std::exp(b.hardware_gain[l] * ago));
      b.pipeline[l][std::size_t((kAnchorMonth + k - 1) % kPipeline)] += amount;
      b.waiting[l] += amount;
    }
  }
}

void record(Paths& p, const Block& b, const Fleet& f, std::size_t r, std::size_t first, std::size_t lanes) {
  for (std::size_t l = 0; l < lanes; ++l) {
    const auto put = [&](Output o, double v) { p.outputs[(std::size_t(o) * p.months.size() + r) * p.count + first + l] = float(v); };
    const bool past = p.months[r] < kAnchorMonth;  // the fleet before the anchor is not modelled
    put(Output::tokens, b.tokens_all[l]);
    put(Output::unmet, b.unmet[l]);
    put(Output::price, b.tokens_all[l] > 0 ? b.spend[l] / b.tokens_all[l] * 1e6 : 0);
    put(Output::spend, b.spend[l] * 365.25);
    put(Output::accelerators, past ? 0 : b.stock[l]);
    put(Output::serving_share, b.share[l]);
    put(Output::hbm, past ? 0 : b.hbm[l] * b.served[l] + f.hbm_bytes / f.stock * (1 - b.share[l]) * b.stock[l]);
    put(Output::power, past ? 0 : b.watts[l]);
    put(Output::capex, past ? 0 : b.order_usd[l] * 12);
    put(Output::rent, b.rent[l]);
    put(Output::china, b.tokens_all[l] > 0 ? b.tokens_china[l] / b.tokens_all[l] : 0);
    put(Output::needed, b.needed[l]);
    put(Output::serving_hbm, b.hbm[l]);
    for (std::size_t s = 0; s < kSegments; ++s) p.segments[(s * p.months.size() + r) * p.count + first + l] = float(b.tokens[s][l]);
  }
}

void run_block(Paths& p, const World& w, std::span<const PathInput> inputs, std::size_t first, const Switches& on, Seed seed) {
  const std::size_t lanes = std::min(kLanes, inputs.size() - first);
  auto owned = std::make_unique<Block>();
  Block& b = *owned;
  Chance c;
  for (std::size_t l = 0; l < kLanes; ++l) fill(b, w, inputs[first + std::min(l, lanes - 1)], l, on);
  for (std::size_t s = 0; s < kSegments; ++s) {
    b.wanted[s].fill(0);
    b.slow[s].fill(0);
    b.offset[s].fill(0);
  }
  std::size_t r = 0;
  const int last = p.months.empty() ? -1 : p.months.back();
  for (int month = 0; month <= last; ++month) {
    const bool chance = on.chance && month > kAnchorMonth;
    if (month == kAnchorMonth) fill_pipeline(b, w.fleet);
    if (chance) draw(c, seed, first, kLanes, month);
    step_prices(b, c, month, chance, on.efficiency);
    step_growth(b, c, month, chance);
    if (month > kAnchorMonth && month % 12 == 0) renew_budgets(b, month);
    if (month == kAnchorMonth) {
      for (auto& s : b.spent) s.fill(0);
    }
    for (std::size_t s = 0; s < kSegments; ++s)
      step_segment(b, w.segments[s], w.resources[s], s, month, on.budgets && month > kAnchorMonth);
    step_fleet(b, w.fleet, month, on.scarcity && month >= kAnchorMonth);
    if (r < p.months.size() && p.months[r] == month) record(p, b, w.fleet, r++, first, lanes);
    if (month >= kAnchorMonth) step_vintages(b, w.fleet, month);
  }
}

}  // namespace

std::string_view name(Output o) {
  static constexpr std::string_view kNames[] = {"tokens", "unmet", "price", "spend", "accelerators", "serving_share", "hbm",
                                                "power", "capex", "rent",  "china", "needed",       "serving_hbm"};
  return kNames[std::size_t(o)];
}

Paths run_paths(const World& world, std::span<const PathInput> inputs, const Switches& on, std::span<const int> months, Seed seed) {
  Paths p{inputs.size(), {months.begin(), months.end()}, {}, {}};
  p.outputs.resize(kOutputs * months.size() * inputs.size());
  p.segments.resize(kSegments * months.size() * inputs.size());
  const std::size_t blocks = (inputs.size() + kLanes - 1) / kLanes;
  tbb::parallel_for(std::size_t{0}, blocks, [&](std::size_t k) { run_block(p, world, inputs, k * kLanes, on, seed); });
  return p;
}

}  // namespace jevons::market
