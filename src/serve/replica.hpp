#pragma once
// One engine with its own scheduler and cache, advanced from one event that matters to the next.
//
// Between two scheduling decisions that change anything, every step decodes the same sequences: their number, their context sum and the
// blocks they need are known in closed form (step_form.hpp), so a run of steps costs as much as one. A test steps one by one with the
// engine's rules written out and demands the same integers.
#include <memory>
#include <vector>

#include "serve/block_pool.hpp"
#include "serve/cache_blocks.hpp"
#include "serve/engine.hpp"
#include "serve/lora.hpp"
#include "serve/outcomes.hpp"
#include "serve/tiers.hpp"
#include "serve/tournament.hpp"

namespace jevons::serve {

/// What a replica does for a request: all of it, its prompt up to the first token, or what follows from a cache made elsewhere.
enum class Role : std::uint8_t { both, prefill, decode };

/// How fast a step is and how much cache there is.
struct ReplicaModel {
  const step::StepForm* form = nullptr;
  std::int64_t blocks = 0;       // of block_size tokens; vLLM keeps one of them as the null block
  std::int32_t step_tokens = 1;  // tokens that a decode step yields per sequence, in 1/form->unit() tokens (speculation: acceptance length)
  std::uint32_t index = 0;       // this replica's number in `Outcomes::replica`
  std::int64_t longest_run = INT64_MAX;  // steps taken at once; 1 steps one by one, to the same end
  std::vector<CappedCache> capped = {};  // caches of a sequence that do not grow with it
  Role role = Role::both;
  LoraCost lora = {};
  TierSet tiers = {};
};

class Replica {
 public:
  Replica(const EnginePolicy& policy, const ReplicaModel& model, const traffic::Requests& requests, Outcomes& outcomes,
          DurationHistogram& itl);

  /// A request reaches the scheduler at `now`; times never fall, also between arrive and advance. Rejected if it can never fit.
  void arrive(RequestId r, SimTime now);
  /// When advance() is due: the end of the planned steps. kNever when idle.
  SimTime next() const { return steps_ == 0 && !woken_ ? kNever : ns_of(end_); }
  /// Runs the planned steps, hands out their tokens, fixes the following ones. Appends finished requests to `finished`.
  void advance(std::vector<RequestId>& finished);
  /// Not before this may the engine start a step (cold start).
  void sleep_until(SimTime t) { end_ = instant_of(t); }

  // Disaggregation (handover.cpp). A prefill replica keeps the cache of a prompt that it reports as finished until it is released. A decode
  // replica reserves blocks for a request that arrives while another holds its cache, asks for it, and decodes it once it has landed.
  struct Fetch {
    RequestId id = 0;
    std::int32_t tokens = 0;  // of the sequence whose cache must come; the rest was found in the prefix cache
  };
  /// Requests for whose cache blocks were reserved since the last call; to be landed later. In order of admission.
  void take_fetches(std::vector<Fetch>& out);
  void landed(RequestId r, SimTime now);
  /// The kept cache of a prompt is wanted no more.
  void release(RequestId r, SimTime now);
  /// What keeps the cache of a request that this one was to decode has died.
  void come_no_more(RequestId r, SimTime now);
  /// The replica dies at `now`: its cache is empty, its steps never end. Appends the requests it had; each notes the outputs it made.
  void fail(SimTime now, std::vector<RequestId>& lost);

  int running() const { return running_; }
  int waiting() const { return waiting_; }
  int outstanding() const { return running_ + waiting_ + int(loading_.size() + fetching_.size()); }
  std::int64_t free_blocks() const { return pool_.free(); }
  std::int64_t total_blocks() const { return pool_.total(); }
  /// Tokens that the blocks in use hold, and prompt tokens of the waiting requests.
  std::int64_t used_tokens() const { return (pool_.total() - pool_.free()) * policy_.block_size; }
  std::int64_t waiting_tokens() const { return waiting_tokens_; }
  Counters counters() const;
  /// ∫ blocks in use dt while steps ran, by trapezoids between scheduling decisions.
  double block_seconds() const { return step::seconds_of(twice_block_ticks_) / 2; }
  /// Prompt tokens that the cache holds now of a request's prefix.
  std::int32_t cached_tokens(RequestId r) const;

