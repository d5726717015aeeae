#!/usr/bin/env bash
# cyclonedx-py 7.5.0 (package cyclonedx-bom): a release of PyPI that was installed from a downloaded wheel has no purl.
#
# Expected: `pkg:pypi/idna@3.4`: the archive is what the index has, and its checksum is recorded (PEP 610, `archive_info`).
# Seen: no purl, only a reference to the local path with that checksum, so that whoever matches purls misses every
# distribution of an image that was built without a network (`pip install /wheels/*.whl`). The same distribution installed
# by its name has one.
#
# Prints both and fails when that changes. Needs python3 with venv, and PyPI.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv tool
tool/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
tool/bin/pip download --quiet --disable-pip-version-check --no-deps idna==3.4
purl_of() {
  python3 -m venv "$1"
  "$1/bin/pip" install --quiet --disable-pip-version-check "$2"
  tool/bin/cyclonedx-py environment "$1" 2>/dev/null | python3 -c '
import json, sys
idna = next(c for c in json.load(sys.stdin)["components"] if c["name"] == "idna")
local = [r["url"].rsplit("/", 1)[1] for r in idna["externalReferences"] if r["type"] == "distribution"]
print(idna["version"], idna.get("purl"), *local)'
}
by_name=$(purl_of by-name idna==3.4)
by_file=$(purl_of by-file ./idna-3.4-py3-none-any.whl)
echo "by name: $by_name"
echo "by file: $by_file"
[ "$by_name" = '3.4 pkg:pypi/idna@3.4' ]
[ "$by_file" = '3.4 None idna-3.4-py3-none-any.whl' ]
