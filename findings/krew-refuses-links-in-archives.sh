#!/usr/bin/env bash
# krew v0.4.3 installs no plugin whose archive has a symbolic link anywhere, although the manifest selects other files: it
# unpacks the whole archive first, and its reader of tar knows folders and regular files only. A plugin that adds the link
# `kubectl_complete-NAME` (kubectl's protocol for completions of plugins) beside its program can no longer be installed.
set -euo pipefail
version=v0.4.3
work=$(mktemp -d)
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT
cd "$work"
export GOPATH=$work/go GOBIN=$work/bin GOFLAGS=-modcacherw
go install "sigs.k8s.io/krew/cmd/krew@$version"

mkdir plugin
printf '#!/bin/sh\necho hello\n' > plugin/kubectl-hello
chmod +x plugin/kubectl-hello
touch plugin/LICENSE

# $1: the name of the archive, and of a home of its own.
install() {
  tar -czf "$1.tar.gz" -C plugin .
  cat > hello.yaml <<MANIFEST
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata: {name: hello}
spec:
  version: v0.1.0
  shortDescription: says hello
  platforms:
  - selector: {matchLabels: {os: linux}}
    uri: https://files.example/hello.tar.gz
    sha256: $(sha256sum "$1.tar.gz" | cut -d' ' -f1)
    bin: kubectl-hello
    files:
    - {from: kubectl-hello, to: .}
    - {from: LICENSE, to: .}
MANIFEST
  KREW_ROOT=$work/$1 "$GOBIN/krew" install --manifest=hello.yaml --archive="$1.tar.gz" 2>&1
}

install without-link > first.log || { cat first.log; exit 1; }
without-link/bin/kubectl-hello | grep -qx hello
ln -s kubectl-hello plugin/kubectl_complete-hello
if install with-link > second.log; then
  echo "changed: krew $version installs it"
  exit 1
fi
grep -F 'unable to handle file type' second.log
echo "krew $version: installed without the link, refused with it"
