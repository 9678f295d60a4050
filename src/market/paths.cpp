#include "market/paths.hpp"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "market/vector_math.hpp"

// One function, compiled for the vector width at hand; the lanes' arithmetic is the same, so are the bytes.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define JEVONS_LANES __attribute__((target_clones("avx512f", "avx2", "default")))
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
constexpr double kGrowthAtAnchor = 1.0;       // ln/yr that owners then planned for: the stock had grown by 1.0 to 1.4
constexpr double kMostExpectedGrowth = 1.5;   // ln/yr that owners plan for
constexpr double kPlannedTightness = 0.9;     // of demand over capacity
constexpr double kCloseGapMonths = 6;         // owners close a gap over this time

using Lane = std::array<double, kLanes>;

// Everything a block of paths carries, one array per quantity.
struct alignas(64) Block {
  // Constants of the path.
  std::array<Lane, kSegments> z0, sigma_inverse, overhead, capability, intensity, short_weight, odds_factor, base, responds, response0, per_overhead;
  Lane intensity_fade, intensity_half, lag_step, pass_through, cost_slope, switching, jump_size, budget, capped;
  Lane common_keep, common_kick, region_keep, region_kick, china_fade, china_start, time_gain, memory_gain, feedback;
  Lane nontoken, nontoken_decline, capex_excess, capex_fade, hardware_gain, ceiling, lead_years;
  std::array<int, kLanes> lead;
  // State.
  std::array<Lane, kSegments> slow, wanted, offset, odds, spent, allowed, tokens;
  std::array<Lane, kTiers> markup, seen;
  std::array<std::array<double, kPipeline>, kLanes> pipeline;
  Lane intensity_left, common_rate, china_rate, rest_rate, common, china, rest, rent, stock, waiting, watts, capex_level, capex_growth;
  Lane demand_before, growth, first_time, first_hbm, first_spend;
  // Of the month.
  std::array<Lane, kTiers> price, weight;
  Lane china_factor, rest_factor, tokens_all, tokens_china, spend, time, hbm, unmet, served, tight, needed, share, ordered, order_usd, cut, added_watts;
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

using Laws = std::array<SegmentLaw, kSegments>;

void fill(Block& b, const World& world, const PathInput& in, const Laws& laws, std::size_t l, const Switches& on) {
  const Values& v = in.values;
  double sum = 0;
  std::array<double, kSegments> tokens;
  for (std::size_t s = 0; s < kSegments; ++s) sum += tokens[s] = world.segments[s].tokens_per_day * std::exp(in.level[s]);
  for (std::size_t s = 0; s < kSegments; ++s) {
    const SegmentLaw& law = laws[s];
    const double share = sum > 0 ? tokens[s] / sum : 0;
    const double adopted = 1 / (1 + std::exp(-law.logit));
    b.z0[s][l] = law.responds ? law.z0 : 0;
    b.sigma_inverse[s][l] = law.responds ? 1 / law.sigma : 0;
    b.overhead[s][l] = law.overhead;
    b.per_overhead[s][l] = 1 / (1 + law.overhead);
    b.capability[s][l] = law.capability;
    b.responds[s][l] = law.responds ? 1 : 0;
    b.response0[s][l] = law.responds ? lane_log_above(all(law.z0))[0] : 0;
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
  b.ceiling[l] = v[Param::spend_ceiling] * 1e12 / 365.25;  // a day
  b.lead[l] = std::clamp(int(std::lround(v[Param::lead_time] * 12)), 1, kPipeline - 1);
  b.lead_years[l] = b.lead[l] * kMonth;
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
  const double years = (month - kAnchorMonth) * kMonth, moved = years < 0 || efficiency ? years : 0;
  const double keep = std::exp(-kLn2 * kMonth / kMarkupHalfLife);
  for (std::size_t j = 0; j < kTiers; ++j) {
    for (std::size_t l = 0; l < kLanes; l += kWide) {
      V markup = load(&b.markup[j][l]);
      if (chance) markup = markup * keep + load(&c.happens[j][l]) * load(&b.jump_size[l]) * load(&c.jump[j][l]);
      store(&b.markup[j][l], markup);
      const V ln = load(&b.pass_through[l]) * (lane_log(load(&b.rent[l])) - load(&b.cost_slope[l]) * moved) + markup;
      store(&b.price[j][l], lane_exp(ln));
      const V before = load(&b.seen[j][l]), seen = month == 0 ? ln : before + (ln - before) / kSwitchMonths;
      store(&b.seen[j][l], seen);
      store(&b.weight[j][l], lane_exp(load(&b.switching[l]) * (load(&b.seen[0][l]) - seen)));
    }
  }
}

// Growth rates that wander, and the two regions.
JEVONS_LANES void step_growth(Block& b, const Chance& c, int month, bool chance) {
  for (std::size_t l = 0; l < kLanes; l += kWide) {
    store(&b.intensity_left[l], load(&b.intensity_left[l]) * load(&b.intensity_fade[l]));
    V common = load(&b.common[l]), china = load(&b.china[l]), rest = load(&b.rest[l]);
    if (month > kAnchorMonth) {
      const V rate = load(&b.common_rate[l]), rate_china = load(&b.china_rate[l]), rate_rest = load(&b.rest_rate[l]);
      const V start = load(&b.china_start[l]), keep = load(&b.region_keep[l]), size = load(&b.region_kick[l]) * (chance ? 1.0 : 0.0);
      common += rate * kMonth;
      china += (rate_china + start) * kMonth;
      rest += rate_rest * kMonth;
      store(&b.common[l], common);
      store(&b.china[l], china);
      store(&b.rest[l], rest);
      store(&b.china_start[l], start * load(&b.china_fade[l]));
      store(&b.common_rate[l], rate * load(&b.common_keep[l]) + load(&b.common_kick[l]) * (chance ? 1.0 : 0.0) * load(&c.growth[0][l]));
      store(&b.china_rate[l], rate_china * keep + size * load(&c.growth[1][l]));
      store(&b.rest_rate[l], rate_rest * keep + size * load(&c.growth[2][l]));
    }
    store(&b.china_factor[l], lane_exp(common + china));
    store(&b.rest_factor[l], lane_exp(common + rest));
    for (auto* sum : {&b.tokens_all, &b.tokens_china, &b.spend, &b.time, &b.hbm}) store(&(*sum)[l], all(0));
  }
}

JEVONS_INLINE void add(double* to, V v) { store(to, load(to) + v); }

// One segment's demand, and what it takes.
JEVONS_LANES void step_segment(Block& b, const Segment& segment, const std::array<Resource, kTiers>& r, std::size_t s, int month,
                               bool budgets) {
  const double years = (month - kAnchorMonth) * kMonth;
  double price0 = 0;
  for (std::size_t j = 0; j < kTiers; ++j) price0 += segment.tiers[j] * r[j].usd_per_token;
  const double per_price = price0 > 0 ? 1 / price0 : 0;
  const bool anchor = month == kAnchorMonth, past = month < kAnchorMonth;
  for (std::size_t l = 0; l < kLanes; l += kWide) {
    V every = all(0), price = all(0), time = all(0), hbm = all(0);
    for (std::size_t j = 0; j < kTiers; ++j) {
      const V w = segment.tiers[j] * load(&b.weight[j][l]);
      every += w;
      price += w * r[j].usd_per_token * load(&b.price[j][l]);
      time += w * r[j].h100e_seconds_per_token;
      hbm += w * r[j].hbm_byte_seconds_per_token;
    }
    const V share = 1.0 / every, relative = price0 > 0 ? price * share * per_price : load(&b.price[0][l]);
    // Share of tasks worth running. Before the anchor the response is complete; there it splits into what is immediate and what lags a
    // steady trend.
    const V z = load(&b.z0[s][l]) + (lane_log((relative + load(&b.overhead[s][l])) * load(&b.per_overhead[s][l])) - load(&b.capability[s][l]) * years) * load(&b.sigma_inverse[s][l]);
    const V wanted = load(&b.responds[s][l]) * lane_log_above(z);
    const V trend = wanted - load(&b.wanted[s][l]), lag = load(&b.lag_step[l]), quick = load(&b.short_weight[s][l]);
    const V before = load(&b.slow[s][l]);
    const V slow = anchor ? wanted - trend * (1 - lag) / lag : before + lag * (wanted - before);
    const V blend = quick * wanted + (1 - quick) * slow;
    const V offset = anchor ? blend : load(&b.offset[s][l]);
    const V response = past ? wanted - load(&b.response0[s][l]) : blend - offset;
    store(&b.wanted[s][l], wanted);
    store(&b.slow[s][l], slow);
    store(&b.offset[s][l], offset);
    // Users and workloads, and tokens of each.
    const V odds = load(&b.odds[s][l]) * load(&b.odds_factor[s][l]);
    store(&b.odds[s][l], odds);
    const V grown = load(&b.intensity[s][l]) * load(&b.intensity_half[l]) * (1 - load(&b.intensity_left[l]));
    const V plain = load(&b.base[s][l]) * odds / (1 + odds) * lane_exp(response + grown);
    const V china = plain * segment.china * load(&b.china_factor[l]);
    V tokens = china + plain * (1 - segment.china) * load(&b.rest_factor[l]);
    // What is metered and capped spends no more than its budget.
    V cut = all(1);
    if (budgets) {
      const V capped = load(&b.capped[l]) * segment.metered;
      cut = 1 - capped + capped * least(load(&b.allowed[s][l]) / (relative * tokens + 1e-300), all(1));
    }
    tokens *= cut;
    add(&b.spent[s][l], relative * tokens);
    store(&b.tokens[s][l], tokens);
    add(&b.tokens_all[l], tokens);
    add(&b.tokens_china[l], china * cut);
    add(&b.spend[l], tokens * price * share);
    add(&b.time[l], tokens * time * share);
    add(&b.hbm[l], tokens * hbm * share);
  }
}

// Budgets of the new year: a multiple of what the last year cost, by month.
void renew_budgets(Block& b, int month) {
  const double months = month < kAnchorMonth + 12 ? month - kAnchorMonth : 12;
  for (std::size_t s = 0; s < kSegments; ++s) {
    for (std::size_t l = 0; l < kLanes; ++l) {
      b.allowed[s][l] = b.budget[l] * b.spent[s][l] / months;
      b.spent[s][l] = 0;
    }
  }
}

// The fleet against demand: what is served, and what it costs to wait.
JEVONS_LANES void step_fleet(Block& b, const Fleet& f, int month, bool scarcity, bool budgets) {
  const double years = (month - kAnchorMonth) * kMonth, ahead = years > 0 ? years : 0;
  const bool first = month <= kAnchorMonth;
  for (std::size_t l = 0; l < kLanes; l += kWide) {
    const V start = load(&b.nontoken[l]);
    const V n = least(most(start - load(&b.nontoken_decline[l]) * ahead, all(0.05)), all(0.95));
    store(&b.share[l], 1 - n);
    // Spending bends towards its ceiling: near it a price cut buys tokens one for one.
    const V spend = load(&b.spend[l]), ceiling = load(&b.ceiling[l]), spend0 = first ? spend : load(&b.first_spend[l]);
    const V bent = budgets ? (1 + spend0 / ceiling) / (1 + spend / ceiling) : all(1);
    const V time = load(&b.time[l]) * bent, hbm = load(&b.hbm[l]) * bent;
    const V time0 = first ? time : load(&b.first_time[l]), hbm0 = first ? hbm : load(&b.first_hbm[l]);
    store(&b.first_spend[l], spend0);
    store(&b.first_time[l], time0);
    store(&b.first_hbm[l], hbm0);
    // At the anchor demand fills the stock: owners said they were constrained.
    const V needed = (1 - start) * f.stock * time / time0 * lane_exp(-load(&b.time_gain[l]) * ahead) / (1 - n);
    const V tight = needed / load(&b.stock[l]);
    const V served = scarcity ? least(1.0 / tight, all(1)) : all(1);
    store(&b.needed[l], needed);
    store(&b.hbm[l], (1 - start) * f.hbm_bytes * hbm / hbm0 * lane_exp(-load(&b.memory_gain[l]) * ahead));
    const V demand = load(&b.tokens_all[l]) * bent, keep = bent * served;
    store(&b.served[l], served);
    store(&b.cut[l], keep);
    store(&b.unmet[l], demand * (1 - served));
    store(&b.tokens_all[l], demand * served);
    store(&b.tokens_china[l], load(&b.tokens_china[l]) * keep);
    store(&b.spend[l], spend * keep);
    const V bounded = most(least(tight, all(100)), all(0.1));
    store(&b.rent[l], scarcity ? lane_exp(load(&b.feedback[l]) * lane_log(bounded)) : all(1));
  }
  for (std::size_t s = 0; s < kSegments; ++s) {
    for (std::size_t l = 0; l < kLanes; l += kWide) store(&b.tokens[s][l], load(&b.tokens[s][l]) * load(&b.cut[l]));
  }
}

// What owners order: to close the gap to expected demand, and what wears out, within the capital there is.
JEVONS_LANES void step_orders(Block& b, const Fleet& f, int month) {
  const double years = (month - kAnchorMonth) * kMonth;
  for (std::size_t l = 0; l < kLanes; l += kWide) {
    const V needed = load(&b.needed[l]), stock = load(&b.stock[l]), before = load(&b.growth[l]);
    const V now = month == kAnchorMonth ? all(kGrowthAtAnchor) : before + (12 * lane_log(needed / load(&b.demand_before[l])) - before) / 12;
    const V growth = least(most(now, all(-1)), all(kMostExpectedGrowth)), ahead = load(&b.lead_years[l]);
    store(&b.growth[l], growth);
    store(&b.demand_before[l], needed);
    const V planned = needed * lane_exp(growth * ahead) / kPlannedTightness;
    const V coming = stock * lane_exp(-ahead / f.life_years) + load(&b.waiting[l]);
    const V price = f.usd_per_h100e * lane_exp(-load(&b.hardware_gain[l]) * years);
    const V affordable = f.capex_per_year * load(&b.capex_level[l]) * kMonth / price;
    const V wish = (planned - coming) / kCloseGapMonths + stock * (kMonth / f.life_years);
    const V ordered = least(most(wish, all(0)), affordable);
    store(&b.ordered[l], ordered);
    store(&b.order_usd[l], ordered * price);
    store(&b.added_watts[l], f.watts_per_h100e * lane_exp(-load(&b.hardware_gain[l]) * (f.power_gain_share * years)));
    const V capex = load(&b.capex_growth[l]) * load(&b.capex_fade[l]);
    store(&b.capex_growth[l], capex);
    store(&b.capex_level[l], load(&b.capex_level[l]) * lane_exp((kLongRunCapexGrowth + capex) * kMonth));
  }
}

// Vintages: orders of this month join the queue, those whose lead time is over join the stock.
void step_vintages(Block& b, const Fleet& f, int month) {
  const double keep = std::exp(-kMonth / f.life_years);
  for (std::size_t l = 0; l < kLanes; ++l) {
    const int now = month % kPipeline;
    const double arrived = b.pipeline[l][std::size_t(now)];
    b.pipeline[l][std::size_t(now)] = 0;
    b.pipeline[l][std::size_t((month + b.lead[l]) % kPipeline)] += b.ordered[l];
    b.waiting[l] += b.ordered[l] - arrived;
    b.stock[l] = b.stock[l] * keep + arrived;
    b.watts[l] = b.watts[l] * keep + arrived * b.added_watts[l];
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
  Laws laws;
  for (std::size_t l = 0; l < kLanes; ++l) {
    const PathInput& in = inputs[first + std::min(l, lanes - 1)];
    // Paths that share a posterior draw share the laws: these depend on the history's parameters only, but for the intensity's half-life,
    // which fill reads itself.
    const PathInput* before = l > 0 ? &inputs[first + std::min(l, lanes - 1) - (l < lanes ? 1 : 0)] : nullptr;
    const bool same = before != nullptr && std::equal(in.values.begin(), in.values.begin() + kHistoryParams, before->values.begin());
    for (std::size_t s = 0; !same && s < kSegments; ++s) laws[s] = law_of(w.segments[s], w.segments, in.values, {});
    fill(b, w, in, laws, l, on);
  }
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
    step_fleet(b, w.fleet, month, on.scarcity && month > kAnchorMonth, on.budgets && month > kAnchorMonth);
    if (month >= kAnchorMonth) step_orders(b, w.fleet, month);
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
