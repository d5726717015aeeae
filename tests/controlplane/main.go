// A real Kubernetes control plane for tests, in one binary chosen by its first argument:
// etcd, kube-apiserver, kube-controller-manager, kube-scheduler and (tag kubectl) kubectl as their projects ship them,
// `up`, which runs them on loopback, `fakenode`, a simulated node (no kubelet), and `keyring`, which reads pull secrets as kubelets do.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	_ "time/tzdata"
)

var applets = map[string]func(args []string) int{}

func main() {
	if len(os.Args) > 1 {
		if applet, ok := applets[os.Args[1]]; ok {
			os.Args = os.Args[1:]
			os.Exit(applet(os.Args))
		}
	}
	fmt.Fprintln(os.Stderr, "usage: controlplane APPLET [ARGS]; applets:", slices.Sorted(maps.Keys(applets)))
	os.Exit(2)
}

// must ends the process when a step of an applet fails.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[0], err)
		os.Exit(1)
	}
}
