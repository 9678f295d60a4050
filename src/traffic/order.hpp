#pragma once
// Rows in order of arrival.
#include "traffic/requests.hpp"

namespace jevons::traffic {

/// Sorts all columns by arrival; rows that arrive together keep their order. Requires that the rows form no sessions.
void sort_by_arrival(Requests& requests);

}  // namespace jevons::traffic
