#pragma once
// The tables and charts of jevons datacenter.
#include "cost/campus.hpp"
#include "cost/energy.hpp"
#include "cost/supply.hpp"
#include "report/document.hpp"

namespace jevons::engine {

report::Table years_table(const cost::Campus& c, const cost::Appraisal& a);
report::Table hour_table(const catalog::Catalog& catalog, const cost::Campus& c, const cost::Appraisal& a, report::Document& d);
report::Table tornado_table(const std::vector<cost::Swing>& swings, bool hour);
report::Chart tornado_chart(const std::vector<cost::Swing>& swings, bool hour);
/// Self-contained SVG: one bar an input from the answer at its low end to that at its high end, widest on top.
std::string tornado_svg(const std::vector<cost::Swing>& swings, bool hour, double centre);
/// The same campus as each business and with each way of billing power. Rows that cannot be formed say why in a note.
report::Table business_table(const catalog::Catalog& catalog, const catalog::Thing& thing);
report::Table fleet_table(const catalog::Catalog& catalog, const cost::Campus& c, const std::vector<cost::Export>& exports);
report::Table supply_table(const std::vector<cost::SupplyLimit>& limits, const cost::Campus& c);
/// Price, carbon and load by hour; in files only.
Result<report::Table> hours_table(const catalog::Catalog& catalog, const cost::Campus& c);
/// Spending by quarter; in files only.
report::Table building_table(const cost::Appraisal& a);
report::Chart cash_chart(const cost::Appraisal& a);

}  // namespace jevons::engine
