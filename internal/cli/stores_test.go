package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func TestServersThatAreAwayAreNamed(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address}
	redis := h.vars["REDIS_URL"]
	h.vars["REDIS_URL"] = "redis://user:hunter2@127.0.0.1:1/0"
	r := h.run(t, args...)
	require.Equal(t, exitFailed, r.code)
	require.Regexp(t, `^quantbot: redis cannot be reached since \S+: redis at 127\.0\.0\.1:1 does not answer .* set REDIS_URL .*\n$`, r.stderr, "one clear sentence, and no password")
	h.vars["REDIS_URL"], h.vars["CLICKHOUSE_PORT"] = redis, "1"
	r = h.run(t, args...)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "127.0.0.1:1")
	require.Equal(t, exitFailed, h.run(t, "doctor").code)
}

// A program that reads brings the tables up to date first: they may be older than it, or not there at all.
func TestReadingCommandsMigrate(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	r := h.run(t, "ohlcv", "runs-list")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "No runs.\n", r.stdout)
}
