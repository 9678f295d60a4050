// From settings to requests: recorded, drawn from a record, or drawn from laws; open by a rate, or closed by concurrency.
#include "engine/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/text.hpp"
#include "traffic/generate.hpp"
#include "traffic/read.hpp"
#include "traffic/resample.hpp"

namespace jevons::engine {
namespace {

bool given(const Settings& s, std::string_view path) { return s.has(path) && s.setting(path).file != "default"; }
Result<void> refuse(const Settings& s, std::initializer_list<const char*> paths, std::string_view beside, std::string_view expected) {
  for (const auto* path : paths) {
    if (given(s, path)) return fail(s.error(path, fmt::format("has no effect beside {}", beside), std::string(expected)));
  }
  return {};
}

Result<double> number_in(const Settings& s, std::string_view path, std::string_view text, std::string_view word) {
  double v = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (status != std::errc{} || end != text.data() + text.size() || !(v >= 0) || v > 1e12)
    return fail(s.error(path, fmt::format("'{}' in '{}' is no number", text.substr(0, 20), word.substr(0, 60)), "0 and more"));
  return v;
}

Result<traffic::Arrivals> arrivals_of(const Settings& s, double share) {
  traffic::Arrivals a;
  a.rate_per_s = s.number("load.request_rate") * share;
  const std::string& law = s.text("load.arrival");
  const double cv = s.number("load.arrival_cv");
  if (law == "constant") a.gaps = traffic::Constant{};
  if (law == "gamma") a.gaps = traffic::GammaGaps{cv};
  if (law == "weibull") a.gaps = traffic::WeibullGaps{cv};
  if (cv != 1 && (law == "poisson" || law == "constant"))
    return fail(s.error("load.arrival_cv", fmt::format("has no meaning for {} gaps", law), "gamma or weibull arrivals"));
  const double swing = s.number("load.diurnal_amplitude"), burst = s.number("load.burst_factor");
  if (swing > 0 && burst > 1) return fail(s.error("load.burst_factor", "beside load.diurnal_amplitude", "one of the two"));
  if (swing > 0) a.shape = traffic::Diurnal{.amplitude = swing};
  if (burst > 1) a.shape = traffic::Burst{s.number("load.burst_period"), s.number("load.burst_length"), burst};
  return traffic::checked(a, "load");
}

/// A class of users: its share of the arrivals, and what it changes of the common options.
struct Users {
  traffic::Tenant tenant;
  double share = 1;
  std::optional<double> isl, osl;
};

// "chat:share=0.7:isl=1000:osl=200:priority=0:ttft=500:tpot=50", limits in ms.
Result<Users> parse_tenant(const Settings& s, std::string_view word) {
  Users u;
  bool first = true;
  for (const auto part : split(word, ':')) {
    const auto at = part.find('=');
    if (first) {
      if (at != std::string_view::npos || part.empty())
        return fail(s.error("workload.tenants", fmt::format("'{}' has no name", word.substr(0, 60)), "NAME:share=…:isl=…:osl=…"));
      u.tenant.name = std::string(part);
      first = false;
      continue;
    }
    const auto key = part.substr(0, at);
    JEVONS_TRY(const double v, number_in(s, "workload.tenants", at == std::string_view::npos ? "" : part.substr(at + 1), word));
    const auto ns = traffic::SimTime(v * 1e6);
    if (key == "share")
      u.share = v;
    else if (key == "isl")
      u.isl = v;
    else if (key == "osl")
      u.osl = v;
    else if (key == "priority")
      u.tenant.priority = std::int32_t(std::min(v, 1e9));
    else if (key == "ttft")
      u.tenant.slo.ttft = ns;
    else if (key == "tpot")
      u.tenant.slo.tpot = ns;
    else if (key == "e2el")
      u.tenant.slo.e2e = ns;
    else
      return fail(s.error("workload.tenants", fmt::format("'{}' in '{}' is not known", key.substr(0, 20), word.substr(0, 60)),
                          "share, isl, osl, priority, ttft, tpot or e2el"));
  }
  if (u.share <= 0) return fail(s.error("workload.tenants", fmt::format("'{}' has no share", word.substr(0, 60)), "share above 0"));
  return u;
}

Result<std::vector<Users>> users_of(const Settings& s) {
  std::vector<Users> all;
  if (!s.has("workload.tenants")) return std::vector<Users>(1);
  for (const auto word : split(s.text("workload.tenants"), ' ')) {
    JEVONS_TRY(Users u, parse_tenant(s, word));
    all.push_back(std::move(u));
  }
  double sum = 0;
  for (const Users& u : all) sum += u.share;
  for (Users& u : all) u.share /= sum;
  return all;
}

Result<std::optional<traffic::SessionLaw>> session_of(const Settings& s, const traffic::Law& new_tokens) {
  const double turns = s.number("workload.conversation_turns");
  if (turns <= 1) {
    JEVONS_CHECK(refuse(s, {"workload.conversation_turn_delay", "workload.subagent_probability"}, "single requests",
                        "--conversation-turn-mean above 1"));
    return std::optional<traffic::SessionLaw>{};
  }
  traffic::SessionLaw session{.calls = traffic::Fixed{turns}, .new_tokens = new_tokens, .wait_s = {}, .fanout = {}};
  if (const double wait = s.number("workload.conversation_turn_delay") / 1e3; wait > 0) session.wait_s = traffic::Exponential{wait};
  if (const double p = s.number("workload.subagent_probability"); p > 0) {
    session.fanout = {.probability = p,
                      .branches = traffic::Fixed{s.number("workload.subagents")},
                      .calls = traffic::Fixed{s.number("workload.subagent_calls")},
                      .task_tokens = traffic::Fixed{s.number("workload.subagent_task_tokens")},
                      .shared_prompt_tokens = std::int32_t(s.integer("workload.shared_system_prompt_length"))};
  } else {
    JEVONS_CHECK(refuse(s, {"workload.subagents", "workload.subagent_calls", "workload.subagent_task_tokens"}, "a probability of 0",
                        "workload.subagent_probability above 0"));
  }
  return std::optional(session);
}

Result<traffic::Requests> generated(const Settings& s, std::size_t n, std::int32_t block, std::int32_t max_model_len,
                                    std::uint64_t replication) {
  traffic::GenerateSpec spec;
  spec.num_requests = n;
  spec.max_context = max_model_len;
  JEVONS_TRY(const std::vector<Users> users, users_of(s));
  for (const Users& u : users) {
    for (const auto& [path, own] : {std::pair{"workload.isl", u.isl}, {"workload.osl", u.osl}}) {
      if (!own && !s.has(path))
        return fail(
            s.error(path, "is missing", std::string(s.spec(path)->help), fmt::format("give {} or --input-file", s.spec(path)->flag)));
    }
    traffic::ClassSpec c{.tenant = u.tenant};
    if (s.has("load.request_rate")) {
      JEVONS_TRY(c.arrivals, arrivals_of(s, u.share));
    } else {
      c.arrivals.rate_per_s = u.share;  // closed loop: only the order counts
    }
    const std::string& law = s.text("workload.lengths");
    JEVONS_TRY(c.input, traffic::parse_law(law, u.isl ? *u.isl : s.number("workload.isl"), "workload.lengths"));
    JEVONS_TRY(c.output, traffic::parse_law(law, u.osl ? *u.osl : s.number("workload.osl"), "workload.lengths"));
    c.adapters = std::int32_t(s.integer("workload.adapters"));
    c.adapter_skew = s.number("workload.adapter_skew");
    c.shared_prompt_tokens = std::int32_t(s.integer("workload.shared_system_prompt_length"));
    JEVONS_TRY(c.session, session_of(s, c.input));
    if (c.session || c.shared_prompt_tokens > 0) spec.block_tokens = block;
    spec.classes.push_back(std::move(c));
  }
  return traffic::generate(spec, {std::uint64_t(s.integer("seed"))}, replication);
}

Result<traffic::ClosedLoad> closed_of(const Settings& s) {
  JEVONS_CHECK(refuse(s, {"load.arrival", "load.arrival_cv", "load.diurnal_amplitude", "load.burst_factor"}, "a closed loop",
                      "--request-rate instead of --concurrency"));
  traffic::ClosedLoad load{.concurrency = std::int32_t(s.integer("load.concurrency"))};
  load.uncounted = std::size_t(s.integer("load.warmup_requests"));
  load.cold_start = traffic::SimTime(s.number("load.cold_start") * 1e9);
  return load;
}

Result<void> read_file_into(Asked& a, const Settings& s, bool rate, bool closed, std::uint64_t replication) {
  JEVONS_CHECK(refuse(s,
                      {"workload.isl", "workload.osl", "workload.lengths", "workload.tenants", "workload.adapters", "workload.adapter_skew",
                       "workload.shared_system_prompt_length", "workload.conversation_turns", "workload.conversation_turn_delay",
                       "workload.subagent_probability", "workload.subagents", "workload.subagent_calls", "workload.subagent_task_tokens"},
                      "workload.input_file", "lengths from the file, or from the laws, not both"));
  const Seed seed{std::uint64_t(s.integer("seed"))};
  JEVONS_TRY(traffic::Trace t, traffic::read_trace(s.text("workload.input_file"), {.skip_bad_rows = s.boolean("workload.skip_bad_rows")}));
  a.skipped_rows = t.skipped;
  if (!t.timed && !rate && !closed)
    return fail(
        s.error("workload.input_file", "has no times of arrival", "a rate or a concurrency", "give --request-rate or --concurrency"));
  if (s.has("workload.num_requests")) {
    JEVONS_TRY(a.workload.requests, traffic::resample(t.requests,
                                                      {.num_requests = std::size_t(s.integer("workload.num_requests")),
                                                       .rate_per_s = rate ? s.number("load.request_rate") : 0},
                                                      seed, replication));
    return {};
  }
  a.workload.requests = std::move(t.requests);
  if (!rate) return {};
  JEVONS_TRY(const auto arrivals, arrivals_of(s, 1));
  return traffic::assign_arrivals(a.workload.requests, arrivals, seed, replication);
}

}  // namespace

Result<Asked> workload_of(const Settings& s, std::int32_t block_size, std::int32_t max_model_len, std::uint64_t replication) {
  const bool rate = s.has("load.request_rate"), closed = s.has("load.concurrency");
  if (rate && closed) return fail(s.error("load.concurrency", "beside load.request_rate", "one of the two: closed loop or open"));
  Asked a;
  if (closed) {
    JEVONS_TRY(a.workload.load, closed_of(s));
  } else {
    JEVONS_CHECK(refuse(s, {"load.warmup_requests", "load.cold_start"}, "an open load", "--concurrency"));
  }
  if (s.has("workload.input_file")) {
    JEVONS_CHECK(read_file_into(a, s, rate, closed, replication));
  } else {
    if (!rate && !closed)
      return fail(
          s.error("load.request_rate", "is missing", "requests per second, or load.concurrency", "give --request-rate or --concurrency"));
    JEVONS_CHECK(refuse(s, {"workload.skip_bad_rows"}, "generated requests", "--input-file"));
    const std::size_t n = s.has("workload.num_requests") ? std::size_t(s.integer("workload.num_requests"))
                          : closed                       ? traffic::benchmark_requests(std::int32_t(s.integer("load.concurrency")))
                                                         : 1000;
    JEVONS_TRY(a.workload.requests, generated(s, n, block_size, max_model_len, replication));
  }
  const traffic::Requests& q = a.workload.requests;
  for (std::size_t r = 0; r < q.size(); ++r) a.longest = std::max(a.longest, std::int64_t(q.input_tokens[r]) + q.output_tokens[r]);
  return a;
}

Result<serve::Goodput> goodput_of(const Settings& s) {
  serve::Goodput g;
  if (!s.has("goodput")) return g;
  for (const auto word : split(s.text("goodput"), ' ')) {
    const auto at = word.find(':');
    const auto key = word.substr(0, at);
    auto* limit = key == "ttft" ? &g.ttft_s : key == "tpot" ? &g.tpot_s : key == "e2el" ? &g.e2e_s : nullptr;
    const auto text = at == std::string_view::npos ? std::string_view{} : word.substr(at + 1);
    double ms = 0;
    const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), ms);
    if (limit == nullptr || status != std::errc{} || end != text.data() + text.size() || !(ms > 0))
      return fail(s.error("goodput", fmt::format("'{}' is no limit", word.substr(0, 40)), "ttft:MS, tpot:MS or e2el:MS"));
    *limit = ms / 1e3;
  }
  return g;
}

}  // namespace jevons::engine
