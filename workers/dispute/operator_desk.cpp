#include "workers/dispute/operator_desk.h"

#include <algorithm>
#include <vector>

#include "workers/dispute/consequences.h"

namespace cutover::dispute {
namespace {

constexpr std::string_view kList = R"sql(
SELECT coalesce(json_agg(c ORDER BY c.lane, c.opened_at, c.case_id), '[]')::text FROM (
  SELECT q.case_id, q.case_type, q.severity, q.state, q.lane, q.reasons, q.rule, q.opened_at, q.first_response_due, q.first_response_at,
    q.hold_until, q.blocked_by, q.appeal_of, q.resolved_at
  FROM dispute_queue q
  WHERE ($1::bigint IS NULL OR q.lane = $1::bigint) AND (q.state = $2::text OR ($2::text = '' AND q.state <> 'resolved'))
  ORDER BY q.lane, q.opened_at, q.case_id LIMIT $3::bigint) c)sql";

constexpr std::string_view kShow = R"sql(
SELECT json_build_object('case', to_json(q),
  'decisions', (SELECT coalesce(json_agg(d ORDER BY d.evaluation), '[]') FROM dispute_decisions d WHERE d.case_id = q.case_id),
  'evidence', (SELECT coalesce(json_agg(e ORDER BY e.version), '[]') FROM dispute_evidence e WHERE e.case_id = q.case_id),
  'restrictions', (SELECT coalesce(json_agg(r ORDER BY r.kind), '[]') FROM dispute_restrictions r WHERE r.case_id = q.case_id),
  'transition', (SELECT to_json(t) FROM dispute_transitions t WHERE t.case_id = q.case_id),
  'audit', (SELECT coalesce(json_agg(a ORDER BY a.audit_id), '[]') FROM dispute_audit a WHERE a.case_id = q.case_id))::text
FROM dispute_queue q WHERE q.case_id = $1::bigint)sql";

// A change of ownership waits for us, and we see the one that we waited for.
constexpr std::string_view kFence = R"sql(
SELECT pg_advisory_xact_lock_shared(cutover.lock_class_worker(), worker_id) FROM cutover.workers WHERE worker = 'dispute-processor')sql";

constexpr std::string_view kOurs = R"sql(
SELECT coalesce((
  SELECT o.mode = 'worker' OR (o.mode = 'canary' AND cutover.bucket($1::text) < o.percent * 100)
  FROM cutover.ownership o JOIN cutover.streams s USING (stream_id)
  WHERE o.worker_id = w.worker_id AND s.stream = 'CORE' ORDER BY s.incarnation DESC, o.epoch DESC LIMIT 1), w.first_owner = 'worker')
FROM cutover.workers w WHERE w.worker = 'dispute-processor')sql";

// What may be done for somebody when a case of a type is resolved.
std::vector<Action> actions_of(CaseType type) {
  switch (type) {
    case CaseType::c1: return {Action::award_challenger, Action::award_incumbent};
    case CaseType::c2: return {Action::transfer};
    case CaseType::c3: return {Action::undo, Action::split};
    default: return {Action::warn, Action::log};
  }
}

std::string time_text(Instant at) {
  std::string text;
  append_timestamp(text, at);
  return text;
}

class Desk {
 public:
  Desk(Transaction& tx, const CaseCommand& command)
      : tx_(tx), command_(command), book_(tx, {command.actor, "operator", command.reason}), announcer_(tx),
        channels_(book_, announcer_), consequences_(book_, channels_, announcer_) {}

  CaseAnswer run() {
    tx_.query(kFence);
    const std::string key = std::to_string(command_.case_id);
    const auto ours = tx_.query(kOurs, {std::string_view(key)});
    if (ours->size() == 0 || !ours->boolean(0, 0))
      return refused("the monolith owns it", "act on it in the monolith, or hand its events over first (cutover status dispute-processor)");
    EvidenceReader reader;
    channels_.lock({command_.case_id});
    book_.load({command_.case_id}, true);
    book_.load_inputs(reader);
    CaseRecord* record = book_.find(command_.case_id);
    if (!record) return refused("there is no such case", "cutover cases ls");
    announcer_.follow(nothing_);
    const CaseAnswer answer = act(*record);
    if (!answer.done) return answer;
    consequences_.respond(*record);
    book_.touch(*record);
    book_.save();
    channels_.save();
    announcer_.finish();
    return answer;
  }

