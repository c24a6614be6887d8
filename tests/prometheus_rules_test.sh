#!/usr/bin/env bash
# The alert rules do what their tests say.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
promtool check rules "$root"/deploy/prometheus/*.rules.yml
promtool test rules "$root"/deploy/prometheus/*.test.yml
