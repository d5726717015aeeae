//go:build kubectl

package main

// Built only where PATH has no kubectl.

import kubectl "k8s.io/kubectl/pkg/cmd"

func init() {
	applets["kubectl"] = func(a []string) int { return run(kubectl.NewDefaultKubectlCommand(), a) }
}
