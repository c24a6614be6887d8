#!/usr/bin/env bash
# The monolith alone decides cases and computes scores, event by event: each event is applied once, each case is decided, its
# requests of a channel are answered, and the scores that readers see are those that the formula gives.
# usage: domains_test.sh BUILD_FOLDER
set -euo pipefail
build=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
monolith=$build/tests/monolith/monolith
cutover=$build/runtime/cli/cutover
work=$build/monolith-domains
"$root/scripts/servers" stop "$work" --remove
mkdir -p "$work"
stop_servers_on_exit "$work" --remove
"$root/scripts/servers" start "$work" >/dev/null
# shellcheck source=/dev/null
. "$work/env"
export NATS_URL PG_URL PGHOST PGPORT PGUSER PGDATABASE CUTOVER_NATS_SERVERS=$NATS_URL CUTOVER_POSTGRES_URL=$PG_URL

sql() { psql -X -q -At -v ON_ERROR_STOP=1 -c "$1"; }
until_sql() { # until_sql SECONDS QUERY: the query says t
  local deadline=$((SECONDS + $1))
  until [ "$(sql "$2")" = t ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then fail "not true after $1 s: $2" "read $work/*.log"; fi
    sleep 0.2
  done
}
end() { kill -s KILL "$1" 2>/dev/null || true; }
expect() { [ "$2" = "$3" ] || fail "$1: $2, expected $3"; }

"$root/scripts/migrate" "$work" deploy --quiet
"$monolith" seed --world 120 --seed 11 >/dev/null
"$cutover" streams apply >/dev/null
sql "CREATE ROLE monolith_login LOGIN IN ROLE cutover_monolith"
"$cutover" relay >"$work/relay.out" 2>"$work/relay.log" &
at_exit end $!
"$monolith" serve --domains score,dispute --pg "postgresql://monolith_login@$PGHOST:$PGPORT/$PGDATABASE" >"$work/serve.out" 2>"$work/serve.log" &
serving=$!
at_exit end "$serving"
until_sql 20 "SELECT count(*) = 2 FROM cutover.instances WHERE side = 'monolith' AND ready"
sql "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason)
     SELECT w.worker_id, 1, s.stream_id, 1, 'monolith', 'test', 'as before' FROM cutover.workers w CROSS JOIN cutover.streams s
     WHERE (w.worker, s.stream) IN (('score-orchestrator', 'GRAPH'), ('dispute-processor', 'CORE'))"

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

number() { sed -nE "s/.*\"$1\":([0-9]+).*/\1/p" <<<"$2"; } # number NAME JSON
made=$("$monolith" load --domains dispute --rate 0 --events 900 --seed 3 --duplicates 0.05 --poisoned 0.05)
"$monolith" load --domains search,score --rate 400 --events 600 --import-size 10 --seed 5 --duplicates 0.05 --malformed 0.02 --batch >/dev/null
opened=$(number security.case_opened "$made")
poisoned=$(number poisoned "$made")

all_settled
letters() { sql "SELECT count(*) FROM cutover.dead_letters JOIN cutover.workers USING (worker_id) WHERE worker = 'dispute-processor' AND $1"; }
expect 'dead letters, the poisoned cases' "$(letters "kind = 'rejected'")" "$poisoned"
expect 'other dead letters of cases' "$(letters "kind <> 'rejected'")" 0
expect 'cases' "$(sql 'SELECT count(*) FROM serving.dispute_queue WHERE appeal_of IS NULL')" "$((opened - poisoned))"
expect 'cases with undecided events' "$(sql 'SELECT count(*) FROM serving.dispute_queue WHERE decided_version < version')" 0
expect 'cases without a decision' "$(sql 'SELECT count(*) FROM serving.dispute_queue q WHERE appeal_of IS NULL AND
  NOT EXISTS (SELECT FROM serving.dispute_decisions d WHERE d.case_id = q.case_id)')" 0
expect 'rules that never came out' "$(sql 'SELECT 25 - count(DISTINCT rule) FROM serving.dispute_decisions')" 0
expect 'holds that should have ended' "$(sql "SELECT count(*) FROM serving.dispute_queue WHERE state = 'held' AND hold_until < now() - interval '1 minute' AND blocked_by IS NULL")" 0
expect 'restrictions of resolved cases' "$(sql "SELECT count(*) FROM serving.dispute_restrictions r JOIN serving.dispute_queue q USING (case_id)
  WHERE q.state = 'resolved' AND r.lifted_at IS NULL")" 0
expect 'cases that the monolith knows as open although they are resolved' "$(sql "SELECT count(*) FROM serving.dispute_queue q JOIN app.cases c USING (case_id)
  WHERE q.state = 'resolved' AND c.state <> 'resolved'")" 0
expect 'notifications above three' "$(sql "SELECT count(*) FROM (SELECT key FROM cutover.outbox WHERE subject = 'dispute.notification_requested'
  GROUP BY key HAVING count(*) > 3) k")" 0

# Scores: now that nothing changes any more, what the batch published is what the formula gives, and so is each incremental.
"$monolith" load --domains score --rate 0 --events 100 --seed 4 --batch >/dev/null
all_settled
as_of=$(sql "SELECT to_char(as_of AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM serving.score_runs WHERE state = 'published' ORDER BY as_of DESC LIMIT 1")
"$monolith" score --as-of "$as_of" --out "$work/scores.csv" >/dev/null
sql "CREATE TABLE computed (principal_id bigint, ties bigint, quality float8, position float8, stability float8, trust float8, penalty float8, score float8)"
psql -X -q -v ON_ERROR_STOP=1 -c "\\copy computed FROM '$work/scores.csv' CSV HEADER"
expect 'scores that are not what the formula gives' "$(sql 'SELECT count(*) FROM computed c
  FULL JOIN (SELECT r.* FROM serving.score_results r JOIN serving.score_current USING (run_id)) s USING (principal_id)
  WHERE (c.score, c.quality, c.position, c.stability, c.trust, c.penalty, c.ties) IS DISTINCT FROM
        (s.score, s.quality, s.position, s.stability, s.trust, s.penalty, s.edges)')" 0
incrementals=$(sql 'SELECT count(*) FROM serving.score_updates')
[ "$incrementals" -gt 0 ] || fail 'no incremental was computed'

kill -s TERM "$serving"
wait "$serving" || fail "serve ended with $? on SIGTERM" "read $work/serve.log"
echo "monolith: $((opened - poisoned)) cases in $(sql 'SELECT count(*) FROM serving.dispute_decisions') decisions, $(sql "SELECT count(*) FROM serving.dispute_queue WHERE state = 'resolved'") resolved, $incrementals incremental scores, $(sql 'SELECT count(*) FROM computed') by the batch"
