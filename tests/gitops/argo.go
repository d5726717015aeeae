package main

import (
	"encoding/json"
	"fmt"
	"os"

	engine "github.com/argoproj/argo-cd/gitops-engine/pkg/diff"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// argo compares a manifest with the object of the cluster that was made of it, both in files, as Argo CD does by default: by
// what was applied last. Prints whether it is out of sync. (What Argo CD says of its health does not build with this module's
// version of kubectl.)
func argo(manifest, live string) {
	wanted, object := objectOf(manifest), objectOf(live)
	wanted.SetNamespace(object.GetNamespace())
	result := must(engine.Diff(wanted, object))
	if result.Modified {
		fmt.Printf("OutOfSync\n%s\n%s\n", result.NormalizedLive, result.PredictedLive)
	} else {
		fmt.Println("Synced")
	}
}

func objectOf(file string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	check(json.Unmarshal(must(os.ReadFile(file)), &object.Object))
	return object
}
