package localtest

import "golang.org/x/sys/unix"

const (
	// memoryPath is where Linux mounts a file system that lives in memory.
	memoryPath = "/dev/shm"
	// memoryNeeded is what must be free there, in bytes: many times what engines take (32 MB in the chaos test).
	memoryNeeded = 4 << 30
)

// memory returns a directory that lives in memory, or "" when there is none with enough room.
func memory() string {
	var stat unix.Statfs_t
	if err := unix.Statfs(memoryPath, &stat); err != nil || stat.Type != unix.TMPFS_MAGIC || stat.Bavail*uint64(stat.Bsize) < memoryNeeded {
		return ""
	}
	if unix.Access(memoryPath, unix.W_OK) != nil {
		return ""
	}
	return memoryPath
}
