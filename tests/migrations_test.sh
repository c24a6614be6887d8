#!/usr/bin/env bash
# Deploys, reverts and deploys the migrations again on a PostgreSQL server of its own, and compares the schemas.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"

work=$(mktemp -d)
at_exit rm -rf "$work"
stop_servers_on_exit "$work/servers" --remove
bin=$(postgres_bin)
"$root/scripts/servers" start "$work/servers" --postgres

url=$(sed -n 's/^PG_URL=//p' "$work/servers/env")
migrate() { "$root/scripts/migrate" "$work/servers" "$@"; }
# The dump of newer versions carries a random \restrict key.
schema() { "$bin/pg_dump" --schema-only --exclude-schema=sqitch "$url" | sed -E '/^\\(un)?restrict /d'; }
left_over() {
  "$bin/psql" -X -At "$url" <<'SQL'
SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname IN ('cutover', 'serving', 'shadow')
UNION ALL
SELECT 'table ' || relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'S', 'm')
UNION ALL
SELECT 'change ' || change FROM sqitch.changes;
SQL
}

migrate deploy --create
migrate verify
schema >"$work/first.sql"
grep -q '^CREATE SCHEMA cutover;' "$work/first.sql" || fail "the deploy made no schema cutover"

migrate revert
rest=$(left_over)
[ -z "$rest" ] || fail "the revert left something behind: $rest" "complete the scripts below migrations/revert"

migrate deploy
migrate verify
schema >"$work/second.sql"
diff -u "$work/first.sql" "$work/second.sql" || fail "deploy, revert, deploy gives another schema than deploy (diff above)"

# The plan and the folders name the same changes, and no deploy waits for a lock without a limit.
mapfile -t changes < <(grep -oE '^[a-z_0-9]+ ' "$root/migrations/sqitch.plan" | tr -d ' ')
for change in "${changes[@]}"; do
  for folder in deploy revert verify; do
    [ -f "$root/migrations/$folder/$change.sql" ] || fail "migrations/$folder/$change.sql is missing" "write it"
  done
done
for script in "$root"/migrations/deploy/*.sql; do
  grep -qx "$(basename "$script" .sql)" <(printf '%s\n' "${changes[@]}") ||
    fail "$script is not in migrations/sqitch.plan" "sqitch add"
  grep -q 'lock_timeout' "$script" || fail "$script sets no lock_timeout" "SET LOCAL lock_timeout = '5s';"
done
echo "${#changes[@]} changes: deploy, verify, revert, deploy, verify, same schema"
