#pragma once
// The result file of `vllm bench serve --save-result` as one measured serving point.
#include "evidence/cases.hpp"

namespace jevons::evidence {

/// The result does not say how the server was deployed: `deployment` states model, accelerator, formats, engine and placement.
/// Mean lengths come from the token totals. Errors: no JSON object, a field missing or of another kind, no request completed, an open-loop
/// request rate: file, field, value.
Result<Case> read_bench_json(const std::string& text, const std::string& file, const Case& deployment);

}  // namespace jevons::evidence
