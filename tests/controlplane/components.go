package main

import (
	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

func run(c *cobra.Command, args []string) int {
	c.SetArgs(args[1:])
	return cli.Run(c)
}

func init() {
	applets["etcd"] = func(a []string) int { etcdmain.Main(a); return 0 }
	applets["kube-apiserver"] = func(a []string) int { return run(apiserver.NewAPIServerCommand(), a) }
	applets["kube-controller-manager"] = func(a []string) int { return run(kcm.NewControllerManagerCommand(), a) }
	applets["kube-scheduler"] = func(a []string) int { return run(scheduler.NewSchedulerCommand(), a) }
}
