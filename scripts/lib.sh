# shellcheck shell=bash
# What every script shares: messages, and "the servers stop exactly once, whatever happens". Source it, do not run it.

# fail WHAT [FIX]: one message on standard error, then exit 1.
fail() {
  printf '%s: error: %s\n' "$(basename "$0")" "$1" >&2
  if [ $# -gt 1 ]; then printf '  what to do: %s\n' "$2" >&2; fi
  exit 1
}

warn() { printf '%s: warning: %s\n' "$(basename "$0")" "$1" >&2; }

# postgres_bin: prints the folder with postgres, initdb and psql: $PG_BINDIR, else the newest installed version.
postgres_bin() {
  local dir
  if [ -n "${PG_BINDIR:-}" ]; then
    [ -x "$PG_BINDIR/initdb" ] || fail "PG_BINDIR=$PG_BINDIR holds no initdb" "name the folder with postgres, initdb and psql"
    printf '%s\n' "$PG_BINDIR"
    return
  fi
  while read -r dir; do
    if [ -x "$dir/initdb" ]; then printf '%s\n' "$dir" && return; fi
  done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -rV; dirname "$(command -v initdb || echo /none/initdb)")
  fail "no PostgreSQL server found below /usr/lib/postgresql or on the PATH" "run scripts/setup, or set PG_BINDIR"
}

# stop_servers_on_exit DIR [--remove]: servers of DIR end with the calling script: success, failure, Ctrl-C, TERM.
stop_servers_on_exit() {
  SERVERS_TO_STOP=("$@")
  trap 'stop_recorded_servers' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
}

stop_recorded_servers() {
  local status=$?
  trap - EXIT
  trap '' INT TERM HUP
  "$(dirname "${BASH_SOURCE[0]}")/servers" stop "${SERVERS_TO_STOP[@]}" || true
  exit "$status"
}
