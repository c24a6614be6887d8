#include "workers/search/watermark.h"

namespace cutover::search {
namespace {

// $1 worker, $2 its streams, $3 first words of its subjects, $4 stale_after in microseconds.
// What was published before the watermark is settled. (A relay notes the publication after the fact, so a settlement can be
// a little older than the note.)
constexpr std::string_view kMove = R"sql(
WITH watermark AS MATERIALIZED (
  SELECT applied_through AS since FROM serving.search_watermark FOR UPDATE),
waiting AS (
  SELECT min(o.created_at) AS oldest FROM cutover.outbox o
  WHERE o.published_at IS NULL AND o.available_at IS NULL AND split_part(o.subject, '.', 1) = ANY ($3::text[])),
settled AS MATERIALIZED (
  SELECT t.stream, range_agg(s.sequences) AS sequences
  FROM cutover.settlements s
  JOIN cutover.workers w ON w.worker_id = s.worker_id AND w.worker = $1::text
  JOIN cutover.streams t ON t.stream_id = s.stream_id AND t.stream = ANY ($2::text[])
  WHERE s.side <> 's' AND s.settled_at >= (SELECT since FROM watermark) - interval '1 minute'
    AND t.incarnation = (SELECT max(n.incarnation) FROM cutover.streams n WHERE n.stream = t.stream)
  GROUP BY t.stream),
unsettled AS (
  SELECT o.created_at AS oldest
  FROM cutover.outbox o LEFT JOIN settled s ON s.stream = o.stream
  WHERE o.published_at >= (SELECT since FROM watermark) AND o.stream = ANY ($2::text[]) AND split_part(o.subject, '.', 1) = ANY ($3::text[])
    AND (s.sequences @> o.sequence) IS NOT TRUE
  ORDER BY o.published_at LIMIT 1),
idle AS (
  SELECT count(*) = cardinality($2::text[]) AS reported
  FROM cutover.progress p
  JOIN cutover.workers w ON w.worker_id = p.worker_id AND w.worker = $1::text
  JOIN cutover.streams t ON t.stream_id = p.stream_id AND t.stream = ANY ($2::text[])
  WHERE p.side = 'w' AND p.at > now() - interval '30 seconds')
UPDATE serving.search_watermark w SET
  applied_through = CASE WHEN m.since = 'epoch' OR (m.since < now() - interval '8 minutes' AND NOT idle.reported) THEN m.since
                         ELSE least(now(), waiting.oldest, (SELECT oldest FROM unsettled)) END,
  stale_after = $4::bigint * interval '1 microsecond', at = now()
FROM watermark m CROSS JOIN waiting CROSS JOIN idle)sql";

}  // namespace

void move_watermark(Transaction& tx, std::chrono::milliseconds stale_after) {
  static constexpr std::string_view kStreams[] = {"CORE", "CONTACT"};
  static constexpr std::string_view kSubjects[] = {"contact", "policy", "profile", "identity", "channel"};
  tx.execute(kMove, {std::string_view("search-projector"), std::span<const std::string_view>(kStreams),
                   std::span<const std::string_view>(kSubjects),
                   std::int64_t{std::chrono::duration_cast<std::chrono::microseconds>(stale_after).count()}});
}

}  // namespace cutover::search
