#!/usr/bin/env bash
# Builds the stand-in monolith with the Go packages of the distribution, without the network:
#   tests/monolith/build.sh OUTPUT        the program
#   tests/monolith/build.sh --check       gofmt and go vet
#   tests/monolith/build.sh --test        the unit tests
# GO names another go command; GO_PACKAGES the folder that holds src/github.com/... (default /usr/share/gocode).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
go=${GO:-go}
packages=${GO_PACKAGES:-/usr/share/gocode}

fail() {
  printf 'build.sh: error: %s\n  what to do: %s\n' "$1" "$2" >&2
  exit 1
}
[ $# -eq 1 ] || fail "one argument expected, got $#" "tests/monolith/build.sh OUTPUT | --check | --test"
command -v "$go" >/dev/null || fail "no command $go" "run scripts/setup, or set GO"
for package in github.com/jackc/pgx/v4 github.com/nats-io/nats.go; do
  [ -d "$packages/src/$package" ] || fail "no Go package $package in $packages/src" "run scripts/setup, or set GO_PACKAGES"
done

# The sources lie outside of any GOPATH: a link in a private one names them cutover/monolith.
path=$(mktemp -d)
trap 'rm -rf "$path"' EXIT
mkdir -p "$path/src/cutover"
ln -s "$here" "$path/src/cutover/monolith"
export GO111MODULE=off GOPATH=$path:$packages GOFLAGS=-trimpath CGO_ENABLED=0
export GOCACHE=${GOCACHE:-${XDG_CACHE_HOME:-${HOME:-$path}/.cache}/go-build}

# Every folder with Go files, as cutover/monolith/...: patterns with ... do not follow the link.
mapfile -t ours < <(cd "$here" && find . -name '*.go' -printf '%h\n' | sort -u | sed 's|^\.|cutover/monolith|')

case "$1" in
  --check)
    unformatted=$(find "$here" -name '*.go' -exec gofmt -l {} +)
    [ -z "$unformatted" ] || fail "not formatted: $unformatted" "gofmt -w FILE"
    "$go" vet "${ours[@]}"
    ;;
  --test) "$go" test "${ours[@]}" ;;
  -*) fail "unknown option $1" "tests/monolith/build.sh OUTPUT | --check | --test" ;;
  *)
    # The build's name in cutover.instances: a hash of the sources.
    build=$(cd "$here" && find . -type f -name '*.go' -print0 | sort -z | xargs -0 cat | sha256sum | cut -c1-12)
    "$go" build -ldflags "-X main.build=$build" -o "$1" cutover/monolith/cmd/monolith
    ;;
esac
