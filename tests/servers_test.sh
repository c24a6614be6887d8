#!/usr/bin/env bash
# scripts/servers keeps its promises: ports that stay, processes that end, and no process that is not its own.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"

work=$(mktemp -d)
chmod 700 "$work"  # as root: PostgreSQL's user cannot reach it
at_exit rm -rf "$work"
dir="$work/a folder"
stop_servers_on_exit "$dir" --remove
servers() { "$root/scripts/servers" "$@"; }
value() { sed -n "s/^$1=//p" "$dir/env"; }
bin=$(postgres_bin)
query() { "$bin/psql" -X -At "$(value PG_URL)" -c "$1"; }
pid_of() { cat "$dir/$1.pid"; }

servers start "$dir"
servers status "$dir"
first=$(cat "$dir/env")
[ "$(query "SELECT current_setting('fsync') || current_setting('synchronous_commit')")" = onon ] || fail "not durable"
[ "$("$bin/psql" -X -At -h "$(value PG_SOCKET_DIR)" -p "$(value PGPORT)" -U postgres cutover -c 'SELECT 1')" = 1 ] ||
  fail "the socket does not answer"
query 'CREATE TABLE kept (x int)'

nats=$(pid_of nats) postgres=$(pid_of postgres)
servers start "$dir" >/dev/null
[ "$nats $postgres" = "$(pid_of nats) $(pid_of postgres)" ] || fail "a second start started something"

for command in "restart-postgres" "restart-postgres --immediate" restart-nats; do
  read -r name option <<<"$command"
  servers "$name" "$dir" ${option:+"$option"}
done
[ "$nats" != "$(pid_of nats)" ] || fail "restart-nats restarted nothing"
[ "$postgres" != "$(pid_of postgres)" ] || fail "restart-postgres restarted nothing"
servers kill-nats "$dir"
servers stop-postgres "$dir"
if servers status "$dir" >"$work/status"; then fail "status calls stopped servers running"; fi
[ "$(grep -c stopped "$work/status")" = 2 ] || fail "status: $(cat "$work/status")"
servers start-nats "$dir"
servers start-postgres "$dir"
query 'SELECT * FROM kept'
[ "$first" = "$(cat "$dir/env")" ] || fail "the ports changed: $first, then $(cat "$dir/env")"

# another process that got the pid of a server that is gone stays alive
servers kill-nats "$dir"
sleep 600 &
stranger=$!
echo "$stranger" >"$dir/nats.pid"
servers stop "$dir"
kill -0 "$stranger" || fail "stop ended a process that is no server of the folder"
kill "$stranger"

# a script that is told to end takes its servers along
cat >"$work/script" <<SCRIPT
#!/usr/bin/env bash
set -euo pipefail
. "$root/scripts/lib.sh"
stop_servers_on_exit "$dir"
"$root/scripts/servers" start "$dir" >/dev/null
echo started >"$work/started"
run_group sleep 600
SCRIPT
mkfifo "$work/started"
bash "$work/script" &
script=$!
read -r _ <"$work/started"
nats=$(pid_of nats) postgres=$(pid_of postgres)
kill -s TERM "$script"
status=0
wait "$script" || status=$?
[ "$status" -eq 143 ] || fail "the script ended with $status instead of 143"
for pid in "$nats" "$postgres"; do
  [ -z "$(tr '\0' ' ' 2>/dev/null </proc/"$pid"/cmdline)" ] || fail "process $pid outlived its script"
done

servers stop "$dir" --remove
[ ! -e "$dir" ] || fail "$dir is still there: $(ls -A "$dir")"
servers stop "$dir"
echo "same ports after every restart, everything ended, strangers left alone"