 private:
  friend class Lockstep;  // several of them as the attention ranks of one replica
  using Slot = std::uint32_t;
  static constexpr Slot kNoSlot = ~Slot{0};
  static constexpr RequestId kNobody = ~RequestId{0};
  static constexpr std::int64_t kRatio = 1'000'000'000;  // new-token ratios are counted in its parts
  static constexpr std::int64_t kClipNewTokens = 4096;   // SGLang SGLANG_CLIP_MAX_NEW_TOKENS_ESTIMATION
  static constexpr std::int64_t kRetractSteps = 20;      // SGLang retract_decode_steps
  static constexpr Int128 kForever = Int128{1} << 120;
  struct Running {
    RequestId id = 0;
    std::uint32_t order = 0;       // of admission
    std::int32_t target = 0;       // tokens to push: prompt, and outputs made before a preemption
    std::int32_t computed = 0;     // of these pushed or found
    std::int64_t anchor = 0;       // decoding: tokens in cache before decode composition k are anchor + k·step_tokens (1/unit tokens)
    std::int64_t last = 0;         // decoding: number of the composition that makes its last token
    std::int64_t held_blocks = 0;  // reserved at admission (whole_request), else 0
    std::int64_t capped = 0;       // of caches that do not grow
    std::int64_t shared = 0;       // blocks in held extents
    Slot previous = kNoSlot, next = kNoSlot;  // in order of admission
    bool decoding = false;
    bool reserved = false;                  // blocks for all of `target` are held before they are pushed
    bool loading = false;                   // blocks for `target` tokens are held, their content is on its way or kept for another
    std::vector<BlockPool::Index> extents;  // one per run of the prefix, kNone where another's copy exists
  };
  struct Composition {
    bool active = false;
    int decodes = 0;
    std::int64_t sum = 0;  // cached tokens of its decoding sequences, 1/unit
    int prefill_tokens = 0;
    step::Ticks attention = 0;
    step::Ticks extra = 0;                // what adapters add
    std::vector<RequestId> first_tokens;  // prompts completed
    std::vector<Slot> retiring;           // requests whose last token it makes
    std::vector<RequestId> gone;          // … that were preempted since it was composed: nothing left to free
    bool plain() const { return active && prefill_tokens == 0 && retiring.empty() && gone.empty() && first_tokens.empty(); }
    void clear();
  };
  struct Line {
    RequestId first = 0, last = 0;
    int size = 0;
  };
  struct Due {
    std::int64_t last;
    std::uint32_t order;
    Slot slot;
    bool operator<(const Due& o) const { return last != o.last ? last > o.last : order > o.order; }  // for a min-heap
  };

  struct Hit {
    std::int64_t blocks = 0;  // found
    std::int64_t unused = 0;  // of these in use by nobody
  };
  struct Want {
    Hit hit;
    std::int32_t target = 0;          // tokens to push or find
    std::int64_t found = 0;           // of these cached
    int tokens = 0;                   // to push now; 0: does not fit the step's budget
    std::int64_t now = 0, whole = 0;  // blocks that it holds after this step, and at its end
    std::int64_t capped = 0;          // of these for caches that do not grow
    std::int64_t blocks = 0;          // that must be free
    std::int64_t expected = 0;        // SGLang: tokens it may need
    bool fetched = false;             // the rest of its cache comes from elsewhere: nothing is pushed
  };
  struct Coming {  // from the tiers
    Slot slot = kNoSlot;
    std::int64_t tokens = 0;
    Instant done = 0;
    bool here = false;
  };

