#!/usr/bin/env bash
# Bun 1.4.5: after an update the isolated linker leaves the old version of a package in its store.
#
# Expected: `node_modules` has what `bun.lock` says, as with npm, and with Bun's own linker `hoisted`. Seen: the store
# `node_modules/.bun` has lodash 4.17.20 and 4.17.21; nothing links to the old one, no file in the store says which are in
# use (pnpm has `lock.yaml` there), and neither a second `bun install` nor `--frozen-lockfile` removes it. Who lists each
# `package.json` of an image reports a version that no program can load.
#
# Prints the stores and fails when that changes. Needs npm, and the npm registry.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir "$work/tool" "$work/isolated" "$work/hoisted"
npm install --silent --prefix "$work/tool" bun@1.4.5
export BUN_INSTALL_CACHE_DIR=$work/cache
for linker in isolated hoisted; do
  cd "$work/$linker"
  for version in 4.17.20 4.17.21; do
    echo "{\"name\":\"top\",\"version\":\"1.0.0\",\"dependencies\":{\"lodash\":\"$version\"}}" >package.json
    "$work/tool/node_modules/.bin/bun" install --linker "$linker" >/dev/null 2>&1
  done
  "$work/tool/node_modules/.bin/bun" install --linker "$linker" --frozen-lockfile >/dev/null 2>&1
  versions=$(find node_modules -type f -path '*/node_modules/lodash/package.json' -o -type f -path 'node_modules/lodash/package.json' |
    xargs grep -h '"version"' | tr -dc '0-9.\n' | sort | tr '\n' ' ')
  echo "$linker: $versions" | tee -a "$work/said"
done
cd "$work/isolated"
readlink node_modules/lodash node_modules/.bun/node_modules/lodash | tee "$work/links"
grep -qx 'isolated: 4.17.20 4.17.21 ' "$work/said"
grep -qx 'hoisted: 4.17.21 ' "$work/said"
if grep -q 4.17.20 "$work/links"; then exit 1; fi
