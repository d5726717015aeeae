package main

import (
	"bufio"
	"encoding/json"
	"os"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
)

func init() {
	applets["keyring"] = keyring
}

// keyring answers as kubelets do, a line for each line: which logins of pull secrets are tried for an image, in their order.
// A line of input has the image and the `.dockerconfigjson` of each secret.
func keyring([]string) int {
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for in.More() {
		var question struct {
			Image     string
			Documents []string
		}
		check(in.Decode(&question))
		check(out.Encode(logins(question.Image, question.Documents)))
	}
	return 0
}

func logins(image string, documents []string) []string {
	var pullSecrets []v1.Secret
	for _, document := range documents {
		data := map[string][]byte{v1.DockerConfigJsonKey: []byte(document)}
		pullSecrets = append(pullSecrets, v1.Secret{Type: v1.SecretTypeDockerConfigJson, Data: data})
	}
	keyring := must(secrets.MakeDockerKeyring(pullSecrets, credentialprovider.UnionDockerKeyring{}))
	repository, _, _, err := parsers.ParseImageName(image)
	check(err)
	found, _ := keyring.Lookup(repository)
	answer := []string{}
	for _, login := range found {
		answer = append(answer, login.Username+":"+login.Password)
	}
	return answer
}
