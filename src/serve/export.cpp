// Simulations as text: one line a request, and the trace format of Chrome and Perfetto.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <queue>

#include "serve/metrics.hpp"

namespace jevons::serve {
namespace {

SimTime sent(const Simulation& s, const traffic::Workload& w, std::size_t r) {
  return s.outcomes.issued.empty() ? w.requests.arrival[r] : s.outcomes.issued[r];
}
constexpr std::string_view kStatus[] = {"pending", "finished", "rejected"};

}  // namespace

std::string requests_csv(const Simulation& s, const traffic::Workload& w) {
  std::string out =
      "request_id,sent_s,scheduled_s,first_token_s,finished_s,input_tokens,output_tokens,cached_tokens,preemptions,replica,status\n";
  const Outcomes& o = s.outcomes;
  for (std::size_t r = 0; r < w.requests.size(); ++r) {
    auto to = std::back_inserter(out);
    fmt::format_to(to, "{},{:.9f},", r, double(sent(s, w, r)) * 1e-9);
    if (o.status[r] == Status::finished)
      fmt::format_to(to, "{:.9f},{:.9f},{:.9f},", double(o.scheduled[r]) * 1e-9, double(o.first_token[r]) * 1e-9,
                     double(o.finished[r]) * 1e-9);
    else
      out += ",,,";
    fmt::format_to(to, "{},{},{},{},{},{}\n", w.requests.input_tokens[r], w.requests.output_tokens[r], o.cached[r], o.preemptions[r],
                   o.replica[r], kStatus[std::size_t(o.status[r])]);
  }
  return out;
}

std::string requests_jsonl(const Simulation& s, const traffic::Workload& w) {
  std::string out;
  const Outcomes& o = s.outcomes;
  for (std::size_t r = 0; r < w.requests.size(); ++r) {
    auto to = std::back_inserter(out);
    fmt::format_to(to, R"({{"request_id":{},"sent_s":{:.9f},)", r, double(sent(s, w, r)) * 1e-9);
    if (o.status[r] == Status::finished) {
      fmt::format_to(to, R"("scheduled_s":{:.9f},"first_token_s":{:.9f},"finished_s":{:.9f},)", double(o.scheduled[r]) * 1e-9,
                     double(o.first_token[r]) * 1e-9, double(o.finished[r]) * 1e-9);
    }
    fmt::format_to(to, R"("input_tokens":{},"output_tokens":{},"cached_tokens":{},"preemptions":{},"replica":{},"status":"{}"}})",
                   w.requests.input_tokens[r], w.requests.output_tokens[r], o.cached[r], o.preemptions[r], o.replica[r],
                   kStatus[std::size_t(o.status[r])]);
    out += '\n';
  }
  return out;
}

std::string chrome_trace(const Simulation& s, const traffic::Workload& w) {
  const Outcomes& o = s.outcomes;
  std::vector<RequestId> order;
  for (RequestId r = 0; r < w.requests.size(); ++r) {
    if (o.status[r] == Status::finished) order.push_back(r);
  }
  std::stable_sort(order.begin(), order.end(), [&](RequestId a, RequestId b) { return sent(s, w, a) < sent(s, w, b); });
  // The lowest lane that is free when a request is sent.
  using Lane = std::pair<SimTime, int>;
  struct Lanes {
    std::priority_queue<Lane, std::vector<Lane>, std::greater<>> busy;  // until when
    std::priority_queue<int, std::vector<int>, std::greater<>> free;
    int lanes = 0;
  };
  std::vector<Lanes> replicas(s.replicas.size());
  std::string out = R"({"displayTimeUnit":"ms","traceEvents":[)";
  auto to = std::back_inserter(out);
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    fmt::format_to(to, R"({}{{"name":"process_name","ph":"M","pid":{},"args":{{"name":"replica {}"}}}})", i == 0 ? "\n" : ",\n", i, i);
  }
  for (const RequestId r : order) {
    Lanes& x = replicas[o.replica[r]];
    const SimTime begin = sent(s, w, r);
    while (!x.busy.empty() && x.busy.top().first <= begin) {
      x.free.push(x.busy.top().second);
      x.busy.pop();
    }
    int lane = x.lanes;
    if (x.free.empty()) {
      ++x.lanes;
    } else {
      lane = x.free.top();
      x.free.pop();
    }
    x.busy.push({o.finished[r], lane});
    const auto slice = [&](std::string_view what, SimTime from, SimTime until) {
      if (until <= from) return;
      fmt::format_to(to,
                     R"(,{}{{"name":"{}","cat":"request","ph":"X","pid":{},"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{"request":{}}}}})",
                     "\n", what, o.replica[r], lane, double(from) * 1e-3, double(until - from) * 1e-3, r);
    };
    slice("queue", begin, o.scheduled[r]);
    slice("prefill", o.scheduled[r], o.first_token[r]);
    slice("decode", o.first_token[r], o.finished[r]);
  }
  out += "\n]}\n";
  return out;
}

}  // namespace jevons::serve
