// Flux's apply library (github.com/fluxcd/pkg/ssa) as kustomize-controller uses it, on the manifests of a file and in the
// namespace of the current context:
//
//	gitops apply FILE        applies them; prints `KIND/NAMESPACE/NAME ACTION` for each: created, configured, unchanged …
//	gitops diff FILE         the same, of what an apply would do
//	gitops wait FILE TIME    waits until they are ready
//
// and Argo CD's comparison (github.com/argoproj/argo-cd/gitops-engine):
//
//	gitops argo FILE LIVE    prints whether the object of the cluster in the file LIVE is out of sync
//
// Helm is the other tool of this module (`go build helm.sh/helm/v4/cmd/helm`).
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/polling"
	"github.com/fluxcd/pkg/ssa"
	"github.com/fluxcd/pkg/ssa/normalize"
	"github.com/fluxcd/pkg/ssa/utils"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The field manager and the label group of kustomize-controller.
var owner = ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"}

func main() {
	if os.Args[1] == "argo" {
		argo(os.Args[2], os.Args[3])
		return
	}
	manager, namespace := cluster()
	objects := must(utils.ReadObjects(must(os.Open(os.Args[2]))))
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
	}
	check(normalize.UnstructuredList(objects))
	manager.SetOwnerLabels(objects, "app", namespace)
	switch command := os.Args[1]; command {
	case "apply":
		for _, entry := range must(manager.ApplyAll(context.Background(), objects, options())).Entries {
			fmt.Println(entry.Subject, entry.Action)
		}
	case "diff":
		diff(manager, objects)
	case "wait":
		limit := must(time.ParseDuration(os.Args[3]))
		check(manager.Wait(objects, ssa.WaitOptions{Interval: time.Second, Timeout: limit}))
	default:
		check(fmt.Errorf("%s: no such command", command))
	}
}

// cluster is the one of KUBECONFIG, asked as often as kustomize-controller does.
func cluster() (*ssa.ResourceManager, string) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	config := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil)
	namespace, _, err := config.Namespace()
	check(err)
	rest := must(config.ClientConfig())
	rest.QPS, rest.Burst = 50, 300
	kube := must(client.New(rest, client.Options{}))
	poller := polling.NewStatusPoller(kube, kube.RESTMapper(), polling.Options{})
	return ssa.NewResourceManager(kube, poller, owner), namespace
}

// options are those of kustomize-controller, which takes over what people applied by kubectl.
func options() ssa.ApplyOptions {
	options := ssa.DefaultApplyOptions()
	options.Cleanup = ssa.ApplyCleanupOptions{
		Annotations: []string{corev1.LastAppliedConfigAnnotation},
		FieldManagers: []ssa.FieldManager{
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationApply},
			{Name: "kubectl", OperationType: metav1.ManagedFieldsOperationUpdate},
			{Name: "before-first-apply", OperationType: metav1.ManagedFieldsOperationUpdate},
		},
	}
	return options
}

func diff(manager *ssa.ResourceManager, objects []*unstructured.Unstructured) {
	for _, object := range objects {
		entry, live, merged, err := manager.Diff(context.Background(), object, ssa.DefaultDiffOptions())
		check(err)
		fmt.Println(entry.Subject, entry.Action)
		if entry.Action == ssa.ConfiguredAction {
			fmt.Printf("%s\n%s\n", must(live.MarshalJSON()), must(merged.MarshalJSON()))
		}
	}
}

// must ends the process when a step fails.
func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
