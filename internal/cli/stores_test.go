package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func TestServersThatAreAwayAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address}
	redis := b.vars["REDIS_URL"]
	b.vars["REDIS_URL"] = "redis://user:hunter2@127.0.0.1:1/0"
	r := b.run(t, args...)
	require.Equal(t, exitFailed, r.code)
	require.Regexp(t, `^quantbot: redis cannot be reached since \S+: redis at 127\.0\.0\.1:1 does not answer .* set REDIS_URL .*\n$`, r.stderr, "one clear sentence, and no password")
	b.vars["REDIS_URL"], b.vars["CLICKHOUSE_PORT"] = redis, "1"
	r = b.run(t, args...)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "127.0.0.1:1")
	require.Equal(t, exitFailed, b.run(t, "doctor").code)
}

// A program that reads brings the tables up to date first: they may be older than it, or not there at all.
func TestReadingCommandsMigrate(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	r := b.run(t, "ohlcv", "runs-list")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "No runs.\n", r.stdout)
}
