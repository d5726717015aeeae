#!/usr/bin/env bash
# containerd 2.4.2 (Go): a folder for a registry that has no hosts.toml, empty or with a certificate alone, turns `_default` off.
#
# Expected: with `_default/hosts.toml` naming a mirror, a registry without a hosts.toml of its own is read through that mirror, as one
# without a folder is. Seen: the first folder that exists is chosen, whatever is in it, and the registry is asked directly.
#
# Prints which hosts are asked and fails when that changes. Needs go and the Go module proxy.
set -euo pipefail
work=$(mktemp -d); trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
mkdir -p hosts/_default hosts/empty.example hosts/certs.example src
cat >hosts/_default/hosts.toml <<'TOML'
[host."https://mirror.example"]
  capabilities = ["pull", "resolve"]
TOML
cat >src/main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/core/remotes/docker/config"
)

func main() {
	for _, name := range os.Args[2:] {
		hosts, err := config.ConfigureHosts(context.Background(), config.HostOptions{HostDir: config.HostDirFromRoot(os.Args[1])})(name)
		if err != nil {
			panic(err)
		}
		fmt.Print(name, ":")
		for _, host := range hosts {
			fmt.Print(" ", host.Host)
		}
		fmt.Println()
	}
}
GO
touch hosts/certs.example/README
export GOPATH=$work/gopath
(cd src && go mod init ask && go mod edit -require=github.com/containerd/containerd/v2@v2.4.2 && go mod tidy && go build -o ../ask .) 2>go.log || { cat go.log; exit 1; }
./ask hosts none.example empty.example certs.example | tee said
diff said - <<'SAID'
none.example: mirror.example none.example
empty.example: empty.example
certs.example: certs.example
SAID
