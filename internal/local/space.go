package local

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Space is how many bytes the file system of a directory has for this user, and altogether.
func Space(dir string) (free, whole uint64, err error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, 0, fmt.Errorf("look how much room %s has: %w", dir, err)
	}
	block := uint64(stat.Bsize)
	return stat.Bavail * block, stat.Blocks * block, nil
}
