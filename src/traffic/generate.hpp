#pragma once
// Synthetic workloads: several classes of users, each with its own arrivals, lengths, shared prompts, conversations and agents.
#include <cstdint>
#include <optional>
#include <vector>

#include "traffic/arrivals.hpp"
#include "traffic/laws.hpp"
#include "traffic/requests.hpp"

namespace jevons::traffic {

/// Sub-agents: after a call of the main line, with this probability, `branches` of them run in parallel instead of the wait; each is a
/// chain of `calls` with a context of its own (its own shared prompt, then a task), and the main line goes on when all have finished,
/// with the last output of each appended to its context.
struct Fanout {
  double probability = 0;
  Law branches = Fixed{1}, calls = Fixed{1}, task_tokens = Fixed{1};
  std::int32_t shared_prompt_tokens = 0;
};

/// A conversation or an agent's run: a main line of calls, each seeing the whole context so far (prompts and outputs), plus new tokens.
struct SessionLaw {
  Law calls = Fixed{1};       // of the main line
  Law new_tokens = Fixed{1};  // that a later call adds to the context: the user's next message, a tool's result
  Law wait_s = Fixed{0};      // from the end of a call to the next: thought, tool run
  Fanout fanout;
};

/// One class of users. Without `session` every request stands alone.
struct ClassSpec {
  Tenant tenant;
  Arrivals arrivals;                      // of requests, or of sessions
  Law input = Fixed{1};                   // tokens of the (first) prompt after the shared prompt
  Law output = Fixed{1};                  // tokens of each answer
  std::int32_t shared_prompt_tokens = 0;  // system prompt in front of every prompt; counted on top of `input`
  std::int32_t shared_prompts = 1;        // how many different ones, equally likely, one for each session
  std::int32_t adapters = 0;              // LoRA adapters, one for each session; 0: none
  double adapter_skew = 0;                // adapter k has a share proportional to 1/(k + 1)^skew (Zipf); 0: equally likely
  std::optional<SessionLaw> session;
};

/// When a later call of a session starts.
enum class Release : std::uint8_t {
  after_parents,  // `wait` after the simulated end of the earlier call: Requests::sessions is filled
  recorded,       // `wait` after the start of the earlier call, as a recorded trace has it: no graph, rows in order of time
};

struct GenerateSpec {
  std::vector<ClassSpec> classes;
  std::size_t num_requests = 0;   // rows in all; the last session may be cut short
  std::int32_t block_tokens = 0;  // > 0: fill Requests::prefix with blocks of this many tokens
  std::int32_t max_context = 0;   // > 0: input + output stay within it: lengths are cut, and a session ends where it would outgrow it
  Release release = Release::after_parents;
};

/// Requests of all classes, merged in order of (session) arrival. Each class draws from its own streams, so that a class added or
/// changed moves no other. Errors name the class and the field: laws and rates out of range, no class, more than 2^32 - 2 rows.
Result<Requests> generate(const GenerateSpec& spec, Seed seed, std::uint64_t replication = 0);

/// Gives every request without parents a new arrival, a session's calls that of their session: for traces without times, or at another
/// rate. Draws Draw::arrival of entity 0.
Result<void> assign_arrivals(Requests& requests, const Arrivals& arrivals, Seed seed, std::uint64_t replication = 0);

}  // namespace jevons::traffic
