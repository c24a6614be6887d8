#!/usr/bin/env bash
# scripts/setup has nothing to do here, at once; and it makes the backports source from every format of apt sources.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"

work=$(mktemp -d)
at_exit rm -rf "$work"
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")

began=$EPOCHREALTIME
[ "$("$root/scripts/setup")" = 'setup: everything is installed' ] || fail "scripts/setup wants to install something: \
$("$root/scripts/setup" --list | tr '\n' ' ')"
took=$(((${EPOCHREALTIME/[.,]/} - ${began/[.,]/}) / 1000))
[ "$took" -lt 3000 ] || fail "scripts/setup with nothing to do took $took ms"

# expect NAME < lines that the source must consist of; sources lie in $work/NAME
expect() {
  cat >"$work/$1.expected"
  "$root/scripts/setup" --show-backports "$work/$1" | grep -v '^#' >"$work/$1.got" || true
  diff -u "$work/$1.expected" "$work/$1.got" || fail "wrong backports source from $1 (diff above)"
}
folder() { mkdir -p "$work/$1/sources.list.d"; }

folder deb822
cat >"$work/deb822/sources.list.d/debian.sources" <<EOF
Types: deb
URIs: http://security.invalid/debian-security
Suites: $codename-security
Components: main

# the archive
Types: deb deb-src
URIs: http://mirror.invalid/debian
Suites: $codename $codename-updates
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
EOF
expect deb822 <<EOF
Types: deb
Suites: $codename-backports
URIs: http://mirror.invalid/debian
Components: main contrib
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
 -----END PGP PUBLIC KEY BLOCK-----
EOF

folder disabled
cat >"$work/disabled/sources.list.d/a.sources" <<EOF
Enabled: no
Types: deb
URIs: http://off.invalid/debian
Suites: $codename-updates
Components: main
EOF
cat >"$work/disabled/sources.list.d/b.sources" <<EOF
Types: deb
URIs: http://on.invalid/debian
Suites: $codename-updates
Components: main
EOF
expect disabled <<EOF
Types: deb
Suites: $codename-backports
URIs: http://on.invalid/debian
Components: main
EOF

folder lines
cat >"$work/lines/sources.list" <<EOF
# deb http://comment.invalid/debian $codename-updates main
deb-src http://source.invalid/debian $codename-updates main
deb http://mirror.invalid/debian $codename main
deb [arch=amd64,arm64 signed-by=/usr/share/keyrings/k.gpg] http://mirror.invalid/debian $codename-updates main contrib # x
EOF
expect lines <<EOF
Types: deb
Suites: $codename-backports
URIs: http://mirror.invalid/debian
Components: main contrib
Architectures: amd64 arm64
Signed-By: /usr/share/keyrings/k.gpg
EOF

folder bare
echo "deb http://mirror.invalid/debian $codename main" >"$work/bare/sources.list"
expect bare <<EOF
Types: deb
Suites: $codename-backports
URIs: http://mirror.invalid/debian
Components: main
EOF

folder none
if "$root/scripts/setup" --show-backports "$work/none" 2>"$work/message"; then fail "no source, and no error"; fi
grep -q 'what to do: add a source' "$work/message" || fail "the message gives no advice: $(cat "$work/message")"
echo "nothing to install in $took ms; backports from deb822, disabled, one-line and bare sources"
