// Reads Tasks and TaskRuns as Tekton's webhook does: a field that there is not is a mistake, and so is whatever its validation
// finds. For `cargo xtask integrations`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"
)

// What Tekton's kinds have in common.
type object interface {
	metav1.Object
	SetDefaults(context.Context)
	Validate(context.Context) *apis.FieldError
}

func main() {
	failed := false
	for _, path := range os.Args[1:] {
		kind, err := check(path)
		if err != nil {
			failed = true
			fmt.Printf("%s: %v\n", path, err)
		} else {
			fmt.Printf("%s: a valid %s\n", path, kind)
		}
	}
	if failed {
		os.Exit(1)
	}
}

func check(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var named metav1.TypeMeta
	if err := yaml.Unmarshal(text, &named); err != nil {
		return "", err
	}
	var read object
	switch named.APIVersion + " " + named.Kind {
	case "tekton.dev/v1 Task":
		read = &v1.Task{}
	case "tekton.dev/v1 TaskRun":
		read = &v1.TaskRun{}
	default:
		return "", errors.New("neither a Task nor a TaskRun of tekton.dev/v1")
	}
	if err := yaml.UnmarshalStrict(text, read); err != nil {
		return "", err
	}
	// The API server makes the name.
	if read.GetName() == "" && read.GetGenerateName() != "" {
		read.SetName(read.GetGenerateName() + "x")
	}
	ctx := context.Background()
	read.SetDefaults(ctx)
	if err := read.Validate(ctx); err != nil {
		return "", err
	}
	return named.Kind, nil
}
