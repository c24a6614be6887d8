#include "runtime/postgres/event_history.h"

#include "runtime/postgres/dead_letters.h"

namespace cutover::postgres {
namespace {

using nlohmann::ordered_json;

constexpr const char* kLettersOf = R"sql(
SELECT s.stream, s.incarnation, d.sequence
FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id) JOIN cutover.streams s USING (stream_id)
WHERE w.worker = $1 AND d.event_id = $2 AND NOT d.shadow ORDER BY d.letter_id DESC)sql";

constexpr const char* kOutgoing = R"sql(
SELECT o.outbox_id, o.message_id, o.event_id, o.subject, o.payload, o.stream, o.sequence, o.created_at, o.published_at, o.available_at,
  o.error
FROM cutover.outbox o WHERE )sql";

constexpr const char* kSegment = R"sql(
SELECT to_jsonb(r) FROM (
  SELECT o.epoch, o.mode, o.percent, o.from_sequence, o.actor, o.reason, o.at
  FROM cutover.ownership o JOIN cutover.workers w USING (worker_id)
  WHERE w.worker = $1 AND o.stream_id = $2::integer AND o.epoch = $3::bigint) r)sql";

// A hash stands at the place that its sequence has among the row's sequences.
constexpr const char* kSettlements = R"sql(
SELECT to_jsonb(r) FROM (
  SELECT CASE t.side WHEN 'w' THEN 'worker' WHEN 'm' THEN 'monolith' ELSE 'shadow' END AS side,
    CASE t.class WHEN 'a' THEN 'applied' WHEN 'd' THEN 'duplicate' WHEN 'n' THEN 'not_addressed' WHEN 'x' THEN 'dead_letter'
                 ELSE 'seized' END AS class,
    t.settled_at, t.event_hashes IS NOT NULL AS exact,
    CASE WHEN $4::text <> '' THEN
      t.event_hashes[1 + (SELECT coalesce(sum(least(upper(m), $3::bigint) - lower(m)), 0)::integer
                          FROM unnest(t.sequences) m WHERE lower(m) < $3::bigint)] = cutover.event_hash($4) END AS this_event
  FROM cutover.settlements t JOIN cutover.workers w USING (worker_id)
  WHERE w.worker = $1 AND t.stream_id = $2::integer AND t.span && int8range($3::bigint, $3::bigint, '[]') AND t.sequences @> $3::bigint
  ORDER BY t.settled_at) r)sql";

constexpr const char* kAttempts = R"sql(
SELECT to_jsonb(r) FROM (
  SELECT a.attempts, a.lone_crashes, a.suspect, a.first_failed_at, a.last_failed_at, a.last_error, a.shadow
  FROM cutover.attempts a JOIN cutover.workers w USING (worker_id)
  WHERE w.worker = $1 AND a.stream_id = $2::integer AND a.sequence = $3::bigint ORDER BY a.shadow) r)sql";

constexpr const char* kLetters = R"sql(
SELECT to_jsonb(r) FROM (
  SELECT d.letter_id, d.state, d.kind, d.error, d.attempts, d.lane, d.side, d.plan_id, d.shadow, d.event_id, d.event_name, d.subject,
    d.key, d.tenant_scope, d.idempotency_key, d.published_at, d.history, d.headers
  FROM cutover.dead_letters d JOIN cutover.workers w USING (worker_id)
  WHERE w.worker = $1 AND d.stream_id = $2::integer AND d.sequence = $3::bigint ORDER BY d.letter_id) r)sql";

constexpr const char* kSameKey = R"sql(
WITH asked AS (
  SELECT worker_id, cutover.mark_key('v', worker_id, $2 || U&'\001F' || $3) AS key FROM cutover.workers WHERE worker = $1)
SELECT to_jsonb(r) FROM (
  SELECT s.stream, s.incarnation, m.sequence, 'mark' AS found_in, m.marked_at AS at
  FROM asked a
  JOIN (SELECT key, stream_id, sequence, marked_at FROM cutover.marks
        UNION ALL SELECT key, stream_id, sequence, marked_at FROM cutover.marks_0
        UNION ALL SELECT key, stream_id, sequence, marked_at FROM cutover.marks_1) m USING (key)
  JOIN cutover.streams s USING (stream_id)
  UNION ALL
  SELECT s.stream, s.incarnation, d.sequence, 'dead letter, ' || d.state, d.last_failed_at
  FROM asked a JOIN cutover.dead_letters d USING (worker_id) JOIN cutover.streams s USING (stream_id)
  WHERE d.tenant_scope = $2 AND d.idempotency_key = $3 AND NOT d.shadow
  ORDER BY 1, 2, 3) r)sql";

}  // namespace

