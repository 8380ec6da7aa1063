package localtest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"
)

const (
	// prefix begins the name of each directory of engines.
	prefix = "quantbot-test-"
	// lockName is a file in the directory; its lock is held as long as the process that made the directory lives.
	lockName = "test.lock"
	// youngest is the age of a directory from which on a lock that nobody holds means that its process died.
	youngest = time.Minute
)

// directory of engines, which its process removes at the end.
type directory struct {
	path   string
	onDisk bool
	lock   *flock.Flock
}

// newDirectory makes a directory in memory where there is enough, else where the system keeps temporary files. Engines make and
// remove thousands of small files for each database, and ext4 searches long for a free inode when many were freed within the
// last five seconds: that was a third of the processor time of all tests. A killed engine's data outlives it in both places.
func newDirectory(onDisk bool) (*directory, error) {
	parent := ""
	if !onDisk {
		parent = memory()
	}
	removeAbandoned(parent)
	path, err := os.MkdirTemp(parent, prefix)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, onDisk: onDisk}
	if err := d.hold(); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return d, nil
}

// Directory returns a directory for engines that the test starts itself, removed after the test. It is no TempDir: whoever has
// just started a killed engine again may still write to it when the test ends, and a TempDir fails the test then.
func Directory(t testing.TB) string {
	t.Helper()
	d, err := newDirectory(shared.dir != nil && shared.dir.onDisk)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.remove() })
	return d.path
}

// hold takes the lock by which others see that the directory is in use.
func (d *directory) hold() error {
	d.lock = flock.New(filepath.Join(d.path, lockName))
	return d.lock.Lock()
}

func (d *directory) remove() error {
	return errors.Join(d.lock.Unlock(), os.RemoveAll(d.path))
}

// removeAbandoned frees the memory that killed test processes left behind. Nothing else would, before the next boot.
func removeAbandoned(parent string) {
	if parent == "" {
		return
	}
	paths, _ := filepath.Glob(filepath.Join(parent, prefix+"*", lockName)) // the pattern is valid
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil || time.Since(info.ModTime()) < youngest {
			continue
		}
		lock := flock.New(path)
		if free, err := lock.TryLock(); err == nil && free {
			_ = errors.Join(lock.Unlock(), os.RemoveAll(filepath.Dir(path))) // the next process tries again
		}
	}
}
