#include "workers/score/run_store.h"

#include <charconv>

namespace cutover::score {
namespace {

// The arbiter is the partial index: a run that was taken up no longer matches it, and the request queues a
// successor.
constexpr std::string_view kRequest = R"sql(
INSERT INTO score_runs AS r (side, as_of, formula, stream, incarnation, sequence, key, event_id, event_name, tenant_scope,
  correlation_id, actor_id, actor_type, traceparent, tracestate)
SELECT 'worker', $1::timestamptz, f.formula, $2::text, $3::bigint::integer, $4::bigint, $5::text, $6::text, $7::text, $8::text,
  $9::text, $10::text, $11::text, $12::text, $13::text
FROM serving.score_formulas f WHERE f.state = 'active'
ON CONFLICT (side) WHERE state = 'queued' AND official DO UPDATE SET requests = r.requests + 1,
  (as_of, stream, incarnation, sequence, key, event_id, event_name, tenant_scope, correlation_id, actor_id, actor_type,
   traceparent, tracestate) =
  (SELECT l.as_of, l.stream, l.incarnation, l.sequence, l.key, l.event_id, l.event_name, l.tenant_scope, l.correlation_id,
          l.actor_id, l.actor_type, l.traceparent, l.tracestate
   FROM (VALUES (r.as_of, r.stream, r.incarnation, r.sequence, r.key, r.event_id, r.event_name, r.tenant_scope,
                 r.correlation_id, r.actor_id, r.actor_type, r.traceparent, r.tracestate),
                (excluded.as_of, excluded.stream, excluded.incarnation, excluded.sequence, excluded.key, excluded.event_id,
                 excluded.event_name, excluded.tenant_scope, excluded.correlation_id, excluded.actor_id, excluded.actor_type,
                 excluded.traceparent, excluded.tracestate))
     l (as_of, stream, incarnation, sequence, key, event_id, event_name, tenant_scope, correlation_id, actor_id, actor_type,
        traceparent, tracestate)
   ORDER BY l.as_of DESC, l.sequence DESC LIMIT 1))sql";

constexpr std::string_view kTake = R"sql(
UPDATE score_runs r SET state = 'running', phase = 'reading', attempt = r.attempt + 1, instance = $1::text, done = 0, total = 0,
  started_at = coalesce(r.started_at, now()), read_at = coalesce(r.read_at, now()), progressed_at = now(),
  formula = CASE WHEN r.official AND r.attempt = 0 THEN (SELECT f.formula FROM serving.score_formulas f WHERE f.state = 'active')
                 ELSE r.formula END
WHERE r.run_id = (SELECT n.run_id FROM score_runs n WHERE n.side = 'worker' AND n.state IN ('queued', 'running')
                  ORDER BY n.state = 'running' DESC, n.official DESC, n.run_id LIMIT 1 FOR UPDATE)
RETURNING r.run_id, r.attempt, r.official, (extract(epoch FROM r.as_of) * 1000000)::bigint, to_char(r.as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), r.formula,
  coalesce(r.stream, ''), coalesce(r.key, ''), r.event_id, r.event_name, r.tenant_scope, r.correlation_id, r.actor_id,
  r.actor_type, r.traceparent, r.tracestate, coalesce(r.incarnation, 0), coalesce(r.sequence, 0))sql";

constexpr std::string_view kProgress = R"sql(
UPDATE score_runs SET phase = $3::text, done = $4::bigint, total = $5::bigint, progressed_at = now()
WHERE run_id = $1::bigint AND attempt = $2::bigint AND state = 'running')sql";

constexpr std::string_view kGiveUp = R"sql(
UPDATE score_runs SET state = $3::text, error = $4::text, finished_at = now(), progressed_at = now()
WHERE run_id = $1::bigint AND attempt = $2::bigint AND state = 'running')sql";

constexpr std::string_view kFailure = R"sql(
UPDATE score_runs SET failures = failures + 1, error = $3::text, progressed_at = now()
WHERE run_id = $1::bigint AND attempt = $2::bigint AND state = 'running' RETURNING failures)sql";

}  // namespace

