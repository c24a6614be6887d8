#include "dispute_world.h"

#include <nlohmann/json.hpp>

#include "runtime/contract/timestamp.h"

namespace cutover::test {
namespace {

std::string text_of(Instant at) {
  std::string text;
  append_timestamp(text, at);
  return text;
}

// Events with the memory that they point into.
struct Batch {
  std::vector<std::string> texts;
  std::vector<Event> events;

  explicit Batch(std::size_t count) { texts.reserve(count * 6); }
  std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
  void add(const std::string& name, const std::string& id, std::int64_t version, const std::string& payload, Instant at,
           std::int64_t sequence) {
    Event& event = events.emplace_back();
    event.event_name = keep(name);
    event.event_version = 1;
    event.payload = keep(payload + std::string(64, '\0')).substr(0, payload.size());
    event.subject.type = "case";
    event.key = event.subject.id = keep(id);
    event.subject.version = version;
    event.occurred_at = at;
    event.place = {"CORE", 1, static_cast<std::uint64_t>(sequence)};
    event.event_id = keep("event-" + std::to_string(sequence));
    event.correlation_id = "correlation";
    event.tenant_scope = "global";
  }
};

}  // namespace

DisputeWorld::DisputeWorld()
    : ids_(clock, [n = std::uint64_t{0}]() mutable { return ++n * 7'919; }),
      transactions_(db.options("dispute test"), postgres::Identity{"dispute-processor", "test", "test", 0, false}),
      worker_(dispute::make_dispute_worker()) {}

CaseTold DisputeWorld::opened(std::int64_t case_id, const std::string& type, const std::string& severity, const std::string& evidence,
                              const std::string& more) {
  std::string payload = "{\"case_id\":" + std::to_string(case_id) + ",\"case_type\":\"" + type + "\",\"severity\":\"" + severity + "\"," + more;
  if (more.find("principal_id") == std::string::npos) payload += "\"principal_id\":" + std::to_string(1'000 + case_id) + ",";
  if (more.find("verified_business") == std::string::npos) payload += "\"verified_business\":false,";
  if (more.find("opened_at") == std::string::npos) payload += "\"opened_at\":\"" + text_of(clock.now()) + "\",";
  return {"security.case_opened", case_id, 1, payload + "\"evidence\":" + evidence + "}", clock.now()};
}

CaseTold DisputeWorld::evidence(std::int64_t case_id, std::int64_t version, const std::string& evidence, bool material) {
  return {"security.case_evidence_added", case_id, version,
          "{\"case_id\":" + std::to_string(case_id) + ",\"material\":" + (material ? "true" : "false") + ",\"evidence\":" + evidence + "}",
          clock.now()};
}

CaseTold DisputeWorld::reopened(std::int64_t case_id, std::int64_t version) {
  return {"security.case_reopened", case_id, version, "{\"case_id\":" + std::to_string(case_id) + ",\"reason\":\"no\"}", clock.now()};
}

std::vector<std::string> DisputeWorld::deliver(const std::vector<CaseTold>& events) {
  Batch batch(events.size());
  for (const CaseTold& told : events)
    batch.add(told.name, std::to_string(told.case_id), told.version, told.payload, told.at, ++sequence_);
  std::vector<std::string> reasons;
  transact([&](Transaction& tx) {
    for (const Verdict& verdict : worker_->handle(batch.events, tx)) {
      const auto* letter = std::get_if<DeadLetter>(&verdict);
      reasons.push_back(letter ? letter->reason : "");
    }
  });
  return reasons;
}

std::vector<std::string> DisputeWorld::tell(const std::vector<CaseTold>& events) {
  std::vector<std::string> reasons = deliver(events);
  pump();
  return reasons;
}

void DisputeWorld::transact(const std::function<void(Transaction&)>& work) {
  const auto batch = transactions_.begin();
  if (shadow) batch->use_shadow(true);
  WorkerTransaction tx(*batch, "dispute-processor", ids_, clock.now());
  work(tx);
  batch->commit();
}

int DisputeWorld::pump() {
  int handed = 0;
  for (;;) {
    const auto due = db.query(
        "UPDATE cutover.outbox SET published_at = now() WHERE outbox_id IN (SELECT outbox_id FROM cutover.outbox "
        "WHERE published_at IS NULL AND subject ~ '^(shadow\\.)?dispute\\.(queue_routed|timer_fired)\\.' "
        "AND coalesce(available_at, '-infinity') <= $1::timestamptz) "
        "RETURNING outbox_id, convert_from(payload, 'UTF8')",
        {text_of(clock.now())});
    if (due.rows.empty()) return handed;
    Batch batch(due.rows.size());
    for (const auto& cells : due.rows) {
      const auto envelope = nlohmann::json::parse(*cells[1]);
      batch.add(envelope["event_name"], envelope["subject"]["subject_id"], 0, envelope["payload"].dump(), clock.now(), ++sequence_);
    }
    handed += static_cast<int>(due.rows.size());
    transact([&](Transaction& tx) { worker_->handle(batch.events, tx); });
  }
}

void DisputeWorld::pass(std::chrono::microseconds span) {
  const Instant end = clock.now() + span;
  for (;;) {
    const std::string next = db.value(
        "SELECT (extract(epoch FROM min(available_at)) * 1000000)::bigint FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NOT NULL");
    const Instant due = next.empty() ? end : Instant(std::chrono::microseconds(std::stoll(next)));
    if (due >= end) break;
    if (due > clock.now()) clock.advance(due - clock.now());
    pump();
  }
  clock.advance(end - clock.now());
  pump();
}

std::string DisputeWorld::row(std::int64_t case_id, const std::string& column) {
  return db.value("SELECT (" + column + ")::text FROM " + std::string(shadow ? "shadow" : "serving") + ".dispute_queue WHERE case_id = $1::bigint",
                  {std::to_string(case_id)});
}

std::string DisputeWorld::decisions(std::int64_t case_id) {
  return db.value("SELECT string_agg(rule || ' ' || outcome || ' P' || lane || ' ' || hold_hours || ' ' || actions::text, '; ' ORDER BY evaluation) "
                  "FROM " + std::string(shadow ? "shadow" : "serving") + ".dispute_decisions WHERE case_id = $1::bigint",
                  {std::to_string(case_id)});
}

std::string DisputeWorld::audit(std::int64_t case_id) {
  return db.value("SELECT string_agg(what, ' ' ORDER BY audit_id) FROM " + std::string(shadow ? "shadow" : "serving") + ".dispute_audit WHERE case_id = $1::bigint",
                  {std::to_string(case_id)});
}

std::vector<std::string> DisputeWorld::sent(std::int64_t key, const std::string& beginning) {
  std::vector<std::string> subjects;
  for (const auto& cells : db.query("SELECT subject FROM cutover.outbox WHERE key = $1 AND starts_with(subject, $2) "
                                    "AND (available_at IS NULL OR published_at IS NOT NULL) ORDER BY outbox_id",
                                    {std::to_string(key), beginning})
                               .rows)
    subjects.push_back(*cells[0]);
  return subjects;
}

void DisputeWorld::channel(std::int64_t channel_id, const std::string& state, std::int64_t version) {
  db.query("INSERT INTO app.channels (channel_id, principal_id, kind, value, state, version) VALUES ($1::bigint, 1, 'phone', '+49' || $1, $2, $3::bigint) "
           "ON CONFLICT (channel_id) DO UPDATE SET state = excluded.state, version = excluded.version",
           {std::to_string(channel_id), state, std::to_string(version)});
}

}  // namespace cutover::test
