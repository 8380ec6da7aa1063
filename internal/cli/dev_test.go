package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func TestDevRunsEverythingUntilInterrupted(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	dir := t.TempDir()
	envFile := filepath.Join(dir, "env")
	dev := exec.Command(os.Args[0], "dev", "--dir", filepath.Join(dir, "data"), "--env-file", envFile)
	dev.Env = append(os.Environ(), roleVariable+"=1")
	said, err := os.Create(filepath.Join(dir, "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = said.Close() })
	dev.Stderr = said
	require.NoError(t, dev.Start())
	t.Cleanup(func() { _ = dev.Process.Kill() })
	var env []byte
	require.Eventually(t, func() bool {
		var err error
		env, err = os.ReadFile(envFile)
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	h.vars = map[string]string{}
	for line := range strings.Lines(string(env)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		h.vars[name] = value
	}
	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--wait")
	require.Equal(t, 0, r.code, r.stderr)
	text, err := os.ReadFile(said.Name())
	require.NoError(t, err)
	info, err := os.Stat(envFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	for _, secret := range []string{h.vars["CLICKHOUSE_PASSWORD"], h.vars["REDIS_URL"], h.vars[dashboardToken]} {
		require.NotEmpty(t, secret)
		require.NotContains(t, string(text), secret)
	}
	_, url, found := strings.Cut(string(text), "dashboard on ")
	require.True(t, found, string(text))
	requirePrivate(t, strings.Fields(url)[0], h.vars[dashboardToken])
	require.NoError(t, dev.Process.Signal(os.Interrupt))
	require.NoError(t, dev.Wait())
	_, err = os.Stat(envFile)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestShellWord(t *testing.T) {
	t.Parallel()
	require.Equal(t, `'.quantbot/env'`, shellWord(".quantbot/env"))
	require.Equal(t, `'./env'`, shellWord("env"))
	require.Equal(t, `'/tmp/it'\''s mine/env'`, shellWord("/tmp/it's mine/env"))
}
