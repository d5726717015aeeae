#!/usr/bin/env bash
# semver 7.8.6 (npm's node-semver), loose mode: four numbers are read as a pre-release made of digits of the third.
#
# Expected: `1.2.34.5` refused, as `1.2.3.4` is. Seen: `1.2.3-4.5`, older than 1.2.3, since no hyphen is needed before a
# pre-release and the expression gives digits of the last number back until it matches. So whether four numbers are a
# version, and which, depends on the digits of the third; `1.2.10.0` is older than `1.2.9`.
#
# Prints what is parsed and fails when that changes. Needs node and npm.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-audit --no-fund --prefix . semver@7.8.6 >/dev/null
seen() { node -p "String(require('semver').parse('$1', { loose: true }))"; }
for version in 1.2.3.4 1.2.34.5 1.2.345.6 1.2.10.0; do echo "$version: $(seen $version)"; done
older=$(node -p "require('semver').lt('1.2.10.0', '1.2.9', { loose: true })")
echo "1.2.10.0 is older than 1.2.9: $older"
[ "$(seen 1.2.3.4)" = null ] && [ "$(seen 1.2.34.5)" = 1.2.3-4.5 ] && [ "$older" = true ]
