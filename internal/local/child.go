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

// errEnded: the process ended before it answered.
var errEnded = errors.New("it ended")

// await polls probe until it succeeds, the child ends or the time is over.
func (c *child) await(timeout time.Duration, probe func() error) error {
	deadline := time.After(timeout)
	for {
		err := probe()
		if err == nil {
			return nil
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

// freePort asks the kernel for a loopback port that nobody uses. Another process may take it before the engine does: the
// engine then ends at once and is started with another one.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	return port, listener.Close()
}
