package cli

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// startDashboard runs the command as a process of its own and answers its address.
func startDashboard(t *testing.T, h *harness, args ...string) (url string, stop func()) {
	t.Helper()
	program := exec.Command(os.Args[0], append([]string{"dashboard"}, args...)...)
	program.Env = append(os.Environ(), roleVariable+"=1")
	for name, value := range h.vars {
		program.Env = append(program.Env, name+"="+value)
	}
	said, err := program.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, program.Start())
	t.Cleanup(func() { _ = program.Process.Kill() })
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if _, found, ok := strings.Cut(lines.Text(), "dashboard on "); ok {
			url = found
			break
		}
	}
	require.NotEmpty(t, url, "it never said where it listens")
	return url, func() {
		require.NoError(t, program.Process.Signal(os.Interrupt))
		_, _ = io.Copy(io.Discard, said)
		require.NoError(t, program.Wait(), "Ctrl-C is an orderly end")
	}
}

func TestDashboardCommand(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	url, stop := startDashboard(t, h, "--listen", "127.0.0.1:0")
	for path, says := range map[string]string{"/": "No runs yet", "/fleet": "No worker is running", "/healthz": "ok", "/queues/": "Asynq"} {
		response, err := http.Get(url + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		require.Contains(t, string(body), says, path)
	}
	stop()
}

// Nobody can look from elsewhere unless they know a token.
func TestDashboardRefusesOtherMachinesWithoutAToken(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "10.1.2.3:8080", "dashboard.example:80"} {
		out := h.run(t, "dashboard", "--listen", listen)
		require.Equal(t, exitUsage, out.code, listen)
		require.Contains(t, out.stderr, "set QUANTBOT_DASHBOARD_TOKEN, or listen on 127.0.0.1", listen)
	}
	out := h.run(t, "dashboard", "--listen", "8080")
	require.Equal(t, exitUsage, out.code)
	require.Contains(t, out.stderr, "is not like 127.0.0.1:8080")
}
