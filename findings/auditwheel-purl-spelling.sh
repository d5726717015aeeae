#!/usr/bin/env bash
# auditwheel 6.7.0: the SBOM that it puts into a wheel (PEP 770) spells the project as the wheel's file does, not as a purl.
#
# Expected: `pkg:pypi/psycopg-binary@3.3.9`, since a pypi purl has `-` for `_` (purl-spec, pypi-definition) and the wheel's own
# metadata says `psycopg-binary`. Seen: `pkg:pypi/psycopg_binary@3.3.9`, as subject and once more among the components; who
# compares texts has the distribution twice.
#
# Prints both and fails when that changes. Needs pip, unzip, python3 and PyPI.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m pip download --quiet --no-deps --python-version 3.12 --only-binary=:all: --platform manylinux2014_x86_64 \
  psycopg-binary==3.3.9
unzip -qo ./*.whl '*.dist-info/*'
name=$(sed -n 's/^Name: //p' ./*.dist-info/METADATA)
purls=$(python3 - ./*.dist-info/sboms/auditwheel.cdx.json <<'P'
import json, sys
bom = json.load(open(sys.argv[1]))
for component in [bom["metadata"]["component"], *bom["components"]]:
    print(component["purl"].split("?")[0])
P
)
echo "metadata: $name"
echo "SBOM:     $(grep pypi <<<"$purls" | tr '\n' ' ')"
[ "$name" = psycopg-binary ] && [ "$(grep -c '^pkg:pypi/psycopg_binary@' <<<"$purls")" = 2 ]
