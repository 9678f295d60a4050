#pragma once
#include "catalog/catalog.hpp"

namespace jevons::catalog {

/// An accelerator's facts by name; what is not known is absent. Rates are dense, link bandwidths in one direction, per accelerator.
struct Accelerator {
  const Thing* thing = nullptr;
  Maybe<FlopsPerSecond> peak_bf16, peak_fp8, peak_fp4, peak_int8;
  Maybe<Bytes> memory, memory_reported;
  Maybe<BytesPerSecond> hbm_bandwidth, scaleup_bandwidth, scaleout_bandwidth;
  Maybe<Watts> tdp, all_in_power;
  Maybe<Usd> price;
  Maybe<UsdPerSecond> price_contract, price_on_demand, tco_hyperscaler, tco_neocloud;
  std::optional<double> scaleup_domain, gemm_bf16_fraction, gemm_fp8_fraction, gemm_fp4_fraction, gemm_int8_fraction, hbm_fraction;
};

inline Accelerator accelerator(const Thing& t) {
  JEVONS_ENSURE(t.section == Section::accelerator);
  Accelerator a;
  a.thing = &t;
  a.peak_bf16 = t.get<FlopsPerSecond>("peak_bf16");
  a.peak_fp8 = t.get<FlopsPerSecond>("peak_fp8");
  a.peak_fp4 = t.get<FlopsPerSecond>("peak_fp4");
  a.peak_int8 = t.get<FlopsPerSecond>("peak_int8");
  a.memory = t.get<Bytes>("memory");
  a.memory_reported = t.get<Bytes>("memory_reported");
  a.hbm_bandwidth = t.get<BytesPerSecond>("hbm_bandwidth");
  a.scaleup_bandwidth = t.get<BytesPerSecond>("scaleup_bandwidth");
  a.scaleout_bandwidth = t.get<BytesPerSecond>("scaleout_bandwidth");
  a.tdp = t.get<Watts>("tdp");
  a.all_in_power = t.get<Watts>("all_in_power");
  a.price = t.get<Usd>("price");
  a.price_contract = t.get<UsdPerSecond>("price_contract");
  a.price_on_demand = t.get<UsdPerSecond>("price_on_demand");
  a.tco_hyperscaler = t.get<UsdPerSecond>("tco_hyperscaler");
  a.tco_neocloud = t.get<UsdPerSecond>("tco_neocloud");
  a.scaleup_domain = t.number("scaleup_domain");
  a.gemm_bf16_fraction = t.number("gemm_bf16_fraction");
  a.gemm_fp8_fraction = t.number("gemm_fp8_fraction");
  a.gemm_fp4_fraction = t.number("gemm_fp4_fraction");
  a.gemm_int8_fraction = t.number("gemm_int8_fraction");
  a.hbm_fraction = t.number("hbm_fraction");
  return a;
}

}  // namespace jevons::catalog
