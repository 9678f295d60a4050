#pragma once
// Exact attribution of a difference: Shapley values over a set of switches, LMDI over factors. Neither depends on an order.
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace jevons::savings {

/// Shapley value of each of n players for the game `value` over the 2^n coalitions, indexed by bit mask.
/// values.size() must be 2^n, n <= 20. The result sums to values[all] - values[none] up to rounding.
/// Source: Shapley, "A value for n-person games", Contributions to the Theory of Games II, 1953.
std::vector<double> shapley(std::span<const double> values);

/// Additive LMDI-I split of the change of a sum of products: terms are rows of factors, contribution of factor x is
/// sum over terms of L(V1, V0) * ln(x1/x0), with V the product of a row's factors. All factors > 0; rows of equal length.
/// The contributions sum to sum(V1) - sum(V0) exactly: no residual.
/// Source: Ang, "The LMDI approach to decomposition analysis: a practical guide", Energy Policy 33(7), 2005.
std::vector<double> lmdi(std::span<const std::vector<double>> before, std::span<const std::vector<double>> after);

/// Logarithmic mean (a - b) / ln(a/b); a when they are equal. Requires a, b > 0.
double logarithmic_mean(double a, double b);

}  // namespace jevons::savings
