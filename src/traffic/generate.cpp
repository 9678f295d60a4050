#include "traffic/generate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "traffic/order.hpp"
#include "base/portable_math.hpp"

namespace jevons::traffic {
namespace {

constexpr std::int32_t kTokenLimit = 1 << 30;  // input + output of one request stay below 2^31
constexpr int kStreamShift = 26;               // a token stream has at most 2^26 blocks; its number is above them
constexpr BlockId kSharedStreams = BlockId{1} << 37;

/// A growing token stream: the shared prompt in front, then what belongs to this context alone.
struct Context {
  BlockId shared = 0, own = 0;
  std::int32_t shared_tokens = 0, tokens = 0;  // tokens: all so far
};

class Builder {
 public:
  Builder(const GenerateSpec& spec, Seed seed, std::uint64_t replication) : spec_{spec}, seed_{seed}, replication_{replication} {}
  Requests build();

 private:
  struct Source {  // one class: its arrivals and, for lone requests, its streams
    ArrivalProcess arrivals;
    Stream input, output, prefix, adapter;
    std::vector<double> adapter_share = {};  // cumulative; empty: equally likely
    SimTime next = 0;
    std::uint64_t sessions = 0;
  };
  struct Draws {  // the streams of one session: a longer session moves no other
    Stream input, output, wait, branch;
  };

  void reserve();
  void lone_class_in_bulk(const ClassSpec& c, Source& s);
  void lone_request(const ClassSpec& c, std::size_t index, Source& s);
  void session(const ClassSpec& c, std::size_t index, Source& s);
  void fan_out(const ClassSpec& c, std::size_t index, Context& main, SimTime arrival, Draws& d);
  bool call(Context& context, std::int32_t added, std::int32_t output, SimTime arrival, double wait_s, std::size_t index);
  void close_session();
  static std::int32_t draw_adapter(const ClassSpec& c, const Source& s, Stream& stream);
  bool full() const { return out_.size() >= spec_.num_requests; }
  Stream stream(Draw purpose, std::uint64_t entity) const { return {seed_, replication_, purpose, entity}; }
  Context fresh_context(std::size_t index, std::uint64_t prompt, std::int32_t shared_tokens) {
    return {(kSharedStreams + (BlockId(index) << 20) + prompt) << kStreamShift, streams_++ << kStreamShift, shared_tokens, shared_tokens};
  }

