#include "cost/supply.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace jevons::cost {
namespace {

using catalog::Section;
constexpr double kYear = kHoursPerYear * 3600;

const catalog::Fact& fact(const catalog::Catalog& catalog, std::string_view thing, std::string_view key,
                          std::vector<const catalog::Fact*>& facts) {
  const auto t = catalog.find(Section::datacenter, thing);
  JEVONS_ENSURE(t.has_value() && (*t)->find(key) != nullptr);
  facts.push_back((*t)->find(key));
  return *facts.back();
}

std::string maker_country(const catalog::Catalog& catalog, const catalog::Thing& accelerator) {
  const auto rules = catalog.find(Section::datacenter, "export-rules");
  JEVONS_ENSURE(rules.has_value());
  for (std::size_t r = 0; r < (*rules)->series.rows(); ++r) {
    if ((*rules)->series.text(r, "vendor") == accelerator.attribute("vendor")) return std::string((*rules)->series.text(r, "country"));
  }
  return {};
}

}  // namespace

std::optional<double> SupplyLimit::accelerators_by(double years, double accelerators) const {
  if (years >= ready_years()) return std::nullopt;
  if (years < lead_years || need <= 0 || !world_per_year) return 0;
  return std::floor(accelerators * (years - lead_years) * *world_per_year * share / need);
}

std::vector<SupplyLimit> supply(const catalog::Catalog& catalog, const Campus& c, std::vector<const catalog::Fact*>& facts) {
  const auto take = [&](std::string_view key) -> const catalog::Fact& { return fact(catalog, "supply-limits", key, facts); };
  const double share = take("buyer_share").value;
  double memory = 0, packages = 0, domestic = 0;
  for (const auto& p : c.fleet) {
    const auto chip = catalog.find(Section::accelerator, p.accelerator);
    JEVONS_ENSURE(chip.has_value());
    const auto bytes = (*chip)->get<Bytes>("memory");
    const auto kind = (*chip)->attribute("memory_type");
    const bool stacked = kind.starts_with("HBM") || kind.starts_with("Hi");  // HiBL and HiZQ are Huawei's own stacks
    if (maker_country(catalog, **chip) == "china") {                         // packaged and stacked at home, outside the figures below
      domestic += stacked ? p.accelerators : 0;
      continue;
    }
    if (stacked && bytes) memory += p.accelerators * bytes->value.value();
    if (stacked) packages += p.accelerators;
  }
  std::vector<SupplyLimit> out;
  const auto years = [&](std::string_view key) { return take(key).value / kYear; };
  if (memory > 0) out.push_back({"HBM", "PB", memory / kPeta, take("hbm_per_year").value * kYear / kPeta, share, years("hbm_lead")});
  if (packages > 0) {
    out.push_back({"advanced packaging", "wafers", packages / take("packages_per_wafer").value, take("packaging_per_year").value * kYear,
                   share, years("packaging_lead")});
  }
  if (domestic > 0) out.push_back({"Chinese memory and packaging", "chips", domestic, std::nullopt, share, 0});
  out.push_back({"optical modules", "modules", c.accelerators * take("modules_per_accelerator").value,
                 take("optics_per_year").value * kYear, share, years("optics_lead")});
  out.push_back({"transformers", "", 0, std::nullopt, share, years("transformer_lead")});
  out.push_back({"switchgear", "", 0, std::nullopt, share, years("switchgear_lead")});
  if (const auto region = catalog.find(Section::datacenter, "region-" + c.region)) {
    if (const auto* grid = (*region)->find("grid_lead")) {
      facts.push_back(grid);
      out.push_back({"grid connection", "", 0, std::nullopt, share, grid->value / kYear});
    }
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.ready_years() > b.ready_years(); });
  return out;
}

std::string_view name(Shipment s) {
  constexpr std::string_view names[] = {"domestic", "free", "licence", "denied", "unknown"};
  return names[std::size_t(s)];
}

Export export_of(const catalog::Catalog& catalog, const catalog::Thing& accelerator, std::string_view country,
                 std::vector<const catalog::Fact*>& facts) {
  Export e;
  e.accelerator = std::string(accelerator.name);
  e.from = maker_country(catalog, accelerator);
  for (const auto& [key, bits] :
       {std::pair{"peak_bf16", 16}, std::pair{"peak_fp8", 8}, std::pair{"peak_int8", 8}, std::pair{"peak_fp4", 4}}) {
    if (const auto* f = accelerator.find(key)) e.performance = std::max(e.performance, f->value / kTera * bits);
  }
  if (e.from.empty() || country.empty()) {
    e.why = country.empty() ? "the campus states no region" : "the seat of its maker is not in the catalogue";
    return e;
  }
  if (e.from == country) {
    e.shipment = Shipment::domestic;
    e.why = "made by a company of the country";
    return e;
  }
  if (!(e.from == "us" && country == "china")) {
    e.shipment = Shipment::free;
    e.why = "no rule of the catalogue touches this pair of countries";
    return e;
  }
  const auto rule = [&](std::string_view key) { return fact(catalog, "export-rules", key, facts).value; };
  const double controlled = rule("controlled_performance"), letter = rule("letter_bandwidth"), most = rule("licence_performance"),
               most_bandwidth = rule("licence_bandwidth");
  const auto bandwidth = accelerator.get<BytesPerSecond>("hbm_bandwidth");
  if (e.performance <= 0 || !bandwidth) {
    e.why = "its compute rate or memory bandwidth is not known";
    return e;
  }
  const double speed = bandwidth->value.value();
  if (e.performance < controlled && speed < letter) {
    e.shipment = Shipment::free;
    e.why = fmt::format("total processing performance {:.0f} is below {:.0f} and memory bandwidth below {:.1f} TB/s", e.performance,
                        controlled, letter / kTera);
  } else if (e.performance < most && speed < most_bandwidth) {
    e.shipment = Shipment::licence;
    e.why = fmt::format("total processing performance {:.0f}, {:.1f} TB/s: a licence case by case below {:.0f} and {:.1f} TB/s",
                        e.performance, speed / kTera, most, most_bandwidth / kTera);
  } else {
    e.shipment = Shipment::denied;
    e.why = fmt::format("total processing performance {:.0f} and {:.1f} TB/s: licences end at {:.0f} and {:.1f} TB/s", e.performance,
                        speed / kTera, most, most_bandwidth / kTera);
  }
  return e;
}

}  // namespace jevons::cost
