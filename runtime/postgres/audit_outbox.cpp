#include "runtime/postgres/audit_outbox.h"

namespace cutover::postgres {
namespace {

constexpr const char* kPublished = R"sql(
SELECT o.outbox_id, o.message_id, o.subject, o.stream, o.sequence, o.published_at
FROM cutover.outbox o
WHERE o.worker_id = (SELECT worker_id FROM cutover.workers WHERE worker = $1) AND o.published_at IS NOT NULL
  AND o.outbox_id > $2::bigint ORDER BY o.outbox_id LIMIT $3::bigint)sql";

constexpr const char* kStillPublished = R"sql(
SELECT o.outbox_id, o.message_id, o.subject, o.stream, o.sequence, o.published_at
FROM cutover.outbox o JOIN unnest($1::bigint[], $2::bigint[]) u (outbox_id, sequence) USING (outbox_id)
WHERE o.published_at IS NOT NULL AND o.sequence = u.sequence ORDER BY o.outbox_id)sql";

constexpr const char* kWaiting = R"sql(
SELECT count(*), coalesce(extract(epoch FROM now() - min(o.created_at)), 0), (array_agg(o.error ORDER BY o.outbox_id) FILTER (WHERE o.error IS NOT NULL))[1]
FROM cutover.outbox o
WHERE o.worker_id = (SELECT worker_id FROM cutover.workers WHERE worker = $1) AND o.published_at IS NULL
  AND o.available_at IS NULL AND o.created_at < now() - make_interval(secs => $2::double precision))sql";

// The NOTIFY wakes a relay that sleeps.
constexpr const char* kReopen = R"sql(
WITH reopened AS (
  UPDATE cutover.outbox o SET published_at = NULL, stream = NULL, sequence = NULL
  FROM unnest($1::bigint[], $2::bigint[]) u (outbox_id, sequence)
  WHERE o.outbox_id = u.outbox_id AND o.published_at IS NOT NULL AND o.sequence = u.sequence
  RETURNING o.outbox_id)
SELECT count(*), pg_notify('cutover_outbox', ''),
  cutover.log_operation($3, 'audit --redrive', $4, '{}', $5, '{}', 'done', jsonb_build_object('events', count(*), 'outbox_ids', jsonb_agg(outbox_id)))
FROM reopened)sql";

std::vector<PublishedEvent> events_of(const Table& table) {
  std::vector<PublishedEvent> events;
  for (const auto& row : table.rows)
    events.push_back({std::stoll(row[0].value()), row[1].value(), row[2].value(), row[3].value_or(""),
                      std::stoull(row[4].value_or("0")), row[5].value()});
  return events;
}

std::vector<Cell> ids_and_sequences(std::span<const PublishedEvent> events) {
  std::string ids = "{", sequences = "{";
  for (const PublishedEvent& event : events) {
    const char* comma = ids.size() > 1 ? "," : "";
    ids += comma + std::to_string(event.outbox_id);
    sequences += comma + std::to_string(event.sequence);
  }
  return {ids + "}", sequences + "}"};
}

}  // namespace

std::vector<PublishedEvent> AuditOutbox::published(std::int64_t after, std::size_t rows_max) {
  return events_of(session_.query(kPublished, {worker_, std::to_string(after), std::to_string(rows_max)}));
}

std::vector<PublishedEvent> AuditOutbox::still_published(std::span<const PublishedEvent> events) {
  return events_of(session_.query(kStillPublished, ids_and_sequences(events)));
}

WaitingEvents AuditOutbox::waiting(std::chrono::seconds longer_than) {
  const auto row = session_.query(kWaiting, {worker_, std::to_string(longer_than.count())}).rows.at(0);
  return {std::stoull(row[0].value()), std::stod(row[1].value()), row[2].value_or("")};
}

std::uint64_t AuditOutbox::reopen(std::span<const PublishedEvent> events, const std::string& actor,
                                  const std::string& reason) {
  std::vector<Cell> parameters = ids_and_sequences(events);
  parameters.insert(parameters.end(), {actor, worker_, reason});
  return std::stoull(session_.query(kReopen, parameters).rows.at(0).at(0).value());
}

}  // namespace cutover::postgres
