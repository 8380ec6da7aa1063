package main

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// unserved runs a command that reaches no server.
func unserved(ctx context.Context, stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	a := &app{stdin: stdin, stdout: &stdout, stderr: &stderr, now: time.Now, getenv: func(name string) string {
		return map[string]string{"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": "1", "REDIS_URL": "redis://127.0.0.1:1/0"}[name]
	}}
	return result{a.run(ctx, args), stdout.String(), stderr.String()}
}

// 200 tokens over 56 years of seconds: the answer comes at once and says what to do.
func TestADryRunOfTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	tokens := writeTokens(t, simmarket.Tokens(200))
	r := unserved(t.Context(), nil, "ingestion", "ohlcv", "--from", "1970-01-02", "--to", "2026-01-01", "--interval", "1s", "--tokens", tokens, "--dry-run")
	require.Equal(t, exitRefused, r.code, r.stderr)
	require.Empty(t, r.stdout)
	require.Contains(t, r.stderr, "the plan would have 17671400 chunks, above the limit of 5000000: take a larger --interval, a shorter --from to --to, or fewer tokens at a time\n")
}

func TestADryRunHeedsAnInterrupt(t *testing.T) {
	t.Parallel()
	tokens := writeTokens(t, simmarket.Tokens(40))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := unserved(ctx, nil, "ingestion", "ohlcv", "--from", "1970-01-02", "--to", "2026-01-01", "--interval", "1s", "--tokens", tokens, "--dry-run")
	require.Equal(t, exitInterrupted, r.code, r.stderr)
	require.Empty(t, r.stdout)
}
