package main

// fakenode: a simulated node without a kubelet. It registers a Ready node and makes every pod bound to it Running and
// Ready. Images on a loopback registry are really looked up: the status reports the registry's digest, and an image
// that is not there gives ErrImagePull. Like a real node it keeps what it pulled, and asks again only when told to.

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/component-base/version"
)

func init() { applets["fakenode"] = fakenode }

type paperNode struct {
	name    string
	client  kubernetes.Interface
	images  imageStore
	address int
}

func fakenode(args []string) int {
	fs := flag.NewFlagSet("fakenode", flag.ExitOnError)
	kubeconfig := fs.String("kubeconfig", "", "")
	name := fs.String("name", "fake-0", "")
	check(fs.Parse(args[1:]))
	config := must(clientcmd.BuildConfigFromFlags("", *kubeconfig))
	config.QPS, config.Burst = 500, 1000
	n := &paperNode{name: *name, client: kubernetes.NewForConfigOrDie(config), images: imageStore{}}
	ctx := context.Background()
	n.register(ctx)
	source := cache.NewListWatchFromClient(n.client.CoreV1().RESTClient(), "pods", "", fields.OneTermEqualSelector("spec.nodeName", n.name))
	handle := func(o any) { n.sync(ctx, o.(*v1.Pod).DeepCopy()) }
	informer := cache.NewSharedInformer(source, &v1.Pod{}, time.Second)
	must(informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: handle, UpdateFunc: func(_, o any) { handle(o) }}))
	informer.Run(ctx.Done())
	return 0
}

func (n *paperNode) register(ctx context.Context) {
	room := v1.ResourceList{v1.ResourceCPU: resource.MustParse("64"), v1.ResourceMemory: resource.MustParse("256Gi"),
		v1.ResourcePods: resource.MustParse("5000"), v1.ResourceEphemeralStorage: resource.MustParse("1Ti")}
	now := metav1.Now()
	nodes := n.client.CoreV1().Nodes()
	node := must(nodes.Create(ctx, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: n.name, Labels: map[string]string{
		"kubernetes.io/hostname": n.name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}}}, metav1.CreateOptions{}))
	node.Status = v1.NodeStatus{Capacity: room, Allocatable: room,
		Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady", Message: "simulated",
			LastHeartbeatTime: now, LastTransitionTime: now}},
		Addresses: []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: "127.0.0.1"}},
		NodeInfo: v1.NodeSystemInfo{KubeletVersion: version.Get().GitVersion, OperatingSystem: "linux", Architecture: "amd64",
			ContainerRuntimeVersion: "paper://0"}}
	node = must(nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{}))
	// Admission adds the taint not-ready, and the controller that takes it away is off.
	if len(node.Spec.Taints) > 0 {
		node.Spec.Taints = nil
		must(nodes.Update(ctx, node, metav1.UpdateOptions{}))
	}
}

func (n *paperNode) sync(ctx context.Context, pod *v1.Pod) {
	if pod.DeletionTimestamp != nil {
		now := int64(0)
		n.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		return
	}
	if pod.Status.Phase != v1.PodPending {
		return
	}
	n.run(pod)
	if _, err := n.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, pod, metav1.UpdateOptions{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// run writes the status a kubelet would report.
func (n *paperNode) run(pod *v1.Pod) {
	now := metav1.Now()
	ready, phase, yes := v1.ConditionTrue, v1.PodRunning, true
	status := func(c v1.Container, running v1.ContainerState) v1.ContainerStatus {
		id, err := n.images.pull(c.Image, c.ImagePullPolicy)
		if err != nil {
			ready, phase = v1.ConditionFalse, v1.PodPending
			return v1.ContainerStatus{Name: c.Name, Image: c.Image, State: v1.ContainerState{
				Waiting: &v1.ContainerStateWaiting{Reason: "ErrImagePull", Message: err.Error()}}}
		}
		return v1.ContainerStatus{Name: c.Name, Image: c.Image, ImageID: id, Ready: true, Started: &yes,
			ContainerID: "paper://" + string(pod.UID) + "/" + c.Name, State: running}
	}
	var first, main []v1.ContainerStatus
	for _, c := range pod.Spec.InitContainers {
		first = append(first, status(c, v1.ContainerState{Terminated: &v1.ContainerStateTerminated{Reason: "Completed", FinishedAt: now}}))
	}
	for _, c := range pod.Spec.Containers {
		main = append(main, status(c, v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: now}}))
	}
	if pod.Status.PodIP == "" {
		n.address++
		pod.Status.PodIP = fmt.Sprintf("10.244.%d.%d", n.address/250, n.address%250+1)
		pod.Status.HostIP, pod.Status.StartTime = "127.0.0.1", &now
		pod.Status.PodIPs = []v1.PodIP{{IP: pod.Status.PodIP}}
	}
	pod.Status.Phase = phase
	pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses = main, first
	pod.Status.Conditions = []v1.PodCondition{{Type: v1.PodScheduled, Status: v1.ConditionTrue, LastTransitionTime: now}}
	for _, t := range []v1.PodConditionType{v1.PodInitialized, v1.ContainersReady, v1.PodReady} {
		pod.Status.Conditions = append(pod.Status.Conditions, v1.PodCondition{Type: t, Status: ready, LastTransitionTime: now})
	}
}
