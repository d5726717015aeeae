#!/usr/bin/env bash
# pex 2.59.2: a project that is built from a folder loses its origin, and is recorded like a release.
#
# Expected: `direct_url.json` next to its metadata (PEP 610), as pip writes it for a folder, or another word about it in
# `PEX-INFO`. Seen: neither; the requirement `./flask` becomes `flask==0.1`, pinned like one of an index, and nothing tells
# the folder from Flask 0.1 of PyPI. shiv 1.0.8 keeps the record.
#
# Prints both and fails when that changes. Needs python3 with venv, unzip, and PyPI.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv tool
tool/bin/pip install --quiet --disable-pip-version-check pex==2.59.2 shiv==1.0.8
mkdir flask
printf '[project]\nname = "flask"\nversion = "0.1"\n[tool.setuptools]\npy-modules = ["app"]\n' >flask/pyproject.toml
echo 'print(1)' >flask/app.py
PEX_ROOT=$work/root tool/bin/pex ./flask -o app.pex
PATH=$work/tool/bin:$PATH tool/bin/shiv --quiet -o app.pyz ./flask >/dev/null
echo "pex:  $(unzip -p app.pex PEX-INFO | python3 -c 'import json, sys; print(*json.load(sys.stdin)["requirements"])')" | tee said
for app in app.pex app.pyz; do
  echo "$app: $(unzip -l "$app" | grep -c 'flask-0.1.dist-info/\(METADATA\|direct_url.json\)$') records" | tee -a said
done
grep -qx 'pex:  flask==0.1' said
grep -qx 'app.pex: 1 records' said
grep -qx 'app.pyz: 2 records' said
