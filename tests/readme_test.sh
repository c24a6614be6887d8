#!/usr/bin/env bash
# README tells the truth: its C++ is the consumer project's, its `sh` commands run, its scripts, folders and metrics exist.
# usage: readme_test.sh BUILD_FOLDER
set -euo pipefail
build=$1
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
work=$build/readme
rm -rf "$work"
mkdir -p "$work"
block() { awk -v want="$1" '$0 == "```" want {on = 1; next} $0 == "```" {on = 0} on' "$root/README.md"; }

diff <(block cpp) "$root/tests/consumer_project/counter.cpp" || fail "the worker in README.md is not tests/consumer_project/counter.cpp"
while read -r script; do
  [ -x "$root/$script" ] || fail "README.md names $script, which is not there"
done < <(grep -o 'scripts/[a-z]*' "$root/README.md" | sort -u)
while read -r folder; do
  [ -d "$root/$folder" ] || fail "README.md names $folder, which is not there"
done < <(grep -oE '(runtime|workers|streams|migrations|tests)/[a-z_]*' "$root/README.md" | sort -u | grep -v '/$')

stop_servers_on_exit "$work/servers" --remove
"$root/scripts/servers" start "$work/servers" >/dev/null
# shellcheck source=/dev/null
. "$work/servers/env"
export NATS_URL PG_URL PGHOST PGPORT PGUSER PGDATABASE
export CUTOVER_NATS_SERVERS=$NATS_URL CUTOVER_POSTGRES_URL=$PG_URL PATH=$build/runtime/cli:$PATH
psql -q -v ON_ERROR_STOP=1 -f "$root/tests/monolith/schema/app.sql"
"$root/scripts/migrate" "$work/servers" deploy --quiet
"$build/tests/monolith/monolith" seed --world 50 >/dev/null
cutover streams apply >/dev/null
ops_port=$((20000 + RANDOM % 10000))
cutover run search-projector --set "ops.port=$ops_port" 2>"$work/worker.log" &
worker=$!
at_exit end_worker
end_worker() { kill -s KILL "$worker" 2>/dev/null || true; }
for _ in $(seq 100); do
  if curl -fs "http://127.0.0.1:$ops_port/readyz" >/dev/null 2>&1; then break; fi
  sleep 0.1
done
commands=0
while read -r command; do
  eval "$command" >"$work/out" 2>&1 </dev/null || { cat "$work/out" && fail "README.md: '$command' ended with $?"; }
  commands=$((commands + 1))
done < <(block sh)
[ "$commands" -gt 0 ] || fail "README.md has no sh block"
curl -fs "http://127.0.0.1:$ops_port/metrics" >"$work/metrics"
# shellcheck disable=SC2016  # the backticks are Markdown
while read -r metric; do
  grep -q "^$metric" "$work/metrics" || fail "README.md names the metric $metric, which /metrics does not have"
done < <(grep -oE '`cutover_[a-z_]+`' "$root/README.md" | tr -d '\140' | sort -u | grep -vE '_(projector|relay|monolith|operator|worker)$')
kill "$worker"
wait "$worker" || fail "the worker ended with $?"
echo "README: the worker compiles elsewhere, $commands commands ran"
