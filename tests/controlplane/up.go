package main

// up: a whole control plane on loopback.
//
//	controlplane up --dir D [--port 0] [--fake-node N]
//	controlplane up --dir D --port P --address A --node N --node-address A    for a kubelet that is started next to it
//
// It makes the certificates, starts etcd (unix socket), kube-apiserver, kube-controller-manager and
// kube-scheduler, waits for /readyz, writes D/kubeconfig and prints one line "ready <kubeconfig>".
// SIGTERM, SIGINT or end of file on stdin stops everything; the children also die with this process.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func init() { applets["up"] = up }

// The state of one control plane.
type plane struct {
	dir, pki, server string
	address          string
	port             int
	node             realNode
	children         []*child
	stop             chan os.Signal
	client           *http.Client
}

func up(args []string) int {
	fs := flag.NewFlagSet("up", flag.ExitOnError)
	dir := fs.String("dir", "", "state directory (made if missing)")
	port := fs.Int("port", 0, "API server port; 0 picks a free one")
	address := fs.String("address", "127.0.0.1", "address the API server listens on")
	node := fs.String("fake-node", "", "name of a simulated node that runs the pods")
	var real realNode
	fs.StringVar(&real.name, "node", "", "name of a node whose kubelet is started by somebody else")
	fs.StringVar(&real.address, "node-address", "", "address of that kubelet")
	check(fs.Parse(args[1:]))
	if *dir == "" {
		fmt.Fprintln(os.Stderr, "up: --dir is needed")
		return 2
	}
	if *port == 0 {
		*port = freePort()
	}
	d := must(filepath.Abs(*dir))
	p := &plane{dir: d, pki: d + "/pki", address: *address, port: *port, node: real,
		server: fmt.Sprintf("https://%s:%d", *address, *port), stop: make(chan os.Signal, 2)}
	signal.Notify(p.stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	go func() { io.Copy(io.Discard, os.Stdin); p.stop <- syscall.SIGTERM }()
	defer p.stopAll()
	return p.run(*node)
}

func (p *plane) run(node string) int {
	began := time.Now()
	p.certificates()
	// Short: a socket's path has 107 bytes at most. Host and port in form: etcd before 3.6 takes no path.
	number := randomNumber()
	name, peer := "cp:"+number, "cp-peer:"+number
	socket := filepath.Join(socketFolder(), name)
	defer os.Remove(socket)
	defer os.Remove(filepath.Join(socketFolder(), peer))
	p.startEtcd(name, peer)
	if !p.wait("etcd listens", func() bool { return dials(socket) }) {
		return 1
	}
	p.startAPIServer(socket)
	if !p.wait("the API server is ready", func() bool { return p.answers("/readyz") }) {
		return 1
	}
	p.startControllers()
	if node != "" {
		p.start("fakenode", "--kubeconfig="+p.dir+"/kubeconfig", "--name="+node)
	}
	// A pod needs the default service account, which the controllers make.
	if !p.wait("the controllers run", func() bool { return p.answers("/api/v1/namespaces/default/serviceaccounts/default") }) {
		return 1
	}
	fmt.Fprintf(os.Stderr, "up: ready after %.1f s\n", time.Since(began).Seconds())
	fmt.Printf("ready %s/kubeconfig\n", p.dir)
	select {
	case <-p.stop:
		return 0
	case name := <-p.ended():
		fmt.Fprintf(os.Stderr, "up: %s ended; see %s/log/%s.log\n", name, p.dir, name)
		return 1
	}
}

func (p *plane) certificates() {
	check(os.MkdirAll(p.pki, 0o700))
	check(os.MkdirAll(p.dir+"/log", 0o700))
	c := newCA(p.pki)
	c.issue(p.pki, "apiserver", "kube-apiserver", nil,
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		[]net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)})
	for name, file := range map[string]string{"admin": "kubeconfig", "kcm": "kcm.kubeconfig", "scheduler": "scheduler.kubeconfig"} {
		subject, groups := "system:kube-scheduler", []string(nil)
		switch name {
		case "admin":
			subject, groups = "admin", []string{"system:masters"}
		case "kcm":
			subject = "system:kube-controller-manager"
		}
		c.issue(p.pki, name, subject, groups, nil, nil)
		writeKubeconfig(filepath.Join(p.dir, file), p.pki, p.server, name)
	}
	p.node.credentials(c, p)
	sa := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	writeKey(p.pki+"/sa.key", sa)
	writePEM(p.pki+"/sa.pub", "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&sa.PublicKey)))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.pem)
	pair := must(tls.LoadX509KeyPair(p.pki+"/admin.crt", p.pki+"/admin.key"))
	p.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}}}
}