ordered_json EventHistory::array(const char* sql, const std::vector<Cell>& parameters) {
  ordered_json rows = ordered_json::array();
  for (const auto& row : session_.query(sql, parameters).rows)
    rows.push_back(ordered_json::parse(row[0].value()));
  return rows;
}

std::vector<OutgoingEvent> EventHistory::outgoing(const std::string& where,
                                                  const std::vector<Cell>& parameters) {
  std::vector<OutgoingEvent> events;
  for (const auto& row :
       session_.query(kOutgoing + where + " ORDER BY o.outbox_id LIMIT 200", parameters).rows)
    events.push_back({std::stoll(row[0].value()), row[1].value(), row[2].value_or(""), row[3].value(),
                      bytes_of_bytea(row[4].value()), row[5].value_or(""), std::stoull(row[6].value_or("0")),
                      row[7].value(), row[8].value_or(""), row[9].value_or(""), row[10].value_or("")});
  return events;
}

std::vector<StreamPlace> EventHistory::letters_of(const std::string& event_id) {
  std::vector<StreamPlace> places;
  for (const auto& row : session_.query(kLettersOf, {worker_, event_id}).rows)
    places.push_back({row[0].value(), std::stoi(row[1].value()), std::stoull(row[2].value())});
  return places;
}

std::vector<OutgoingEvent> EventHistory::outgoing_of(const std::string& id) {
  return outgoing("o.message_id = $1 OR o.event_id = $1", {id});
}

std::vector<OutgoingEvent> EventHistory::outgoing_mentioning(const std::string& text) {
  return outgoing("o.event_id IS NOT NULL AND position(convert_to($1, 'UTF8') IN o.payload) > 0", {text});
}

std::vector<OutgoingEvent> EventHistory::copies_of(const StreamPlace& place) {
  const std::string sequence = std::to_string(place.sequence);
  return outgoing(
      "o.message_id ~ ('^replay:[^:]+:' || $2 || ':' || $3 || '(:|$)') OR o.message_id ~ ('^seize:' || $1 || "
      "':[^:]+:' || $2 || ':' || "
      "$3 || '(:|$)') OR o.message_id ~ ('^dlq:(shadow:)?' || $1 || ':' || $2 || ':' || $4 || ':' || $3 || "
      "':')",
      {worker_, place.stream, sequence, std::to_string(place.incarnation)});
}

ordered_json EventHistory::segment(std::int64_t stream_id, std::int64_t epoch) {
  const ordered_json rows = array(kSegment, {worker_, std::to_string(stream_id), std::to_string(epoch)});
  return rows.empty() ? ordered_json(nullptr) : rows.front();
}

ordered_json EventHistory::settlements(std::int64_t stream_id, std::uint64_t sequence,
                                       const std::string& event_id) {
  return array(kSettlements, {worker_, std::to_string(stream_id), std::to_string(sequence), event_id});
}

ordered_json EventHistory::attempts(std::int64_t stream_id, std::uint64_t sequence) {
  return array(kAttempts, {worker_, std::to_string(stream_id), std::to_string(sequence)});
}

ordered_json EventHistory::letters(std::int64_t stream_id, std::uint64_t sequence) {
  return array(kLetters, {worker_, std::to_string(stream_id), std::to_string(sequence)});
}

std::string EventHistory::letter_payload(std::int64_t letter_id) {
  const Table table = session_.query("SELECT payload FROM cutover.dead_letters WHERE letter_id = $1::bigint",
                                     {std::to_string(letter_id)});
  return table.rows.empty() ? std::string() : bytes_of_bytea(table.rows[0][0].value());
}

ordered_json EventHistory::same_key(const std::string& tenant_scope, const std::string& idempotency_key) {
  return array(kSameKey, {worker_, tenant_scope, idempotency_key});
}

}  // namespace cutover::postgres
