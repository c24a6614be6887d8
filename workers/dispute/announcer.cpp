#include "workers/dispute/announcer.h"

#include <algorithm>
#include <utility>

#include "workers/dispute/json.h"

namespace cutover::dispute {
namespace {

constexpr std::chrono::seconds kPutOffLeast{1}, kPutOffMost{300};

std::string lane_token(Lane lane) {
  return "p" + std::to_string(static_cast<int>(lane));
}

std::string micros(Instant at) {
  return std::to_string(at.time_since_epoch().count());
}

JsonWriter payload_of(const CaseRecord& record) {
  JsonWriter out;
  out.begin().field("case_id", record.case_id);
  return out;
}

std::string timer_key(std::int64_t case_id, Timer timer) {
  return "dispute:" + std::to_string(case_id) + ":" + std::string(name_of(timer));
}

// What the people of a case are to do, as far as its last outcome says.
std::vector<std::string_view> required_actions(const CaseRecord& record) {
  if (record.state == State::resolved) return {};
  if (record.rule == "C1.no_otp") return {"pass_otp"};
  for (Action action : record.actions) {
    if (action == Action::restrict_principal) return {"verify_again"};
    if (action == Action::recommend_legal_documents) return {"send_legal_documents"};
  }
  return {};
}

std::string_view told_outcome(const CaseRecord& record) {
  if (record.state == State::resolved || record.state == State::held)
    return name_of(record.outcome.value_or(Outcome::resolve));
  return record.state == State::waiting ? "waiting" : "in_review";
}

std::vector<std::int64_t> principals_of(const CaseRecord& record) {
  std::vector<std::int64_t> ids = {record.principal_id};
  if (record.counterparty_id && *record.counterparty_id != record.principal_id)
    ids.push_back(*record.counterparty_id);
  return ids;
}

std::string id_list(const CaseRecord& record) {
  std::string json = "[";
  for (std::int64_t id : principals_of(record)) json += (json.size() > 1 ? "," : "") + std::to_string(id);
  return json + "]";
}

std::string_view text(std::string_view name) {
  return name;
}

Outgoing lane_event(std::string name, std::int64_t case_id, Lane lane) {
  Outgoing out;
  out.event_name = std::move(name);
  out.routing_token = lane_token(lane);
  out.subject_type = "case";
  out.subject_id = std::to_string(case_id);
  out.priority = outbox_priority(lane);
  return out;
}

Outgoing routed_event(const QueueRouted& routed) {
  Outgoing out = lane_event("dispute.queue_routed", routed.case_id, routed.lane);
  out.idempotency_key =
      "routed:" + out.subject_id + ":" + std::to_string(routed.version) + ":" + out.routing_token;
  JsonWriter json;
  json.begin().field("case_id", routed.case_id).field("version", routed.version);
  json.field("lane", static_cast<int>(routed.lane));
  if (routed.again > 0) json.field("again", routed.again);
  out.payload = json.end().text();
  return out;
}

Outgoing timer_event(const TimerFired& fired, Lane lane) {
  Outgoing out = lane_event("dispute.timer_fired", fired.case_id, lane);
  out.idempotency_key = "timer:" + out.subject_id + ":" + std::string(name_of(fired.timer)) + ":" +
                        micros(fired.due) + ":" + std::to_string(fired.version);
  JsonWriter json;
  json.begin().field("case_id", fired.case_id).field("timer", name_of(fired.timer)).field("due", fired.due);
  json.field("version", fired.version);
  if (fired.again > 0) json.field("again", fired.again);
  out.payload = json.end().text();
  return out;
}

}  // namespace

int outbox_priority(Lane lane) noexcept {
  return static_cast<int>(lane) * 2;
}

void Announcer::emit(const CaseRecord& record, std::string name, std::string key, std::string payload) {
  Outgoing out;
  out.event_name = std::move(name);
  out.subject_type = "case";
  out.subject_id = std::to_string(record.case_id);
  out.idempotency_key = std::move(key);
  out.payload = std::move(payload);
  out.priority = outbox_priority(record.lane);
  tx_.emit(*cause_, std::move(out));
}

void Announcer::queue_routed(const CaseRecord& record) {
  tx_.emit(*cause_, routed_event({record.case_id, record.version, record.lane}));
}

void Announcer::queue_escalated(const CaseRecord& record, Lane before) {
  std::string key =
      "escalated:" + std::to_string(record.case_id) + ":" + lane_token(before) + lane_token(record.lane);
  for (const std::string_view reason : record.reasons.names()) key += ":" + std::string(reason);
  JsonWriter out = payload_of(record);
  out.field("lane", static_cast<int>(record.lane)).field("previous_lane", static_cast<int>(before));
  out.list("reasons", record.reasons.names(), text).end();
  emit(record, "dispute.queue_escalated", std::move(key), out.text());
}

void Announcer::auto_adjudicated(const CaseRecord& record, const Decided& decided) {
  JsonWriter out = payload_of(record);
  out.field("evaluation", decided.evaluation).field("rule", decided.decision.rule);
  out.field("outcome", name_of(decided.decision.outcome));
  out.list("actions", decided.decision.actions, [](Action action) { return name_of(action); }).end();
  emit(record, "dispute.auto_adjudicated",
       "adjudicated:" + std::to_string(record.case_id) + ":" + std::to_string(decided.evaluation),
       out.text());
}

void Announcer::hold_started(const CaseRecord& record, Instant until) {
  emit(record, "dispute.hold_started", "hold:" + std::to_string(record.case_id) + ":" + micros(until),
       payload_of(record).field("until", until).field("rule", record.hold_rule).end().text());
}

void Announcer::hold_extended(const CaseRecord& record, Instant until) {
  emit(record, "dispute.hold_extended", "extended:" + std::to_string(record.case_id) + ":" + micros(until),
       payload_of(record).field("until", until).end().text());
}

void Announcer::first_response_missed(const CaseRecord& record) {
  emit(record, "dispute.sla_breach", "sla:" + std::to_string(record.case_id),
       payload_of(record)
           .field("lane", static_cast<int>(record.lane))
           .field("due", record.first_response_due)
           .end()
           .text());
}

void Announcer::restriction(const CaseRecord& record, std::string_view kind, std::int64_t principal_id,
                            bool applied, Instant at) {
  const std::string verb = applied ? "applied" : "lifted";
  JsonWriter out = payload_of(record);
  out.field("principal_id", principal_id).field("kind", kind);
  if (record.channel_id) out.field("channel_id", *record.channel_id);
  emit(record, "dispute.restriction_" + verb,
       verb + ":" + std::to_string(record.case_id) + ":" + std::string(kind) + ":" + micros(at),
       out.end().text());
}

void Announcer::warning_issued(const CaseRecord& record) {
  emit(record, "dispute.warning_issued", "warned:" + std::to_string(record.case_id),
       payload_of(record).field("principal_id", record.principal_id).end().text());
}

void Announcer::notify(CaseRecord& record, bool final) {
  constexpr int kMost = 3;
  if (record.notifications >= (final ? kMost : kMost - 1)) return;
  ++record.notifications;
  JsonWriter out = payload_of(record);
  out.raw("principal_ids", id_list(record)).field("outcome", told_outcome(record));
  out.list("required_actions", required_actions(record), text).end();
  emit(record, "dispute.notification_requested",
       "notify:" + std::to_string(record.case_id) + ":" +
           (final ? "resolved" : std::to_string(record.notifications)),
       out.text());
}

void Announcer::appeal_filed(const CaseRecord& appeal) {
  emit(appeal, "dispute.appeal_filed", "appeal:" + std::to_string(*appeal.appeal_of),
       payload_of(appeal)
           .field("appeal_of", *appeal.appeal_of)
           .field("lane", static_cast<int>(appeal.lane))
           .end()
           .text());
}

void Announcer::case_resolved(const CaseRecord& record) {
  const std::string id = std::to_string(record.case_id);
  JsonWriter out = payload_of(record);
  out.field("outcome", name_of(record.outcome.value_or(Outcome::resolve)));
  out.list("actions", record.actions, [](Action action) { return name_of(action); });
  out.field("principal_id", record.principal_id).field("resolved_at", record.resolved_at).end();
  emit(record, "security.case_resolved", "resolved:" + id, out.text());
  Outgoing scores;
  scores.event_name = "score.recompute_requested";
  scores.subject_type = "principal";
  scores.subject_id = std::to_string(record.principal_id);
  scores.idempotency_key = "scores:case:" + id;
  scores.payload = JsonWriter()
                       .begin()
                       .field("scope", "principals")
                       .raw("principal_ids", id_list(record))
                       .field("reason", "case_resolved")
                       .end()
                       .text();
  scores.priority = outbox_priority(record.lane);
  tx_.emit(*cause_, std::move(scores));
}

void Announcer::transition_requested(const CaseRecord& record, Ownership from, Ownership to,
                                     std::int64_t expected_version) {
  Outgoing out;
  out.event_name = "channel.transition_requested";
  out.subject_type = "channel";
  out.subject_id = std::to_string(*record.channel_id);
  out.idempotency_key = "transition:" + out.subject_id + ":" + std::to_string(expected_version) +
                        ":case:" + std::to_string(record.case_id);
  JsonWriter json;
  json.begin().field("channel_id", *record.channel_id).field("from", name_of(from)).field("to", name_of(to));
  out.payload =
      json.field("expected_version", expected_version).field("case_id", record.case_id).end().text();
  out.priority = outbox_priority(record.lane);
  tx_.emit(*cause_, std::move(out));
}

void Announcer::transition_rejected(const CaseRecord& record, std::string_view from, Ownership to) {
  Outgoing out;
  out.event_name = "channel.transition_rejected";
  out.subject_type = "channel";
  out.subject_id = std::to_string(*record.channel_id);
  out.idempotency_key = "rejected:" + out.subject_id + ":case:" + std::to_string(record.case_id) + ":" +
                        std::string(name_of(to));
  JsonWriter json;
  json.begin().field("channel_id", *record.channel_id).field("from", from).field("to", name_of(to));
  out.payload = json.field("code", kInvalidTransition).field("case_id", record.case_id).end().text();
  out.priority = outbox_priority(record.lane);
  tx_.emit(*cause_, std::move(out));
}

void Announcer::arm(const CaseRecord& record, Timer timer, Instant due) {
  Outgoing out = timer_event({record.case_id, timer, due, record.version}, record.lane);
  const std::string key = timer_key(record.case_id, timer);
  out.timer_key = key;
  out.available_at = due;
  timers_[key] = {cause_, std::move(out)};
}

void Announcer::cancel(const CaseRecord& record, Timer timer) {
  timers_[timer_key(record.case_id, timer)] = {cause_, std::nullopt};
}

void Announcer::channel_free(std::int64_t case_id, Lane lane, Instant at) {
  tx_.emit(*cause_, timer_event({case_id, Timer::channel, at}, lane));
}

void Announcer::put_off(Outgoing out, int again) {
  out.idempotency_key += ":again" + std::to_string(again);
  out.available_at = tx_.now() + std::min<std::chrono::seconds>(kPutOffLeast * (1 << std::min(again - 1, 10)), kPutOffMost);
  out.timer_key = out.idempotency_key;
  tx_.emit(*cause_, std::move(out));
}

void Announcer::put_off(const QueueRouted& routed) {
  QueueRouted later = routed;
  ++later.again;
  put_off(routed_event(later), later.again);
}

void Announcer::put_off(const TimerFired& fired, Lane lane) {
  TimerFired later = fired;
  ++later.again;
  put_off(timer_event(later, lane), later.again);
}

void Announcer::finish() {
  for (const auto& [key, armed] : timers_)
    if (!armed.event) tx_.cancel_timer(key);
  for (auto& [key, armed] : timers_)
    if (armed.event) tx_.emit(*armed.cause, std::move(*armed.event));
  timers_.clear();
}

}  // namespace cutover::dispute
