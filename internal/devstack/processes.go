package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"quantbot/internal/local"
)

// processShutdown is how long a worker process may take to end once it was stopped.
const processShutdown = 10 * time.Second

// Processes are worker processes.
type Processes struct {
	commands []*exec.Cmd
	cancel   context.CancelFunc
}

// StartProcesses starts worker processes with these variables. What they log is appended to the file.
func StartProcesses(ctx context.Context, n int, vars map[string]string, logPath string) (p *Processes, err error) {
	program, args, err := workerProgram()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the workers' log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }() // the processes have it, too
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p = &Processes{cancel: cancel}
	for range n {
		command := exec.CommandContext(ctx, program, args...)
		command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
		command.WaitDelay = processShutdown
		command.Env = local.Environment() // keys and webhooks of the owner are for real runs
		for name, value := range vars {
			command.Env = append(command.Env, name+"="+value)
		}
		command.Stdout, command.Stderr = log, log
		if err := command.Start(); err != nil {
			p.Stop()
			return nil, fmt.Errorf("start a worker: %w", err)
		}
		p.commands = append(p.commands, command)
	}
	return p, nil
}

// IDs are the processes' ids.
func (p *Processes) IDs() (ids []int) {
	for _, command := range p.commands {
		ids = append(ids, command.Process.Pid)
	}
	return ids
}

// Stop has the processes end, and waits. How each of them went is in the log.
func (p *Processes) Stop() {
	p.cancel()
	for _, command := range p.commands {
		_ = command.Wait()
	}
}

// workerProgram is the worker beside this program, else this program in that role.
func workerProgram() (path string, args []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find the own program: %w", err)
	}
	beside := filepath.Join(filepath.Dir(self), "worker")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil, nil
	}
	return self, []string{"worker"}, nil
}
