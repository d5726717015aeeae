//go:build kubelet

package main

import (
	"context"

	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// The kubelet of `cargo xtask node`. Tests have a simulated node, and are built without it.
func init() {
	applets["kubelet"] = func(a []string) int { return run(kubelet.NewKubeletCommand(context.Background()), a) }
}
