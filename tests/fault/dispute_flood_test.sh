#!/usr/bin/env bash
# Critical cases while the lanes are full of cases that can wait: every case is decided once. CUTOVER_TEST_LONG=1: 100,000 of them.
set -euo pipefail
if [ -n "${CUTOVER_TEST_LONG:-}" ]; then size=(--cases 100000 --critical 1000 --seconds 30); else size=(--cases 4000 --critical 60 --seconds 4); fi
exec "$(dirname "$0")/../bench/dispute/run" --test "${size[@]}"
