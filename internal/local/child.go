package local

import (
	"errors"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"time"
)

// child is a running engine process.
type child struct {
	cmd *exec.Cmd
	// ended is closed when the process has ended; err is set then.
	ended chan struct{}
	err   error
}

// startBound starts the command so that it dies with this process, however this process dies. The kernel ties that to
// the thread that forks, so the forking goroutine keeps its thread until the child has ended.
func startBound(cmd *exec.Cmd) (*child, error) {
	c := &child{cmd: cmd, ended: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.ended)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// running reports whether the process has not ended.
func (c *child) running() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// kill ends the process by force and waits for it.
func (c *child) kill() {
	_ = c.cmd.Process.Kill() // it may have ended by itself
	<-c.ended
}

// errEnded says that the process ended before it responded, errPortTaken that it lives and cannot listen.
var (
	errEnded     = errors.New("it ended")
	errPortTaken = errors.New("its port is taken")
)

// await polls probe until it succeeds, the child ends or the time is over.
func (c *child) await(timeout time.Duration, probe func() error) error {
	deadline := time.After(timeout)
	for {
		err := probe()
		if err == nil || errors.Is(err, errPortTaken) {
			return err
		}
		select {
		case <-c.ended:
			return errEnded
		case <-deadline:
			return fmt.Errorf("no answer within %s: %w", timeout, err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// freePorts asks the kernel for loopback ports that nobody uses; all are held until the last is found, so they differ.
// Another process may take one before the engine does: the engine is then started with others.
func freePorts(n int) (ports []int, err error) {
	for range n {
		listener, listenErr := net.Listen("tcp", "127.0.0.1:0")
		if listenErr != nil {
			return nil, fmt.Errorf("find a free port: %w", listenErr)
		}
		defer func() { err = errors.Join(err, listener.Close()) }()
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			return nil, fmt.Errorf("find a free port: listening on %s", listener.Addr())
		}
		ports = append(ports, address.Port)
	}
	return ports, nil
}