  const GenerateSpec& spec_;
  Seed seed_;
  std::uint64_t replication_;
  std::int32_t limit_ = kTokenLimit;
  bool prefixes_ = false, graph_ = false, tenants_ = false, adapters_ = false;
  std::vector<Source> sources_;
  BlockId streams_ = 0;
  std::vector<RequestId> parents_;  // of the next call
  std::int32_t adapter_ = kNoAdapter;
  Requests out_;
};

void Builder::reserve() {
  const std::size_t n = spec_.num_requests;
  const auto any = [&](auto f) { return std::any_of(spec_.classes.begin(), spec_.classes.end(), f); };
  const bool sessions = any([](const ClassSpec& c) { return c.session.has_value(); });
  prefixes_ = spec_.block_tokens > 0 && (sessions || any([](const ClassSpec& c) { return c.shared_prompt_tokens > 0; }));
  graph_ = sessions && spec_.release == Release::after_parents;
  adapters_ = any([](const ClassSpec& c) { return c.adapters > 0; });
  tenants_ = spec_.classes.size() > 1;
  if (spec_.max_context > 0) limit_ = spec_.max_context;
  out_.arrival.reserve(n);
  out_.input_tokens.reserve(n);
  out_.output_tokens.reserve(n);
  if (tenants_) out_.tenant.reserve(n);
  if (adapters_) out_.adapter.reserve(n);
  for (const ClassSpec& c : spec_.classes) out_.tenants.push_back(c.tenant);
  if (prefixes_) {
    out_.prefix.block_tokens = spec_.block_tokens;
    out_.prefix.offset.reserve(n + 1);
    out_.prefix.offset.push_back(0);
    out_.prefix.run.reserve(2 * n);
  }
  if (graph_) {
    out_.sessions.offset.reserve(n + 1);
    out_.sessions.offset.push_back(0);
    out_.sessions.parent.reserve(n);
    out_.sessions.wait.reserve(n);
    out_.sessions.first.push_back(0);
  }
}

/// Appends one call, cut to the context limit; false (and nothing appended) when a later call no longer fits, or all rows are there.
bool Builder::call(Context& context, std::int32_t added, std::int32_t output, SimTime arrival, double wait_s, std::size_t index) {
  if (full()) return false;
  if (context.tokens > context.shared_tokens && std::int64_t(context.tokens) + added + output > limit_) return false;
  const auto input = std::int32_t(std::clamp<std::int64_t>(std::int64_t(context.tokens) + added, 1, limit_ - 1));
  output = std::min(output, limit_ - input);
  context.tokens = input + output;
  out_.arrival.push_back(arrival);
  out_.input_tokens.push_back(input);
  out_.output_tokens.push_back(output);
  if (tenants_) out_.tenant.push_back(std::uint16_t(index));
  if (adapters_) out_.adapter.push_back(adapter_);
  if (prefixes_) {
    const std::int32_t whole = context.tokens / spec_.block_tokens, shared = std::min(whole, context.shared_tokens / spec_.block_tokens);
    if (shared > 0) out_.prefix.run.push_back({context.shared, std::uint32_t(shared)});
    if (whole > shared) out_.prefix.run.push_back({context.own, std::uint32_t(whole - shared)});
    out_.prefix.offset.push_back(out_.prefix.run.size());
  }
  if (graph_) {
    out_.sessions.parent.insert(out_.sessions.parent.end(), parents_.begin(), parents_.end());
    out_.sessions.offset.push_back(std::uint32_t(out_.sessions.parent.size()));
    out_.sessions.wait.push_back(parents_.empty() ? 0 : SimTime(wait_s * double(kNsPerSecond) + 0.5));
    parents_.assign(1, RequestId(out_.size() - 1));
  }
  return true;
}

void Builder::close_session() {
  if (graph_ && out_.sessions.first.back() != out_.size()) out_.sessions.first.push_back(RequestId(out_.size()));
  parents_.clear();
}

void Builder::lone_class_in_bulk(const ClassSpec& c, Source& s) {
  const std::size_t n = spec_.num_requests;
  out_.arrival.resize(n);
  s.arrivals.fill(out_.arrival);
  const auto lengths = [&](const Law& law, Stream& stream, std::vector<std::int32_t>& to) {
    if (std::holds_alternative<Fixed>(law)) {
      to.assign(n, draw_count(law, stream));
    } else {
      to.resize(n);
      for (std::int32_t& v : to) v = draw_count(law, stream);
    }
  };
  lengths(c.input, s.input, out_.input_tokens);
  lengths(c.output, s.output, out_.output_tokens);
  if (std::int64_t(*std::max_element(out_.input_tokens.begin(), out_.input_tokens.end())) +
          *std::max_element(out_.output_tokens.begin(), out_.output_tokens.end()) <=
      limit_) {
    return;
  }
  for (std::size_t i = 0; i < n; ++i) {
    out_.input_tokens[i] = std::min(out_.input_tokens[i], limit_ - 1);
    out_.output_tokens[i] = std::min(out_.output_tokens[i], limit_ - out_.input_tokens[i]);
  }
}

std::int32_t Builder::draw_adapter(const ClassSpec& c, const Source& s, Stream& stream) {
  if (c.adapters == 0) return kNoAdapter;
  if (s.adapter_share.empty()) return std::int32_t(stream.below(std::uint64_t(c.adapters)));
  const auto at = std::upper_bound(s.adapter_share.begin(), s.adapter_share.end() - 1, stream.uniform());
  return std::int32_t(at - s.adapter_share.begin());
}

void Builder::lone_request(const ClassSpec& c, std::size_t index, Source& s) {
  const std::uint64_t prompt = c.shared_prompts > 1 ? s.prefix.below(std::uint64_t(c.shared_prompts)) : 0;
  adapter_ = draw_adapter(c, s, s.adapter);
  Context context = fresh_context(index, prompt, c.shared_prompt_tokens);
  call(context, draw_count(c.input, s.input), draw_count(c.output, s.output), s.next, 0, index);
  close_session();
}

void Builder::session(const ClassSpec& c, std::size_t index, Source& s) {
  const SessionLaw& law = *c.session;
  const std::uint64_t entity = (std::uint64_t(index) << 48) + s.sessions++;
  Stream shape = stream(Draw::session, entity);
  Draws d{stream(Draw::input_length, entity), stream(Draw::output_length, entity), stream(Draw::think_time, entity),
          stream(Draw::branch, entity)};
  const std::int32_t calls = draw_count(law.calls, shape);
  const std::uint64_t prompt = c.shared_prompts > 1 ? shape.below(std::uint64_t(c.shared_prompts)) : 0;
  adapter_ = draw_adapter(c, s, shape);
  Context main = fresh_context(index, prompt, c.shared_prompt_tokens);
  SimTime arrival = s.next;
  if (!call(main, draw_count(c.input, d.input), draw_count(c.output, d.output), arrival, 0, index)) return;
  for (std::int32_t i = 1; i < calls; ++i) {
    double wait_s = draw(law.wait_s, d.wait);
    if (law.fanout.probability > 0 && d.branch.uniform() < law.fanout.probability) {
      fan_out(c, index, main, arrival, d);
      if (graph_) wait_s = 0;
    }
    if (!graph_) arrival += SimTime(wait_s * double(kNsPerSecond) + 0.5);
    if (!call(main, draw_count(law.new_tokens, d.input), draw_count(c.output, d.output), arrival, wait_s, index)) break;
  }
  close_session();
}

/// Runs sub-agents between two calls of the main line; leaves their last calls as the parents of the next one.
void Builder::fan_out(const ClassSpec& c, std::size_t index, Context& main, SimTime arrival, Draws& d) {
  const Fanout& f = c.session->fanout;
  const std::vector<RequestId> caller = parents_;
  std::vector<RequestId> last;
  const std::int32_t branches = draw_count(f.branches, d.branch);
  for (std::int32_t b = 0; b < branches; ++b) {
    parents_ = caller;
    Context branch = fresh_context(index, std::uint64_t(c.shared_prompts), f.shared_prompt_tokens);
    const std::int32_t calls = draw_count(f.calls, d.branch);
    SimTime at = arrival;
    std::int32_t result = 0;
    for (std::int32_t i = 0; i < calls; ++i) {
      const double wait_s = i == 0 ? 0 : draw(c.session->wait_s, d.wait);
      if (!graph_) at += SimTime(wait_s * double(kNsPerSecond) + 0.5);
      const std::int32_t added = draw_count(i == 0 ? f.task_tokens : c.session->new_tokens, d.input);
      const std::int32_t before = branch.tokens;
      if (!call(branch, added, draw_count(c.output, d.output), at, wait_s, index)) break;
      result = std::max(branch.tokens - before - added, 1);
    }
    last.insert(last.end(), parents_.begin(), parents_.end());
    main.tokens = std::int32_t(std::min<std::int64_t>(std::int64_t(main.tokens) + result, kTokenLimit));
  }
  if (!last.empty()) parents_ = last;
}

Requests Builder::build() {
  reserve();
  for (std::size_t i = 0; i < spec_.classes.size(); ++i) {
    sources_.push_back({ArrivalProcess(spec_.classes[i].arrivals, seed_, replication_, i), stream(Draw::input_length, i),
                        stream(Draw::output_length, i), stream(Draw::prefix, i), stream(Draw::adapter, i)});
    if (const ClassSpec& c = spec_.classes[i]; c.adapter_skew > 0) {
      auto& share = sources_.back().adapter_share;
      double sum = 0;
      for (std::int32_t k = 0; k < c.adapters; ++k) share.push_back(sum += portable_exp(-c.adapter_skew * portable_log(k + 1.0)));
      for (double& x : share) x /= sum;
    }
  }
  if (spec_.classes.size() == 1 && !spec_.classes[0].session && !prefixes_ && !adapters_ && spec_.classes[0].shared_prompt_tokens == 0) {
    lone_class_in_bulk(spec_.classes[0], sources_[0]);
    return std::move(out_);
  }
  for (Source& s : sources_) s.next = s.arrivals.next();
  while (!full()) {
    std::size_t earliest = 0;
    for (std::size_t i = 1; i < sources_.size(); ++i) {
      if (sources_[i].next < sources_[earliest].next) earliest = i;
    }
    const ClassSpec& c = spec_.classes[earliest];
    Source& s = sources_[earliest];
    if (c.session) {
      session(c, earliest, s);
    } else {
      lone_request(c, earliest, s);
    }
    s.next = s.arrivals.next();
  }
  if (!graph_ && std::any_of(spec_.classes.begin(), spec_.classes.end(), [](const ClassSpec& c) { return c.session.has_value(); }))
    sort_by_arrival(out_);
  return std::move(out_);
}

Result<void> check_class(const ClassSpec& c, const std::string& key) {
  JEVONS_CHECK(checked(c.arrivals, key + ".arrivals"));
  JEVONS_CHECK(checked(c.input, key + ".input"));
  JEVONS_CHECK(checked(c.output, key + ".output"));
  if (c.shared_prompt_tokens < 0 || c.shared_prompt_tokens > kTokenLimit / 2) {
    return bad_input(key + ".shared_prompt_tokens", std::to_string(c.shared_prompt_tokens), "0 to 2^29");
  }
  if (c.shared_prompts < 1 || c.shared_prompts >= 1 << 20)
    return bad_input(key + ".shared_prompts", std::to_string(c.shared_prompts), "1 to 2^20 - 1");
  if (c.adapters < 0 || c.adapters > 1 << 20) return bad_input(key + ".adapters", std::to_string(c.adapters), "0 to 2^20");
  if (!(c.adapter_skew >= 0 && c.adapter_skew <= 10) || (c.adapter_skew > 0 && c.adapters == 0))
    return bad_input(key + ".adapter_skew", fmt::format("{}", c.adapter_skew), "0 to 10, and adapters to share by it");
  if (!c.session) return {};
  const SessionLaw& s = *c.session;
  JEVONS_CHECK(checked(s.calls, key + ".session.calls"));
  JEVONS_CHECK(checked(s.new_tokens, key + ".session.new_tokens"));
  JEVONS_CHECK(checked(s.wait_s, key + ".session.wait_s"));
  JEVONS_CHECK(checked(s.fanout.branches, key + ".session.fanout.branches"));
  JEVONS_CHECK(checked(s.fanout.calls, key + ".session.fanout.calls"));
  JEVONS_CHECK(checked(s.fanout.task_tokens, key + ".session.fanout.task_tokens"));
  if (!(s.fanout.probability >= 0 && s.fanout.probability <= 1)) {
    return bad_input(key + ".session.fanout.probability", fmt::format("{}", s.fanout.probability), "0 to 1");
  }
  if (s.fanout.shared_prompt_tokens < 0 || s.fanout.shared_prompt_tokens > kTokenLimit / 2) {
    return bad_input(key + ".session.fanout.shared_prompt_tokens", std::to_string(s.fanout.shared_prompt_tokens), "0 to 2^29");
  }
  return {};
}

}  // namespace

Result<Requests> generate(const GenerateSpec& spec, Seed seed, std::uint64_t replication) {
  if (spec.classes.empty() || spec.classes.size() > 65535)
    return bad_input("classes", fmt::format("{} classes", spec.classes.size()), "1 to 65535");
  if (spec.num_requests < 1 || spec.num_requests > std::numeric_limits<RequestId>::max() - 1) {
    return bad_input("num_requests", std::to_string(spec.num_requests), "1 to 2^32 - 2");
  }
  if (spec.block_tokens < 0 || spec.block_tokens > 1 << 20)
    return bad_input("block_tokens", std::to_string(spec.block_tokens), "0 (none) to 2^20");
  if (spec.block_tokens > 0 && spec.block_tokens < kTokenLimit >> kStreamShift && spec.max_context == 0) {
    return bad_input("max_context", "none", "a limit, when blocks are shorter than 16 tokens", "set it to the model's context length");
  }
  if (spec.max_context < 0 || spec.max_context == 1 || spec.max_context > kTokenLimit) {
    return bad_input("max_context", std::to_string(spec.max_context), "0 (none), or 2 to 2^30 tokens");
  }
  for (std::size_t i = 0; i < spec.classes.size(); ++i) {
    const std::string name = spec.classes[i].tenant.name;
    JEVONS_CHECK(check_class(spec.classes[i], name.empty() ? fmt::format("classes[{}]", i) : name));
  }
  return Builder(spec, seed, replication).build();
}

Result<void> assign_arrivals(Requests& requests, const Arrivals& arrivals, Seed seed, std::uint64_t replication) {
  JEVONS_CHECK(checked(arrivals, "arrivals"));
  ArrivalProcess process(arrivals, seed, replication, 0);
  if (!requests.sessions.known()) {
    process.fill(requests.arrival);
    return {};
  }
  const auto& first = requests.sessions.first;
  for (std::size_t s = 0; s + 1 < first.size(); ++s) {
    std::fill(requests.arrival.begin() + first[s], requests.arrival.begin() + first[s + 1], process.next());
  }
  return {};
}

}  // namespace jevons::traffic
