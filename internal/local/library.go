package local

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// LibrarySHA256 is the checksum of the libchdb.so that scripts/setup installs; it leaves it beside the library once it
// has verified it, so that not every start has to read half a gigabyte.
const LibrarySHA256 = "36ad4e999882821ef13cf2d0f52c93f48e6ee1b4498b35a201c23ce4b8d15bf5"

const libraryName = "libchdb.so"

// LibraryVariable is the environment variable that names a libchdb.so in an unusual place.
const LibraryVariable = "QUANTBOT_CHDB_LIB"

// chooseClickHouse returns the library to use, or "" for the clickhouse program on the PATH. It must run in the user's
// process: the keeper's working directory is another one.
func chooseClickHouse(library string) (string, error) {
	if _, err := exec.LookPath("clickhouse"); err == nil && library == "" {
		return "", nil
	}
	return findLibrary(library)
}

// findLibrary returns the path of libchdb: the given one, the environment's, or the first verified one in the project's
// .cache (upward from the working directory and from the program) or the user's cache.
func findLibrary(given string) (string, error) {
	for _, path := range []string{given, os.Getenv(LibraryVariable)} {
		if path == "" {
			continue
		}
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("find libchdb: %w", err)
		}
		return path, nil
	}
	for _, dir := range libraryDirs() {
		path := filepath.Join(dir, libraryName)
		stamp, err := os.ReadFile(path + ".sha256")
		if err == nil && strings.HasPrefix(string(stamp), LibrarySHA256) {
			if _, err := os.Stat(path); err == nil {
				return path, nil
			}
		}
	}
	return "", errors.New(`no ClickHouse to start here. Three ways to get one:
  - name a running server by CLICKHOUSE_HOST (and leave --local out)
  - put the clickhouse program on the PATH
  - run scripts/setup, which fetches libchdb (Linux x86-64 with AVX2 and glibc; needs npm)`)
}

func libraryDirs() []string {
	var dirs []string
	if cache, err := os.UserCacheDir(); err == nil {
		dirs = append(dirs, filepath.Join(cache, "quantbot", "chdb"))
	}
	if wd, err := os.Getwd(); err == nil {
		dirs = append(dirs, upward(wd)...)
	}
	if program, err := os.Executable(); err == nil {
		dirs = append(dirs, upward(filepath.Dir(program))...)
	}
	return dirs
}

func upward(dir string) []string {
	var dirs []string
	for {
		dirs = append(dirs, filepath.Join(dir, ".cache", "chdb"))
		parent := filepath.Dir(dir)
		if parent == dir {
			return dirs
		}
		dir = parent
	}
}