void request_run(Transaction& tx, const Event& e) {
  tx.query(kRequest,
           {e.occurred_at, e.place.stream, std::int64_t{e.place.incarnation},
            static_cast<std::int64_t>(e.place.sequence), e.key, e.event_id, e.event_name, e.tenant_scope,
            e.correlation_id, e.actor.id, e.actor.type, e.traceparent, e.tracestate});
}

Event OpenRun::cause() const {
  Event event;
  event.event_id = event_id;
  event.event_name = event_name;
  event.tenant_scope = tenant_scope;
  event.correlation_id = correlation_id;
  event.actor = {actor_id, actor_type};
  event.traceparent = traceparent;
  event.tracestate = tracestate;
  event.key = key;
  event.place = {stream, static_cast<int>(incarnation), static_cast<std::uint64_t>(sequence)};
  return event;
}

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::reading:
      return "reading";
    case Phase::computing:
      return "computing";
    case Phase::staging:
      return "staging";
    case Phase::publishing:
      break;
  }
  return "publishing";
}

std::optional<OpenRun> take_run(Transaction& tx, std::string_view instance) {
  const auto rows = tx.query(kTake, {instance});
  if (rows->size() == 0) return std::nullopt;
  const auto text = [&](std::size_t column) { return std::string(rows->text(0, column)); };
  OpenRun run;
  run.id = rows->integer(0, 0);
  run.attempt = rows->integer(0, 1);
  run.official = rows->boolean(0, 2);
  run.as_of = rows->integer(0, 3);
  run.as_of_text = text(4);
  run.formula = text(5);
  run.stream = text(6);
  run.key = text(7);
  run.event_id = text(8);
  run.event_name = text(9);
  run.tenant_scope = text(10);
  run.correlation_id = text(11);
  run.actor_id = text(12);
  run.actor_type = text(13);
  run.traceparent = text(14);
  run.tracestate = text(15);
  run.incarnation = rows->integer(0, 16);
  run.sequence = rows->integer(0, 17);
  return run;
}

void note_progress(Transaction& tx, const OpenRun& run, Phase phase, std::uint64_t done,
                   std::uint64_t total) {
  const auto rows = tx.query(kProgress, {run.id, run.attempt, name_of(phase), static_cast<std::int64_t>(done),
                                         static_cast<std::int64_t>(total)});
  if (rows->affected() == 0) throw Superseded();
}

void give_up(Transaction& tx, const OpenRun& run, std::string_view state, std::string_view error) {
  tx.query(kGiveUp, {run.id, run.attempt, state, error});
}

int note_failure(Transaction& tx, const OpenRun& run, std::string_view error) {
  const auto rows = tx.query(kFailure, {run.id, run.attempt, error});
  return rows->size() == 0 ? 0 : static_cast<int>(rows->integer(0, 0));
}

Weights weights_of(Transaction& tx, std::string_view formula) {
  const auto rows = tx.query(R"sql(
SELECT w.key, w.value FROM serving.score_formulas f LEFT JOIN LATERAL jsonb_each_text(f.weights) w ON true
WHERE f.formula = $1::text ORDER BY w.key)sql",
                             {formula});
  const std::string name = "score formula " + std::string(formula);
  if (rows->size() == 0) throw std::invalid_argument(name + " does not exist");
  Weights weights;
  for (std::size_t i = 0; i < rows->size(); ++i) {
    if (rows->is_null(i, 0)) continue;
    const std::string_view text = rows->text(i, 1);
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      throw std::invalid_argument(name + ": weight " + std::string(rows->text(i, 0)) + " is no number");
    if (const auto complaint = set_weight(weights, rows->text(i, 0), value))
      throw std::invalid_argument(name + ": " + *complaint);
  }
  if (const auto complaint = complaint_about(weights)) throw std::invalid_argument(name + ": " + *complaint);
  return weights;
}

}  // namespace cutover::score
