#!/usr/bin/env bash
# The monolith alone decides cases and computes scores, event by event: each event is applied once, each case is decided, its
# requests of a channel are answered, and the scores that readers see are those that the formula gives.
# usage: domains_test.sh BUILD_FOLDER
set -euo pipefail
# shellcheck source=tests/monolith/real_servers.sh
. "$(dirname "$0")/real_servers.sh" "$1" monolith-domains

"$monolith" seed --world 120 --seed 11 >/dev/null
"$cutover" streams apply >/dev/null
sql -c "CREATE ROLE monolith_login LOGIN IN ROLE cutover_monolith"
background relay "$cutover" relay
background serve "$monolith" serve --domains score,dispute --pg "postgresql://monolith_login@$PGHOST:$PGPORT/$PGDATABASE"
serving=$started
until_sql 20 "SELECT count(*) = 2 FROM cutover.instances WHERE side = 'monolith' AND ready"

# Everything is out, answered and settled; what waits are timers of the future.
all_settled() {
  until_sql 240 "SELECT NOT EXISTS (SELECT FROM cutover.outbox WHERE published_at IS NULL AND (available_at IS NULL OR available_at < now()))
  AND NOT EXISTS (
    SELECT FROM cutover.outbox o JOIN cutover.streams s USING (stream)
    WHERE o.published_at IS NOT NULL AND (o.subject LIKE 'security.case\_%' AND o.subject NOT LIKE 'security.case\_resolved%'
          OR o.subject LIKE 'dispute.queue\_routed.%' OR o.subject LIKE 'dispute.timer\_fired.%' OR o.subject = 'score.recompute_requested')
      AND NOT EXISTS (
        SELECT FROM cutover.settlements t JOIN cutover.workers w USING (worker_id)
        WHERE t.stream_id = s.stream_id AND t.sequences @> o.sequence
          AND w.worker = CASE o.stream WHEN 'GRAPH' THEN 'score-orchestrator' ELSE 'dispute-processor' END))
  AND (SELECT count(*) FROM app.answered) = (SELECT count(*) FROM cutover.outbox
                                             WHERE subject IN ('channel.transition_requested', 'security.case_resolved'))"
}

made=$("$monolith" load --domains dispute --rate 0 --events 900 --seed 3 --duplicates 0.05 --poisoned 0.05)
"$monolith" load --domains search,score --rate 400 --events 600 --import-size 10 --seed 5 --duplicates 0.05 --malformed 0.02 --batch >/dev/null
opened=$(number security.case_opened "$made")
poisoned=$(number poisoned "$made")

all_settled
letters() { sql -c "SELECT count(*) FROM cutover.dead_letters JOIN cutover.workers USING (worker_id) WHERE worker = 'dispute-processor' AND $1"; }
expect 'dead letters, the poisoned cases' "$(letters "kind = 'rejected'")" "$poisoned"
expect 'other dead letters of cases' "$(letters "kind <> 'rejected'")" 0
expect 'cases' "$(sql -c 'SELECT count(*) FROM serving.dispute_queue WHERE appeal_of IS NULL')" "$((opened - poisoned))"
expect 'cases with undecided events' "$(sql -c "SELECT count(*) FROM serving.dispute_queue q JOIN serving.dispute_evidence e USING (case_id)
  WHERE e.version > q.decided_version AND (e.material OR e.kind = 'reopened')")" 0
expect 'cases without a decision' "$(sql -c 'SELECT count(*) FROM serving.dispute_queue q WHERE appeal_of IS NULL AND
  NOT EXISTS (SELECT FROM serving.dispute_decisions d WHERE d.case_id = q.case_id)')" 0
expect 'rules that never came out' "$(sql -c 'SELECT 25 - count(DISTINCT rule) FROM serving.dispute_decisions')" 0
expect 'holds that should have ended' "$(sql -c "SELECT count(*) FROM serving.dispute_queue WHERE state = 'held' AND hold_until < now() - interval '1 minute' AND blocked_by IS NULL")" 0
expect 'restrictions of resolved cases' "$(sql -c "SELECT count(*) FROM serving.dispute_restrictions r JOIN serving.dispute_queue q USING (case_id)
  WHERE q.state = 'resolved' AND r.lifted_at IS NULL")" 0
expect 'cases that the monolith knows as open although they are resolved' "$(sql -c "SELECT count(*) FROM serving.dispute_queue q JOIN app.cases c USING (case_id)
  WHERE q.state = 'resolved' AND c.state <> 'resolved'")" 0
expect 'notifications above three' "$(sql -c "SELECT count(*) FROM (SELECT key FROM cutover.outbox WHERE subject = 'dispute.notification_requested'
  GROUP BY key HAVING count(*) > 3) k")" 0

# Scores: now that nothing changes any more, what the batch published is what the formula gives, and so is each incremental.
"$monolith" load --domains score --rate 0 --events 100 --seed 4 --batch >/dev/null
all_settled
as_of=$(sql -c "SELECT to_char(as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM serving.score_runs WHERE state = 'published' ORDER BY as_of DESC LIMIT 1")
"$monolith" score --as-of "$as_of" --out "$work/scores.csv" >/dev/null
sql -c "CREATE TABLE computed (principal_id bigint, ties bigint, quality float8, position float8, stability float8, trust float8, penalty float8, score float8)"
sql -c "\\copy computed FROM '$work/scores.csv' CSV HEADER"
expect 'scores that are not what the formula gives' "$(sql -c 'SELECT count(*) FROM computed c
  FULL JOIN (SELECT r.* FROM serving.score_results r JOIN serving.score_current USING (run_id)) s USING (principal_id)
  WHERE (c.score, c.quality, c.position, c.stability, c.trust, c.penalty, c.ties) IS DISTINCT FROM
        (s.score, s.quality, s.position, s.stability, s.trust, s.penalty, s.edges)')" 0
incrementals=$(sql -c 'SELECT count(*) FROM serving.score_updates')
[ "$incrementals" -gt 0 ] || fail 'no incremental was computed'

kill -s TERM "$serving"
wait "$serving" || fail "serve ended with $? on SIGTERM" "read $work/serve.log"
echo "monolith: $((opened - poisoned)) cases in $(sql -c 'SELECT count(*) FROM serving.dispute_decisions') decisions, $(sql -c "SELECT count(*) FROM serving.dispute_queue WHERE state = 'resolved'") resolved, $incrementals incremental scores, $(sql -c 'SELECT count(*) FROM computed') by the batch"
