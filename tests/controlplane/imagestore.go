package main

import (
	"fmt"
	"net/http"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// What the node has pulled: image as named → repository and digest.
type imageStore map[string]string

const manifests = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"

// pull gives the imageID of an image. Only registries on loopback exist here; images of others are only simulated.
func (s imageStore) pull(image string, policy v1.PullPolicy) (string, error) {
	if id, ok := s[image]; ok && policy != v1.PullAlways {
		return id, nil
	}
	host, repository, reference := parse(image)
	if !strings.HasPrefix(host, "127.0.0.1:") {
		return image, nil
	}
	request, err := http.NewRequest(http.MethodHead, "http://"+host+"/v2/"+repository+"/manifests/"+reference, nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Accept", manifests)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: the registry answers %s", image, answer.Status)
	}
	s[image] = host + "/" + repository + "@" + answer.Header.Get("Docker-Content-Digest")
	return s[image], nil
}

// parse splits host/repository[:tag][@digest].
func parse(image string) (host, repository, reference string) {
	name, digest, _ := strings.Cut(image, "@")
	host, repository, _ = strings.Cut(name, "/")
	repository, reference, tagged := strings.Cut(repository, ":")
	if !tagged {
		reference = "latest"
	}
	if digest != "" {
		reference = digest
	}
	return host, repository, reference
}
