package localtest

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

const (
	// promtoolTimeout bounds one call.
	promtoolTimeout = time.Minute
	// prometheusTimeout bounds the start of the server.
	prometheusTimeout = time.Minute
)

// Promtool runs Prometheus' own checker and fails the test with what it says.
func Promtool(t testing.TB, input io.Reader, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), promtoolTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, program(t, "promtool"), args...)
	command.Stdin = input
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("promtool %v: %v\n%s", args, err, said)
	}
}

// Prometheus runs the server with this configuration until the test ends, and returns its URL.
func Prometheus(t testing.TB, config []byte) (url string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(file, config, 0o600); err != nil {
		t.Fatal(err)
	}
	server := exec.Command(program(t, "prometheus"), "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0")
	said, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatalf("start Prometheus: %v", err)
	}
	deadline := time.AfterFunc(prometheusTimeout, func() { _ = server.Process.Kill() })
	t.Cleanup(func() {
		deadline.Stop()
		_ = server.Process.Kill()
		_, _ = io.Copy(io.Discard, said) // its end, before Wait closes the pipe
		_ = server.Wait()                // killed
	})
	listening := regexp.MustCompile(`Listening on.* address=(127\.0\.0\.1:\d+)`)
	for lines := bufio.NewScanner(said); lines.Scan(); {
		if found := listening.FindStringSubmatch(lines.Text()); found != nil {
			deadline.Stop()
			go func() { _, _ = io.Copy(io.Discard, said) }() // ends with the server
			return "http://" + found[1]
		}
		t.Log(lines.Text())
	}
	t.Fatal("Prometheus never said where it listens")
	return ""
}

// program finds what scripts/setup installs where it may. Where it is missing the test is skipped, unless
// TEST_REQUIRE_SERVICES is set: continuous integration sets it.
func program(t testing.TB, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		say := t.Skipf
		if os.Getenv("TEST_REQUIRE_SERVICES") != "" {
			say = t.Fatalf
		}
		say("%s is not on the PATH: scripts/setup installs it", name)
	}
	return path
}
