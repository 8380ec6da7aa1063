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
	listening, ended := make(chan string, 1), make(chan struct{})
	go func() { // reads to the end: a full pipe would stop the server
		defer close(ended)
		address := regexp.MustCompile(`Listening on.* address=(127\.0\.0\.1:\d+)`)
		for lines := bufio.NewScanner(said); lines.Scan(); {
			if found := address.FindStringSubmatch(lines.Text()); found != nil {
				listening <- "http://" + found[1]
				break
			}
		}
		_, _ = io.Copy(io.Discard, said)
	}()
	t.Cleanup(func() {
		_ = server.Process.Kill()
		<-ended           // before Wait closes the pipe
		_ = server.Wait() // killed
	})
	select {
	case url = <-listening:
	case <-ended:
		t.Fatal("Prometheus ended before it said where it listens")
	case <-time.After(prometheusTimeout):
		t.Fatal("Prometheus does not say where it listens")
	}
	return url
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
