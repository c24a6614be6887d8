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

# at_exit COMMAND...: runs it once when the script ends: success, failure, Ctrl-C, TERM, a closed pipe. The last one added runs first.
exit_actions=()
child_group=''
at_exit() {
  if [ ${#exit_actions[@]} -eq 0 ]; then
    trap run_exit_actions EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM
  fi
  exit_actions=("$(printf '%q ' "$@")" "${exit_actions[@]}")
}

run_exit_actions() {
  local status=$? action
  trap - EXIT
  trap '' HUP INT PIPE TERM
  if [ -n "$child_group" ]; then
    kill -s TERM -- "-$child_group" 2>/dev/null || true
    wait "$child_group" 2>/dev/null || true
  fi
  for action in "${exit_actions[@]}"; do
    eval "$action" || warn "failed at the end: $action"
  done
  exit "$status"
}

# stop_servers_on_exit DIR [--remove]: the servers of DIR end with this script.
stop_servers_on_exit() { at_exit "$(dirname "${BASH_SOURCE[0]}")/servers" stop "$@"; }

# run_group COMMAND...: in the foreground, but as its own process group, so that a signal ends the script at once and
# at_exit ends the whole group. Returns the status of COMMAND; its standard input is empty.
run_group() {
  local status=0
  set -m
  "$@" </dev/null &
  child_group=$!
  set +m
  wait "$child_group" || status=$?
  child_group=''
  return "$status"
}
