#!/usr/bin/env bash
# Worker and monolith over the same generated worlds: the scores of all principals, and the decisions of all cases.
# usage: compare_test.sh BUILD_FOLDER score|dispute
set -euo pipefail
what=$2
# shellcheck source=tests/monolith/real_servers.sh
. "$(dirname "$0")/real_servers.sh" "$1" "compare-$what"

worker_owns="UPDATE cutover.workers SET first_owner = 'worker'" # there is no monolith beside it

# Rows as no user makes them: times in the future and at the limits of every window, weights that are equal, none or whole,
# ties to oneself, a week of 80 new ties, ended and contested ones, people who are none.
odd_rows() {
  sql <<SQL
UPDATE app.contacts SET confidence = (contact_id % 3) * 0.5 WHERE contact_id % 11 = 0;
UPDATE app.contacts SET last_evidence_at = timestamptz '$1' - (ARRAY[-3, 0, 90, 91, 364, 365, 400])[1 + contact_id % 7] * interval '24 hours'
  WHERE contact_id % 13 = 0;
UPDATE app.contacts SET first_seen_at = timestamptz '$1' - (ARRAY[-3, 0, 7, 45, 90, 91])[1 + contact_id % 6] * interval '24 hours'
  WHERE contact_id % 17 = 0;
UPDATE app.contacts SET first_seen_at = timestamptz '$1' - (contact_id % 7 + 1) * interval '20 hours' WHERE owner_id IN (1, 7, 9);
UPDATE app.contacts SET state = 'tombstoned', ended_at = timestamptz '$1' - (ARRAY[-1, 0, 89, 90, 300])[1 + contact_id % 5] * interval '24 hours'
  WHERE contact_id % 19 = 0;
UPDATE app.contacts SET contested = true WHERE contact_id % 101 = 0;
UPDATE app.contacts c SET target_id = owner_id WHERE contact_id IN (SELECT min(contact_id) FROM app.contacts k WHERE k.target_id IS NULL
  AND NOT EXISTS (SELECT FROM app.contacts s WHERE s.owner_id = k.owner_id AND s.target_id = k.owner_id) GROUP BY k.owner_id)
  AND owner_id % 5 = 0;
UPDATE app.profiles SET profile_class = 'shadow' WHERE owner_principal_id % 29 = 0;
INSERT INTO app.trust_incidents (principal_id, kind, band, occurred_at, cleared_at)
SELECT p, (ARRAY['abuse_flag', 'forced_recovery', 'reverification_failure', 'dispute'])[1 + p % 4], (ARRAY['soft', 'moderate', 'hard'])[1 + p % 3],
       timestamptz '$1' - (ARRAY[-1, 0, 45, 89, 90, 200])[1 + p % 6] * interval '24 hours',
       CASE WHEN p % 2 = 0 THEN timestamptz '$1' - (ARRAY[0, 15, 30, 60, 89, 90])[1 + p % 6] * interval '24 hours' END
FROM generate_series(3, 200, 2) p;
SQL
}

compare_scores() {
  local as_of=$1
  "$cutover" trigger score --as-of "$as_of" >>"$work/trigger.out"
  until_sql 120 "SELECT count(*) = 1 FROM serving.score_runs WHERE state = 'published' AND as_of = '$as_of'"
  "$monolith" score --as-of "$as_of" --out "$work/scores.csv" >/dev/null
  sql -c "DROP TABLE IF EXISTS computed; CREATE TABLE computed (principal_id bigint, ties bigint, quality float8, position float8,
            stability float8, trust float8, penalty float8, score float8)" \
    -c "\\copy computed FROM '$work/scores.csv' CSV HEADER"
  local found
  found=$(sql -c "
    SELECT count(*), count(*) FILTER (WHERE w.principal_id IS NULL OR m.principal_id IS NULL), max(abs(w.score - m.score)),
           count(*) FILTER (WHERE NOT (abs(w.score - m.score) <= 0.01 AND abs(w.quality - m.quality) <= 0.0001
             AND abs(w.position - m.position) <= 0.0001 AND abs(w.stability - m.stability) <= 0.0001
             AND abs(w.trust - m.trust) <= 0.0001 AND abs(w.penalty - m.penalty) <= 0.01 AND w.edges = m.ties))
    FROM computed m FULL JOIN (
      SELECT r.* FROM serving.score_results r JOIN serving.score_runs n USING (run_id)
      WHERE n.state = 'published' AND n.as_of = '$as_of') w USING (principal_id)")
  IFS='|' read -r principals lonely furthest different <<<"$found"
  if [ "$lonely" != 0 ] || [ "$different" != 0 ] || [ "$principals" -lt 300 ]; then
    sql -c "SELECT principal_id, w.score, m.score, w.quality - m.quality, w.position - m.position, w.stability - m.stability,
              w.trust - m.trust, w.penalty - m.penalty, w.edges - m.ties
            FROM computed m FULL JOIN (SELECT r.* FROM serving.score_results r JOIN serving.score_runs n USING (run_id)
              WHERE n.state = 'published' AND n.as_of = '$as_of') w USING (principal_id)
            ORDER BY abs(w.score - m.score) DESC NULLS FIRST LIMIT 20" >&2
    fail "scores as of $as_of: $principals principals, $lonely on one side only, $different differ"
  fi
  echo "scores as of $as_of: $principals principals, furthest apart $furthest points"
}

