#!/usr/bin/env bash
# The alert rules do what their tests say, where promtool (of the package prometheus, which brings a server) is installed.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
if ! command -v promtool >/dev/null; then
  echo "skipped: promtool is not installed"
  exit 4
fi
promtool check rules "$root"/deploy/prometheus/*.rules.yml
promtool test rules "$root"/deploy/prometheus/*.test.yml
