#!/usr/bin/env bash
# A worker outside the tree: installs the package, builds tests/consumer_project against it, and runs it on real servers.
# usage: consumer_project_test.sh BUILD_FOLDER
set -euo pipefail
build=$1
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
work=$build/consumer-project
rm -rf "$work"
mkdir -p "$work"

cmake --install "$build" --prefix "$work/prefix" >"$work/install.log"
cmake -S "$root/tests/consumer_project" -B "$work/build" -G Ninja -D CMAKE_PREFIX_PATH="$work/prefix" >"$work/configure.log"
cmake --build "$work/build" >"$work/build.log" || { cat "$work/build.log" && fail "the consumer project does not build"; }

stop_servers_on_exit "$work/servers" --remove
"$root/scripts/servers" start "$work/servers"
# shellcheck source=/dev/null
. "$work/servers/env"
export PGHOST PGPORT PGUSER PGDATABASE
export CUTOVER_NATS_SERVERS=$NATS_URL CUTOVER_POSTGRES_URL=$PG_URL
psql -q -v ON_ERROR_STOP=1 -f "$root/tests/monolith/schema/app.sql"
"$root/scripts/migrate" "$work/servers" deploy --quiet
psql -q -v ON_ERROR_STOP=1 -c 'CREATE TABLE public.profile_changes (profile_id text PRIMARY KEY, changes bigint NOT NULL)'
"$work/prefix/bin/cutover" streams apply >/dev/null

# Three changes of two profiles, one of them repeated by its producer: through the outbox, as the monolith would.
psql -q -v ON_ERROR_STOP=1 <<'SQL'
INSERT INTO cutover.outbox (message_id, event_id, subject, key, payload)
SELECT id, id, 'profile.updated', profile, convert_to(jsonb_build_object(
    'event_id', id, 'event_name', 'profile.updated', 'event_version', 1, 'occurred_at', '2026-01-01T00:00:00Z', 'producer', 'test',
    'actor', jsonb_build_object('actor_id', 'u1', 'actor_type', 'user'),
    'subject', jsonb_build_object('subject_type', 'profile', 'subject_id', profile, 'version', 1),
    'correlation_id', id, 'causation_id', '', 'idempotency_key', key, 'payload', '{}'::jsonb)::text, 'UTF8')
FROM (VALUES (gen_random_uuid()::text, '7', 'a'), (gen_random_uuid()::text, '7', 'b'), (gen_random_uuid()::text, '8', 'c'),
             (gen_random_uuid()::text, '7', 'a')) v (id, profile, key);
SQL
"$work/build/profile_counter" 2>"$work/worker.log" &
worker=$!
at_exit end_worker
end_worker() { kill -s KILL "$worker" 2>/dev/null || true; }
for _ in $(seq 200); do
  settled=$(psql -At -c "SELECT coalesce(sum(upper(r) - lower(r)), 0) FROM cutover.settlements, unnest(sequences) r")
  if [ "$settled" = 4 ]; then break; fi
  sleep 0.1
done
counts=$(psql -At -c "SELECT string_agg(profile_id || '=' || changes, ' ' ORDER BY profile_id) FROM public.profile_changes")
[ "$counts" = '7=2 8=1' ] || { cat "$work/worker.log" && fail "expected 7=2 8=1, found $counts"; }
kill "$worker"
status=0
wait "$worker" || status=$?
[ "$status" -eq 0 ] || { cat "$work/worker.log" && fail "the worker ended with $status"; }
echo "consumer project: 4 events settled, $counts"
