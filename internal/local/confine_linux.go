package local

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// mayRead is what is granted for files, mayReadBelow for directories.
	mayRead      = unix.LANDLOCK_ACCESS_FS_READ_FILE
	mayReadBelow = mayRead | unix.LANDLOCK_ACCESS_FS_READ_DIR
	// mayAll is what Landlock can refuse since its second version (Linux 5.19), without running programs. Its first refuses
	// every rename to another directory, and the engine needs those.
	mayAll = mayReadBelow | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE |
		unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK |
		unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK | unix.LANDLOCK_ACCESS_FS_MAKE_SYM |
		unix.LANDLOCK_ACCESS_FS_REFER
)

// readable are the files that the engine needs beside its own: how much memory and which processors there are, the time
// zone, name resolution. None of them is secret.
var readable = []string{
	"/proc/self", "/proc/meminfo", "/proc/cpuinfo", "/proc/stat", "/proc/loadavg", "/proc/uptime", "/proc/vmstat", "/proc/diskstats",
	"/proc/net", "/proc/sys/vm", "/proc/sys/kernel/random", "/proc/sys/fs", "/sys/fs/cgroup", "/sys/devices/system", "/sys/block",
	"/dev/urandom", "/dev/random", "/usr/share/zoneinfo", "/etc/localtime", "/etc/timezone", "/etc/hosts", "/etc/resolv.conf",
	"/etc/nsswitch.conf", "/etc/host.conf",
}

// confine lets this thread, and those that it starts, reach only the directory and what every engine needs. libchdb lets
// its users read each file that its process can read, by the function file(), and no grant takes that away. Files that are
// open stay so.
func confine(dir string) error {
	attr := unix.LandlockRulesetAttr{Handled_access_fs: mayAll}
	// The size says which fields the kernel is to know: the one of all versions. A kernel of the first refuses REFER in it.
	created, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&attr)), unsafe.Sizeof(attr.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("create the rules of Landlock: %w", errno)
	}
	rules := int(created)
	defer unix.Close(rules)
	if err := allow(rules, dir, mayAll); err != nil {
		return err
	}
	if err := allow(rules, os.DevNull, mayRead|unix.LANDLOCK_ACCESS_FS_WRITE_FILE); err != nil {
		return err
	}
	for _, path := range readable {
		if err := allow(rules, path, mayReadBelow); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(rules), 0, 0); errno != 0 {
		return fmt.Errorf("apply the rules of Landlock: %w", errno)
	}
	return nil
}

// allow grants access to a file, or to everything below a directory. The descriptor stays open: a rule holds for the file
// that it was made for, and the kernel would forget a process' own directory in /proc, and make another, when memory is short.
func allow(rules int, path string, access uint64) error {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	var info unix.Stat_t
	if err := unix.Fstat(fd, &info); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if info.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= mayRead | unix.LANDLOCK_ACCESS_FS_WRITE_FILE // the kernel refuses what a file cannot have
	}
	rule := unix.LandlockPathBeneathAttr{Allowed_access: access, Parent_fd: int32(fd)}
	_, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, uintptr(rules), unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0)
	if errno != 0 {
		return &os.PathError{Op: "allow", Path: path, Err: errno}
	}
	return nil
}
