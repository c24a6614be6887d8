#!/usr/bin/env bash
# The monolith alone, as the user cutover_monolith: it changes rows, a relay publishes, it follows its own events through
# kill -9 and SIGTERM, hands over to the worker's side and takes back. Every event is applied once, and the documents equal
# their source.
# usage: serve_test.sh BUILD_FOLDER
set -euo pipefail
# shellcheck source=tests/monolith/real_servers.sh
. "$(dirname "$0")/real_servers.sh" "$1" monolith-serve

serve() { # in the background, pid in $serving
  background serve "$monolith" serve --pg "$monolith_url"
  serving=$started
}

"$monolith" seed --world 300 --seed 7 >/dev/null
"$cutover" streams apply >/dev/null
sql -c "INSERT INTO serving.search_documents (doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title, circle_names, tsv)
     SELECT doc_id, kind, owner_id, visibility, display_name, phone, email, username, company_name, job_title, circle_names, tsv
     FROM serving.search_document_source"
sql -c "CREATE ROLE monolith_login LOGIN IN ROLE cutover_monolith"
monolith_url=postgresql://monolith_login@$PGHOST:$PGPORT/$PGDATABASE
background relay "$cutover" relay
relay=$started
serve
until_sql 20 "SELECT count(*) = 1 FROM cutover.instances WHERE side = 'monolith' AND ready AND seen_at > now() - interval '1 minute'"
sql -c "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason)
     SELECT w.worker_id, 1, s.stream_id, 1, 'monolith', 'test', 'as before' FROM cutover.workers w CROSS JOIN cutover.streams s
     WHERE w.worker = 'search-projector' AND s.stream IN ('CORE', 'CONTACT')"

load() { # load SEED: adds to $events, $duplicates, $malformed
  local line
  line=$("$monolith" load --pg "$monolith_url" --rate 0 --events 1000 --import-size 20 --seed "$1" --duplicates 0.05 --malformed 0.02)
  events=$((events + $(number events "$line")))
  duplicates=$((duplicates + $(number duplicates "$line")))
  malformed=$((malformed + $(number malformed "$line")))
}
count() { sql -c "SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM cutover.settlements, unnest(sequences) r WHERE side = 'm' AND class = '$1'"; }
all_settled() {
  until_sql 120 "SELECT coalesce(sum(upper(r) - lower(r)), 0) >= $((events + duplicates + malformed)) FROM cutover.settlements, unnest(sequences) r"
}
differences() {
  sql -c "SELECT count(*) FROM serving.search_document_source v FULL JOIN serving.search_documents d USING (doc_id)
       WHERE (v.doc_id IS NULL) <> (d.doc_id IS NULL) OR
             (v.kind, v.owner_id, v.visibility, v.display_name, v.phone, v.email, v.username, v.company_name, v.job_title, v.circle_names, v.tsv)
             IS DISTINCT FROM
             (d.kind, d.owner_id, d.visibility, d.display_name, d.phone, d.email, d.username, d.company_name, d.job_title, d.circle_names, d.tsv)"
}

events=0 duplicates=0 malformed=0
load 1
until_sql 60 "SELECT count(*) > 50 FROM cutover.settlements WHERE side = 'm'"
kill -s KILL "$serving"
wait "$serving" 2>/dev/null || true
serve
load 2
until_sql 60 "SELECT count(*) > 1100 FROM cutover.settlements WHERE side = 'm'"
kill -s TERM "$serving"
wait "$serving" || fail "serve ended with $? on SIGTERM" "read $work/serve.log"
expect 'instances that say they stopped' "$(sql -c 'SELECT count(*) FROM cutover.instances WHERE stopped_at IS NOT NULL AND NOT ready')" 1
serve
all_settled
expect 'applied' "$(count a)" "$events"
expect "the producer's duplicates" "$(count d)" "$duplicates"
expect 'dead letters' "$(count x)" "$malformed"
expect 'dead letters by row' "$(sql -c "SELECT count(*) FROM cutover.dead_letters WHERE kind = 'malformed' AND side = 'monolith'")" "$malformed"
expect 'documents that differ from their source' "$(differences)" 0

# What the worker's side owns is passed over, and is ours again above the next segment.
segment() { # segment EPOCH MODE
  sql -c "INSERT INTO cutover.ownership (worker_id, epoch, stream_id, from_sequence, mode, actor, reason)
       SELECT o.worker_id, $1, o.stream_id, (SELECT max(sequence) + 1 FROM cutover.outbox b WHERE b.stream = s.stream), '$2', 'test', 'a flip'
       FROM cutover.ownership o JOIN cutover.streams s USING (stream_id) WHERE o.epoch = 1"
}
settled=$(sql -c 'SELECT count(*) FROM cutover.settlements')
segment 2 worker
load 3
until_sql 60 "SELECT count(*) = 0 FROM cutover.outbox WHERE published_at IS NULL AND available_at IS NULL"
until_sql 60 "SELECT bool_and(k.sequence = (SELECT max(b.sequence) FROM cutover.outbox b WHERE b.stream = s.stream)) AND count(*) = 2
              FROM (SELECT stream_id, max(sequence) AS sequence FROM cutover.skipped WHERE side = 'm' GROUP BY stream_id) k JOIN cutover.streams s USING (stream_id)"
expect 'settlements while the worker owns' "$(sql -c 'SELECT count(*) FROM cutover.settlements')" "$settled"
segment 3 monolith
before=$(count a)
events=0 duplicates=0 malformed=0
load 4
until_sql 120 "SELECT coalesce(sum(upper(r) - lower(r)), 0) >= $((before + events)) FROM cutover.settlements, unnest(sequences) r WHERE class = 'a'"
expect 'applied after the reverse' "$(count a)" "$((before + events))"
kill -s TERM "$serving"
wait "$serving" || fail "serve ended with $? on SIGTERM" "read $work/serve.log"

# A stream that was made anew is nobody's to guess about.
sql -c "UPDATE cutover.streams SET created_at = created_at - interval '1 hour' WHERE stream = 'CONTACT'"
if timeout -s KILL 20 "$monolith" serve --pg "$monolith_url" >/dev/null 2>"$work/refused.log"; then fail "serve runs on a stream that was made anew"; fi
grep -q 'deleted and created anew' "$work/refused.log" || fail "serve does not say what is wrong: $(cat "$work/refused.log")"
kill -s TERM "$relay"
wait "$relay" || fail "cutover relay ended with $? on SIGTERM" "read $work/relay.log"
echo "monolith: $before events applied once through a kill and a stop, nothing while the worker owned, documents equal their source"
