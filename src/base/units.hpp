#pragma once
// Reading and writing numbers with units. Everything inside is in base units: byte, FLOP, s, token, USD, J.
#include <string>
#include <string_view>

#include "base/quantity.hpp"
#include "base/result.hpp"

namespace jevons {

struct Measure {
  double value = 0;  // in base units
  Dim dim;
};

/// "3.35 TB/s", "141 GiB", "700 W", "1.30 USD/h", "989 TFLOPS", "0.08 USD/kWh", "400 Gbit/s", "3.5 us", "0.78", "12 %".
/// SI prefixes n u m k M G T P E, binary Ki Mi Gi Ti; "/" divides by every unit that follows it. Dimensionless counts may name what
/// they count: accel, chip, module, port, lane, m (metre), CNY (never converted), FIT.
/// Errors: not a number, unknown unit (with the units known).
Result<Measure> parse_measure(std::string_view text);
/// Only the unit part.
Result<Measure> parse_unit(std::string_view unit);
/// "byte/second" for messages.
std::string dim_name(Dim dim);

/// "4.92 GiB", "576 B": binary prefixes, three significant digits.
std::string format_bytes(double bytes);
/// "3.35 TB/s" style: value with SI prefix and three significant digits before `unit`.
std::string format_si(double value, std::string_view unit);
/// Seconds as "12.3 ms", "4.56 s", "890 us".
std::string format_seconds(double seconds);
/// A plain number with `digits` significant digits, thousands separated by commas, no exponent below 1e15.
std::string format_number(double value, int digits = 3);

}  // namespace jevons
