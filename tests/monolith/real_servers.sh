# shellcheck shell=bash
# What the monolith's tests on real servers share. Source it as `. real_servers.sh BUILD_FOLDER NAME`: servers run in
# BUILD_FOLDER/NAME until the script ends, the migrations are deployed, and these are set: root, work, monolith, cutover.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"
# shellcheck disable=SC2034  # the scripts use them
monolith=$1/tests/monolith/monolith
# shellcheck disable=SC2034
cutover=$1/runtime/cli/cutover
work=$1/$2
"$root/scripts/servers" stop "$work" --remove
mkdir -p "$work"
stop_servers_on_exit "$work" --remove
"$root/scripts/servers" start "$work" >/dev/null
# shellcheck source=/dev/null
. "$work/env"
export NATS_URL PG_URL PGHOST PGPORT PGUSER PGDATABASE CUTOVER_NATS_SERVERS=$NATS_URL CUTOVER_POSTGRES_URL=$PG_URL
"$root/scripts/migrate" "$work" deploy --quiet

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; } # options of psql
until_sql() { # until_sql SECONDS QUERY [OPTION...]: the query says t
  local deadline=$((SECONDS + $1)) query=$2
  shift 2
  until [ "$(sql "$@" -c "$query")" = t ]; do
    if [ "$SECONDS" -ge "$deadline" ]; then fail "not true in time: $query" "read $work/*.log"; fi
    sleep 0.1
  done
}
expect() { [ "$2" = "$3" ] || fail "$1: $2, expected $3"; } # expect WHAT FOUND EXPECTED
number() { sed -nE "s/.*\"$1\":([0-9]+).*/\1/p" <<<"$2"; }   # number NAME JSON
end() { kill -s KILL "$1" 2>/dev/null || true; }
background() { # background NAME COMMAND...: with its logs, pid in $started
  local name=$1
  shift
  "$@" >>"$work/$name.out" 2>>"$work/$name.log" &
  started=$!
  at_exit end "$started"
}
