#include "workers/score/announcement.h"

#include <charconv>

namespace cutover::score {
namespace {

constexpr int kBulkPriority = 8;  // behind live changes

constexpr std::string_view kOldest = R"sql(
SELECT run_id, previous, announced_to, to_char(as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), event_id, event_name,
  tenant_scope, correlation_id, actor_id, actor_type, traceparent, tracestate
FROM score_runs WHERE side = 'worker' AND announced_to IS NOT NULL ORDER BY run_id LIMIT 1 FOR UPDATE)sql";

// What a reader saw before: an incremental between the two runs, else the run before.
constexpr std::string_view kChanged = R"sql(
WITH page AS MATERIALIZED (
  SELECT r.* FROM score_results r WHERE r.run_id = $1::bigint AND r.principal_id > $3::bigint ORDER BY r.principal_id LIMIT $4::bigint)
SELECT p.principal_id
FROM page p
JOIN score_runs n ON n.run_id = $1::bigint
JOIN score_runs b ON b.run_id = $2::bigint
LEFT JOIN score_results o ON o.run_id = b.run_id AND o.principal_id = p.principal_id
LEFT JOIN LATERAL (
  SELECT u.* FROM score_updates u
  WHERE u.principal_id = p.principal_id AND u.as_of > b.as_of AND u.as_of <= n.as_of ORDER BY u.as_of DESC LIMIT 1) u ON true
WHERE (round(100 * p.quality), round(100 * p.position), round(100 * p.stability), round(100 * p.trust), p.up_1, p.up_2, p.down_1, p.down_2)
  IS DISTINCT FROM
  CASE WHEN u.principal_id IS NOT NULL AND NOT u.gone
       THEN (round(100 * u.quality), round(100 * u.position), round(100 * u.stability), round(100 * u.trust), u.up_1, u.up_2, u.down_1, u.down_2)
       ELSE (round(100 * o.quality), round(100 * o.position), round(100 * o.stability), round(100 * o.trust), o.up_1, o.up_2, o.down_1, o.down_2)
  END
ORDER BY p.principal_id)sql";

constexpr std::string_view kEnd = R"sql(
SELECT max(principal_id), count(*) FROM (
  SELECT principal_id FROM score_results WHERE run_id = $1::bigint AND principal_id > $2::bigint
  ORDER BY principal_id LIMIT $3::bigint) page)sql";

std::string quoted(std::string_view text) {
  return '"' + std::string(text) + '"';
}

}  // namespace

std::string number_text(double value) {
  char buffer[32];
  return {buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr};
}

std::string distribution_json(const Distribution& d) {
  return "\"count\":" + std::to_string(d.count) + ",\"mean\":" + number_text(d.mean) +
         ",\"p10\":" + number_text(d.p10) + ",\"median\":" + number_text(d.median) +
         ",\"p90\":" + number_text(d.p90) + ",\"least\":" + number_text(d.least) +
         ",\"most\":" + number_text(d.most);
}

void announce_snapshot(Transaction& tx, const Event& cause, std::int64_t run, std::string_view as_of,
                       std::string_view formula, const Distribution& distribution, std::uint64_t edges) {
  Outgoing event;
  event.event_name = "score.snapshot_published";
  event.subject_type = "score_snapshot";
  event.subject_id = "score";
  event.subject_version = run;
  event.idempotency_key = "score.snapshot_published:" + std::to_string(run);
  event.payload =
      "{\"run_id\":" + std::to_string(run) + ",\"as_of\":" + quoted(as_of) +
      ",\"formula\":" + quoted(formula) + ",\"principals\":" + std::to_string(distribution.count) +
      ",\"edges\":" + std::to_string(edges) + ",\"distribution\":{" + distribution_json(distribution) + "}}";
  tx.emit(cause, std::move(event));
}

void announce_incremental(Transaction& tx, const Event& cause, std::string_view as_of,
                          std::string_view formula, const std::vector<std::int64_t>& principals,
                          bool batch_queued) {
  Outgoing event;
  event.event_name = "score.incremental_computed";
  event.subject_type = "score_snapshot";
  event.subject_id = cause.key.empty() ? "score" : std::string(cause.key);
  event.idempotency_key = "score.incremental:" + std::string(cause.place.stream) + "/" +
                          std::to_string(cause.place.incarnation) + "/" +
                          std::to_string(cause.place.sequence);
  event.payload = "{\"as_of\":" + quoted(as_of) + ",\"formula\":" + quoted(formula) +
                  ",\"batch_queued\":" + (batch_queued ? "true" : "false") + ",\"principal_ids\":[";
  for (std::size_t i = 0; i < principals.size(); ++i)
    event.payload += (i ? "," : "") + std::to_string(principals[i]);
  event.payload += "]}";
  tx.emit(cause, std::move(event));
}

void announce_explanation(Transaction& tx, const Event& cause, std::int64_t principal, std::string_view as_of,
                          std::string_view origin) {
  Outgoing event;
  event.event_name = "score.explanation_updated";
  event.subject_type = "score";
  event.subject_id = std::to_string(principal);
  event.idempotency_key = "score.explanation:" + event.subject_id + ":" + std::string(origin);
  event.payload = "{\"principal_id\":" + event.subject_id + ",\"as_of\":" + quoted(as_of) + "}";
  event.priority = kBulkPriority;
  tx.emit(cause, std::move(event));
}

bool announce_explanations(Transaction& tx, std::size_t rows) {
  const auto run = tx.query(kOldest);
  if (run->size() == 0) return false;
  Event cause;
  cause.event_id = run->text(0, 4);
  cause.event_name = run->text(0, 5);
  cause.tenant_scope = run->text(0, 6);
  cause.correlation_id = run->text(0, 7);
  cause.actor = {run->text(0, 8), run->text(0, 9)};
  cause.traceparent = run->text(0, 10);
  cause.tracestate = run->text(0, 11);
  const std::int64_t id = run->integer(0, 0), after = run->integer(0, 2);
  const std::string origin = "run-" + std::to_string(id);
  const auto changed = tx.query(kChanged, {id, run->integer(0, 1), after, static_cast<std::int64_t>(rows)});
  for (std::size_t i = 0; i < changed->size(); ++i)
    announce_explanation(tx, cause, changed->integer(i, 0), run->text(0, 3), origin);
  const auto end = tx.query(kEnd, {id, after, static_cast<std::int64_t>(rows)});
  const bool more = end->integer(0, 1) == static_cast<std::int64_t>(rows);
  tx.query(
      "UPDATE score_runs SET announced_to = CASE WHEN $2::boolean THEN $3::bigint END WHERE run_id = "
      "$1::bigint",
      {id, more, end->is_null(0, 0) ? after : end->integer(0, 0)});
  return true;
}

}  // namespace cutover::score
