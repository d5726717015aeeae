#!/usr/bin/env bash
# npm 11.19.1: `npm sbom` writes a workspace, and a dependency that is a folder (`file:`), as if they were releases of the
# registry.
#
# Expected: something that tells them from releases, as the lock file does (`"link": true`, no `integrity`); CycloneDX and
# SPDX both have room for it. Seen: `pkg:npm/express@1.0.0` for the workspace `packages/express`, `pkg:npm/koa@1.0.0` for the
# folder `../koa`, without a property or a reference in CycloneDX; in SPDX `packageFileName` is the folder of one, and the
# link in `node_modules` of the other. Who matches purls finds every advisory about the real express and koa. The project
# itself is named by its folder, while its purl has the name of its `package.json`.
#
# Prints them and fails when that changes. Needs npm and node; nothing is downloaded but npm.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{npm,koa,app/packages/express}
npm install --silent --prefix "$work/npm" npm@11.19.1
npm() { "$work/npm/node_modules/.bin/npm" "$@"; }
echo '{"name":"koa","version":"1.0.0"}' >"$work/koa/package.json"
cd "$work/app"
echo '{"name":"express","version":"1.0.0"}' >packages/express/package.json
echo '{"name":"top","version":"1.0.0","workspaces":["packages/*"],"dependencies":{"koa":"file:../koa","express":"^1.0.0"}}' >package.json
npm install --silent --offline
npm sbom --sbom-format cyclonedx >bom.json
npm sbom --sbom-format spdx >spdx.json
node -e '
const bom = require("./bom.json"), spdx = require("./spdx.json");
const root = bom.metadata.component;
console.log("CycloneDX subject:", root.name, root.purl);
for (const c of bom.components)
  console.log("CycloneDX:", c.purl, JSON.stringify(c.properties), JSON.stringify(c.externalReferences));
for (const p of spdx.packages.slice(1))
  console.log("SPDX:", p.externalRefs[0].referenceLocator, p.packageFileName);
' | tee said
grep -qx 'CycloneDX subject: app pkg:npm/top@1.0.0' said
grep -qx 'CycloneDX: pkg:npm/express@1.0.0 \[\] \[\]' said
grep -qx 'CycloneDX: pkg:npm/koa@1.0.0 \[\] \[\]' said
grep -qx 'SPDX: pkg:npm/express@1.0.0 node_modules/express' said
grep -qx 'SPDX: pkg:npm/koa@1.0.0 ../koa' said
