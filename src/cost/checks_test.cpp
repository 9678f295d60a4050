// The 69 published figures of testdata/checks.csv, each computed here from catalogue facts by the program's own formulas.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "base/text.hpp"
#include "catalog/accelerator.hpp"
#include "cost/gpu_hour.hpp"
#include "cost/income.hpp"
#include "fabric/collectives.hpp"
#include "fabric/expert_exchange.hpp"
#include "fabric/network.hpp"

namespace jevons::cost {
namespace {

using catalog::Section;
const catalog::Catalog& builtin() {
  static const auto c = catalog::Catalog::builtin();
  return c;
}
const catalog::Thing& thing(Section s, std::string_view name) { return **builtin().find(s, name); }
const catalog::Fact& fact(Section s, std::string_view name, std::string_view key) {
  const auto* f = thing(s, name).find(key);
  if (f == nullptr) ADD_FAILURE() << name << " has no " << key;
  return *f;
}
double fabric_fact(std::string_view name, std::string_view key) { return fact(Section::fabric, name, key).value; }
double component(std::string_view name, std::string_view key) { return fact(Section::component, name, key).value; }
double site(std::string_view name, std::string_view key) { return fact(Section::datacenter, name, key).value; }
double chip(std::string_view name, std::string_view key) { return fact(Section::accelerator, name, key).value; }
fabric::PartsList parts(std::string_view name) {
  auto n = fabric::network(builtin(), thing(Section::fabric, name));
  EXPECT_TRUE(n) << n.error().message();
  auto p = fabric::parts_list(*n);
  EXPECT_TRUE(p) << p.error().message();
  return *p;
}
double pairs(std::string_view name) {
  return fabric::copper_pairs(fabric_fact(name, "endpoints"), BytesPerSecond{fabric_fact(name, "endpoint_bandwidth")},
                              BytesPerSecond{fabric_fact(name, "lane_rate")});
}
fabric::ModuleCount modules(std::string_view name, double endpoint_rate, double switch_rate) {
  return fabric::module_count(fabric_fact(name, "endpoints"), BytesPerSecond{fabric_fact(name, "endpoint_bandwidth")},
                              int(fabric_fact(name, "tiers")), BytesPerSecond{endpoint_rate}, BytesPerSecond{switch_rate}, false);
}
double fitted_ms(std::string_view accelerator, std::string_view op) {
  const auto f = fabric::measured_fit(builtin(), accelerator, op, 8);
  return fabric::fitted_time(*f, op, 8, Bytes{512 * kMebi}).value() * 1e3;
}
double dispatch_us(double tokens) {
  const auto kernel = fabric::exchange_kernel(builtin(), "gb200-nvl72", "moe_dispatch");
  return fabric::exchange_time(*kernel, {tokens, Bytes{7168 * 2.0}, 1, 64, fabric::balanced_destinations(64, 8)}).value() * 1e6;
}
double margin(std::string_view who, std::string_view period) {
  const auto& rows = thing(Section::datacenter, "operator-accounts").series;
  for (std::size_t r = 0; r < rows.rows(); ++r) {
    if (rows.text(r, "operator") == who && rows.text(r, "period") == period)
      return *rows.number(r, "net_income_m") / *rows.number(r, "revenue_m");
  }
  ADD_FAILURE() << who;
  return 0;
}

using Values = std::map<std::string, double>;

void scale_up(Values& v) {
  const auto nvl72 = parts("gb200-nvl72"), nvl576 = parts("gb200-nvl576"), helios = parts("helios"), alt = parts("gb200-nvl72-optical-alt");
  const auto cm = parts("cloudmatrix384-scaleup");
  const double npus = fabric_fact("cloudmatrix384-scaleup", "endpoints");
  v["K01"] = nvl72.switch_chips;
  v["K02"] = nvl72.endpoints_per_chip;
  v["K03"] = nvl72.aggregate.value() / kTera;
  v["K04"] = parts("vr-nvl72").switch_chips;
  v["K05"] = parts("vr-nvl72").aggregate.value() / kTera;
  v["K06"] = parts("kyber-nvl144").switch_chips;
  v["K07"] = nvl576.chips_by_tier[0];
  v["K08"] = nvl576.chips_by_tier[1];
  v["K09"] = nvl576.switch_chips;
  v["K10"] = nvl576.optical_modules / fabric_fact("gb200-nvl576", "endpoints");
  v["K11"] = helios.switch_chips;
  EXPECT_EQ(helios.ports_used, 432);
  v["K12"] = pairs("helios");
  v["K13"] = pairs("gb200-nvl72");
  v["K14"] = alt.optical_modules;
  const double watts = fabric_fact("gb200-nvl72-optical-alt", "module_power"), usd = fabric_fact("gb200-nvl72-optical-alt", "module_price");
  v["K15"] = alt.optical_modules * watts / kKilo;
  EXPECT_NEAR(alt.power.value(), alt.optical_modules * watts, 1e-6);  // the switch chips' power is not published and is listed as unknown
  v["K16"] = alt.price.value();
  EXPECT_NEAR(alt.price.value(), alt.optical_modules * usd, 1e-6);
  v["K17"] = alt.price.value() / (1 - fabric_fact("gb200-nvl72-optical-alt", "vendor_gross_margin"));
  v["K18"] = cm.chips_by_tier[0];
  v["K19"] = cm.chips_by_tier[1];
  v["K20"] = fabric_fact("cloudmatrix384-scaleup", "planes") * fabric_fact("cloudmatrix384-scaleup", "uplinks_per_chip") *
             fabric_fact("cloudmatrix384-scaleup", "uplink_port_bandwidth") / fabric_fact("cloudmatrix384-scaleup", "endpoints_per_leaf") /
             kGiga;
  v["K21"] = cm.optical_modules;
  const double rate400 = component("opt-400g-lpo", "module_rate");
  v["K22"] = modules("cloudmatrix384-scaleout", rate400, rate400).total();
  v["K23"] = v["K21"] + v["K22"];
  v["K24"] = npus * fabric_fact("cloudmatrix384-scaleup", "accelerator_bf16") / kPeta;
  v["K25"] = npus * chip("ascend-910c", "memory") / kTera;
  const double cm_power = fabric_fact("cloudmatrix384-scaleup", "power"), nvl_power = fact(Section::fabric, "gb200-nvl72", "power").high;
  const double nvl_flops = fabric_fact("gb200-nvl72", "endpoints") * chip("gb200-nvl72", "peak_bf16");
  v["K26"] = (cm_power / (v["K24"] * kPeta)) / (nvl_power / nvl_flops);
  v["K27"] = cm_power / nvl_power;
  v["K28"] = fabric::reach(component("tomahawk6", "switch_capacity") / component("tomahawk6", "lane_rate"), 1);
  v["K29"] =
      fabric_fact("atlas950-superpod", "aggregate_bandwidth_both_directions") / fabric_fact("atlas950-superpod", "endpoints") / kTera;
}

void scale_out(Values& v) {
  v["K30"] = fabric::reach(64, 3);
  v["K31"] = fabric::reach(72, 3);
  v["K32"] = fabric::reach(144, 3);
  v["K33"] = fabric::reach(512, 2);
  v["K34"] = fabric::reach(512, 3);
  const double nodes = fabric_fact("dgx-h100-superpod-1024", "endpoints") / fabric_fact("hgx-h100", "endpoints");
  v["K35"] = nodes * parts("hgx-h100").switch_chips + parts("dgx-h100-superpod-1024").switch_chips;
  const auto gb300 = modules("gb300-ib-18432", component("opt-800g-dsp", "module_rate"), component("opt-1600g-dsp", "module_rate"));
  EXPECT_EQ(gb300.endpoint_side, 18432);
  v["K36"] = gb300.switch_side;
  v["K37"] =
      (gb300.endpoint_side * component("opt-800g-dsp", "dsp_power") + gb300.switch_side * component("opt-1600g-dsp", "dsp_power")) / kKilo;
  v["K38"] = parts("mi455x-131k-8plane").switch_chips;
}

void chips_and_collectives(Values& v) {
  v["K39"] = fabric_fact("unicom-ppu-cluster", "compute") / fabric_fact("unicom-ppu-cluster", "endpoints") / kTera;
  v["K40"] = (fabric_fact("mi355x-mesh", "endpoints") - 1) * fabric_fact("mi355x-mesh", "link_bandwidth") / kGiga;
  EXPECT_NEAR(parts("mi355x-mesh").aggregate.value() / 16 / kGiga, v["K40"], 1e-9);
  const double gigabytes = site("memory-cost", "stack_capacity") / kGiga;
  v["K41"] = site("memory-cost", "hbm3e_12hi_2025_stack") / gigabytes;
  v["K42"] = site("memory-cost", "hbm4_2025_stack") / gigabytes;
  v["K43"] = fitted_ms("h100-sxm", "all_reduce");
  v["K44"] = fitted_ms("b200-sxm", "all_to_all");
  v["K45"] = dispatch_us(128);
  v["K46"] = dispatch_us(1024);
  v["K47"] = dispatch_us(65536);
}

void economics(Values& v) {
  const double year = kHoursPerYear * 3600;
  const auto epoch = [&](double life) {
    return straight_line_year(site("epoch-gigawatt", "it_capital"), life, site("epoch-gigawatt", "facility_capital"),
                              site("epoch-gigawatt", "facility_life") / year, site("epoch-gigawatt", "operating_cost") * year,
                              site("epoch-gigawatt", "cost_of_capital") * year) /
           1e9;
  };
  v["K48"] = epoch(5);
  v["K49"] = epoch(3);
  v["K50"] = epoch(7);
  v["K51"] = chip("gb300-nvl72", "tco_hyperscaler_q3") / chip("gb300-nvl72", "all_in_power_q3") * 3.6e6;  // USD/J to USD/kWh
  v["K52"] = site("colocation-rent", "coreweave_wholesale_year") * kKilo * year / 12;                     // USD/s/W to USD/month/kW
  const auto hour = [&](std::string_view who) {
    double sum = 0;
    for (const std::string_view part : {"accelerator", "power", "data_centre", "network", "operations"})
      sum += site("accelerator-hour-costs", std::string(who) + "_h100_" + std::string(part)) * 3600;
    return sum;
  };
  v["K53"] = hour("crusoe");
  v["K54"] = hour("coreweave");
  const auto day = [](std::string_view key) { return site("deepseek-day", key); };
  v["K55"] = day("nodes") * day("accelerators_per_node") * 86400 * day("rent");
  v["K56"] = (day("input_tokens") / day("input_rate") + day("output_tokens") / day("output_rate")) / 3600;
  v["K57"] = day("cached_input_tokens") * day("price_cached") + (day("input_tokens") - day("cached_input_tokens")) * day("price_fresh") +
             day("output_tokens") * day("price_output");
  const auto gds = accounts(thing(Section::datacenter, "gds-2024"));
  v["K58"] = sum_of(gds, {"revenue", "cost of revenue"}) / sum_of(gds, {"revenue"});
  v["K59"] = total(gds) / 1000;
  v["K60"] = margin("Range (Runze)", "2023");
  v["K61"] = margin("Chindata", "2022");
  const IncomeModel idc = reference_income_model(builtin());
  v["K62"] = *statement(idc, 0.5)->net_margin();
  v["K63"] = *statement(idc, 0.9)->gross_margin();
  v["K64"] = *statement(idc, 0.9)->net_margin();
}

void energy(Values& v) {
  v["K65"] = 1 / site("token-energy", "dsv4pro_gb300_sgl_100") / 3600;  // tok/s/W is tok/J
  v["K66"] = site("token-energy", "gptoss_b200") / site("token-energy", "gptoss_h100");
  v["K67"] = 1 - component("opt-800g-cpo", "power_bailly") / component("opt-800g-cpo", "replaced_power");
  v["K68"] = component("opt-3200g-npo", "power") / (component("opt-3200g-npo", "module_rate") * 8) * 1e12;
  v["K69"] = component("quantum-q3400", "switch_capacity") / component("opt-1600g-dsp", "module_rate") *
             component("opt-1600g-dsp", "volume_price");
}

TEST(PublishedFigures, AllOfThem) {
  Values v;
  scale_up(v);
  scale_out(v);
  chips_and_collectives(v);
  economics(v);
  energy(v);
  std::ifstream file(JEVONS_SOURCE_DIR "/src/cost/testdata/checks.csv");
  ASSERT_TRUE(file);
  std::string line;
  std::getline(file, line);
  int n = 0;
  while (std::getline(file, line)) {
    const auto cells = csv_cells(line);
    const std::string& id = cells[0];
    const double published = std::stod(cells[4]), tolerance = std::stod(cells[5]);
    ASSERT_TRUE(v.contains(id)) << id << " " << cells[2];
    EXPECT_NEAR(v[id], published, std::max(tolerance * std::abs(published), 1e-9))
        << id << " " << cells[2] << " [" << cells[3] << "], " << cells[6];
    ++n;
  }
  EXPECT_EQ(n, 69);
  EXPECT_EQ(v.size(), 69u);
}

}  // namespace
}  // namespace jevons::cost
