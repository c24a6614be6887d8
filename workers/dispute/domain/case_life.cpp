#include "workers/dispute/domain/case_life.h"

#include <algorithm>
#include <utility>

namespace cutover::dispute {

void CaseLife::catch_up() {
  for (const CaseInput& input : inputs_) {
    if (input.version <= case_.decided_version) continue;
    advance(input.at);
    case_.decided_version = input.version;
    take(input);
  }
}

void CaseLife::advance(Instant now) {
  for (;;) {
    if (case_.state == State::resolved) return;
    if (case_.decide_at && *case_.decide_at <= now) {
      const Instant at = *case_.decide_at;
      const Cause cause = case_.state == State::waiting ? Cause::cooling_ended : Cause::hold_ended;
      case_.decide_at.reset();
      if (case_.hold_until) end_hold(at);
      evaluate(cause, at);
    } else if (case_.hold_until && *case_.hold_until <= now) {
      const Instant at = *case_.hold_until;
      end_hold(at);
      if (case_.state == State::held) take_effect(at, case_.rule);
    } else {
      return;
    }
  }
}

void CaseLife::unblock(Instant at) {
  case_.blocked_by.reset();
  advance(at);
  if (case_.state == State::held && !case_.hold_until) take_effect(at, case_.rule);
}

void CaseLife::resolve(Outcome outcome, std::vector<Action> actions, std::string by, Instant at) {
  case_.outcome = outcome;
  case_.actions = std::move(actions);
  take_effect(at, std::move(by));
}

void CaseLife::take(const CaseInput& input) {
  switch (input.kind) {
    case CaseInput::Kind::opened:
    case CaseInput::Kind::evidence:
      if (case_.state == State::resolved) {
        happenings_.push_back(Ignored{input.version, input.at, "the case is resolved"});
      } else if (input.kind == CaseInput::Kind::opened) {
        evaluate(Cause::opened, input.at);
      } else if (!input.material) {
        break;
      } else if (case_.state == State::held && !case_.hold_until) {
        // Decided again, it would hang on how long another case keeps the channel, and a replay could differ.
        happenings_.push_back(Ignored{input.version, input.at, "the outcome stands and waits for the channel"});
      } else if (case_.hold_until) {
        if (!case_.hold_extended) {
          *case_.hold_until += kHoldExtension;
          case_.hold_extended = true;
          happenings_.push_back(HoldExtended{input.at, *case_.hold_until});
        }
        case_.decide_at = case_.hold_until;
      } else {
        case_.decide_at.reset();
        evaluate(Cause::evidence, input.at);
      }
      break;
    case CaseInput::Kind::reopened:
      // What stands can be appealed, however long another case keeps the channel.
      if (case_.state != State::resolved && !(case_.state == State::held && !case_.hold_until))
        happenings_.push_back(
            Ignored{input.version, input.at, "the case is not resolved: there is nothing to appeal"});
      else if (case_.appeal_of)
        happenings_.push_back(Ignored{input.version, input.at, "an appeal cannot be appealed"});
      else
        happenings_.push_back(Appealed{input.at});
      break;
  }
}

void CaseLife::evaluate(Cause cause, Instant as_of) {
  const auto known = std::find_if(inputs_.rbegin(), inputs_.rend(), [&](const CaseInput& input) {
    return input.version <= case_.decided_version;
  });
  if (known == inputs_.rend()) return;
  Decided decided;
  decided.evaluation = ++case_.evaluations;
  decided.version = known->version;
  decided.cause = cause;
  decided.as_of = as_of;
  decided.decision = adjudicate(case_.severity, known->evidence, as_of);
  decided.lane = decided.decision.lane.value_or(case_.routed_lane);
  const Decision& decision = decided.decision;
  case_.rule = decision.rule;
  case_.outcome = decision.outcome;
  case_.actions = decision.actions;
  case_.base_lane = decided.lane;
  case_.decide_at = decision.decide_at;
  case_.state = ends_case(decision.outcome)         ? State::held
                : decision.outcome == Outcome::wait ? State::waiting
                                                    : State::queued;
  const bool hold = decision.hold.count() > 0 && case_.hold_rule != decision.rule;
  happenings_.push_back(std::move(decided));
  if (hold) {
    case_.hold_until = as_of + std::get<Decided>(happenings_.back()).decision.hold;
    case_.hold_rule = case_.rule;
    case_.hold_extended = false;
    happenings_.push_back(HoldStarted{as_of, *case_.hold_until});
  } else if (case_.state == State::held) {
    take_effect(as_of, case_.rule);
  }
}

void CaseLife::end_hold(Instant at) {
  case_.hold_until.reset();
  happenings_.push_back(HoldEnded{at});
}

void CaseLife::take_effect(Instant at, std::string by) {
  if (case_.blocked_by && changes_channel(case_.actions)) {
    case_.state = State::held;
    happenings_.push_back(Blocked{at});
    return;
  }
  if (case_.hold_until) end_hold(at);
  case_.decide_at.reset();
  case_.state = State::resolved;
  case_.resolved_at = at;
  case_.resolved_by = std::move(by);
  happenings_.push_back(Resolved{at});
}

bool changes_channel(const std::vector<Action>& actions) noexcept {
  return std::any_of(actions.begin(), actions.end(), [](Action action) {
    return action == Action::award_challenger || action == Action::award_incumbent ||
           action == Action::transfer;
  });
}

bool update_lane(CaseRecord& record, Instant at) {
  const Lane lane = escalate(record.base_lane, record.reasons);
  if (lane == record.lane) return false;
  if (lane < record.lane) record.first_response_due = first_response_due(record.first_response_due, lane, at);
  record.lane = lane;
  return true;
}

std::string_view name_of(State state) noexcept {
  static constexpr std::string_view kNames[] = {"routed", "queued", "waiting", "held", "resolved"};
  return kNames[static_cast<int>(state)];
}

std::string_view name_of(Cause cause) noexcept {
  static constexpr std::string_view kNames[] = {"opened", "evidence", "hold_ended", "cooling_ended"};
  return kNames[static_cast<int>(cause)];
}

}  // namespace cutover::dispute
