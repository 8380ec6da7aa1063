package local

import (
	"crypto/rand"
	"fmt"
	"os"
	"slices"
	"strings"
)

// newPassword returns 130 random bits as letters and digits, which need no escaping in a URL, a file or a command.
func newPassword() string { return rand.Text() }

// passedOn are the variables that the programs of the engines may need: where to find programs, libraries and time zones,
// and how a Go program is to behave.
var passedOn = []string{
	"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "TZ", "TZDIR", "LD_LIBRARY_PATH", "LD_PRELOAD",
	"GODEBUG", "GOGC", "GOMAXPROCS", "GOMEMLIMIT", "GORACE", "GOTRACEBACK", "GOCOVERDIR",
}

// Environment is what children get of this process' environment. API keys, tokens and passwords stay here.
func Environment() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return !slices.Contains(passedOn, name)
	})
}

// privateDirectory creates the directory, or closes one that is there, to everybody but its owner.
func privateDirectory(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	return os.Chmod(path, 0o700)
}

// refuseSharedDirectory refuses a directory where anybody could put the files that say where the engines are.
func refuseSharedDirectory(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("look at the engines' directory: %w", err)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("every user of this machine may write to %s: take another directory for the engines, or chmod 700 it", dir)
	}
	return nil
}
