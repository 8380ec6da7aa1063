package localtest

import (
	"context"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"
)

// promtoolTimeout bounds one call.
const promtoolTimeout = time.Minute

// Promtool runs Prometheus' own checker, which scripts/setup installs where it may, and fails the test with what it says.
// Where it is missing the test is skipped, unless TEST_REQUIRE_SERVICES is set: continuous integration sets it.
func Promtool(t testing.TB, input io.Reader, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("TEST_REQUIRE_SERVICES") != "" {
			t.Fatal("promtool is not on the PATH: scripts/setup installs it")
		}
		t.Skip("promtool is not on the PATH: scripts/setup installs it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), promtoolTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, program, args...)
	command.Stdin = input
	if said, err := command.CombinedOutput(); err != nil {
		t.Fatalf("promtool %v: %v\n%s", args, err, said)
	}
}
