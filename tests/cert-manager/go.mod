module tidewaiter.dev/cert-manager

go 1.26.1

// For its definitions alone (deploy/crds), which stories apply.
require github.com/cert-manager/cert-manager v1.21.2
