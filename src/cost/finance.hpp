#pragma once
// The arithmetic of money over time. Rates are per year, times in years unless a name says months; cash flows are plain sums of one
// currency.
#include <optional>
#include <span>
#include <vector>

namespace jevons::cost {

/// Net present value of flows at the ends of equal periods, the first one now; `rate` per period. Requires rate > -1.
double npv(std::span<const double> flows, double rate);
/// The rate per period at which npv is 0. Nothing when the flows do not change sign, or the rate lies outside (-0.99, 10).
/// Flows that change sign more than once can have several rates; the lowest one above -0.99 is given.
std::optional<double> internal_rate(std::span<const double> flows);
/// Periods until the running sum of the flows stays at or above 0, interpolated inside the period; nothing when it never does.
std::optional<double> payback(std::span<const double> flows);

/// Share of a build's capital spent by time t of a build that takes `duration`: 3 x^2 - 2 x^3, an S-curve that is slow at both ends.
/// Source: the cubic usual in construction cash-flow forecasts (Hudson, "DHSS expenditure forecasting method", 1978, has one like it).
double spent_by(double t, double duration);
/// Interest on an S-curve's spending until it is finished, as a share of the capital: rate x integral of spent = rate x duration / 2,
/// by the curve's symmetry; simple interest.
double interest_during_construction(double rate, double duration);

/// Occupancy of a site t after opening: u_max (1 - exp(-3 t / ramp)), which reaches 95 % of u_max at t = ramp. ramp 0: at once.
double occupancy(double t, double u_max, double ramp);
/// Mean occupancy over [a, b], exactly.
double mean_occupancy(double a, double b, double u_max, double ramp);

}  // namespace jevons::cost
