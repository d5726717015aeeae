#!/usr/bin/env bash
# Go's linker, go1.26.8: `-X main.version=12.3.3` makes a symbol `main.version.str` of 7 bytes. The text has 6: the symbol also
# holds a zero byte, which no Go string has, so whoever reads a version by the symbol's size gets one that no version scheme
# accepts. The string's header in `main.version` has the right length, 6.
# Seen 2026-11-29. Ends with 0 while that is so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export GOTOOLCHAIN=go1.26.8 GOFLAGS=-mod=mod GOCACHE=$work/cache
printf 'module example.org/dash\n\ngo 1.26\n' >go.mod
printf 'package main\n\nvar version = "dev"\n\nfunc main() { println(version, len(version)) }\n' >main.go
go version
go build -trimpath -ldflags '-X main.version=12.3.3' -o dash .
./dash 2>said
cat said
go tool nm -size dash | grep -E ' main\.version(\.str)?$' | tee symbols
grep -qx '12.3.3 6' said
grep -Eq '^ *[0-9a-f]+ +7 [Rr] main\.version\.str$' symbols
