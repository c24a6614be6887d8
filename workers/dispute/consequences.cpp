#include "workers/dispute/consequences.h"

#include <algorithm>
#include <utility>

namespace cutover::dispute {
namespace {

constexpr std::string_view kLimited = "channel_limited";

// What `restrict` does to a principal, lightest first; a severity brings those of the lighter ones, too.
struct Measure {
  Severity from;
  std::string_view kind;
};
constexpr Measure kMeasures[] = {{Severity::l1, "reverification"},
                                 {Severity::l2, "channel_edits_frozen"},
                                 {Severity::l2, "username_transfers_frozen"},
                                 {Severity::l2, "search_visibility_lowered"},
                                 {Severity::l3, "not_publicly_reachable"},
                                 {Severity::l3, "no_new_shadow_profiles"}};

// An appeal waits here for its first and only operator.
constexpr Lane kAppealLane = Lane::p2;

constexpr std::string_view kFileAppeal = R"sql(
INSERT INTO dispute_queue (case_id, case_type, severity, principal_id, counterparty_id, channel_id, opened_at, verified_business,
  appeal_of, state, version, routed_lane, base_lane, lane, first_response_due, stream, seq)
SELECT -q.case_id, q.case_type, q.severity, q.principal_id, q.counterparty_id, q.channel_id, $2::timestamptz, q.verified_business,
  q.case_id, 'queued', 0, $3::bigint, $3::bigint, $3::bigint, $4::timestamptz, q.stream, q.seq
FROM dispute_queue q WHERE q.case_id = $1::bigint
ON CONFLICT DO NOTHING)sql";

std::string decision_detail(const Decided& decided) {
  JsonWriter out;
  out.begin().field("evaluation", decided.evaluation).field("cause", name_of(decided.cause));
  out.field("outcome", name_of(decided.decision.outcome)).field("lane", static_cast<int>(decided.lane)).end();
  return out.text();
}

}  // namespace

void Consequences::live(CaseRecord& record, const std::function<void(CaseLife&)>& how) {
  const bool waited = record.state == State::waiting;
  std::string last_rule = record.rule;
  CaseLife life(record, book_.inputs(record.case_id));
  how(life);
  book_.touch(record);
  for (const Happening& happening : life.take_happenings()) {
    if (const auto* decided = std::get_if<Decided>(&happening)) {
      carry_out(record, *decided, last_rule != decided->decision.rule);
      last_rule = decided->decision.rule;
    } else if (const auto* started = std::get_if<HoldStarted>(&happening)) {
      carry_out(record, *started);
    } else if (const auto* extended = std::get_if<HoldExtended>(&happening)) {
      carry_out(record, *extended);
    } else if (const auto* ended = std::get_if<HoldEnded>(&happening)) {
      carry_out(record, *ended);
    } else if (const auto* resolved = std::get_if<Resolved>(&happening)) {
      carry_out(record, *resolved);
    } else if (const auto* appealed = std::get_if<Appealed>(&happening)) {
      carry_out(record, *appealed);
    } else if (const auto* ignored = std::get_if<Ignored>(&happening)) {
      book_.audit(
          record, "ignored", {},
          JsonWriter().begin().field("version", ignored->version).field("why", ignored->why).end().text());
    } else {
      book_.audit(record, "blocked", record.rule,
                  JsonWriter().begin().field("blocked_by", record.blocked_by).end().text());
    }
  }
  rearm(record);
  if (waited && record.state != State::waiting) announcer_.cancel(record, Timer::cooling);
}

void Consequences::rearm(const CaseRecord& record) {
  if (record.state == State::waiting) announcer_.arm(record, Timer::cooling, *record.decide_at);
  if (record.hold_until) announcer_.arm(record, Timer::hold, *record.hold_until);
}

void Consequences::carry_out(CaseRecord& record, const Decided& decided, bool news) {
  const Decision& decision = decided.decision;
  book_.add_decision(record, decided);
  book_.audit(record, "decided", decision.rule, decision_detail(decided));
  const Instant due = record.first_response_due;
  update_lane(record, decided.as_of);
  if (ends_case(decision.outcome)) {
    announcer_.auto_adjudicated(record, decided);
    respond(record);
  } else if (record.first_response_due != due && !record.first_response_at) {
    announcer_.arm(record, Timer::first_response, record.first_response_due);
  }
  for (Action action : decision.actions) {
    if (action == Action::restrict_principal) {
      for (const Measure& measure : kMeasures)
        if (record.severity >= measure.from) restrict_to(record, measure.kind, decided.as_of);
    } else if (action == Action::reduce_discoverability) {
      restrict_to(record, "discoverability_reduced", decided.as_of);
    } else if (action == Action::freeze_organisation) {
      restrict_to(record, "organisation_frozen", decided.as_of);
    } else if (action == Action::warn && !record.warned) {
      record.warned = true;
      announcer_.warning_issued(record);
    }
  }
  if (news && record.state != State::resolved) announcer_.notify(record, false);
}

