#!/usr/bin/env bash
# The tree keeps the include table, and the check sees each kind of breach.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"

work=$(mktemp -d)
at_exit rm -rf "$work"

# expect pass|refuse FILE INCLUDE
expect() {
  local result=refuse
  rm -rf "$work/tree"
  mkdir -p "$work/tree/$(dirname "$2")"
  printf '#pragma once\n#include %s\n' "$3" >"$work/tree/$2"
  if "$root/tests/include_table" "$work/tree" >"$work/output"; then result=pass; fi
  [ "$result" = "$1" ] || fail "$2 with #include $3: expected $1, got $result"
  [ "$result" = pass ] || grep -q "^$2:2: " "$work/output" || fail "the message does not name $2:2: $(cat "$work/output")"
}

expect pass   runtime/contract/event.h         '<string_view>'
expect refuse runtime/contract/event.h         '<unistd.h>'
expect refuse runtime/contract/event.h         '<fmt/format.h>'
expect pass   runtime/event/envelope.cpp       '"runtime/contract/event.h"'
expect pass   runtime/event/envelope.cpp       '<simdjson.h>'
expect refuse runtime/event/envelope.cpp       '"runtime/engine/ports.h"'
expect refuse runtime/event/envelope.cpp       '"envelope.h"'
expect pass   runtime/nats/publisher.cpp       '<nats.h>'
expect pass   runtime/nats/publisher.cpp       '<nats/nats.h>'
expect pass   runtime/nats/publisher.cpp       '"runtime/engine/ports.h"'
expect refuse runtime/nats/publisher.cpp       '"runtime/engine/batch_engine.h"'
expect refuse runtime/nats/publisher.cpp       '<pqxx/pqxx>'
expect pass   runtime/postgres/pool.cpp        '<libpq-fe.h>'
expect refuse runtime/engine/batch_engine.cpp  '<nats.h>'
expect refuse runtime/host/host.cpp            '<pqxx/pqxx>'
expect pass   runtime/host/settings.cpp        '<toml++/toml.h>'
expect refuse runtime/host/host.cpp            '"runtime/cli/run.h"'
expect pass   runtime/cli/main.cpp             '"workers/search/search_worker.h"'
expect refuse runtime/cli/run.cpp              '"workers/search/search_worker.h"'
expect pass   workers/score/score_worker.cpp   '"workers/score/domain/edge.h"'
expect refuse workers/score/score_worker.cpp   '"workers/search/search_worker.h"'
expect refuse workers/score/score_worker.cpp   '"runtime/engine/ports.h"'
expect pass   workers/score/domain/edge.cpp    '"workers/score/domain/edge.h"'
expect refuse workers/score/domain/edge.cpp    '"workers/score/score_worker.h"'
expect refuse workers/score/domain/edge.cpp    '"runtime/contract/clock.h"'
expect refuse streams/plan.cpp                 '"runtime/postgres/pool.h"'
expect refuse runtime/elsewhere/x.h            '<vector>'

"$root/tests/include_table" "$root" || fail "includes break the table (lines above)" \
  "move the code to the folder that may know the other, or go through an interface"
