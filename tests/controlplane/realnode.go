package main

import "net"

// A node whose kubelet somebody else starts: what the control plane must know and give it.
type realNode struct{ name, address string }

// credentials writes the kubelet's certificate, which it also serves with, its kubeconfig, and the certificate by
// which it knows the API server.
func (n realNode) credentials(c *ca, p *plane) {
	if n.name == "" {
		return
	}
	c.issue(p.pki, "node", "system:node:"+n.name, []string{"system:nodes"}, []string{n.name}, []net.IP{net.ParseIP(n.address)})
	writeKubeconfig(p.dir+"/node.kubeconfig", p.pki, p.server, "node")
	c.issue(p.pki, "kubelet-client", "kube-apiserver", []string{"system:masters"}, nil, nil)
}

// arguments of the API server: how it reaches the kubelet, and what the kubelet may not do.
func (n realNode) arguments(p *plane) []string {
	if n.name == "" {
		return nil
	}
	return []string{"--kubelet-client-certificate=" + p.pki + "/kubelet-client.crt",
		"--kubelet-client-key=" + p.pki + "/kubelet-client.key", "--kubelet-certificate-authority=" + p.pki + "/ca.crt",
		"--kubelet-preferred-address-types=InternalIP"}
}

// controllers to run. A simulated node sends no heartbeats: it would count as lost.
func (n realNode) controllers() string {
	if n.name == "" {
		return "*,-node-lifecycle-controller"
	}
	return "*"
}