  bool enter(RequestId r);
  void interrupt(SimTime now, bool at_look);
  void wake(SimTime now);
  void land(RequestId r);
  void let_go(RequestId r);
  void give_up(RequestId r, std::int64_t steps);
  void elapse(std::int64_t steps, Instant end);
  void drop_all(SimTime now, std::vector<RequestId>& lost);
  void reset(SimTime now);
  std::int32_t outputs_of(RequestId r) const { return model_.role == Role::prefill ? outcomes_.made[r] + 1 : requests_.output_tokens[r]; }
  bool elsewhere(RequestId r) const { return model_.role == Role::decode && outcomes_.holder[r] != Outcomes::kNobody; }
  void join_landed();
  void keep(Slot s);
  void take(std::int64_t n) {
    pool_.take(n);
    if (!forgotten_.empty()) pass_on();
  }
  void pass_on();
  void take_step_by_step();
  bool start_fetch(RequestId r, const Want& w);
  std::size_t plan_fetch(RequestId r, const Want& w);
  void count_missed(std::size_t n);
  void land_fetched();
  bool join_fetched(Composition& c, int& budget);
  void await_fetches();
  void join_adapter(RequestId r, Composition& c);
  bool has_slot(RequestId r) const;
  Slot new_slot();
  void append(Slot s);
  void unlink(Slot s);
  void give_back(Slot s);
  void start_decoding(Slot s, Composition& c);
  void note_outputs(const Running& r);
  void settle(std::vector<RequestId>& finished);
  void begin();
  void look_ahead();
  std::int64_t equal_steps() const;
  void schedule(Composition& c, Composition* in_flight);
  void schedule_now();
  void receive();
  void retract();
  std::int64_t expected_tokens() const;
  bool waits_for_more(const Composition& c, int budget);
  void schedule_chunk(Composition& c, int& budget);
  void schedule_decodes(Composition& c, int& budget);
  void take_in_order();
  std::int64_t chunk_blocks(int tokens) const;
  void schedule_waiting(Composition& c, int& budget);
  bool admit(RequestId r, Composition& c, int& budget);
  int partial_tokens(int budget) const;
  void push(Slot s, int tokens, Composition& c, bool allocate = true);
  void leave_decoding(Slot s);
  void preempt(Slot s);
  Slot victim() const;
  void retire_due(Composition& c);
  void outputs(Composition& c);
  void finish(RequestId r);
  void free_slot(Slot s);
  void account(std::int64_t taken);
  void compose(std::int64_t steps);
  step::Ticks time_of(const Composition& c) const;
  step::Ticks decode_step(std::int64_t k) const;
  step::StepForm::Run run(std::int64_t steps, Instant limit) const;

  std::int64_t growth(std::int64_t steps) const;
  std::int64_t growth_limit(std::int64_t steps) const;
  bool has_context() const;
  std::int64_t blocks_of(const Running& r) const;
  std::int64_t cells(std::int64_t part_tokens) const { return (part_tokens + cell_ - 1) / cell_; }
  std::int64_t capped(RequestId r) const {
    return model_.capped.empty() ? 0 : capped_blocks(model_.capped, std::int64_t(requests_.input_tokens[r]) + outputs_of(r) - 1);
  }
  Want wanted(RequestId r, int budget) const;
  Hit look_up(RequestId r, std::int64_t tokens) const;
  std::int32_t& phase_of(const Running& r);
  void hold_prefix(Running& r);
  void remember(Slot s, std::int64_t tokens);
  std::uint32_t level(RequestId r) const { return level_of_.empty() ? 0 : level_of_[requests_.tenant[r]]; }
  std::int32_t adapter(RequestId r) const { return lanes_ > 1 ? requests_.adapter[r] : traffic::kNoAdapter; }
  std::uint32_t line_of(RequestId r) const { return level(r) * lanes_ + std::uint32_t(adapter(r) + 1); }
  // Blocks of one adapter's requests are not another's (vLLM kv_cache_utils.py generate_block_hash_extra_keys).
  traffic::BlockId content(RequestId r, const traffic::BlockRun& run) const {
    return run.first + std::uint64_t(adapter(r) + 1) * 0xD6E8FEB86659FD93ull;
  }
  bool enqueue(RequestId r, bool front);
  bool post(RequestId r);
  std::int64_t looks_after(std::int64_t n) const;
  RequestId first_waiting() const { return lines_.size() == 1 ? lines_[0].first : first_of_lines(); }
  RequestId first_of_lines() const;
  void pop(RequestId r);
  void changed(std::uint32_t line);
  bool passes(RequestId r) const;
  void leave_slot(RequestId r);
  void charge_adapters(Composition& c);