 private:
  CaseAnswer refused(const std::string& why, const std::string& instead) const {
    return {false, "case " + std::to_string(command_.case_id) + ": " + why + ". Do: " + instead + "."};
  }
  CaseAnswer done(const std::string& what) const { return {true, "case " + std::to_string(command_.case_id) + ": " + what}; }

  CaseAnswer act(CaseRecord& record) {
    if (command_.verb == CaseCommand::Verb::note) {
      book_.audit(record, "note");
      return done("noted");
    }
    if (record.state == State::resolved)
      return refused("it was resolved at " + time_text(*record.resolved_at) + " by " + record.resolved_by,
                     "cutover cases show " + std::to_string(record.case_id));
    switch (command_.verb) {
      case CaseCommand::Verb::resolve: return resolve(record);
      case CaseCommand::Verb::escalate: return escalate_by_one(record);
      default: return extend_hold(record);
    }
  }

  CaseAnswer resolve(CaseRecord& record) {
    const auto outcome = outcome_named(command_.outcome);
    if (!outcome || !ends_case(*outcome))
      return refused("\"" + command_.outcome + "\" does not end a case", "--outcome resolve, reject or dismiss");
    std::vector<Action> actions;
    if (!command_.action.empty()) {
      const std::vector<Action> possible = actions_of(record.type);
      const auto action = action_named(command_.action);
      if (*outcome != Outcome::resolve || !action || std::find(possible.begin(), possible.end(), *action) == possible.end()) {
        std::string names;
        for (Action each : possible) names += (names.empty() ? "" : ", ") + std::string(name_of(each));
        return refused("a case of type " + std::string(name_of(record.type)) + " has no action \"" + command_.action +
                           "\" with outcome " + command_.outcome,
                       "--outcome resolve with --action " + names);
      }
      actions.push_back(*action);
    }
    if (record.hold_until && *record.hold_until > tx_.now())
      return refused("it is held until " + time_text(*record.hold_until), "wait until then");
    if (changes_channel(actions)) {
      if (record.blocked_by || record.appeal_of) channels_.open(record, tx_.now());
      if (record.blocked_by)
        return refused("case " + std::to_string(*record.blocked_by) + " has the channel",
                       "resolve that one first (cutover cases show " + std::to_string(*record.blocked_by) + ")");
    }
    consequences_.live(record, [&](CaseLife& life) { life.resolve(*outcome, actions, command_.actor, tx_.now()); });
    return done("resolved");
  }

  CaseAnswer escalate_by_one(CaseRecord& record) {
    const Lane before = record.lane;
    if (before == Lane::p0) return refused("it is in P0 already", "cutover cases resolve, or note");
    record.base_lane = static_cast<Lane>(static_cast<int>(record.base_lane) - 1);
    update_lane(record, tx_.now());
    consequences_.escalated(record, before);
    if (record.version > record.decided_version) announcer_.queue_routed(record);
    return done("now in P" + std::to_string(static_cast<int>(record.lane)));
  }

  CaseAnswer extend_hold(CaseRecord& record) {
    if (!record.hold_until || *record.hold_until <= tx_.now())
      return refused("no hold runs", "cutover cases show " + std::to_string(record.case_id));
    *record.hold_until += std::chrono::hours(command_.hours);
    if (record.decide_at) record.decide_at = record.hold_until;
    book_.audit(record, "hold_extended", record.hold_rule, JsonWriter().begin().field("until", record.hold_until).end().text());
    announcer_.hold_extended(record, *record.hold_until);
    announcer_.arm(record, Timer::hold, *record.hold_until);
    return done("held until " + time_text(*record.hold_until));
  }

  Transaction& tx_;
  const CaseCommand& command_;
  CaseBook book_;
  Announcer announcer_;
  ChannelClaims channels_;
  Consequences consequences_;
  const Event nothing_{};
};

}  // namespace

std::string list_cases(Transaction& tx, const CaseFilter& filter) {
  const Param lane = filter.lane ? Param(std::int64_t{*filter.lane}) : Param(Null{});
  return std::string(tx.query(kList, {lane, std::string_view(filter.state), filter.limit})->text(0, 0));
}

std::string show_case(Transaction& tx, std::int64_t case_id) {
  const auto rows = tx.query(kShow, {case_id});
  return rows->size() == 0 ? std::string() : std::string(rows->text(0, 0));
}

CaseAnswer command_case(Transaction& tx, const CaseCommand& command) { return Desk(tx, command).run(); }

}  // namespace cutover::dispute
