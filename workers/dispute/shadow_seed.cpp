#include "workers/dispute/shadow_seed.h"

namespace cutover::dispute {
namespace {

constexpr const char* kClear = R"sql(
WITH queue AS (DELETE FROM shadow.dispute_queue), evidence AS (DELETE FROM shadow.dispute_evidence),
  decisions AS (DELETE FROM shadow.dispute_decisions), restrictions AS (DELETE FROM shadow.dispute_restrictions),
  transitions AS (DELETE FROM shadow.dispute_transitions), audit AS (DELETE FROM shadow.dispute_audit)
DELETE FROM cutover.outbox WHERE starts_with(timer_key, 'shadow:dispute:') AND published_at IS NULL)sql";

// The rows of a case are copied together: all that a copy of its queue row needs to live on. A timer of shadow is a copy of the one
// of serving.
constexpr const char* kCopy = R"sql(
WITH chunk AS MATERIALIZED (
  SELECT q.* FROM serving.dispute_queue q WHERE $1::text = '' OR q.case_id > nullif($1::text, '')::bigint
  ORDER BY q.case_id LIMIT $2::bigint),
copied AS (
  INSERT INTO shadow.dispute_queue SELECT (jsonb_populate_record(NULL::shadow.dispute_queue,
    to_jsonb(c) || '{"stream": null, "seq": null}')).* FROM chunk c ORDER BY c.case_id
  ON CONFLICT DO NOTHING RETURNING case_id),
evidence AS (
  INSERT INTO shadow.dispute_evidence SELECT e.* FROM serving.dispute_evidence e JOIN copied USING (case_id) ON CONFLICT DO NOTHING),
decisions AS (
  INSERT INTO shadow.dispute_decisions SELECT d.* FROM serving.dispute_decisions d JOIN copied USING (case_id) ON CONFLICT DO NOTHING),
restrictions AS (
  INSERT INTO shadow.dispute_restrictions SELECT r.* FROM serving.dispute_restrictions r JOIN copied USING (case_id) ON CONFLICT DO NOTHING),
transitions AS (
  INSERT INTO shadow.dispute_transitions SELECT t.* FROM serving.dispute_transitions t JOIN copied USING (case_id) ON CONFLICT DO NOTHING),
timers AS (
  INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload, headers, priority, available_at, timer_key, worker_id)
  SELECT 'shadow:' || o.message_id, o.event_id, 'shadow.' || o.subject, o.key, o.payload, coalesce(o.headers, '{}') ||
      jsonb_build_object('Cutover-For', w.worker, 'Cutover-Shadow-Period', cutover.shadow_period(w.worker_id)::text),
    9, o.available_at, 'shadow:' || o.timer_key, w.worker_id
  FROM copied c CROSS JOIN LATERAL unnest(ARRAY['hold', 'cooling', 'first_response']) n (timer)
  JOIN cutover.outbox o ON o.timer_key = 'dispute:' || c.case_id || ':' || n.timer AND o.published_at IS NULL
  JOIN cutover.workers w ON w.worker = 'dispute-processor'
  ON CONFLICT (timer_key) WHERE published_at IS NULL AND timer_key IS NOT NULL DO NOTHING)
SELECT (SELECT count(*) FROM copied), count(*), max(case_id) FROM chunk)sql";

}  // namespace

void clear_shadow(Transaction& tx) { tx.query(kClear); }

SeedChunk copy_to_shadow(Transaction& tx, const std::string& after, std::uint64_t limit) {
  const auto rows = tx.query(kCopy, {std::string_view(after), static_cast<std::int64_t>(limit)});
  SeedChunk chunk;
  chunk.rows = rows->integer(0, 0);
  if (static_cast<std::uint64_t>(rows->integer(0, 1)) == limit) chunk.next = std::string(rows->text(0, 2));
  return chunk;
}

}  // namespace cutover::dispute
