package local

import "syscall"

// ownSession keeps a terminal's Ctrl-C from the child.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// boundToParent makes the kernel kill the child when the thread that started it ends; see startBound.
func boundToParent(onTerminal bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Setctty: onTerminal, Pdeathsig: syscall.SIGKILL}
}
