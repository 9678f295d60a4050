#pragma once
// Writes workloads in our own JSON-lines layout, which the readers take back without loss.
#include <string>

#include "base/result.hpp"
#include "traffic/requests.hpp"

namespace jevons::traffic {

/// One JSON object a line: arrival_s, input_tokens, output_tokens, and where known tenant, priority, adapter, session, parents (rows of
/// the session, from 0), wait_s, block_tokens, blocks ([first id, count] pairs). Latency targets of tenants are not part of a trace.
std::string to_jsonl(const Requests& requests);

}  // namespace jevons::traffic
