#pragma once
// Energy, carbon and water of a token, as every page prints them.
#include "cost/energy.hpp"
#include "report/document.hpp"

namespace jevons::engine {

/// The table, and its values under energy.*. of_output: it is divided by output tokens alone. note: what the tokens are.
/// no_carbon, no_water: why they are null where they are.
report::Table energy_table(const cost::TokenEnergyBand& energy, bool of_output, const std::string& note, const std::string& no_carbon,
                           const std::string& no_water, report::Document& document);

}  // namespace jevons::engine