if [ "$what" = score ]; then
  "$monolith" seed --world 400 --seed "${CUTOVER_TEST_SEED:-23}" --as-of 2026-06-01T00:00:00Z >/dev/null
  odd_rows 2026-06-01T00:00:00Z
  "$cutover" streams apply >/dev/null
  sql -c "$worker_owns WHERE worker = 'score-orchestrator'"
  background worker "$cutover" run score-orchestrator
  compare_scores 2026-05-20T13:14:15.161718Z
  compare_scores 2026-06-01T00:00:00Z
  compare_scores 2026-06-11T00:00:00Z
  exit
fi

# The same case events on both sides, each with servers of its own; what is still to come is not compared.
"$monolith" seed --world 60 --seed 5 >/dev/null
"$root/scripts/servers" start "$work/other" --nats >/dev/null
stop_servers_on_exit "$work/other" --remove
other_nats=$(sed -n 's/^NATS_URL=//p' "$work/other/env")
sql -d postgres -c "CREATE DATABASE other TEMPLATE $PGDATABASE"
other_url=postgresql://$PGUSER@$PGHOST:$PGPORT/other
"$cutover" streams apply >/dev/null
CUTOVER_NATS_SERVERS=$other_nats CUTOVER_POSTGRES_URL=$other_url "$cutover" streams apply >/dev/null
background relay "$cutover" relay
background serve "$monolith" serve --domains dispute
until_sql 20 "SELECT count(*) = 1 FROM cutover.instances WHERE side = 'monolith' AND ready"
sql -d other -c "$worker_owns WHERE worker = 'dispute-processor'"
CUTOVER_NATS_SERVERS=$other_nats CUTOVER_POSTGRES_URL=$other_url background worker "$cutover" run dispute-processor
# First where no timer fires: the order of a case's events alone decides. Then old ones, whose timers fire at once.
load() { "$monolith" load --domains dispute --rate 0 --events "${CUTOVER_TEST_CASES:-600}" --duplicates 0.05 --poisoned 0.03 "$@" >/dev/null; }
load --seed "${CUTOVER_TEST_SEED:-7}" --ahead 60
load --seed "$((${CUTOVER_TEST_SEED:-7} + 1))" --old-cases 0.9
now=$(sql -c 'SELECT now()')
sql -c "\\copy (SELECT message_id, subject, key, payload, event_id FROM cutover.outbox WHERE subject LIKE 'security.case\\_%' AND subject NOT LIKE 'security.case\\_resolved%' ORDER BY outbox_id) TO '$work/events.copy'"
sql -d other -c "\\copy cutover.outbox (message_id, subject, key, payload, event_id) FROM '$work/events.copy'"
events=$(wc -l <"$work/events.copy")

settled() { # settled DATABASE: all case events, and what they led to
  until_sql 180 "SELECT NOT EXISTS (SELECT FROM cutover.outbox WHERE published_at IS NULL AND (available_at IS NULL OR available_at < now()))
    AND NOT EXISTS (
      SELECT FROM cutover.outbox o JOIN cutover.streams s USING (stream)
      WHERE (o.subject LIKE 'security.case\\_%' AND o.subject NOT LIKE 'security.case\\_resolved%' OR o.subject LIKE 'dispute.queue\\_routed.%'
             OR o.subject LIKE 'dispute.timer\\_fired.%')
        AND NOT EXISTS (
          SELECT FROM cutover.settlements t JOIN cutover.workers w USING (worker_id)
          WHERE w.worker = 'dispute-processor' AND t.stream_id = s.stream_id AND t.sequences @> o.sequence))" -d "$1"
}
settled "$PGDATABASE"
settled other

# As lines. Those of the time of this test may be still to come on one side; in the future, which no timer reaches, a hold or a
# cooling ends when an event that asks for something comes after it.
decisions() { # decisions DATABASE
  sql -d "$1" -c "SELECT case_id, evaluation, version, cause, extract(epoch FROM as_of), rule, outcome, confidence, lane, hold_hours, actions
                  FROM serving.dispute_decisions d WHERE as_of < timestamptz '$now' OR as_of > timestamptz '$now' + interval '30 days'
                    AND EXISTS (SELECT FROM serving.dispute_evidence e WHERE e.case_id = d.case_id AND e.at >= d.as_of
                                AND (e.material OR e.kind = 'reopened'))
                  ORDER BY 1, 2"
}
decisions "$PGDATABASE" >"$work/monolith.decisions"
decisions other >"$work/worker.decisions"
[ "$(cut -d'|' -f6 "$work/monolith.decisions" | sort -u | wc -l)" = 25 ] || fail 'not every rule came out'
diff "$work/monolith.decisions" "$work/worker.decisions" >"$work/differences" || {
  head -40 "$work/differences" >&2
  fail "$(grep -c '^[<>]' "$work/differences") lines of decisions differ (< monolith, > worker)"
}
echo "cases: $(wc -l <"$work/monolith.decisions") decisions on $events events are the same, by $(cut -d'|' -f4 "$work/monolith.decisions" | sort | uniq -c | awk '{printf "%s%s %s", (NR > 1 ? ", " : ""), $1, $2}')"
