#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "workers/dispute/domain/adjudicate.h"
#include "workers/dispute/domain/case.h"
#include "workers/dispute/domain/escalate.h"

namespace cutover::dispute {

// The life of one case between its opening and its resolution: when it is decided, held, decided again and
// ended. It goes by the time of its events, not by the time at which somebody gets round to them, so the same
// history always gives the same decisions.

// routed: an evaluation is asked for; queued: an operator's turn; waiting: to be decided again; held: the
// outcome stands and takes effect when the hold is over and the channel is free.
enum class State { routed, queued, waiting, held, resolved };

struct CaseRecord {
  std::int64_t case_id = 0;
  CaseType type = CaseType::c1;
  Severity severity = Severity::l1;
  std::int64_t principal_id = 0;
  std::optional<std::int64_t> counterparty_id, channel_id;
  Instant opened_at;
  bool verified_business = false;
  std::optional<std::int64_t> appeal_of;
  State state = State::routed;
  std::int64_t version = 0;          // the last case event that was taken in
  std::int64_t decided_version = 0;  // the last one that was worked on here
  int evaluations = 0;
  Lane routed_lane = Lane::p2, base_lane = Lane::p2, lane = Lane::p2;
  Reasons reasons;
  Instant first_response_due;
  std::optional<Instant> first_response_at;
  std::optional<Instant> hold_until;
  std::string hold_rule;  // of the last hold
  bool hold_extended = false;
  std::optional<Instant> decide_at;
  std::string rule;  // of the last decision
  std::optional<Outcome> outcome;
  std::vector<Action> actions;
  std::optional<std::int64_t> blocked_by;  // the case that has the channel
  bool warned = false;
  int notifications = 0;
  std::optional<Instant> resolved_at;
  std::string resolved_by;
  std::string stream;  // the case event that last changed it
  std::int64_t sequence = 0;
};

// One case event.
struct CaseInput {
  enum class Kind { opened, evidence, reopened };
  std::int64_t version = 0;
  Kind kind = Kind::opened;
  bool material = true;
  Instant at;
  Evidence evidence;  // all that is known with this version
};

enum class Cause { opened, evidence, hold_ended, cooling_ended };

// What happened to the case, in order.
struct Decided {
  int evaluation = 0;
  std::int64_t version = 0;
  Cause cause = Cause::opened;
  Instant as_of;
  Decision decision;
  Lane lane = Lane::p2;  // the decision's, else the routed one
};
struct HoldStarted {
  Instant at, until;
};
struct HoldExtended {
  Instant at, until;
};
struct HoldEnded {
  Instant at;
};
struct Resolved {
  Instant at;
};
// The outcome stands and the hold is over, but another case has the channel.
struct Blocked {
  Instant at;
};
struct Appealed {
  Instant at;
};
// Came when it could not change anything any more.
struct Ignored {
  std::int64_t version = 0;
  Instant at;
  std::string_view why;
};
using Happening =
    std::variant<Decided, HoldStarted, HoldExtended, HoldEnded, Resolved, Blocked, Appealed, Ignored>;

inline constexpr std::chrono::hours kHoldExtension{24};

// Works on what comes next in a case. `inputs` are all of its events so far, ascending by version.
class CaseLife {
 public:
  CaseLife(CaseRecord& record, const std::vector<CaseInput>& inputs) : case_(record), inputs_(inputs) {}

  // Takes the events that were not worked on yet, in order; holds and coolings that end before one of them
  // end first.
  void catch_up();
  // Lets holds and coolings end that end at `now` or before.
  void advance(Instant now);
  // The channel is free, from `at` on: an outcome that waited for it takes effect.
  void unblock(Instant at);
  // An operator ends the case; the caller has checked that it may.
  void resolve(Outcome outcome, std::vector<Action> actions, std::string by, Instant at);

  std::vector<Happening> take_happenings() { return std::move(happenings_); }

 private:
  void take(const CaseInput& input);
  void evaluate(Cause cause, Instant as_of);
  void end_hold(Instant at);
  void take_effect(Instant at, std::string by);

  CaseRecord& case_;
  const std::vector<CaseInput>& inputs_;
  std::vector<Happening> happenings_;
};

// Whether the outcome changes who has the channel, so that no other case may have it open.
bool changes_channel(const std::vector<Action>& actions) noexcept;

// Sets the lane that base lane and reasons give; the first response is due sooner when it rises. Returns
// whether it changed.
bool update_lane(CaseRecord& record, Instant at);

std::string_view name_of(State state) noexcept;
std::string_view name_of(Cause cause) noexcept;

}  // namespace cutover::dispute
