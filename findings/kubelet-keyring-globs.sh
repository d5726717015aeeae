#!/usr/bin/env bash
# The kubelet's keyring, k8s.io/kubernetes v1.37.2: keys of pull secrets are documented to be patterns with `*`, `?` and `[...]`
# within a label of the host. Of the three, `*` alone works: keys are parsed as URLs first, so that `?` begins a query and the
# key is for the host that stands before it, and a key with brackets is "invalid IP-literal" and ignored. Whoever implements
# the documented patterns accepts logins that no kubelet sends.
# Seen 2026-11-29. Ends with 0 while that is so.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
export GOFLAGS=-mod=mod
cat >go.mod <<'MOD'
module example.org/keyring

go 1.26.0

require k8s.io/kubernetes v1.37.2

replace (
	k8s.io/api => k8s.io/api v0.37.2
	k8s.io/apiextensions-apiserver => k8s.io/apiextensions-apiserver v0.37.2
	k8s.io/apimachinery => k8s.io/apimachinery v0.37.2
	k8s.io/apiserver => k8s.io/apiserver v0.37.2
	k8s.io/cli-runtime => k8s.io/cli-runtime v0.37.2
	k8s.io/client-go => k8s.io/client-go v0.37.2
	k8s.io/cloud-provider => k8s.io/cloud-provider v0.37.2
	k8s.io/cluster-bootstrap => k8s.io/cluster-bootstrap v0.37.2
	k8s.io/code-generator => k8s.io/code-generator v0.37.2
	k8s.io/component-base => k8s.io/component-base v0.37.2
	k8s.io/component-helpers => k8s.io/component-helpers v0.37.2
	k8s.io/controller-manager => k8s.io/controller-manager v0.37.2
	k8s.io/cri-api => k8s.io/cri-api v0.37.2
	k8s.io/cri-client => k8s.io/cri-client v0.37.2
	k8s.io/cri-streaming => k8s.io/cri-streaming v0.37.2
	k8s.io/csi-translation-lib => k8s.io/csi-translation-lib v0.37.2
	k8s.io/dynamic-resource-allocation => k8s.io/dynamic-resource-allocation v0.37.2
	k8s.io/endpointslice => k8s.io/endpointslice v0.37.2
	k8s.io/externaljwt => k8s.io/externaljwt v0.37.2
	k8s.io/kms => k8s.io/kms v0.37.2
	k8s.io/kube-aggregator => k8s.io/kube-aggregator v0.37.2
	k8s.io/kube-controller-manager => k8s.io/kube-controller-manager v0.37.2
	k8s.io/kube-proxy => k8s.io/kube-proxy v0.37.2
	k8s.io/kube-scheduler => k8s.io/kube-scheduler v0.37.2
	k8s.io/kubectl => k8s.io/kubectl v0.37.2
	k8s.io/kubelet => k8s.io/kubelet v0.37.2
	k8s.io/metrics => k8s.io/metrics v0.37.2
	k8s.io/mount-utils => k8s.io/mount-utils v0.37.2
	k8s.io/pod-security-admission => k8s.io/pod-security-admission v0.37.2
	k8s.io/sample-apiserver => k8s.io/sample-apiserver v0.37.2
	k8s.io/sample-cli-plugin => k8s.io/sample-cli-plugin v0.37.2
	k8s.io/sample-controller => k8s.io/sample-controller v0.37.2
	k8s.io/streaming => k8s.io/streaming v0.37.2
)
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
)

// Which hosts get the login of a key.
func main() {
	for _, key := range []string{"registry.exampl*", "registry.exampl?", "registry.exampl[e]"} {
		document := fmt.Sprintf(`{"auths":{%q:{"username":"user","password":"secret"}}}`, key)
		data := map[string][]byte{v1.DockerConfigJsonKey: []byte(document)}
		all := []v1.Secret{{Type: v1.SecretTypeDockerConfigJson, Data: data}}
		keyring, err := secrets.MakeDockerKeyring(all, credentialprovider.UnionDockerKeyring{})
		if err != nil {
			panic(err)
		}
		for _, host := range []string{"registry.example", "registry.exampl"} {
			_, found := keyring.Lookup(host + "/team/app")
			fmt.Println(key, host, found)
		}
	}
}
GO
go run . >said 2>errors || { cat errors; exit 1; }
cat said
grep 'invalid IP-literal' errors
diff said - <<'SAID'
registry.exampl* registry.example true
registry.exampl* registry.exampl true
registry.exampl? registry.example false
registry.exampl? registry.exampl true
registry.exampl[e] registry.example false
registry.exampl[e] registry.exampl false
SAID