  const EnginePolicy policy_;
  const ReplicaModel model_;
  const traffic::Requests& requests_;
  Outcomes& outcomes_;
  BlockPool pool_;
  const bool prefixes_;                    // content is known and kept
  const std::int64_t unit_, step_, cell_;  // parts of a token; parts a step; parts in a block
  const std::int64_t extent_cells_;        // engine blocks in a block of the workload's prefixes

  // Requests
  std::vector<Running> slots_;
  std::vector<Slot> spare_;
  Slot first_ = kNoSlot, last_ = kNoSlot;
  std::uint32_t admissions_ = 0;
  int running_ = 0, waiting_ = 0;
  std::int64_t waiting_tokens_ = 0;
  std::vector<Line> lines_;              // one per priority, urgent first, and of these one per adapter
  std::vector<std::uint32_t> level_of_;  // a tenant's line
  Slot partial_ = kNoSlot;               // the one prompt that is pushed in part
  std::uint32_t lanes_ = 1;              // lines of a priority: 1, or those without an adapter and each adapter's
  AdapterSlots slots_of_adapters_;
  std::vector<Tournament> heads_;    // with adapters, of each priority: which line's first request came first
  std::vector<std::int64_t> place_;  // with adapters: a request's place in the queue, smaller is earlier
  std::int64_t first_place_ = 0, next_place_ = 0;
  std::vector<Slot> loading_;   // neither running nor waiting: reserved for a cache that is on its way, or kept for another
  std::vector<Slot> landed_;    // … whose cache is here, without a place in the batch so far
  std::vector<Fetch> fetches_;  // not yet asked for
  // Tiers beyond the accelerator; null: none
  std::unique_ptr<Tiers> tiers_;
  std::vector<Coming> fetching_;                 // neither running nor waiting, in the order in which they were asked for
  std::vector<Tiers::Piece> pieces_;             // of the fetch being planned
  std::vector<BlockPool::Forgotten> forgotten_;  // by the accelerator, not yet passed on
  Instant now_ = 0;                              // of the decision at hand
  bool dozing_ = false;                          // idle until end_, where a fetch ends

  // Decoding sequences as sums
  std::int64_t composed_ = 0;    // decode compositions so far
  std::int64_t full_phase_ = 0;  // anchor modulo cell_ of sequences whose last block is full
  int decoding_ = 0;
  std::int64_t anchors_ = 0;
  std::vector<Due> due_;
  std::vector<std::int32_t> phase_;  // sequences by anchor modulo cell_

  // Steps
  Composition current_, pending_;
  Instant start_ = 0, end_ = 0;
  std::int64_t steps_ = 0;  // planned until end_
  bool woken_ = false;      // idle, with a request that starts at end_
  bool blocked_ = false;    // waiting requests cannot be admitted before something finishes
  bool preempted_ = false;  // in the last schedule call
  bool held_ = false;       // waiting requests are held back for more of them
  bool hold_ = false;       // … by the other attention ranks
  bool full_ = false;       // SGLang: nothing is admitted before a request ends
  bool pushed_ = false;     // the last decision was a step with prompt tokens
  std::int32_t recv_count_ = 0, batch_waited_ = 0;
  Line inbox_;                 // arrived, not yet looked at
  std::int64_t expected_ = 0;  // tokens expected of running requests, in 1/kRatio
  struct {
    std::int64_t first = 0, least = 0, decay = 0;
  } ratio_;
  std::int64_t new_token_ratio_ = 0;
  Composition* in_flight_ = nullptr;  // runs while the next one is fixed (lag)
  // As an attention rank: what the first and the last of the planned steps take, all ranks together.
  struct Pace {
    bool set = false;
    step::Ticks first = 0, last = 0;
  } pace_;
  std::vector<RequestId>* finished_ = nullptr;

  Counters count_;
  DurationHistogram& itl_;  // of all replicas: one of its own would be cold at every step
  Int128 twice_block_ticks_ = 0;
};

}  // namespace jevons::serve
