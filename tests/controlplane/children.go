package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// A component: a child process of this same binary, which dies with it.
type child struct {
	name string
	cmd  *exec.Cmd
	done chan struct{}
}

func (p *plane) start(name string, args ...string) {
	log := must(os.Create(filepath.Join(p.dir, "log", name+".log")))
	c := exec.Command("/proc/self/exe", append([]string{name}, args...)...)
	c.Stdout, c.Stderr, c.Dir = log, log, socketFolder()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	check(c.Start())
	ch := &child{name, c, make(chan struct{})}
	go func() { c.Wait(); close(ch.done) }()
	p.children = append(p.children, ch)
}

// ended tells the names of components that end from now on.
func (p *plane) ended() <-chan string {
	names := make(chan string, len(p.children))
	for _, ch := range p.children {
		go func() { <-ch.done; names <- ch.name }()
	}
	return names
}

// stopAll stops the components, last started first. The data is thrown away, so nobody is waited for long.
func (p *plane) stopAll() {
	for i := len(p.children) - 1; i >= 0; i-- {
		ch := p.children[i]
		ch.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ch.done:
		case <-time.After(500 * time.Millisecond):
			ch.cmd.Process.Kill()
			<-ch.done
		}
	}
}
