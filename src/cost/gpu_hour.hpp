#pragma once
// What one accelerator-hour costs: rebuilt from capital, power and operations, or as a market price. Three different inputs, never mixed.
#include <string>
#include <vector>

#include "catalog/accelerator.hpp"

namespace jevons::cost {

/// Capital recovery factor: yearly payment per unit of capital over n years at rate r. r = 0 gives 1/n.
/// Source: any text on engineering economics; r / (1 - (1 + r)^-n).
double capital_recovery(double rate, double years);

enum class Basis : std::uint8_t { owner, contract, on_demand };

struct GpuHour {
  Basis basis = Basis::owner;
  UsdPerSecond total{};
  // Parts of the owner's cost; zero for market prices.
  UsdPerSecond it_capital{}, site_capital{}, electricity{}, operations{};
  Watts power{};                            // at the meter, per accelerator
  std::vector<const catalog::Fact*> facts;  // what it was built from
  std::string how;
};

/// Power at the meter of one accelerator: the published all-in figure, or its board power times a typical ratio.
/// Errors: neither is known.
Result<Watts> all_in_power(const catalog::Catalog& catalog, const catalog::Accelerator& chip, std::vector<const catalog::Fact*>& facts);

/// Building, power and cooling behind `meter` watts at the meter. usd_per_it_watt: construction surveys quote a watt of IT. pue >= 1.
Usd site_capital(double usd_per_it_watt, Watts meter, double pue);

/// Electricity of an accelerator: its all-in power at the meter while in use, idle_share of that otherwise. in_use, idle_share: in [0, 1].
UsdPerSecond electricity_cost(Watts meter, double in_use, double idle_share, UsdPerJoule price);

/// What an owner buys and pays for one accelerator: catalogue facts of the chip and of datacenters/reference-site.
struct Ownership {
  Usd system{};  // with its share of servers and network
  Usd site{};    // building, power and cooling for it
  double system_years = 0, site_years = 0, cost_of_capital = 0;
  Watts power{};  // at the meter
  UsdPerJoule electricity{};
  UsdPerSecond operations{};
  std::vector<const catalog::Fact*> facts;
  std::string how;
};
/// Errors: no purchase price or no power of this chip is known.
Result<Ownership> ownership(const catalog::Catalog& catalog, const catalog::Accelerator& chip);

/// Errors: the catalogue has no price for this basis (and says which it has). Electricity at the meter: PUE is inside all-in power.
Result<GpuHour> gpu_hour(const catalog::Catalog& catalog, const catalog::Accelerator& chip, Basis basis);

}  // namespace jevons::cost