// What tidewaiter's own account asks for: stories end when it writes nothing any more, and count its requests. Watches are
// left out: they are open for minutes.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  users: ["system:serviceaccount:tidewaiter-system:tidewaiter"]
  verbs: [create, update, patch, delete, deletecollection, get, list]
- level: None
`

func (p *plane) startEtcd(socket, peer string) {
	p.start("etcd", "--name=default", "--data-dir="+p.dir+"/etcd", "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=unix://"+socket, "--advertise-client-urls=http://localhost:1",
		"--listen-peer-urls=unix://"+peer, "--initial-advertise-peer-urls=http://localhost:1",
		"--initial-cluster=default=http://localhost:1")
}

func (p *plane) startAPIServer(socket string) {
	policy := p.dir + "/audit-policy.yaml"
	check(os.WriteFile(policy, []byte(auditPolicy), 0o600))
	p.start("kube-apiserver", append(p.node.arguments(p),
		"--audit-policy-file="+policy, "--audit-log-path="+p.dir+"/audit.log",
		"--enable-admission-plugins=NodeRestriction",
		"--etcd-servers=unix://"+socket,
		"--bind-address="+p.address, fmt.Sprintf("--secure-port=%d", p.port), "--advertise-address="+p.address,
		"--endpoint-reconciler-type=none",
		// There is no kube-proxy: Services lead to their endpoints.
		"--enable-aggregator-routing=true",
		"--tls-cert-file="+p.pki+"/apiserver.crt", "--tls-private-key-file="+p.pki+"/apiserver.key",
		"--client-ca-file="+p.pki+"/ca.crt",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+p.pki+"/sa.pub",
		"--service-account-signing-key-file="+p.pki+"/sa.key", "--service-cluster-ip-range=10.96.0.0/24",
		"--authorization-mode=Node,RBAC",
		"--allow-privileged=true", "--profiling=false", "--shutdown-delay-duration=0s")...)
}

func (p *plane) startControllers() {
	kcm, scheduler := p.dir+"/kcm.kubeconfig", p.dir+"/scheduler.kubeconfig"
	p.start("kube-controller-manager", "--kubeconfig="+kcm, "--authentication-kubeconfig="+kcm,
		"--authorization-kubeconfig="+kcm, "--secure-port=0", "--leader-elect=false", "--profiling=false",
		"--service-account-private-key-file="+p.pki+"/sa.key", "--root-ca-file="+p.pki+"/ca.crt",
		"--use-service-account-credentials=true",
		"--cluster-signing-cert-file="+p.pki+"/ca.crt", "--cluster-signing-key-file="+p.pki+"/ca.key",
		"--controllers="+p.node.controllers(),
		"--kube-api-qps=200", "--kube-api-burst=400")
	p.start("kube-scheduler", "--kubeconfig="+scheduler, "--authentication-kubeconfig="+scheduler,
		"--authorization-kubeconfig="+scheduler, "--secure-port=0", "--leader-elect=false", "--profiling=false")
}

// wait polls until ready; false when told to stop, when a component ends, or after a minute.
func (p *plane) wait(what string, ready func() bool) bool {
	deadline := time.After(time.Minute)
	ended := p.ended()
	for !ready() {
		select {
		case <-p.stop:
			return false
		case name := <-ended:
			fmt.Fprintf(os.Stderr, "up: %s ended before %s; see %s/log/%s.log\n", name, what, p.dir, name)
			return false
		case <-deadline:
			fmt.Fprintf(os.Stderr, "up: after a minute it is still not so that %s; see %s/log\n", what, p.dir)
			return false
		case <-time.After(25 * time.Millisecond):
		}
	}
	return true
}

func (p *plane) answers(path string) bool {
	r, err := p.client.Get(p.server + path)
	if err != nil {
		return false
	}
	defer r.Body.Close()
	io.Copy(io.Discard, r.Body)
	return r.StatusCode == http.StatusOK
}

func dials(socket string) bool {
	c, err := net.Dial("unix", socket)
	if err == nil {
		c.Close()
	}
	return err == nil
}

func freePort() int {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// Where components run, and so where etcd makes its sockets.
func socketFolder() string { return os.TempDir() }

func randomNumber() string { return serial().String() }
