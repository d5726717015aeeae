#!/usr/bin/env bash
# kube 5.0.0 (the Rust client of Kubernetes): which host NO_PROXY is held against when a kubeconfig is loaded.
#
# Expected, as kubectl and Go's httpproxy do: the API server's host. Seen: the proxy's own host. So a cluster that
# NO_PROXY names is asked for through the proxy all the same, and a NO_PROXY that names the proxy's host turns the proxy
# off for every cluster (host and port, as the proxy's own address has them).
#
# Prints both and fails when that changes. Needs cargo.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "finding"
version = "0.0.0"
edition = "2024"
[dependencies]
kube = { version = "=5.0.0", default-features = false, features = ["client", "rustls-tls", "aws-lc-rs", "http-proxy"] }
k8s-openapi = { version = "=0.29.0", default-features = false, features = ["v1_33"] }
tokio = { version = "1", features = ["rt", "macros"] }
TOML
cat > src/main.rs <<'RUST'
use kube::config::{KubeConfigOptions, Kubeconfig};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let text = r#"{"apiVersion":"v1","kind":"Config","current-context":"c",
      "contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u","user":{}}],
      "clusters":[{"name":"c","cluster":{"server":"https://api.example:6443"}}]}"#;
    let kubeconfig = Kubeconfig::from_yaml(text).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    println!("{}", config.proxy_url.map_or("direct".to_owned(), |uri| uri.to_string()));
}
RUST
cargo build --quiet
seen() { HTTPS_PROXY=http://proxy.example:3128 NO_PROXY=$1 ./target/debug/finding; }
cluster=$(seen api.example) proxy=$(seen proxy.example:3128)
echo "NO_PROXY names the API server: $cluster"
echo "NO_PROXY names the proxy:      $proxy"
[ "$cluster" = "http://proxy.example:3128/" ] && [ "$proxy" = direct ]
