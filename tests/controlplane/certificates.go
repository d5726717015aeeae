package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

type ca struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func writePEM(path, typ string, der []byte) {
	check(os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), 0o600))
}

func writeKey(path string, k *ecdsa.PrivateKey) {
	writePEM(path, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k)))
}

func serial() *big.Int { return must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))) }

func newCA(dir string) *ca {
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: "controlplane-ca"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * 365 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign}
	der := must(x509.CreateCertificate(rand.Reader, t, t, &k.PublicKey, k))
	writePEM(filepath.Join(dir, "ca.crt"), "CERTIFICATE", der)
	writeKey(filepath.Join(dir, "ca.key"), k)
	return &ca{must(x509.ParseCertificate(der)), k, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

func (c *ca) issue(dir, name, cn string, orgs []string, dns []string, ips []net.IP) {
	k := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	t := &x509.Certificate{SerialNumber: serial(), Subject: pkix.Name{CommonName: cn, Organization: orgs},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * 365 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		DNSNames:    dns, IPAddresses: ips}
	der := must(x509.CreateCertificate(rand.Reader, t, c.cert, &k.PublicKey, c.key))
	writePEM(filepath.Join(dir, name+".crt"), "CERTIFICATE", der)
	writeKey(filepath.Join(dir, name+".key"), k)
}

func writeKubeconfig(path, pki, server, user string) {
	check(os.WriteFile(path, []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: controlplane
  cluster: {server: %q, certificate-authority: %q}
users:
- name: %s
  user: {client-certificate: %q, client-key: %q}
contexts:
- name: controlplane
  context: {cluster: controlplane, user: %s}
current-context: controlplane
`, server, pki+"/ca.crt", user, pki+"/"+user+".crt", pki+"/"+user+".key", user)), 0o600))
}
