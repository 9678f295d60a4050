#include "evidence/bench_json.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace jevons::evidence {
namespace {

using Json = nlohmann::json;

struct Reader {
  const Json& root;
  const std::string& file;
  tl::unexpected<Error> bad(const std::string& field, std::string what, std::string expected, std::string hint = {}) const {
    return fail({ErrorCode::bad_input, file, 0, field, std::move(what), std::move(expected), std::move(hint)});
  }
  Result<double> number(const std::string& field, double least) const {
    if (!root.contains(field)) return bad(field, "is missing", "a number, as vllm bench serve --save-result writes it");
    const Json& v = root.at(field);
    if (!v.is_number() || !std::isfinite(v.get<double>()) || v.get<double>() < least)
      return bad(field, v.dump().substr(0, 40), fmt::format("a number of at least {}", least));
    return v.get<double>();
  }
};

}  // namespace

Result<Case> read_bench_json(const std::string& text, const std::string& file, const Case& deployment) {
  const Json root = Json::parse(text, nullptr, false);
  const Reader r{root, file};
  if (root.is_discarded() || !root.is_object())
    return r.bad({}, "not readable as a JSON object", "a file of vllm bench serve --save-result");
  JEVONS_TRY(const double completed, r.number("completed", 1));
  JEVONS_TRY(const double input, r.number("total_input_tokens", 1));
  JEVONS_TRY(const double output, r.number("total_output_tokens", 1));
  JEVONS_TRY(const double ttft, r.number("mean_ttft_ms", 0));
  JEVONS_TRY(const double tpot, r.number("mean_tpot_ms", 0));
  if (ttft <= 0) return r.bad("mean_ttft_ms", "0", "milliseconds above 0");
  // "inf" sends requests as fast as the concurrency allows; a finite rate is an open loop.
  if (root.contains("request_rate") && root["request_rate"].is_number() && std::isfinite(root["request_rate"].get<double>()))
    return r.bad("request_rate", root["request_rate"].dump(), "inf", "measure with --request-rate inf --max-concurrency N");
  Case c = deployment;
  c.file = file;
  c.id = file;
  c.isl = c.nominal_isl = input / completed;
  c.osl = c.nominal_osl = output / completed;
  const bool capped = root.contains("max_concurrency") && root["max_concurrency"].is_number();
  c.concurrency = completed;  // without a cap all requests are in flight at once
  if (capped) {
    JEVONS_TRY(c.concurrency, r.number("max_concurrency", 1));
  }
  c.num_requests = std::size_t(completed);
  c.ttft_s = ttft / 1e3;
  if (tpot > 0) c.tpot_s = tpot / 1e3;
  return c;
}

}  // namespace jevons::evidence
