//go:build !linux

package local

import "syscall"

func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// boundToParent can promise nothing here: a keeper that is killed by force leaves its engines to be killed by hand.
func boundToParent(onTerminal bool) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Setctty: onTerminal}
}
