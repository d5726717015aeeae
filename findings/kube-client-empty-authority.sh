#!/usr/bin/env bash
# kube-client 5.0.0 (Rust): an empty path in a kubeconfig becomes the folder that the file is in.
#
# Expected: as client-go 0.34.2 reads the same file, for which `certificate-authority: ""` and `tokenFile: ""` name nothing: tools
# that fill in a template write them so. Seen: `Kubeconfig::read_from` joins the empty text with the folder, and a client then
# reads a directory as a certificate.
#
# Prints both and fails when that changes. Needs cargo and go, with crates.io and the Go module proxy.
set -euo pipefail
work=$(mktemp -d); trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >config <<'YAML'
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: "https://a.example:6443", certificate-authority: ""}}]
users: [{name: a, user: {token: abc, tokenFile: ""}}]
YAML
mkdir -p rust/src go
cat >rust/Cargo.toml <<'TOML'
[package]
name = "read"
version = "0.1.0"
edition = "2024"
[dependencies]
kube-client = { version = "=5.0.0", default-features = false, features = ["config"] }
k8s-openapi = { version = "=0.29.0", features = ["latest"] }
TOML
cat >rust/src/main.rs <<'RUST'
fn main() {
    let file = std::env::args().nth(1).unwrap();
    let config = kube_client::config::Kubeconfig::read_from(file).unwrap();
    let authority = config.clusters[0].cluster.as_ref().unwrap().certificate_authority.clone();
    let token = config.auth_infos[0].auth_info.as_ref().unwrap().token_file.clone();
    println!("{:?} {:?}", authority.unwrap_or_default(), token.unwrap_or_default());
}
RUST
cat >go/main.go <<'GO'
package main

import (
	"fmt"
	"os"

	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	config, err := clientcmd.BuildConfigFromFlags("", os.Args[1])
	if err != nil {
		panic(err)
	}
	fmt.Printf("%q %q\n", config.CAFile, config.BearerTokenFile)
}
GO
(cd rust && CARGO_TARGET_DIR=$work/target cargo build --quiet)
export GOPATH=$work/gopath
(cd go && go mod init read && go mod edit -require=k8s.io/client-go@v0.34.2 && go mod tidy && go build -o ../read-go .) 2>go.log || { cat go.log; exit 1; }
echo "kube-client: $(target/debug/read "$work/config")" | sed "s,$work,FOLDER,g" | tee said
echo "client-go:   $(./read-go "$work/config")" | tee -a said
grep -qx 'kube-client: "FOLDER/" "FOLDER/"' said
grep -qx 'client-go:   "" ""' said