void Consequences::carry_out(CaseRecord& record, const HoldStarted& hold) {
  announcer_.hold_started(record, hold.until);
  if (record.channel_id) restrict_to(record, kLimited, hold.at);
}

void Consequences::carry_out(CaseRecord& record, const HoldExtended& hold) {
  book_.audit(record, "hold_extended", record.hold_rule,
              JsonWriter().begin().field("until", hold.until).end().text());
  announcer_.hold_extended(record, hold.until);
}

void Consequences::carry_out(CaseRecord& record, const HoldEnded& hold) {
  announcer_.cancel(record, Timer::hold);
  lift(record, hold.at, kLimited);
}

void Consequences::carry_out(CaseRecord& record, const Resolved& resolved) {
  book_.audit(record, "resolved",
              record.resolved_by == record.rule ? std::string_view(record.rule) : std::string_view(),
              JsonWriter()
                  .begin()
                  .field("outcome", name_of(record.outcome.value_or(Outcome::resolve)))
                  .list("actions", record.actions, [](Action action) { return name_of(action); })
                  .field("by", record.resolved_by)
                  .end()
                  .text());
  respond(record);
  lift(record, resolved.at);
  channels_.close(record, resolved.at);
  announcer_.case_resolved(record);
  announcer_.notify(record, true);
}

void Consequences::carry_out(CaseRecord& record, const Appealed& appealed) {
  const Instant due = appealed.at + first_response_limit(kAppealLane);
  const auto filed = book_.tx().query(
      kFileAppeal, {record.case_id, appealed.at, static_cast<std::int64_t>(kAppealLane), due});
  if (filed->affected() == 0) {
    book_.audit(record, "ignored", {}, R"({"why":"the case was appealed before"})");
    return;
  }
  CaseRecord appeal;
  appeal.case_id = -record.case_id;
  appeal.appeal_of = record.case_id;
  appeal.lane = kAppealLane;
  appeal.stream = record.stream;
  appeal.sequence = record.sequence;
  book_.audit(record, "appealed", {}, JsonWriter().begin().field("appeal", appeal.case_id).end().text());
  book_.audit(appeal, "opened", {}, JsonWriter().begin().field("appeal_of", record.case_id).end().text());
  announcer_.appeal_filed(appeal);
  announcer_.arm(appeal, Timer::first_response, due);
}

void Consequences::respond(CaseRecord& record) {
  if (record.first_response_at) return;
  record.first_response_at = book_.tx().now();
  announcer_.cancel(record, Timer::first_response);
}

bool Consequences::add_reason(CaseRecord& record, Reason reason, Instant at) {
  if (!record.reasons.add(reason)) return false;
  const Instant due = record.first_response_due;
  update_lane(record, at);
  if (record.first_response_due != due && !record.first_response_at)
    announcer_.arm(record, Timer::first_response, record.first_response_due);
  book_.touch(record);
  return true;
}

void Consequences::escalated(CaseRecord& record, Lane before) {
  JsonWriter detail;
  detail.begin()
      .field("previous_lane", static_cast<int>(before))
      .field("lane", static_cast<int>(record.lane));
  detail.list("reasons", record.reasons.names(), [](std::string_view name) { return name; }).end();
  book_.audit(record, "escalated", {}, detail.text());
  if (record.lane == before) return;
  announcer_.queue_escalated(record, before);
}

void Consequences::restrict_to(const CaseRecord& record, std::string_view kind, Instant at) {
  if (book_.restrict_to(record, kind, at))
    announcer_.restriction(record, kind, restricted_principal(record), true, at);
}

void Consequences::lift(const CaseRecord& record, Instant at, std::string_view only) {
  for (const std::string& kind : book_.lift(record, at, only))
    announcer_.restriction(record, kind, restricted_principal(record), false, at);
}

}  // namespace cutover::dispute
